"""Tables of what was done, and of what is to be told."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from registry.schema.columns import Bytes, Name, Text, Time, created, metadata, now

change_log = sa.Table(
    "change_log",
    metadata,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("txid", sa.Text(), nullable=False),
    sa.Column("prefix", Name),
    sa.Column("suffix_keys", pg.ARRAY(Name)),
    created(),
)
"""What caches must forget; written by triggers. Without suffix_keys: all under the prefix;
without a prefix: everything. `txid` is an xid8, which SQLAlchemy has no type for."""

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("at", Time, nullable=False, server_default=now),
    sa.Column("actor", Text, nullable=False),
    sa.Column("action", Text, nullable=False),
    sa.Column("subject", Text, nullable=False),
    sa.Column("detail", pg.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.Column("request_id", Text),
    sa.Index("audit_log_subject", sa.text('upper(subject COLLATE "C")')),
)
"""Who did what to what; append only, which a trigger enforces."""

log_entries = sa.Table(
    "log_entries",
    metadata,
    sa.Column("leaf_index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False, unique=True),
    sa.Column("leaf_hash", Bytes, nullable=False),
)
"""Which line of the audit log is which leaf of its Merkle tree; this and the next two only grow."""

log_nodes = sa.Table(
    "log_nodes",
    metadata,
    sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", Bytes, nullable=False),
)
"""Complete subtrees above the leaves, of every fourth level."""

log_heads = sa.Table(
    "log_heads",
    metadata,
    sa.Column("tree_size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("timestamp", sa.BigInteger, nullable=False, unique=True),
    sa.Column("root_hash", Bytes, nullable=False),
    sa.Column("signature", Bytes, nullable=False),
    sa.Column("public_key", Bytes, nullable=False),
    sa.Column("settled", sa.BigInteger, nullable=False),
)
"""Signed tree heads; `timestamp` in milliseconds. All lines up to `settled` are in the tree."""

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("actor", Name, primary_key=True),
    sa.Column("key", Name, primary_key=True),
    sa.Column("fingerprint", Bytes, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("headers", pg.JSONB, nullable=False),
    sa.Column("body", Bytes, nullable=False),
    created(),
    sa.Column("enterprise_id", pg.UUID(as_uuid=True), server_default=sa.func.current_tenant()),
    sa.Index("idempotency_keys_created_at", "created_at"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column(
        "message_id",
        pg.UUID(as_uuid=True),
        nullable=False,
        unique=True,
        server_default=sa.func.gen_random_uuid(),
    ),
    sa.Column("subject", Name, nullable=False),
    sa.Column("kind", Text, nullable=False),
    sa.Column("payload", pg.JSONB, nullable=False),
    created(),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", Time, nullable=False, server_default=now),
    sa.Column("delivered_at", Time),
    sa.Column("last_error", Text),
    sa.Index("outbox_waiting", "id", postgresql_where=sa.text("delivered_at IS NULL")),
)
"""What the top-level node must learn; written in the transaction that makes it true."""

reports = sa.Table(
    "reports",
    metadata,
    sa.Column("subject", Name, primary_key=True),
    sa.Column("digest", Text, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("reported_at", Time, nullable=False, server_default=now),
)
"""Of which figures the latest report of an hour or a day was made; see registry/reports.py."""
