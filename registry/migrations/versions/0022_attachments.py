"""Attachments of enterprises, and their content in pieces."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_ENTERPRISE, protect

revision = "0022"
down_revision = "0021"

_TABLES = (
    """
CREATE TABLE attachments (
    enterprise_id uuid NOT NULL REFERENCES enterprises,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL,
    media_type text NOT NULL,
    size integer NOT NULL,
    sha256 bytea NOT NULL,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (enterprise_id, id)
)
""",
    """
CREATE TABLE attachment_chunks (
    enterprise_id uuid NOT NULL,
    attachment_id uuid NOT NULL,
    number integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (enterprise_id, attachment_id, number),
    FOREIGN KEY (enterprise_id, attachment_id) REFERENCES attachments ON DELETE CASCADE
)
""",
    # Scans are compressed already.
    "ALTER TABLE attachment_chunks ALTER data SET STORAGE EXTERNAL",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in _TABLES:
        op.execute(statement)
    for table in ("attachments", "attachment_chunks"):
        protect(table, OF_ENTERPRISE, "SELECT, INSERT, DELETE")


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE attachment_chunks, attachments")
