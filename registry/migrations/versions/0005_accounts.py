"""Accounts with passwords and sessions; the tokens of operators become keys of theirs."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

_UP = (
    """
CREATE TABLE accounts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    enterprise_id uuid REFERENCES enterprises (id),
    name text COLLATE "C" NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('operator', 'reviewer', 'auditor', 'administrator')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'deleted')),
    password text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT accounts_enterprise CHECK ((role = 'administrator') = (enterprise_id IS NOT NULL))
)
""",
    "CREATE INDEX accounts_enterprise_id ON accounts (enterprise_id)",
    """
INSERT INTO accounts (id, name, role, status, created_at)
    SELECT id, name, role,
        CASE WHEN revoked_at IS NULL THEN 'active' ELSE 'disabled' END, created_at
    FROM operators
""",
    """
ALTER TABLE api_keys
    ALTER enterprise_id DROP NOT NULL,
    ADD account_id uuid REFERENCES accounts (id),
    ADD scopes text[],
    ADD CONSTRAINT api_keys_owner CHECK (num_nonnulls(enterprise_id, account_id) = 1)
""",
    "CREATE INDEX api_keys_account_id ON api_keys (account_id)",
    """
INSERT INTO api_keys (account_id, label, token_key, token_hash, created_at, revoked_at)
    SELECT id, 'first token', token_key, token_hash, created_at, revoked_at FROM operators
""",
    "DROP TABLE operators",
    """
CREATE TABLE sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    token_key bytea NOT NULL UNIQUE,
    token_hash bytea NOT NULL,
    source text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL
)
""",
    "CREATE INDEX sessions_account_id ON sessions (account_id, created_at)",
    "CREATE INDEX sessions_ends_at ON sessions (ends_at)",
    """
CREATE TABLE password_resets (
    account_id uuid PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    token_key bytea NOT NULL UNIQUE,
    token_hash bytea NOT NULL,
    expires_at timestamptz NOT NULL
)
""",
    """
CREATE TABLE sign_in_attempts (
    name text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    attempts integer NOT NULL,
    since timestamptz NOT NULL,
    signed_in_at timestamptz,
    PRIMARY KEY (name, source)
)
""",
    "CREATE INDEX sign_in_attempts_since ON sign_in_attempts (since)",
)

# Who has no key, and the roles that there were not, cannot be told in the tables of before.
_DOWN = (
    "DROP TABLE sign_in_attempts, password_resets, sessions",
    """
CREATE TABLE operators (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text COLLATE "C" NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('operator', 'reviewer')),
    token_key bytea NOT NULL UNIQUE,
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
)
""",
    """
INSERT INTO operators (id, name, role, token_key, token_hash, created_at, revoked_at)
    SELECT DISTINCT ON (a.id) a.id, a.name, a.role, k.token_key, k.token_hash, a.created_at,
        CASE WHEN a.status = 'active' THEN k.revoked_at ELSE a.updated_at END
    FROM accounts AS a JOIN api_keys AS k ON k.account_id = a.id
    WHERE a.role IN ('operator', 'reviewer')
    ORDER BY a.id, k.revoked_at DESC NULLS FIRST, k.created_at DESC
""",
    "DELETE FROM api_keys WHERE account_id IS NOT NULL",
    """
ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_owner, DROP account_id, DROP scopes, ALTER enterprise_id SET NOT NULL
""",
    "DROP TABLE accounts",
)


def upgrade() -> None:
    """Make the tables, and carry operators over."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them, and carry back who can be."""
    for statement in _DOWN:
        op.execute(statement)
