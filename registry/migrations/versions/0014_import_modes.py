"""Imports have a mode, may be dry runs, say how far they are, and can be cancelled."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"

_STATES = "'uploading', 'queued', 'running', 'done', 'failed'"


def upgrade() -> None:
    """Add the columns and the states."""
    op.execute(
        """ALTER TABLE imports
           ADD mode text NOT NULL DEFAULT 'upsert' CHECK (mode IN ('upsert', 'insert')),
           ADD dry_run boolean NOT NULL DEFAULT false,
           ADD progress double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1)"""
    )
    _allow(f"{_STATES}, 'checked', 'cancelled'")


def downgrade() -> None:
    """Drop them; what was cancelled or checked has failed then."""
    op.execute("UPDATE imports SET state = 'failed' WHERE state IN ('checked', 'cancelled')")
    _allow(_STATES)
    op.execute("ALTER TABLE imports DROP mode, DROP dry_run, DROP progress")


def _allow(states: str) -> None:
    op.execute("ALTER TABLE imports DROP CONSTRAINT imports_state_check")
    op.execute(
        f"ALTER TABLE imports ADD CONSTRAINT imports_state_check CHECK (state IN ({states}))"
    )
