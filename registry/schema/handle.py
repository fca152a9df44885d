"""Tables of the Handle protocol: who is proving or has proved to be somebody."""

from __future__ import annotations

import sqlalchemy as sa

from registry.schema.columns import Bytes, Name, Text, Time, metadata

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
