"""Sessions of the Handle JSON API."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = """
CREATE UNLOGGED TABLE handle_http_sessions (
    digest bytea PRIMARY KEY,
    nonce bytea NOT NULL,
    identity_handle text,
    identity_index bigint,
    proof bytea,
    address text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT handle_http_sessions_identity
        CHECK (num_nulls(identity_handle, identity_index, proof) IN (0, 3))
);
CREATE INDEX handle_http_sessions_address ON handle_http_sessions (address, expires_at);
CREATE INDEX handle_http_sessions_expires_at ON handle_http_sessions (expires_at);
"""


def upgrade() -> None:
    """Make the table."""
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE handle_http_sessions")
