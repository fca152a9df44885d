"""Imports by a mapping of columns, and mappings that are kept under a name."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_PREFIX, protect

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make the table and the column."""
    op.execute(
        """CREATE TABLE import_mappings (
               prefix text COLLATE "C" NOT NULL,
               template_key text COLLATE "C" NOT NULL,
               name_key text COLLATE "C" NOT NULL,
               template text COLLATE "C" NOT NULL,
               name text COLLATE "C" NOT NULL,
               mapping jsonb NOT NULL,
               created_at timestamptz NOT NULL DEFAULT now(),
               updated_at timestamptz NOT NULL DEFAULT now(),
               PRIMARY KEY (prefix, template_key, name_key)
           )"""
    )
    protect("import_mappings", OF_PREFIX)
    op.execute("ALTER TABLE imports ADD mapping jsonb")


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE imports DROP mapping")
    op.execute("DROP TABLE import_mappings")
