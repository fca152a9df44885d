"""The first tables, and the triggers that keep history, change log and audit log true."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE enterprises (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    credit_code text COLLATE "C" NOT NULL UNIQUE,
    industry text NOT NULL,
    contact jsonb NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE operators (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text COLLATE "C" NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('operator', 'reviewer')),
    token_key bytea NOT NULL UNIQUE,
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    enterprise_id uuid NOT NULL REFERENCES enterprises (id),
    label text,
    token_key bytea NOT NULL UNIQUE,
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_enterprise_id ON api_keys (enterprise_id);

CREATE TABLE prefixes (
    prefix text COLLATE "C" PRIMARY KEY,
    enterprise_id uuid NOT NULL REFERENCES enterprises (id),
    hosting text NOT NULL CHECK (hosting IN ('hosted', 'delegated')),
    site jsonb,
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'active', 'rejected', 'suspended', 'revoked')),
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT prefixes_site CHECK ((hosting = 'delegated') = (site IS NOT NULL))
);
CREATE INDEX prefixes_enterprise_id ON prefixes (enterprise_id);

CREATE SEQUENCE identifier_version;

CREATE TABLE identifiers (
    prefix text COLLATE "C" NOT NULL,
    suffix_key text COLLATE "C" NOT NULL,
    suffix text COLLATE "C" NOT NULL,
    values jsonb NOT NULL,
    template text,
    version bigint NOT NULL DEFAULT nextval('identifier_version'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (prefix, suffix_key)
);

CREATE TABLE identifier_history (
    prefix text COLLATE "C" NOT NULL,
    suffix_key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    suffix text COLLATE "C" NOT NULL,
    values jsonb NOT NULL,
    template text,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    deleted boolean NOT NULL,
    PRIMARY KEY (prefix, suffix_key, version)
);

CREATE TABLE change_log (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    prefix text COLLATE "C",
    suffix_keys text[] COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX change_log_txid ON change_log (txid);

CREATE TABLE audit_log (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'::jsonb,
    request_id text
);
CREATE INDEX audit_log_subject ON audit_log (subject);

CREATE TABLE idempotency_keys (
    actor text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    status integer NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

CREATE TABLE imports (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    enterprise_id uuid REFERENCES enterprises (id),
    actor text NOT NULL,
    format text NOT NULL CHECK (format IN ('csv', 'ndjson')),
    prefix text COLLATE "C",
    state text NOT NULL
        CHECK (state IN ('uploading', 'queued', 'running', 'done', 'failed')),
    bytes bigint NOT NULL DEFAULT 0,
    read bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    seconds double precision NOT NULL DEFAULT 0,
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX imports_open ON imports (created_at)
    WHERE state IN ('uploading', 'queued', 'running');

CREATE TABLE import_chunks (
    import_id uuid NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    number integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (import_id, number)
);
-- The chunks are written once and read once: compressing them would only cost.
ALTER TABLE import_chunks ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE import_errors (
    import_id uuid NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    "row" bigint NOT NULL,
    "column" text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (import_id, "row")
);

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    subject text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    last_error text
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE delivered_at IS NULL;
"""

_TRIGGERS = (
    """
CREATE FUNCTION identifiers_versioned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := nextval('identifier_version');
    NEW.updated_at := now();
    RETURN NEW;
END $$
""",
    """
CREATE FUNCTION identifiers_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change_log (prefix, suffix_keys)
        SELECT prefix, array_agg(suffix_key) FROM new_rows GROUP BY prefix;
    PERFORM pg_notify('idnode_changes', '');
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION identifiers_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO identifier_history
        SELECT prefix, suffix_key, version, suffix, values, template, updated_at, now(), false
        FROM old_rows;
    INSERT INTO change_log (prefix, suffix_keys)
        SELECT prefix, array_agg(suffix_key)
        FROM (SELECT prefix, suffix_key FROM old_rows
              UNION SELECT prefix, suffix_key FROM new_rows) AS touched
        GROUP BY prefix;
    PERFORM pg_notify('idnode_changes', '');
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION identifiers_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO identifier_history
        SELECT prefix, suffix_key, version, suffix, values, template, updated_at, now(), true
        FROM old_rows;
    INSERT INTO change_log (prefix, suffix_keys)
        SELECT prefix, array_agg(suffix_key) FROM old_rows GROUP BY prefix;
    PERFORM pg_notify('idnode_changes', '');
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION identifiers_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change_log (prefix, suffix_keys) VALUES (NULL, NULL);
    PERFORM pg_notify('idnode_changes', '');
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION prefix_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change_log (prefix, suffix_keys) VALUES (coalesce(NEW.prefix, OLD.prefix), NULL);
    PERFORM pg_notify('idnode_changes', '');
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME;
END $$
""",
    """
CREATE TRIGGER identifiers_versioned BEFORE UPDATE ON identifiers
    FOR EACH ROW EXECUTE FUNCTION identifiers_versioned()
""",
    """
CREATE TRIGGER identifiers_inserted AFTER INSERT ON identifiers
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION identifiers_inserted()
""",
    """
CREATE TRIGGER identifiers_updated AFTER UPDATE ON identifiers
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION identifiers_updated()
""",
    """
CREATE TRIGGER identifiers_deleted AFTER DELETE ON identifiers
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION identifiers_deleted()
""",
    """
CREATE TRIGGER identifiers_truncated AFTER TRUNCATE ON identifiers
    FOR EACH STATEMENT EXECUTE FUNCTION identifiers_truncated()
""",
    """
CREATE TRIGGER prefix_changed AFTER INSERT OR UPDATE OR DELETE ON prefixes
    FOR EACH ROW EXECUTE FUNCTION prefix_changed()
""",
    """
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION append_only()
""",
)

_DOWN = """
DROP TABLE outbox, import_errors, import_chunks, imports, idempotency_keys, audit_log,
    change_log, identifier_history, identifiers, prefixes, api_keys, operators, enterprises;
DROP SEQUENCE identifier_version;
DROP FUNCTION identifiers_versioned, identifiers_inserted, identifiers_updated, identifiers_deleted,
    identifiers_truncated, prefix_changed, append_only;
"""


def upgrade() -> None:
    """Make the tables and triggers."""
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for statement in _TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    """Drop all of it."""
    for statement in _DOWN.split(";\n"):
        if statement.strip():
            op.execute(statement)
