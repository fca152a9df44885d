"""Tables of counts."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from registry.metrics import RESULTS
from registry.schema.columns import Name, Time, count, metadata, now

resolution_hours = sa.Table(
    "resolution_hours",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("hour", Time, primary_key=True),
    *(count(name) for name in RESULTS),
    postgresql_partition_by="RANGE (hour)",
)
"""Resolutions by outcome. The prefix is empty for names under none that is served here."""

resolution_sources = sa.Table(
    "resolution_sources",
    metadata,
    sa.Column("source", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("counts", pg.JSONB, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),
    sa.Column("updated_at", Time, nullable=False, server_default=now),
)
"""What of each file of counts stands in `resolution_hours`; see registry/statistics/flush.py."""

registration_changes = sa.Table(
    "registration_changes",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column(
        "id", pg.UUID(as_uuid=True), primary_key=True, server_default=sa.func.gen_random_uuid()
    ),
    sa.Column("at", Time, nullable=False, server_default=now),
    *(count(name) for name in ("created", "changed", "deleted")),
)
"""Written by triggers, a line for each statement and prefix, until the jobs process adds it up."""

registration_hours = sa.Table(
    "registration_hours",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("hour", Time, primary_key=True),
    *(count(name) for name in ("created", "changed", "deleted")),
    postgresql_partition_by="RANGE (hour)",
)

registration_totals = sa.Table(
    "registration_totals",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("identifiers", sa.BigInteger, nullable=False),
)
"""How many identifiers there are, without what stands in `registration_changes`."""

top_names = sa.Table(
    "top_names",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("kind", Name, primary_key=True),
    sa.Column("source", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("name", Name, primary_key=True),
    sa.Column("hits", sa.BigInteger, nullable=False),
    sa.Column("error", sa.BigInteger, nullable=False),
    sa.Index("top_names_source", "source"),
    postgresql_partition_by="RANGE (day)",
)
"""What was asked for most, as each worker has estimated it; see registry/statistics/top.py."""

top_sources = sa.Table(
    "top_sources",
    metadata,
    sa.Column("source", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("kind", Name, primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("floor", sa.BigInteger, nullable=False),
)
"""How often a name that a worker does not have in `top_names` was asked for at most: `floor`."""
