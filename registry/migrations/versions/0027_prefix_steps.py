"""What became of each prefix: who took which step when, and why."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_PREFIX, protect

revision = "0027"
down_revision = "0026"

_TABLE = """
CREATE TABLE prefix_steps (
    prefix text COLLATE "C" NOT NULL REFERENCES prefixes,
    number integer NOT NULL,
    step text NOT NULL,
    before text,
    after text NOT NULL,
    actor text NOT NULL,
    reason text,
    at timestamptz NOT NULL,
    PRIMARY KEY (prefix, number)
)
"""

# The audit log knows what was done so far.
FILL = """
INSERT INTO prefix_steps (prefix, number, step, before, after, actor, reason, at)
SELECT p.prefix, row_number() OVER (PARTITION BY p.prefix ORDER BY l.seq),
    substr(l.action, length('prefix.') + 1), l.detail ->> 'before',
    coalesce(l.detail ->> 'after', 'pending'), l.actor, l.detail ->> 'reason', l.at
FROM audit_log AS l JOIN prefixes AS p ON p.prefix = l.subject
WHERE l.action IN ('prefix.apply', 'prefix.approve', 'prefix.reject', 'prefix.suspend',
    'prefix.resume', 'prefix.revoke')
"""


def upgrade() -> None:
    """Make the table, and fill it."""
    op.execute(_TABLE)
    op.execute(FILL)
    protect("prefix_steps", OF_PREFIX, "SELECT, INSERT")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE prefix_steps")
