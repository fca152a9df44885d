"""Tables of people, keys and sessions."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from registry.schema.columns import Bytes, Name, Text, Time, created, metadata, updated, uuid

accounts = sa.Table(
    "accounts",
    metadata,
    uuid(),
    sa.Column("enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id")),
    sa.Column("name", Name, nullable=False, unique=True),
    sa.Column("role", Text, nullable=False),
    sa.Column("status", Text, nullable=False, server_default="active"),
    sa.Column("password", Text),
    created(),
    updated(),
    sa.Index("accounts_enterprise_id", "enterprise_id"),
)
"""People. `password` is an Argon2 hash, without which nobody signs in by name. An account that is
deleted keeps its row: the audit log names it, so that nobody else may get its name."""

api_keys = sa.Table(
    "api_keys",
    metadata,
    uuid(),
    sa.Column("enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id")),
    sa.Column("account_id", pg.UUID(as_uuid=True), sa.ForeignKey("accounts.id")),
    sa.Column("label", Text),
    sa.Column("scopes", pg.ARRAY(Text)),
    sa.Column("token_key", Bytes, nullable=False, unique=True),
    sa.Column("token_hash", Bytes, nullable=False),
    created(),
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
    uuid(),
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
    uuid(),
    sa.Column(
        "enterprise_id",
        pg.UUID(as_uuid=True),
        sa.ForeignKey("enterprises.id"),
        nullable=False,
    ),
    sa.Column("name", Name, nullable=False, unique=True),
    sa.Column("password", Text, nullable=False),
    sa.Column("sealed", Bytes),
    created(),
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
