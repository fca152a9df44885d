"""The tables, as SQLAlchemy sees them. The truth is in migrations/; a test holds both equal.

Every table of an enterprise leads with its prefix in the primary key and in each unique key, so
that the registry can be partitioned by prefix without a change of code.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from registry.metrics import RESULTS

metadata = sa.MetaData()

Text = pg.TEXT
Time = pg.TIMESTAMP(timezone=True)
Bytes = pg.BYTEA
# Names compare by their bytes: no locale, and the fastest index there is.
Name = pg.TEXT(collation="C")
_now = sa.func.now()
_begun = sa.func.statement_timestamp()


def _created() -> sa.Column[object]:
    return sa.Column("created_at", Time, nullable=False, server_default=_now)


def _updated() -> sa.Column[object]:
    return sa.Column("updated_at", Time, nullable=False, server_default=_now)


def _count(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _uuid() -> sa.Column[object]:
    return sa.Column(
        "id", pg.UUID(as_uuid=True), primary_key=True, server_default=sa.func.gen_random_uuid()
    )


enterprises = sa.Table(
    "enterprises",
    metadata,
    _uuid(),
    sa.Column("name", Text, nullable=False),
    sa.Column("credit_code", Name, nullable=False),
    sa.Column("industry", Name, nullable=False),
    sa.Column("region", Name),
    sa.Column("contact", pg.JSONB, nullable=False),
    sa.Column("prefix_quota", sa.Integer),
    sa.Column("status", Text, nullable=False, server_default="approved"),
    _created(),
    _updated(),
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

accounts = sa.Table(
    "accounts",
    metadata,
    _uuid(),
    sa.Column("enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id")),
    sa.Column("name", Name, nullable=False, unique=True),
    sa.Column("role", Text, nullable=False),
    sa.Column("status", Text, nullable=False, server_default="active"),
    sa.Column("password", Text),
    _created(),
    _updated(),
    sa.Index("accounts_enterprise_id", "enterprise_id"),
)
"""People. `password` is an Argon2 hash, without which nobody signs in by name. An account that is
deleted keeps its row: the audit log names it, so that nobody else may get its name."""

api_keys = sa.Table(
    "api_keys",
    metadata,
    _uuid(),
    sa.Column("enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id")),
    sa.Column("account_id", pg.UUID(as_uuid=True), sa.ForeignKey("accounts.id")),
    sa.Column("label", Text),
    sa.Column("scopes", pg.ARRAY(Text)),
    sa.Column("token_key", Bytes, nullable=False, unique=True),
    sa.Column("token_hash", Bytes, nullable=False),
    _created(),
    sa.Column("expires_at", Time),
    sa.Column("last_used_at", Time),
    sa.Column("revoked_at", Time),
    sa.Index("api_keys_enterprise_id", "enterprise_id"),
    sa.Index("api_keys_account_id", "account_id"),
)
"""Keys of programs: of an enterprise, or of an account of the node. Without `scopes`: all."""

sessions = sa.Table(
    "sessions",
    metadata,
    _uuid(),
    sa.Column(
        "account_id",
        pg.UUID(as_uuid=True),
        sa.ForeignKey("accounts.id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("token_key", Bytes, nullable=False, unique=True),
    sa.Column("token_hash", Bytes, nullable=False),
    sa.Column("source", Name, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("used_at", Time, nullable=False),
    sa.Column("ends_at", Time, nullable=False),
    sa.Index("sessions_account_id", "account_id", "created_at"),
    sa.Index("sessions_ends_at", "ends_at"),
)
"""Accounts that are signed in."""

snms_users = sa.Table(
    "snms_users",
    metadata,
    _uuid(),
    sa.Column(
        "enterprise_id",
        pg.UUID(as_uuid=True),
        sa.ForeignKey("enterprises.id"),
        nullable=False,
    ),
    sa.Column("name", Name, nullable=False, unique=True),
    sa.Column("password", Text, nullable=False),
    sa.Column("sealed", Bytes),
    _created(),
    sa.Index("snms_users_enterprise_id", "enterprise_id"),
)
"""Applications, as the SNMS API knows them. `sealed`: see registry/snms/secrets.py; without it the
password comes plain."""

snms_tokens = sa.Table(
    "snms_tokens",
    metadata,
    sa.Column("token_key", Bytes, primary_key=True),
    sa.Column("token_hash", Bytes, nullable=False),
    sa.Column("user_id", pg.UUID(as_uuid=True), sa.ForeignKey("snms_users.id", ondelete="CASCADE")),
    sa.Column(
        "account_id", pg.UUID(as_uuid=True), sa.ForeignKey("accounts.id", ondelete="CASCADE")
    ),
    sa.Column("proof", Bytes, nullable=False),
    sa.Column("ends_at", Time, nullable=False),
    sa.Index("snms_tokens_user_id", "user_id"),
    sa.Index("snms_tokens_account_id", "account_id"),
    sa.Index("snms_tokens_ends_at", "ends_at"),
)
"""Who is signed in to the SNMS API: a user of it, or an account."""

password_resets = sa.Table(
    "password_resets",
    metadata,
    sa.Column(
        "account_id",
        pg.UUID(as_uuid=True),
        sa.ForeignKey("accounts.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("token_key", Bytes, nullable=False, unique=True),
    sa.Column("token_hash", Bytes, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
)
"""One-time tokens with which somebody sets the password of an account."""

sign_in_attempts = sa.Table(
    "sign_in_attempts",
    metadata,
    sa.Column("name", Name, primary_key=True),
    sa.Column("source", Name, primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("since", Time, nullable=False),
    sa.Column("signed_in_at", Time),
    sa.Index("sign_in_attempts_since", "since"),
)
"""Attempts at sign-in in the window that began at `since`: by name and source, by name alone
(source is empty) and by source alone (name is empty); see registry/accounts/throttle.py."""

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
    _created(),
    _updated(),
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

identifier_version = sa.Sequence("identifier_version", metadata=metadata)
"""Versions of identifiers: never the same number twice, so that an ETag never comes back."""

identifiers = sa.Table(
    "identifiers",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("suffix_key", Name, primary_key=True),
    sa.Column("suffix", Name, nullable=False),
    sa.Column("values", pg.JSONB, nullable=False),
    sa.Column("template", Text),
    sa.Column(
        "version", sa.BigInteger, nullable=False, server_default=identifier_version.next_value()
    ),
    sa.Column("created_at", Time, nullable=False, server_default=_begun),
    sa.Column("updated_at", Time, nullable=False, server_default=_begun),
    sa.Column("actor", Text, server_default=sa.func.current_writer()),
)
"""`suffix_key` is the canonical suffix (protocol.identifier.fold), `suffix` the spelling
registered, `values` a list of Handle JSON values; `actor` wrote this version."""

identifier_history = sa.Table(
    "identifier_history",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("suffix_key", Name, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("suffix", Name, nullable=False),
    sa.Column("values", pg.JSONB, nullable=False),
    sa.Column("template", Text),
    sa.Column("valid_from", Time, nullable=False),
    sa.Column("valid_to", Time, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("actor", Text),
    sa.Column("ended_by", Text),
)
"""What an identifier said before; written by a trigger whoever makes the change. The version
that holds now stands in `identifiers` alone. A version held from `valid_from`, included, until
`valid_to`, not included."""

partner_groups = sa.Table(
    "partner_groups",
    metadata,
    sa.Column(
        "enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id"), primary_key=True
    ),
    sa.Column("name", Name, primary_key=True),
    sa.Column("members", pg.ARRAY(Name), nullable=False),
    sa.Column(
        "version", sa.BigInteger, nullable=False, server_default=identifier_version.next_value()
    ),
    _created(),
    _updated(),
    sa.Index("partner_groups_members", "members", postgresql_using="gin"),
)
"""Partners under one name, kept by the enterprise whose values name them; see registry/access.py.
`members` are enterprises and identities in their canonical form."""

relation_version = sa.Sequence("relation_version", metadata=metadata)

relations = sa.Table(
    "relations",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("suffix_key", Name, primary_key=True),
    sa.Column("kind", Text, primary_key=True),
    sa.Column(
        "version",
        sa.BigInteger,
        primary_key=True,
        autoincrement=False,
        server_default=relation_version.next_value(),
    ),
    sa.Column("target_prefix", Name, nullable=False),
    sa.Column("target_suffix_key", Name, nullable=False),
    sa.Column("suffix", Name, nullable=False),
    sa.Column("target", Name, nullable=False),
    sa.Column("audience", Text, nullable=False),
    sa.Column("valid_from", Time, nullable=False, server_default=_begun),
    sa.Column("valid_to", Time),
    sa.Column("actor", Text, server_default=sa.func.current_writer()),
    sa.Column("ended_by", Text),
    sa.Index(
        "relations_holding",
        "prefix",
        "suffix_key",
        "kind",
        "target_prefix",
        "target_suffix_key",
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
    ),
    sa.Index("relations_target", "target_prefix", "target_suffix_key", "kind", "version"),
)
"""Statements of the owner of (prefix, suffix_key) about a target: registry/relations. Without
`valid_to` it holds. `suffix` and `target` are the spellings in which it was made."""

ranges = sa.Table(
    "ranges",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("head", Name, primary_key=True),
    sa.Column("width", sa.SmallInteger, primary_key=True),
    sa.Column("first", sa.BigInteger, primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column(
        "id", pg.UUID(as_uuid=True), nullable=False, server_default=sa.func.gen_random_uuid()
    ),
    sa.Column("spelling", Name, nullable=False),
    sa.Column("values", pg.JSONB, nullable=False),
    sa.Column("substitute", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("template", Text),
    sa.Column(
        "version", sa.BigInteger, nullable=False, server_default=identifier_version.next_value()
    ),
    sa.Column("created_at", Time, nullable=False, server_default=_begun),
    sa.Column("updated_at", Time, nullable=False, server_default=_begun),
    sa.Column("actor", Text, server_default=sa.func.current_writer()),
    sa.UniqueConstraint("prefix", "id"),
)
"""Identifiers that differ in the number at their end: `head` (canonical; as registered in
`spelling`) and a number of `width` digits from `first` to `last`, all with the same `values`."""

range_history = sa.Table(
    "range_history",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("head", Name, nullable=False),
    sa.Column("width", sa.SmallInteger, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("spelling", Name, nullable=False),
    sa.Column("values", pg.JSONB, nullable=False),
    sa.Column("substitute", sa.Boolean, nullable=False),
    sa.Column("template", Text),
    sa.Column("valid_from", Time, nullable=False),
    sa.Column("valid_to", Time, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("actor", Text),
    sa.Column("ended_by", Text),
    sa.Index("range_history_head", "prefix", "head", "width"),
)
"""What ranges said before; written by a trigger."""

range_exceptions = sa.Table(
    "range_exceptions",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("suffix_key", Name, primary_key=True),
    sa.Column("range_id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("created_at", Time, nullable=False, server_default=_begun),
)
"""Members that were deleted from their range; written by a trigger on `identifiers`."""

change_log = sa.Table(
    "change_log",
    metadata,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("txid", sa.Text(), nullable=False),
    sa.Column("prefix", Name),
    sa.Column("suffix_keys", pg.ARRAY(Name)),
    _created(),
)
"""What caches must forget; written by triggers. Without suffix_keys: all under the prefix;
without a prefix: everything. `txid` is an xid8, which SQLAlchemy has no type for."""

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("at", Time, nullable=False, server_default=_now),
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
    _created(),
    sa.Column("enterprise_id", pg.UUID(as_uuid=True), server_default=sa.func.current_tenant()),
    sa.Index("idempotency_keys_created_at", "created_at"),
)

imports = sa.Table(
    "imports",
    metadata,
    _uuid(),
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
    _created(),
    _updated(),
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
    _created(),
    _updated(),
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
    _created(),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", Time, nullable=False, server_default=_now),
    sa.Column("delivered_at", Time),
    sa.Column("last_error", Text),
    sa.Index("outbox_waiting", "id", postgresql_where=sa.text("delivered_at IS NULL")),
)
"""What the top-level node must learn; written in the transaction that makes it true."""

handle_challenges = sa.Table(
    "handle_challenges",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("nonce", Bytes, nullable=False),
    sa.Column("request", Bytes, nullable=False),
    sa.Column("request_id", sa.BigInteger, nullable=False),
    sa.Column("address", Name, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Index("handle_challenges_address", "address", "created_at"),
    sa.Index("handle_challenges_expires_at", "expires_at"),
    prefixes=["UNLOGGED"],
)
"""Requests of the Handle protocol that wait for the answer to a challenge; `request` is the whole
message. In PostgreSQL, because the answer may reach another worker; not in its log, because a
client asks again after a crash."""

handle_sessions = sa.Table(
    "handle_sessions",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("key", Bytes, nullable=False),
    sa.Column("identity_handle", Text, nullable=False),
    sa.Column("identity_index", sa.BigInteger, nullable=False),
    sa.Column("proved_index", sa.BigInteger),
    sa.Column("proof", Bytes),
    sa.Column("highest", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("seen", Bytes, nullable=False),
    sa.Column("timeout", sa.Integer, nullable=False),
    sa.Column("address", Name, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Index("handle_sessions_address", "address", "created_at"),
    sa.Index("handle_sessions_expires_at", "expires_at"),
    prefixes=["UNLOGGED"],
)
"""Sessions of the Handle protocol. Their keys are secret and short-lived, so they stand in no
log and no backup of it; an empty one is still to come. `proof` is the digest of the key by which
the identity proved itself; without `proved_index` nobody has."""

handle_http_sessions = sa.Table(
    "handle_http_sessions",
    metadata,
    sa.Column("digest", Bytes, primary_key=True),
    sa.Column("nonce", Bytes, nullable=False),
    sa.Column("identity_handle", Text),
    sa.Column("identity_index", sa.BigInteger),
    sa.Column("proof", Bytes),
    sa.Column("address", Name, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Index("handle_http_sessions_address", "address", "expires_at"),
    sa.Index("handle_http_sessions_expires_at", "expires_at"),
    sa.CheckConstraint(
        "num_nulls(identity_handle, identity_index, proof) IN (0, 3)",
        name="handle_http_sessions_identity",
    ),
    prefixes=["UNLOGGED"],
)
"""Sessions of the Handle JSON API, by the digest of their ids; see registry/http_sessions.py."""

template_revision = sa.Sequence("template_revision", metadata=metadata)
"""Revisions of templates, of which their ETags are made."""

templates = sa.Table(
    "templates",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("name_key", Name, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", Name, nullable=False),
    sa.Column("state", Text, nullable=False, server_default="draft"),
    sa.Column("definition", pg.JSONB, nullable=False),
    sa.Column("digest", Bytes, nullable=False),
    sa.Column("reason", Text),
    sa.Column(
        "revision", sa.BigInteger, nullable=False, server_default=template_revision.next_value()
    ),
    _created(),
    _updated(),
    sa.Column("published_at", Time),
    sa.Column("withdrawn_at", Time),
    sa.Index(
        "templates_draft",
        "prefix",
        "name_key",
        unique=True,
        postgresql_where=sa.text("state = 'draft'"),
    ),
)
"""Versions of templates. `definition` is a registry.templates.definition.Definition, `digest` the
SHA-256 of its JSON. A version that is published never changes, which a trigger enforces."""

resolution_hours = sa.Table(
    "resolution_hours",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("hour", Time, primary_key=True),
    *(_count(name) for name in RESULTS),
    postgresql_partition_by="RANGE (hour)",
)
"""Resolutions by outcome. The prefix is empty for names under none that is served here."""

resolution_sources = sa.Table(
    "resolution_sources",
    metadata,
    sa.Column("source", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("counts", pg.JSONB, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),
    sa.Column("updated_at", Time, nullable=False, server_default=_now),
)
"""What of each file of counts stands in `resolution_hours`; see registry/statistics/flush.py."""

registration_changes = sa.Table(
    "registration_changes",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column(
        "id", pg.UUID(as_uuid=True), primary_key=True, server_default=sa.func.gen_random_uuid()
    ),
    sa.Column("at", Time, nullable=False, server_default=_now),
    *(_count(name) for name in ("created", "changed", "deleted")),
)
"""Written by triggers, a line for each statement and prefix, until the jobs process adds it up."""

registration_hours = sa.Table(
    "registration_hours",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("hour", Time, primary_key=True),
    *(_count(name) for name in ("created", "changed", "deleted")),
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
