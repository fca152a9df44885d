"""Tables of enterprises, their papers and their prefixes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from registry.schema.columns import Bytes, Name, Text, Time, created, metadata, updated, uuid

enterprises = sa.Table(
    "enterprises",
    metadata,
    uuid(),
    sa.Column("name", Text, nullable=False),
    sa.Column("credit_code", Name, nullable=False),
    sa.Column("industry", Name, nullable=False),
    sa.Column("region", Name),
    sa.Column("contact", pg.JSONB, nullable=False),
    sa.Column("prefix_quota", sa.Integer),
    sa.Column("status", Text, nullable=False, server_default="approved"),
    created(),
    updated(),
    sa.Index(
        "enterprises_credit_code",
        "credit_code",
        unique=True,
        postgresql_where=sa.text("status <> 'closed'"),
    ),
    sa.Index("enterprises_status", "status", "id"),
    sa.Index("enterprises_industry", "industry", "id"),
    sa.Index("enterprises_region", "region", "id"),
)
"""States: registry/enterprises/status.py. The credit code of a closed one may be filed again."""
sa.Index("enterprises_name_pairs", sa.func.name_pairs(enterprises.c.name), postgresql_using="gin")

enterprise_steps = sa.Table(
    "enterprise_steps",
    metadata,
    sa.Column(
        "enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id"), primary_key=True
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", Text, nullable=False),
    sa.Column("before", Text),
    sa.Column("after", Text, nullable=False),
    sa.Column("actor", Text, nullable=False),
    sa.Column("reason", Text),
    sa.Column("at", Time, nullable=False),
)
"""How an enterprise came to its state: who took which step when, and why."""

attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column(
        "enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id"), primary_key=True
    ),
    sa.Column(
        "id", pg.UUID(as_uuid=True), primary_key=True, server_default=sa.func.gen_random_uuid()
    ),
    sa.Column("name", Text, nullable=False),
    sa.Column("media_type", Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("sha256", Bytes, nullable=False),
    sa.Column("actor", Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
)

attachment_chunks = sa.Table(
    "attachment_chunks",
    metadata,
    sa.Column("enterprise_id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("attachment_id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data", Bytes, nullable=False),
    sa.ForeignKeyConstraint(
        ("enterprise_id", "attachment_id"),
        ("attachments.enterprise_id", "attachments.id"),
        ondelete="CASCADE",
    ),
)
"""The content of attachments, in pieces."""

prefixes = sa.Table(
    "prefixes",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column(
        "enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id"), nullable=False
    ),
    sa.Column("hosting", Text, nullable=False),
    sa.Column("site", pg.JSONB),
    sa.Column("service", Name),
    sa.Column("status", Text, nullable=False, server_default="pending"),
    sa.Column("reason", Text),
    created(),
    updated(),
    sa.Index("prefixes_enterprise_id", "enterprise_id"),
    sa.Index("prefixes_status", "status", "prefix"),
)

prefix_steps = sa.Table(
    "prefix_steps",
    metadata,
    sa.Column("prefix", Name, sa.ForeignKey("prefixes.prefix"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", Text, nullable=False),
    sa.Column("before", Text),
    sa.Column("after", Text, nullable=False),
    sa.Column("actor", Text, nullable=False),
    sa.Column("reason", Text),
    sa.Column("at", Time, nullable=False),
)
"""What became of a prefix: who took which step when, and why."""

prefix_transfers = sa.Table(
    "prefix_transfers",
    metadata,
    sa.Column("prefix", Name, sa.ForeignKey("prefixes.prefix"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column(
        "from_enterprise", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id"), nullable=False
    ),
    sa.Column(
        "to_enterprise", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id"), nullable=False
    ),
    sa.Column("state", Text, nullable=False),
    sa.Column("reason", Text, nullable=False),
    sa.Column("begun_by", Text, nullable=False),
    sa.Column("begun_at", Time, nullable=False),
    sa.Column("ended_by", Text),
    sa.Column("ended_at", Time),
    sa.Index(
        "prefix_transfers_open",
        "prefix",
        unique=True,
        postgresql_where=sa.text("state = 'offered'"),
    ),
    sa.Index("prefix_transfers_from", "from_enterprise"),
    sa.Index("prefix_transfers_to", "to_enterprise"),
)
"""How prefixes went from one enterprise to another, and what is offered; see transfers.py."""

site_checks = sa.Table(
    "site_checks",
    metadata,
    sa.Column("prefix", Name, sa.ForeignKey("prefixes.prefix"), primary_key=True),
    sa.Column("site", pg.JSONB, nullable=False),
    sa.Column("service", Name),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("asked", pg.JSONB, nullable=False),
    sa.Column("actor", Text, nullable=False),
    sa.Column("checked_at", Time, nullable=False),
)
"""Whether the site of a delegated prefix has answered for it; the latest check of each."""

reserved_numbers = sa.Table(
    "reserved_numbers",
    metadata,
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("reason", Text, nullable=False),
    sa.Column("actor", Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
)
"""Numbers of prefixes that operators keep back; no two ranges have a number in common."""
