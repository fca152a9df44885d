"""Prefixes that are delegated to a service, by its name, in the place of a site."""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"

_SITE_OR_SERVICE = """
ALTER TABLE prefixes
    ADD service text COLLATE "C",
    DROP CONSTRAINT prefixes_site,
    ADD CONSTRAINT prefixes_place CHECK
        (num_nonnulls(site, service) = CASE hosting WHEN 'delegated' THEN 1 ELSE 0 END)
"""

# Where the service is cannot be said by HS_SITE: one without servers says no more than that.
_SITE = """
UPDATE prefixes SET site = '{"version": 1, "protocolVersion": "2.11", "serialNumber": 1,
    "primarySite": true, "multiPrimary": false, "attributes": [], "servers": []}'
WHERE service IS NOT NULL
"""
_SITE_ALONE = """
ALTER TABLE prefixes
    DROP service,
    ADD CONSTRAINT prefixes_site CHECK ((hosting = 'delegated') = (site IS NOT NULL))
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(_SITE_OR_SERVICE)


def downgrade() -> None:
    """Drop it: what was delegated to a service is delegated to nobody then."""
    op.execute("ALTER TABLE prefixes DROP CONSTRAINT prefixes_place")
    op.execute(_SITE)
    op.execute(_SITE_ALONE)
