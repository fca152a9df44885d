"""Rows of tables, which say nothing of audiences, leave values to those whom they are for."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"

# The third permission is public read. A value of `after` that says itself that it is for its owner
# alone (permissions without access) says enough; one that is for everybody, or for the partners of
# its template, may only have said nothing.
_FUNCTION = r"""
CREATE FUNCTION for_whom_before(before jsonb, after jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN before @? '$[*].permissions ? (@ like_regex "^..0")' THEN (
        SELECT coalesce(jsonb_agg(
            CASE WHEN old.value IS NULL OR (new.value ? 'permissions' AND NOT new.value ? 'access')
                THEN new.value
            ELSE new.value - 'access' || jsonb_strip_nulls(jsonb_build_object(
                'permissions', old.value -> 'permissions', 'access', old.value -> 'access'))
            END ORDER BY new.place), '[]')
        FROM jsonb_array_elements(after) WITH ORDINALITY AS new (value, place)
        LEFT JOIN jsonb_array_elements(before) AS old (value)
            ON old.value -> 'index' = new.value -> 'index'
            AND old.value ->> 'permissions' LIKE '__0_')
    ELSE after END
$$
"""


def upgrade() -> None:
    """Make the function."""
    op.execute(_FUNCTION)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP FUNCTION for_whom_before")
