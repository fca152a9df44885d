"""Groups of partners, to whom an enterprise shows values that are not for everybody."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_ENTERPRISE, protect

revision = "0016"
down_revision = "0015"

_STATEMENTS = (
    """
CREATE TABLE partner_groups (
    enterprise_id uuid NOT NULL REFERENCES enterprises,
    name text COLLATE "C" NOT NULL,
    members text[] COLLATE "C" NOT NULL,
    version bigint NOT NULL DEFAULT nextval('identifier_version'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (enterprise_id, name)
)
""",
    "CREATE INDEX partner_groups_members ON partner_groups USING gin (members)",
)


def upgrade() -> None:
    """Make the table."""
    for statement in _STATEMENTS:
        op.execute(statement)
    protect("partner_groups", OF_ENTERPRISE)


def downgrade() -> None:
    """Drop it: values that name groups are for their owners alone then."""
    op.execute("DROP TABLE partner_groups")
