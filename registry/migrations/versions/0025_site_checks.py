"""The latest check of the site of each delegated prefix."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_PREFIX, protect

revision = "0025"
down_revision = "0024"

_TABLE = """
CREATE TABLE site_checks (
    prefix text COLLATE "C" PRIMARY KEY REFERENCES prefixes,
    site jsonb NOT NULL,
    service text COLLATE "C",
    passed boolean NOT NULL,
    asked jsonb NOT NULL,
    actor text NOT NULL,
    checked_at timestamptz NOT NULL
)
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(_TABLE)
    protect("site_checks", OF_PREFIX, "SELECT")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE site_checks")
