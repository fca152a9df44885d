"""Challenges and sessions of the Handle protocol."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE UNLOGGED TABLE handle_challenges (
    id bigint PRIMARY KEY,
    nonce bytea NOT NULL,
    request bytea NOT NULL,
    request_id bigint NOT NULL,
    address text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX handle_challenges_address ON handle_challenges (address, created_at);
CREATE INDEX handle_challenges_expires_at ON handle_challenges (expires_at);

CREATE UNLOGGED TABLE handle_sessions (
    id bigint PRIMARY KEY,
    key bytea NOT NULL,
    identity_handle text NOT NULL,
    identity_index bigint NOT NULL,
    proved_index bigint,
    proof bytea,
    highest bigint NOT NULL DEFAULT 0,
    seen bytea NOT NULL,
    timeout integer NOT NULL,
    address text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT handle_sessions_proof CHECK ((proved_index IS NULL) = (proof IS NULL))
);
CREATE INDEX handle_sessions_address ON handle_sessions (address, created_at);
CREATE INDEX handle_sessions_expires_at ON handle_sessions (expires_at);
"""


def upgrade() -> None:
    """Make the tables."""
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE handle_sessions, handle_challenges")
