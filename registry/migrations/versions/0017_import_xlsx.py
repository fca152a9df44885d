"""Imports take XLSX workbooks."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Allow the format."""
    _allow("'csv', 'ndjson', 'xlsx'")


def downgrade() -> None:
    """Forget imports of workbooks."""
    op.execute("DELETE FROM import_errors USING imports WHERE id = import_id AND format = 'xlsx'")
    op.execute("DELETE FROM imports WHERE format = 'xlsx'")
    _allow("'csv', 'ndjson'")


def _allow(formats: str) -> None:
    op.execute("ALTER TABLE imports DROP CONSTRAINT imports_format_check")
    op.execute(
        f"ALTER TABLE imports ADD CONSTRAINT imports_format_check CHECK (format IN ({formats}))"
    )
