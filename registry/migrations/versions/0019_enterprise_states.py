"""States of enterprises, the steps between them, regions, and indexes for lists of enterprises."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_ENTERPRISE, protect, run_as_owner

revision = "0019"
down_revision = "0018"

_STATES = (
    """
ALTER TABLE enterprises
    ADD region text COLLATE "C",
    ALTER industry TYPE text COLLATE "C",
    ALTER status SET DEFAULT 'approved'
""",
    "ALTER TABLE enterprises DROP CONSTRAINT enterprises_status_check",
    "UPDATE enterprises SET status = 'approved' WHERE status = 'active'",
    """
ALTER TABLE enterprises ADD CONSTRAINT enterprises_status_check CHECK
    (status IN ('filed', 'under_review', 'approved', 'rejected', 'suspended', 'closed'))
""",
    """
CREATE TABLE enterprise_steps (
    enterprise_id uuid NOT NULL REFERENCES enterprises,
    number integer NOT NULL,
    step text NOT NULL,
    before text,
    after text NOT NULL,
    actor text NOT NULL,
    reason text,
    at timestamptz NOT NULL,
    PRIMARY KEY (enterprise_id, number)
)
""",
    """
INSERT INTO enterprise_steps (enterprise_id, number, step, after, actor, at)
    SELECT id, 1, 'file', 'approved', 'account:system', created_at FROM enterprises
""",
    """
INSERT INTO enterprise_steps (enterprise_id, number, step, before, after, actor, at)
    SELECT id, 2, 'close', 'approved', 'closed', 'account:system', updated_at
    FROM enterprises WHERE status = 'closed'
""",
)

# The credit code of an enterprise that is closed may be filed again.
_INDEXES = (
    "ALTER TABLE enterprises DROP CONSTRAINT enterprises_credit_code_key",
    """
CREATE UNIQUE INDEX enterprises_credit_code ON enterprises (credit_code) WHERE status <> 'closed'
""",
    "CREATE INDEX enterprises_status ON enterprises (status, id)",
    "CREATE INDEX enterprises_industry ON enterprises (industry, id)",
    "CREATE INDEX enterprises_region ON enterprises (region, id)",
    # Pairs of characters, since words of Chinese names have no space between them and are short.
    """
CREATE FUNCTION name_pairs(name text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(
        SELECT DISTINCT substr(lower(name), at, 2) FROM generate_series(1, length(name) - 1) AS at)
$$
""",
    "CREATE INDEX enterprises_name_pairs ON enterprises USING gin (name_pairs(name))",
)

# The second statement of the function sees what was committed before the lock was had.
_PREFIX_TO_WRITE = """
CREATE OR REPLACE FUNCTION prefix_to_write(wanted text)
    RETURNS TABLE (enterprise_id uuid, hosting text, status text)
    LANGUAGE plpgsql VOLATILE ROWS 1 AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('idnode prefix'), hashtext(wanted));
    RETURN QUERY
        SELECT p.enterprise_id, p.hosting, {status}
        FROM {tables} WHERE p.prefix = wanted;
END $$
"""
_NOW = _PREFIX_TO_WRITE.format(
    status="""CASE WHEN p.status = 'active' AND e.status <> 'approved'
            THEN 'of a suspended enterprise' ELSE p.status END""",
    tables="prefixes AS p JOIN enterprises AS e ON e.id = p.enterprise_id",
)
_BEFORE = _PREFIX_TO_WRITE.format(status="p.status", tables="prefixes AS p")

_DOWN = (
    "DROP INDEX enterprises_name_pairs",
    "DROP FUNCTION name_pairs",
    """
DROP INDEX enterprises_region, enterprises_industry, enterprises_status, enterprises_credit_code
""",
    "DROP TABLE enterprise_steps",
    "ALTER TABLE enterprises DROP CONSTRAINT enterprises_status_check",
    "UPDATE enterprises SET status = CASE status WHEN 'approved' THEN 'active' ELSE 'closed' END",
    """
ALTER TABLE enterprises
    DROP region,
    ALTER industry TYPE text COLLATE "default",
    ALTER status SET DEFAULT 'active',
    ADD CONSTRAINT enterprises_status_check CHECK (status IN ('active', 'closed')),
    ADD CONSTRAINT enterprises_credit_code_key UNIQUE (credit_code)
""",
)


def upgrade() -> None:
    """Make the table, the function and the indexes."""
    for statement in (*_STATES, *_INDEXES, _NOW):
        op.execute(statement)
    run_as_owner("prefix_to_write(text)")
    protect("enterprise_steps", OF_ENTERPRISE, "SELECT, INSERT")


def downgrade() -> None:
    """Drop them; keys of enterprises that are not approved open nothing before either."""
    op.execute(_BEFORE)
    run_as_owner("prefix_to_write(text)")
    for statement in _DOWN:
        op.execute(statement)
