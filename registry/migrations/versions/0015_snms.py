"""Users and tokens of the SNMS API."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_ENTERPRISE, protect

revision = "0015"
down_revision = "0014"

_UP = (
    """
CREATE TABLE snms_users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    enterprise_id uuid NOT NULL REFERENCES enterprises (id),
    name text COLLATE "C" NOT NULL UNIQUE,
    password text NOT NULL,
    sealed bytea,
    created_at timestamptz NOT NULL DEFAULT now()
)
""",
    "CREATE INDEX snms_users_enterprise_id ON snms_users (enterprise_id)",
    """
CREATE TABLE snms_tokens (
    token_key bytea PRIMARY KEY,
    token_hash bytea NOT NULL,
    user_id uuid REFERENCES snms_users (id) ON DELETE CASCADE,
    account_id uuid REFERENCES accounts (id) ON DELETE CASCADE,
    proof bytea NOT NULL,
    ends_at timestamptz NOT NULL,
    CONSTRAINT snms_tokens_owner CHECK (num_nonnulls(user_id, account_id) = 1)
)
""",
    "CREATE INDEX snms_tokens_user_id ON snms_tokens (user_id)",
    "CREATE INDEX snms_tokens_account_id ON snms_tokens (account_id)",
    "CREATE INDEX snms_tokens_ends_at ON snms_tokens (ends_at)",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in _UP:
        op.execute(statement)
    protect("snms_users", OF_ENTERPRISE, "SELECT, INSERT, DELETE")


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE snms_tokens, snms_users")
