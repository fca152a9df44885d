"""Transfers of prefixes from one enterprise to another."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import protect

revision = "0026"
down_revision = "0025"

_UP = (
    """
CREATE TABLE prefix_transfers (
    prefix text COLLATE "C" NOT NULL REFERENCES prefixes,
    number integer NOT NULL,
    from_enterprise uuid NOT NULL REFERENCES enterprises,
    to_enterprise uuid NOT NULL REFERENCES enterprises,
    state text NOT NULL CHECK (state IN ('offered', 'done', 'ended')),
    reason text NOT NULL,
    begun_by text NOT NULL,
    begun_at timestamptz NOT NULL,
    ended_by text,
    ended_at timestamptz,
    PRIMARY KEY (prefix, number)
)
""",
    """
CREATE UNIQUE INDEX prefix_transfers_open ON prefix_transfers (prefix) WHERE state = 'offered'
""",
    "CREATE INDEX prefix_transfers_from ON prefix_transfers (from_enterprise)",
    "CREATE INDEX prefix_transfers_to ON prefix_transfers (to_enterprise)",
)


def upgrade() -> None:
    """Make the table. Both enterprises see a transfer; UPDATE is there to lock an offer by."""
    for statement in _UP:
        op.execute(statement)
    both = "current_tenant() IN (from_enterprise, to_enterprise)"
    protect("prefix_transfers", both, "SELECT, UPDATE")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE prefix_transfers")
