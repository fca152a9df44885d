"""A relation to a member of a range, and the deletion of that member, wait for each other.

A member without values of its own has no row to lock. So who relates it locks the row of its range,
and who takes it out of the range, or deletes the range, waits for that, or makes the other wait.
Deletions of members do not wait for each other: relations of one kind take turns anyway.
"""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import run_as_owner

revision = "0028"
down_revision = "0027"

_RELATE = """
CREATE OR REPLACE FUNCTION identifiers_to_relate(in_prefixes text[], in_suffix_keys text[])
    RETURNS TABLE (place integer, hosting text)
    LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM identifiers AS i
        JOIN unnest(in_prefixes, in_suffix_keys) AS q (prefix, suffix_key)
        ON i.prefix = q.prefix AND i.suffix_key = q.suffix_key
        ORDER BY i.prefix, i.suffix_key
        FOR KEY SHARE OF i;
    {lock}
    RETURN QUERY
        SELECT m.place, p.hosting FROM identifiers_missing(in_prefixes, in_suffix_keys) AS m
        LEFT JOIN prefixes AS p ON p.prefix = in_prefixes[m.place];
END $$
"""
_LEAVE = """
CREATE OR REPLACE FUNCTION leave_range() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {lock}
    INSERT INTO range_exceptions (prefix, suffix_key, range_id)
        SELECT o.prefix, o.suffix_key, r.id
        FROM old_rows AS o CROSS JOIN LATERAL range_covering(o.prefix, o.suffix_key) AS r
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""

# In one order, and after the rows of identifiers.
_LOCK = """
    PERFORM FROM ranges AS r
        WHERE (r.prefix, r.id) IN (
            SELECT c.prefix, c.id
            FROM {of} AS q (prefix, suffix_key)
            CROSS JOIN LATERAL range_covering(q.prefix, q.suffix_key) AS c)
        ORDER BY r.prefix, r.id
        FOR {strength} OF r;
"""
_LOCK_TO_RELATE = _LOCK.format(of="unnest(in_prefixes, in_suffix_keys)", strength="UPDATE")
_LOCK_TO_LEAVE = _LOCK.format(
    of="(SELECT o.prefix, o.suffix_key FROM old_rows AS o)", strength="KEY SHARE"
)


def upgrade() -> None:
    """Take the locks."""
    _replace(_LOCK_TO_RELATE, _LOCK_TO_LEAVE)


def downgrade() -> None:
    """Take none."""
    _replace("", "")


def _replace(to_relate: str, to_leave: str) -> None:
    op.execute(_RELATE.format(lock=to_relate))
    op.execute(_LEAVE.format(lock=to_leave))
    run_as_owner("identifiers_to_relate(text[], text[])")
    run_as_owner("leave_range()")
