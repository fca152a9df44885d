"""Numbers of prefixes that are reserved, quotas of enterprises, an index for lists of prefixes."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"

_UP = (
    "ALTER TABLE enterprises ADD prefix_quota integer CHECK (prefix_quota >= 0)",
    """
CREATE TABLE reserved_numbers (
    first bigint PRIMARY KEY CHECK (first >= 0),
    last bigint NOT NULL CHECK (last >= first),
    reason text NOT NULL,
    actor text NOT NULL,
    created_at timestamptz NOT NULL
)
""",
    "CREATE INDEX prefixes_status ON prefixes (status, prefix)",
)


def upgrade() -> None:
    """Make them."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP INDEX prefixes_status")
    op.execute("DROP TABLE reserved_numbers")
    op.execute("ALTER TABLE enterprises DROP prefix_quota")
