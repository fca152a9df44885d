"""Relations between identifiers, with their history."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_PREFIX, protect, run_as_owner
from registry.tenancy import ROLE

revision = "0010"
down_revision = "0009"

_TABLE = (
    "CREATE SEQUENCE relation_version",
    """
CREATE TABLE relations (
    prefix text COLLATE "C" NOT NULL,
    suffix_key text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('part-of', 'contains', 'replaced-by', 'derived-from')),
    version bigint NOT NULL DEFAULT nextval('relation_version'),
    target_prefix text COLLATE "C" NOT NULL,
    target_suffix_key text COLLATE "C" NOT NULL,
    suffix text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    audience text NOT NULL CHECK (audience IN ('public', 'partners', 'private')),
    valid_from timestamptz NOT NULL DEFAULT statement_timestamp(),
    valid_to timestamptz,
    actor text DEFAULT current_writer(),
    ended_by text,
    PRIMARY KEY (prefix, suffix_key, kind, version),
    CONSTRAINT relations_not_to_itself
        CHECK ((prefix, suffix_key) <> (target_prefix, target_suffix_key)),
    CONSTRAINT relations_part_of_once CHECK (kind <> 'contains' OR prefix <> target_prefix)
)
""",
    """
CREATE UNIQUE INDEX relations_holding
    ON relations (prefix, suffix_key, kind, target_prefix, target_suffix_key)
    WHERE valid_to IS NULL
""",
    """
CREATE INDEX relations_target ON relations (target_prefix, target_suffix_key, kind, version)
""",
)

# Keeps identifiers, whoever owns them, from being deleted before the transaction ends, and tells
# which are not there, with how their prefix is hosted at this node.
_ENDS = """
CREATE FUNCTION identifiers_to_relate(in_prefixes text[], in_suffix_keys text[])
    RETURNS TABLE (place integer, hosting text)
    LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM identifiers AS i
        JOIN unnest(in_prefixes, in_suffix_keys) AS q (prefix, suffix_key)
        ON i.prefix = q.prefix AND i.suffix_key = q.suffix_key
        ORDER BY i.prefix, i.suffix_key
        FOR KEY SHARE OF i;
    RETURN QUERY
        SELECT m.place, p.hosting FROM identifiers_missing(in_prefixes, in_suffix_keys) AS m
        LEFT JOIN prefixes AS p ON p.prefix = in_prefixes[m.place];
END $$
"""

# In one order, so that two deletions do not wait for each other in a circle.
_TRIGGERS = (
    """
CREATE FUNCTION relations_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH touched AS (
        SELECT r.prefix, r.suffix_key, r.kind, r.version FROM relations AS r
            JOIN old_rows AS o ON r.prefix = o.prefix AND r.suffix_key = o.suffix_key
            WHERE r.valid_to IS NULL
        UNION
        SELECT r.prefix, r.suffix_key, r.kind, r.version FROM relations AS r
            JOIN old_rows AS o ON r.target_prefix = o.prefix AND r.target_suffix_key = o.suffix_key
            WHERE r.valid_to IS NULL
    ), locked AS (
        SELECT prefix, suffix_key, kind, version FROM relations
            JOIN touched USING (prefix, suffix_key, kind, version)
            ORDER BY version FOR UPDATE OF relations
    )
    UPDATE relations AS r
        SET valid_to = greatest(statement_timestamp(), r.valid_from), ended_by = current_writer()
        FROM locked AS l
        WHERE (r.prefix, r.suffix_key, r.kind, r.version)
            = (l.prefix, l.suffix_key, l.kind, l.version) AND r.valid_to IS NULL;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER relations_ended AFTER DELETE ON identifiers
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION relations_ended()
""",
    """
CREATE FUNCTION relations_all_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE relations
        SET valid_to = greatest(statement_timestamp(), valid_from), ended_by = current_writer()
        WHERE valid_to IS NULL;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER relations_all_ended AFTER TRUNCATE ON identifiers
    FOR EACH STATEMENT EXECUTE FUNCTION relations_all_ended()
""",
)

_AS_OWNER = (
    "identifiers_to_relate(text[], text[])",
    "relations_ended()",
    "relations_all_ended()",
)


def upgrade() -> None:
    """Make the table, and the triggers that end a relation with what it is about."""
    for statement in (*_TABLE, _ENDS, *_TRIGGERS):
        op.execute(statement)
    protect("relations", OF_PREFIX, "SELECT, INSERT, UPDATE")
    op.execute(f"GRANT USAGE ON SEQUENCE relation_version TO {ROLE}")
    for function in _AS_OWNER:
        run_as_owner(function)


def downgrade() -> None:
    """Drop it all."""
    op.execute("DROP TRIGGER relations_ended ON identifiers")
    op.execute("DROP TRIGGER relations_all_ended ON identifiers")
    op.execute("DROP FUNCTION relations_ended, relations_all_ended, identifiers_to_relate")
    op.execute("DROP TABLE relations")
    op.execute("DROP SEQUENCE relation_version")
