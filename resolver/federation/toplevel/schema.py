"""Tables of the top-level stub, in a schema of their own so that they may share a database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from registry.database import Database

SCHEMA = "toplevel"
metadata = sa.MetaData(schema=SCHEMA)

_Time = pg.TIMESTAMP(timezone=True)
_Name = pg.TEXT(collation="C")
_now = sa.func.now()

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("message_id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("arrival", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True),
    sa.Column("node", _Name, nullable=False),
    sa.Column("subject", _Name, nullable=False),
    sa.Column("kind", pg.TEXT, nullable=False),
    sa.Column("payload", pg.JSONB, nullable=False),
    sa.Column("received_at", _Time, nullable=False, server_default=_now),
)
"""Every message taken, once; `arrival` grows in the order in which they came."""

filings = sa.Table(
    "filings",
    metadata,
    sa.Column("prefix", _Name, primary_key=True),
    sa.Column("node", _Name, nullable=False),
    sa.Column("enterprise_name", pg.TEXT, nullable=False),
    sa.Column("credit_code", pg.TEXT, nullable=False),
    sa.Column("industry", pg.TEXT, nullable=False),
    sa.Column("hosting", pg.TEXT, nullable=False),
    sa.Column("site", pg.JSONB(none_as_null=True)),
    sa.Column("service", _Name),
    sa.Column("status", pg.TEXT, nullable=False),
    sa.Column("filed_at", _Time, nullable=False, server_default=_now),
    sa.Column("updated_at", _Time, nullable=False, server_default=_now),
)
"""What the latest message said of each prefix."""

sites = sa.Table(
    "sites",
    metadata,
    sa.Column("node", _Name, primary_key=True),
    sa.Column("site", pg.JSONB, nullable=False),
    sa.Column("updated_at", _Time, nullable=False, server_default=_now),
)
"""The site that each secondary node has filed as its own: HS_SITE in Handle JSON."""

refusals = sa.Table(
    "refusals",
    metadata,
    sa.Column("digest", pg.BYTEA, primary_key=True),
    sa.Column("node", _Name, nullable=False),
    sa.Column("kind", pg.TEXT, nullable=False),
    sa.Column("subject", _Name, nullable=False),
    sa.Column("field", pg.TEXT),
    sa.Column("reason", pg.TEXT, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("times", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("first_at", _Time, nullable=False, server_default=_now),
    sa.Column("last_at", _Time, nullable=False, server_default=_now),
)
"""Why messages were refused, each reason once; the digest is that of what tells them apart."""

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("digest", pg.BYTEA, primary_key=True),
    sa.Column("node", _Name, nullable=False),
    sa.Column("created_at", _Time, nullable=False, server_default=_now),
    sa.Column("expires_at", _Time, nullable=False),
    sa.Column("used_by", pg.BYTEA),
)
"""Tokens with which a node may enrol: the hash of each, and that of the key it was used for."""

certificates = sa.Table(
    "certificates",
    metadata,
    sa.Column("serial", _Name, primary_key=True),
    sa.Column("node", _Name, nullable=False, index=True),
    sa.Column("issued_at", _Time, nullable=False, server_default=_now),
    sa.Column("expires_at", _Time, nullable=False),
    sa.Column("revoked_at", _Time),
)
"""Every certificate that a node was given."""

figures = sa.Table(
    "figures",
    metadata,
    sa.Column("node", _Name, primary_key=True),
    sa.Column("per", _Name, primary_key=True),
    sa.Column("start", _Name, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("report", pg.JSONB, nullable=False),
    sa.Column("updated_at", _Time, nullable=False, server_default=_now),
)
"""What each node reported of each hour and day, the latest revision."""

escrows = sa.Table(
    "escrows",
    metadata,
    sa.Column("node", _Name, primary_key=True),
    sa.Column("digest", _Name, primary_key=True),
    sa.Column("previous", _Name),
    sa.Column("series", _Name, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("taken_at", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("received_at", _Time, nullable=False, server_default=_now),
)
"""Steps of the escrow that each node has taken, by the digests of their manifests."""

templates = sa.Table(
    "templates",
    metadata,
    sa.Column("prefix", _Name, primary_key=True),
    sa.Column("name", _Name, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("node", _Name, nullable=False),
    sa.Column("state", pg.TEXT, nullable=False),
    sa.Column("definition", pg.JSONB(none_as_null=True)),
    sa.Column("sha256", pg.TEXT, nullable=False),
    sa.Column("updated_at", _Time, nullable=False, server_default=_now),
)
"""Versions of templates that were published or withdrawn."""

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("node", _Name, primary_key=True),
    sa.Column("version", pg.TEXT, nullable=False),
    sa.Column("outbox_depth", sa.BigInteger, nullable=False),
    sa.Column("prefixes", sa.BigInteger, nullable=False),
    sa.Column("identifiers", sa.BigInteger, nullable=False),
    sa.Column("health", pg.JSONB(none_as_null=True)),
    sa.Column("first_heartbeat_at", _Time, nullable=False, server_default=_now),
    sa.Column("last_heartbeat_at", _Time, nullable=False, server_default=_now),
)
"""What each secondary node said of itself last."""


async def prepare(database: Database) -> None:
    """Create the schema and what is missing in it. Raises StoreUnavailable."""
    async with database.begin() as connection:
        # CREATE SCHEMA IF NOT EXISTS fails when two processes do it at once.
        await connection.execute(
            sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("idnode toplevel schema")))
        )
        await connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        await connection.run_sync(metadata.create_all)
        # Whoever has run an earlier version has the tables without these.
        for column in (
            "filings ADD COLUMN IF NOT EXISTS service text",
            "refusals ADD COLUMN IF NOT EXISTS field text",
            "nodes ADD COLUMN IF NOT EXISTS health jsonb",
        ):
            await connection.execute(sa.text(f"ALTER TABLE {SCHEMA}.{column}"))
