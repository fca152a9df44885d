"""Triggers of identifiers leave the NOTIFY to writers that say that they do it themselves.

Transactions with a NOTIFY commit one after another; see registry/waking.py.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from registry.waking import SETTING, WRITER

revision = "0021"
down_revision = "0020"

_FUNCTIONS = ("identifiers_inserted", "identifiers_updated", "identifiers_deleted")

_ALWAYS = "PERFORM pg_notify('idnode_changes', '');"
_UNLESS = (
    f"IF current_setting('{SETTING}', true) IS DISTINCT FROM '{WRITER}' THEN"
    " PERFORM pg_notify('idnode_changes', ''); END IF;"
)


def upgrade() -> None:
    """Change the functions and nothing else of them: in whose name they run stays."""
    _replace(_ALWAYS, _UNLESS)


def downgrade() -> None:
    """Put the NOTIFY back."""
    _replace(_UNLESS, _ALWAYS)


def _replace(before: str, after: str) -> None:
    for name in _FUNCTIONS:
        definition = sa.text("SELECT pg_get_functiondef(CAST(:name AS regproc))")
        text: str = op.get_bind().execute(definition, {"name": name}).scalar_one()
        if text.count(before) != 1:
            raise RuntimeError(f"{name} is not what the migrations before have made")
        op.get_bind().exec_driver_sql(text.replace(before, after))
