"""Statistics: what is registered and what is asked for, by the hour.

Registrations are noted by triggers in the transaction that makes them: a line for each statement
and prefix, which no other writer waits for. The jobs process adds the lines up.
"""

from __future__ import annotations

import datetime

from alembic import op

from registry.migrations.tenancy import OF_PREFIX, protect, run_as_owner
from registry.statistics import partitions

revision = "0013"
down_revision = "0012"

_TABLES = (
    """
CREATE TABLE resolution_hours (
    prefix text COLLATE "C" NOT NULL,
    hour timestamptz NOT NULL,
    found bigint NOT NULL DEFAULT 0,
    not_found bigint NOT NULL DEFAULT 0,
    no_values bigint NOT NULL DEFAULT 0,
    invalid bigint NOT NULL DEFAULT 0,
    referral bigint NOT NULL DEFAULT 0,
    unavailable bigint NOT NULL DEFAULT 0,
    error bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (prefix, hour)
) PARTITION BY RANGE (hour)
""",
    """
CREATE TABLE resolution_sources (
    source uuid PRIMARY KEY,
    counts jsonb NOT NULL,
    ended boolean NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
)
""",
    """
CREATE TABLE registration_changes (
    prefix text COLLATE "C" NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT now(),
    created bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    deleted bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (prefix, id)
)
""",
    """
CREATE TABLE registration_hours (
    prefix text COLLATE "C" NOT NULL,
    hour timestamptz NOT NULL,
    created bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    deleted bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (prefix, hour)
) PARTITION BY RANGE (hour)
""",
    """
CREATE TABLE registration_totals (
    prefix text COLLATE "C" PRIMARY KEY,
    identifiers bigint NOT NULL
)
""",
    """
CREATE TABLE top_names (
    prefix text COLLATE "C" NOT NULL,
    day date NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('found', 'missing')),
    source uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    hits bigint NOT NULL,
    error bigint NOT NULL,
    PRIMARY KEY (prefix, day, kind, source, name)
) PARTITION BY RANGE (day)
""",
    "CREATE INDEX top_names_source ON top_names (source)",
    """
CREATE TABLE top_sources (
    source uuid NOT NULL,
    day date NOT NULL,
    kind text COLLATE "C" NOT NULL,
    total bigint NOT NULL,
    floor bigint NOT NULL,
    PRIMARY KEY (source, day, kind)
)
""",
)

# A row that a member of a range gets makes it no second identifier; a row that goes takes the
# member out of its range. What goes with a range is what exists by it alone.
_FUNCTIONS = (
    r"""
CREATE FUNCTION range_size(r ranges) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT r.last - r.first + 1 - count(*) FROM (
        SELECT i.suffix_key FROM identifiers AS i
        WHERE i.prefix = r.prefix
            AND i.suffix_key BETWEEN r.head || lpad(r.first::text, r.width, '0')
                AND r.head || lpad(r.last::text, r.width, '0')
            AND length(i.suffix_key) = length(r.head) + r.width
            AND right(i.suffix_key, r.width) ~ '^[0-9]+$'
        UNION
        SELECT e.suffix_key FROM range_exceptions AS e
        WHERE e.prefix = r.prefix AND e.range_id = r.id
    ) AS taken
$$
""",
    """
CREATE FUNCTION count_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO registration_changes (prefix, created, changed)
        SELECT g.prefix, g.rows - g.members, g.members FROM (
            SELECT n.prefix, count(*) AS rows,
                CASE WHEN EXISTS (SELECT FROM ranges AS r WHERE r.prefix = n.prefix) THEN (
                    SELECT count(*) FROM new_rows AS m
                    WHERE m.prefix = n.prefix
                        AND EXISTS (SELECT FROM range_member(m.prefix, m.suffix_key)))
                ELSE 0 END AS members
            FROM new_rows AS n WHERE n.prefix <> '0.NA' GROUP BY n.prefix) AS g;
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION count_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO registration_changes (prefix, changed)
        SELECT prefix, count(*) FROM new_rows WHERE prefix <> '0.NA' GROUP BY prefix;
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION count_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO registration_changes (prefix, deleted)
        SELECT prefix, count(*) FROM old_rows WHERE prefix <> '0.NA' GROUP BY prefix;
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION count_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO registration_changes (prefix, deleted)
        SELECT prefix, sum(n) - coalesce((SELECT sum(range_size(r)) FROM ranges AS r
                                          WHERE r.prefix = known.prefix), 0)
        FROM (SELECT prefix, identifiers AS n FROM registration_totals
              UNION ALL SELECT prefix, created - deleted FROM registration_changes) AS known
        GROUP BY prefix;
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION count_range() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO registration_changes (prefix, created, changed, deleted)
        SELECT coalesce(NEW.prefix, OLD.prefix),
            CASE TG_OP WHEN 'INSERT' THEN range_size(NEW) ELSE 0 END,
            CASE TG_OP WHEN 'UPDATE' THEN range_size(NEW) ELSE 0 END,
            CASE TG_OP WHEN 'DELETE' THEN range_size(OLD) ELSE 0 END;
    RETURN NULL;
END $$
""",
)

