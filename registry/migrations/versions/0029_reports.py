"""Which figures were reported to the top-level node."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"

_TABLE = """
CREATE TABLE reports (
    subject text COLLATE "C" PRIMARY KEY,
    digest text NOT NULL,
    revision bigint NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT now()
)
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(_TABLE)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE reports")
