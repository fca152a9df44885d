"""Who asks: accounts, known by their sessions, and keys, known by their tokens (RFC 6750).

An *account* is a person with a name and a password, of the node or of an enterprise. A *key* is a
bearer token for a program. Identities of the Handle protocol, which prove themselves with a key of
their own, become principals in registry/admins.py.

A token is random and shown once. What is stored is its SHA-256, found by the first eight bytes
and compared in constant time; a token has more than 128 bits of chance, so a slow hash would add
nothing. Only a bootstrap token is chosen by people.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import AuthenticationNeeded, InsufficientPermission
from registry import tenancy
from registry.enterprises.status import APPROVED, CLOSED
from registry.schema import accounts, api_keys, enterprises, sessions

ACCOUNT, KEY, IDENTITY, SNMS = "account", "key", "identity", "snms"
"""Kinds of principals."""

OPERATOR, REVIEWER, AUDITOR = "operator", "reviewer", "auditor"
ADMINISTRATOR, APPLICATION = "administrator", "application"

STAFF = (OPERATOR, REVIEWER, AUDITOR)
"""Roles of the node; each of them reads everything. The others are roles of an enterprise."""

SCOPES = (
    "identifiers:read",
    "identifiers:write",
    "imports",
    "templates",
    "enterprise:read",
    "enterprise:write",
    "labels",
    "statistics",
)
ALL_SCOPES = frozenset(SCOPES)

READING = ("identifiers:read", "enterprise:read", "statistics")
"""What the people of an enterprise that is not approved may do."""

MIN_TOKEN_CHARACTERS = 16
MAX_TOKEN_CHARACTERS = 512

SESSION_IDLE = datetime.timedelta(hours=1)
"""A session that is not used for so long has ended."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # b64token of RFC 6750 section 2.1
_TOKEN_HEAD = {ACCOUNT: "ids", OPERATOR: "ido", KEY: "idn", SNMS: "idt"}
_KEY_BYTES = 8
_USE_RECORDED_EVERY = datetime.timedelta(minutes=1)


@dataclass(frozen=True)
class Principal:
    """An authenticated caller.

    kind: "account", "key", "identity" or "snms" (a user of the SNMS API). role: one of STAFF,
    "administrator" (an account of an enterprise) or "application" (a key, an identity or a user of
    the SNMS API of one). id: of the account, the key or the user. name: of the account, the
    enterprise or the user, or ``index:handle`` of an identity, which has no id of its own. scopes:
    what a key or a user may be used for; everybody else has all, but for the people of an
    enterprise that is not approved, who have READING.
    """

    kind: str
    role: str
    id: uuid.UUID
    name: str
    enterprise_id: uuid.UUID | None
    scopes: frozenset[str] = ALL_SCOPES

    @property
    def actor(self) -> str:
        """How the audit log names the caller.

        That is ``account:NAME``, ``key:UUID``, ``handle:NAME`` or ``snms:UUID``. A key of an
        account acts as the account.
        """
        if self.kind == IDENTITY:
            return f"handle:{self.name}"
        if self.kind == SNMS:
            return f"snms:{self.id}"
        return f"key:{self.id}" if self.role == APPLICATION else f"account:{self.name}"

    def require(
        self, *roles: str, enterprise: uuid.UUID | None = None, scope: str | None = None
    ) -> None:
        """Let pass who has one of `roles` or is of `enterprise`, and, with a key, has `scope`.

        Raises InsufficientPermission.
        """
        if scope is not None and scope not in self.scopes:
            if self.kind == ACCOUNT:
                raise InsufficientPermission(
                    "while the enterprise is not approved, its people may read what it has and"
                    " correct its filing alone"
                )
            raise InsufficientPermission(f"the key does not have the scope {scope}")
        if self.role in roles:
            return
        if enterprise is not None and self.enterprise_id == enterprise:
            return
        wanted = " or ".join((*roles, *(("the enterprise itself",) if enterprise else ())))
        raise InsufficientPermission(f"only for {wanted}")


SYSTEM = Principal(ACCOUNT, OPERATOR, uuid.UUID(int=0), "system", None)
"""The node itself, and whoever runs its commands on the machine."""


def new_token(kind: str) -> str:
    """Return a fresh token with 256 bits of chance.

    kind: "account" for a session (``ids_...``), "operator" for a key of an account (``ido_...``),
    "key" for a key of an enterprise (``idn_...``), "snms" for the SNMS API (``idt_...``).
    """
    return f"{_TOKEN_HEAD[kind]}_{secrets.token_urlsafe(32)}"