_TRIGGERS = (
    """
CREATE TRIGGER count_inserted AFTER INSERT ON identifiers
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_inserted()
""",
    """
CREATE TRIGGER count_updated AFTER UPDATE ON identifiers
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_updated()
""",
    """
CREATE TRIGGER count_deleted AFTER DELETE ON identifiers
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted()
""",
    """
CREATE TRIGGER count_truncated AFTER TRUNCATE ON identifiers
    FOR EACH STATEMENT EXECUTE FUNCTION count_truncated()
""",
    """
CREATE TRIGGER count_range AFTER INSERT OR UPDATE OR DELETE ON ranges
    FOR EACH ROW EXECUTE FUNCTION count_range()
""",
)

# What was registered before is in the totals, and in no hour.
_BEFORE = """
INSERT INTO registration_totals (prefix, identifiers)
    SELECT prefix, sum(n) FROM (
        SELECT prefix, count(*) AS n FROM identifiers WHERE prefix <> '0.NA' GROUP BY prefix
        UNION ALL SELECT r.prefix, range_size(r) FROM ranges AS r) AS known
    GROUP BY prefix
"""

_AS_OWNER = (
    "count_inserted()",
    "count_updated()",
    "count_deleted()",
    "count_truncated()",
    "count_range()",
)


def upgrade() -> None:
    """Make the tables and triggers, and count what is there."""
    for statement in (*_TABLES, *_FUNCTIONS, *_TRIGGERS):
        op.execute(statement)
    month = partitions.month_of(datetime.datetime.now(datetime.UTC).date())
    for _ in range(1 + partitions.MONTHS_AHEAD):
        for table in partitions.TABLES:
            op.execute(partitions.statement(table, month))
        month = partitions.next_month(month)
    for table in (
        "resolution_hours",
        "registration_changes",
        "registration_hours",
        "registration_totals",
        "top_names",
    ):
        protect(table, OF_PREFIX, "SELECT")
    for function in _AS_OWNER:
        run_as_owner(function)
    op.execute(_BEFORE)


def downgrade() -> None:
    """Drop all of it."""
    for name in ("inserted", "updated", "deleted", "truncated"):
        op.execute(f"DROP TRIGGER count_{name} ON identifiers")
    op.execute("DROP TRIGGER count_range ON ranges")
    op.execute(
        "DROP FUNCTION count_inserted, count_updated, count_deleted, count_truncated, count_range,"
        " range_size"
    )
    op.execute(
        "DROP TABLE top_sources, top_names, registration_totals, registration_hours,"
        " registration_changes, resolution_sources, resolution_hours"
    )
