"""An import may name the template that its rows are checked by."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE imports ADD template text")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE imports DROP template")