def is_of(token: str, kind: str) -> bool:
    """Whether a token says that it is one that `new_token` has made for `kind`."""
    return token.startswith(f"{_TOKEN_HEAD[kind]}_")


def digest(token: str) -> tuple[bytes, bytes]:
    """Return what is stored of a token: the bytes it is found by, and its whole hash."""
    whole = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
    return whole[:_KEY_BYTES], whole


def is_token(text: str) -> bool:
    """Whether `text` can be a bearer token at all."""
    return len(text) <= MAX_TOKEN_CHARACTERS and _TOKEN.fullmatch(text) is not None


def _candidates() -> sa.Select[Any]:
    key = sa.bindparam("key", type_=sa.LargeBinary)
    now = sa.bindparam("now", type_=api_keys.c.expires_at.type)
    of_key = (
        sa.select(
            sa.literal(KEY).label("kind"),
            sa.func.coalesce(accounts.c.role, APPLICATION).label("role"),
            sa.func.coalesce(accounts.c.id, api_keys.c.id).label("id"),
            sa.func.coalesce(accounts.c.name, enterprises.c.name).label("name"),
            api_keys.c.enterprise_id,
            api_keys.c.scopes,
            api_keys.c.id.label("credential"),
            api_keys.c.token_hash,
            api_keys.c.last_used_at,
        )
        .select_from(
            api_keys.outerjoin(enterprises).outerjoin(
                accounts, accounts.c.id == api_keys.c.account_id
            )
        )
        .where(
            api_keys.c.token_key == key,
            api_keys.c.revoked_at.is_(None),
            sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now),
            sa.or_(enterprises.c.status == APPROVED, accounts.c.status == "active"),
        )
    )
    reading = sa.literal(list(READING), api_keys.c.scopes.type)
    of_session = (
        sa.select(
            sa.literal(ACCOUNT),
            accounts.c.role,
            accounts.c.id,
            accounts.c.name,
            accounts.c.enterprise_id,
            sa.case((enterprises.c.status != APPROVED, reading)),
            sessions.c.id,
            sessions.c.token_hash,
            sessions.c.used_at,
        )
        .select_from(sessions.join(accounts).outerjoin(enterprises))
        .where(
            sessions.c.token_key == key,
            sessions.c.ends_at > now,
            sessions.c.used_at > now - SESSION_IDLE,
            accounts.c.status == "active",
            sa.func.coalesce(enterprises.c.status, APPROVED) != CLOSED,
        )
    )
    found = sa.union_all(of_key, of_session).subquery("found")
    return sa.select(found, tenancy.entering(found.c.enterprise_id).label("entered"))


_CANDIDATES = _candidates()  # built once: every request runs it


async def authenticate(connection: AsyncConnection, token: str, now: float) -> Principal:
    """Return who holds `token`, and go on in the name of its enterprise, if it has one.

    now: Unix seconds. Raises AuthenticationNeeded for a token that is unknown, expired or
    revoked, or whose account or enterprise is closed; the error does not say which.
    """
    key, whole = digest(token)
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    for row in (await connection.execute(_CANDIDATES, {"key": key, "now": moment})).all():
        if not hmac.compare_digest(row.token_hash, whole):
            continue
        table, column = (
            (api_keys, api_keys.c.last_used_at)
            if row.kind == KEY
            else (sessions, sessions.c.used_at)
        )
        if row.last_used_at is None or row.last_used_at <= moment - _USE_RECORDED_EVERY:
            await _record_use(connection, table, column, row.credential, moment)
        scopes = ALL_SCOPES if row.scopes is None else frozenset(row.scopes)
        return Principal(row.kind, row.role, row.id, row.name, row.enterprise_id, scopes)
    raise AuthenticationNeeded("the bearer token is unknown, expired or revoked")


async def _record_use(
    connection: AsyncConnection,
    table: sa.Table,
    column: sa.Column[Any],
    credential: uuid.UUID,
    now: datetime.datetime,
) -> None:
    # Many requests with one token may get here at once; none may wait for another's transaction.
    free = (
        sa.select(table.c.id)
        .where(
            table.c.id == credential,
            sa.or_(column.is_(None), column <= now - _USE_RECORDED_EVERY),
        )
        .with_for_update(key_share=True, skip_locked=True)
    )
    await connection.execute(table.update().where(table.c.id.in_(free)).values({column: now}))
