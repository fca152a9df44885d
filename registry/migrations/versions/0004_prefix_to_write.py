"""Writers of identifiers lock the state of their prefix: shared, and in turn with who changes it.

A row lock would do the first, but whoever changes the state would wait for as long as there is
always another writer. A lock of its own has a queue.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

# The second statement of the function sees what was committed before the lock was had.
_FUNCTION = """
CREATE FUNCTION prefix_to_write(wanted text)
    RETURNS TABLE (enterprise_id uuid, hosting text, status text)
    LANGUAGE plpgsql VOLATILE ROWS 1 AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('idnode prefix'), hashtext(wanted));
    RETURN QUERY
        SELECT p.enterprise_id, p.hosting, p.status FROM prefixes AS p WHERE p.prefix = wanted;
END $$
"""


def upgrade() -> None:
    """Make the function."""
    op.execute(_FUNCTION)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP FUNCTION prefix_to_write")
