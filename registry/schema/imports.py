"""Tables of imports of files."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from registry.schema.columns import Bytes, Name, Text, Time, created, metadata, updated, uuid

imports = sa.Table(
    "imports",
    metadata,
    uuid(),
    sa.Column("enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id")),
    sa.Column("actor", Text, nullable=False),
    sa.Column("format", Text, nullable=False),
    sa.Column("prefix", Name),
    sa.Column("template", Text),
    sa.Column("mapping", pg.JSONB(none_as_null=True)),
    sa.Column("mode", Text, nullable=False, server_default="upsert"),
    sa.Column("dry_run", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("state", Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("read", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("done", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("failed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("seconds", sa.Double, nullable=False, server_default="0"),
    sa.Column("progress", sa.Double, nullable=False, server_default="0"),
    sa.Column("reason", Text),
    created(),
    updated(),
    sa.Column("finished_at", Time),
    sa.Index(
        "imports_open",
        "created_at",
        postgresql_where=sa.text("state IN ('uploading', 'queued', 'running')"),
    ),
)
"""`read` rows of the file are decided (done or failed) and committed: a resumed import skips
as many. `seconds` is the working time so far."""

import_mappings = sa.Table(
    "import_mappings",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("template_key", Name, primary_key=True),
    sa.Column("name_key", Name, primary_key=True),
    sa.Column("template", Name, nullable=False),
    sa.Column("name", Name, nullable=False),
    sa.Column("mapping", pg.JSONB, nullable=False),
    created(),
    updated(),
)
"""`mapping` is a registry.imports.mapping.Mapping."""

import_chunks = sa.Table(
    "import_chunks",
    metadata,
    sa.Column(
        "import_id",
        pg.UUID(as_uuid=True),
        sa.ForeignKey("imports.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("data", Bytes, nullable=False),
)
"""The uploaded file, in pieces, until the import has ended."""

import_errors = sa.Table(
    "import_errors",
    metadata,
    sa.Column(
        "import_id",
        pg.UUID(as_uuid=True),
        sa.ForeignKey("imports.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("row", sa.BigInteger, primary_key=True),
    sa.Column("column", Text, nullable=False),
    sa.Column("reason", Text, nullable=False),
)
