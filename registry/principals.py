"""Who asks: operators and the keys of enterprises, known by their bearer tokens (RFC 6750).

Identities of the Handle protocol, which prove themselves with a key of their own, become
principals in registry/admins.py.

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
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import (
    AuthenticationNeeded,
    Conflict,
    HandleExists,
    InsufficientPermission,
    InvalidValue,
    NotFound,
)
from registry import audit
from registry.schema import api_keys, enterprises, operators

OPERATOR, REVIEWER, ENTERPRISE = "operator", "reviewer", "enterprise"
IDENTITY = "identity"

MIN_TOKEN_CHARACTERS = 16
MAX_TOKEN_CHARACTERS = 512

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # b64token of RFC 6750 section 2.1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_KEY_BYTES = 8
_USE_RECORDED_EVERY = datetime.timedelta(minutes=1)


@dataclass(frozen=True)
class Principal:
    """An authenticated caller.

    kind: "operator", "enterprise" or "identity". role: "operator", "reviewer" or "enterprise".
    id: of the operator or of the key. name: of the operator or of the enterprise, or
    ``index:handle`` of an identity, which has no id of its own.
    """

    kind: str
    role: str
    id: uuid.UUID
    name: str
    enterprise_id: uuid.UUID | None

    @property
    def actor(self) -> str:
        """How the audit log names the caller: ``operator:NAME``, ``key:UUID``, ``handle:NAME``."""
        if self.kind == IDENTITY:
            return f"handle:{self.name}"
        return f"operator:{self.name}" if self.kind == OPERATOR else f"key:{self.id}"

    def require(self, *roles: str, enterprise: uuid.UUID | None = None) -> None:
        """Let pass who has one of `roles`, or is of `enterprise`.

        Raises InsufficientPermission.
        """
        if self.role in roles:
            return
        if enterprise is not None and self.enterprise_id == enterprise:
            return
        wanted = " or ".join((*roles, *(("the enterprise itself",) if enterprise else ())))
        raise InsufficientPermission(f"only for {wanted}")


SYSTEM = Principal(OPERATOR, OPERATOR, uuid.UUID(int=0), "system", None)
"""The node itself, and whoever runs its commands on the machine."""


def new_token(kind: str) -> str:
    """Return a fresh token with 256 bits of chance: ``ido_...`` or ``idn_...``."""
    return f"{'ido' if kind == OPERATOR else 'idn'}_{secrets.token_urlsafe(32)}"


def digest(token: str) -> tuple[bytes, bytes]:
    """Return what is stored of a token: the bytes it is found by, and its whole hash."""
    whole = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
    return whole[:_KEY_BYTES], whole


def _candidates() -> sa.CompoundSelect[Any]:
    key = sa.bindparam("key", type_=sa.LargeBinary)
    no_time = sa.cast(sa.null(), api_keys.c.expires_at.type)
    return sa.union_all(
        sa.select(
            sa.literal(OPERATOR).label("kind"),
            operators.c.role,
            operators.c.id,
            operators.c.name,
            sa.cast(sa.null(), enterprises.c.id.type).label("enterprise_id"),
            operators.c.token_hash,
            no_time.label("expires_at"),
            no_time.label("last_used_at"),
        ).where(operators.c.token_key == key, operators.c.revoked_at.is_(None)),
        sa.select(
            sa.literal(ENTERPRISE),
            sa.literal(ENTERPRISE),
            api_keys.c.id,
            enterprises.c.name,
            enterprises.c.id,
            api_keys.c.token_hash,
            api_keys.c.expires_at,
            api_keys.c.last_used_at,
        )
        .join_from(api_keys, enterprises)
        .where(
            api_keys.c.token_key == key,
            api_keys.c.revoked_at.is_(None),
            enterprises.c.status == "active",
        ),
    )


_CANDIDATES = _candidates()  # built once: every request runs it


async def authenticate(connection: AsyncConnection, token: str, now: float) -> Principal:
    """Return who holds `token`.

    now: Unix seconds. Raises AuthenticationNeeded for a token that is unknown, expired or
    revoked, or whose enterprise is closed; the error does not say which.
    """
    key, whole = digest(token)
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    for row in (await connection.execute(_CANDIDATES, {"key": key})).all():
        if not hmac.compare_digest(row.token_hash, whole):
            continue
        if row.expires_at is not None and row.expires_at <= moment:
            continue
        if row.kind == ENTERPRISE:
            await _record_use(connection, row.id, row.last_used_at, moment)
        return Principal(row.kind, row.role, row.id, row.name, row.enterprise_id)
    raise AuthenticationNeeded("the bearer token is unknown, expired or revoked")


async def _record_use(
    connection: AsyncConnection,
    key_id: uuid.UUID,
    last: datetime.datetime | None,
    now: datetime.datetime,
) -> None:
    before = now - _USE_RECORDED_EVERY
    if last is not None and last > before:
        return
    # Many requests with one key may get here at once; none may wait for another's transaction.
    free = (
        sa.select(api_keys.c.id)
        .where(
            api_keys.c.id == key_id,
            sa.or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= before),
        )
        .with_for_update(key_share=True, skip_locked=True)
    )
    await connection.execute(
        api_keys.update().where(api_keys.c.id.in_(free)).values(last_used_at=now)
    )


async def create_operator(connection: AsyncConnection, name: str, role: str) -> str:
    """Make an operator or reviewer and return the token, which is shown this once.

    Raises InvalidValue for a bad name or role, HandleExists for a name that is taken.
    """
    _check_operator(name, role)
    token = new_token(OPERATOR)
    key, whole = digest(token)
    inserted = await connection.execute(
        _insert_operator(name, role, key, whole).on_conflict_do_nothing(
            index_elements=[operators.c.name]
        )
    )
    if not inserted.rowcount:
        raise HandleExists(f"an operator {name} is there already", field="name")
    await audit.append(connection, SYSTEM, "operator.create", name, {"role": role}, None)
    return token


async def ensure_operator(connection: AsyncConnection, name: str, role: str, token: str) -> None:
    """Make sure that operator `name` has `role` and signs in with `token`; idempotent.

    A revoked operator stays revoked. Raises InvalidValue for a token that is short, holds other
    characters than a bearer token may, or is another operator's.
    """
    _check_operator(name, role)
    if not MIN_TOKEN_CHARACTERS <= len(token) <= MAX_TOKEN_CHARACTERS or not is_token(token):
        raise InvalidValue(
            f"a token has {MIN_TOKEN_CHARACTERS} to {MAX_TOKEN_CHARACTERS} letters, digits or"
            " characters of -._~+/",
            field="token",
        )
    key, whole = digest(token)
    # Processes that start together would otherwise collide in the index of the tokens.
    lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext("idnode operators"))
    await connection.execute(sa.select(lock))
    taken = sa.select(operators.c.id).where(operators.c.token_key == key, operators.c.name != name)
    if (await connection.execute(taken)).first():
        raise InvalidValue("the token is another operator's", field="token")
    insert = _insert_operator(name, role, key, whole)
    written = await connection.execute(
        insert.on_conflict_do_update(
            index_elements=[operators.c.name],
            set_={"role": role, "token_key": key, "token_hash": whole},
            where=sa.or_(operators.c.role != role, operators.c.token_hash != whole),
        )
    )
    if written.rowcount:
        await audit.append(connection, SYSTEM, "operator.ensure", name, {"role": role}, None)


def _insert_operator(name: str, role: str, key: bytes, whole: bytes) -> Any:
    return pg_insert(operators).values(name=name, role=role, token_key=key, token_hash=whole)


def _check_operator(name: str, role: str) -> None:
    if not _NAME.fullmatch(name) or name == SYSTEM.name:
        raise InvalidValue(
            "a name has 1 to 64 letters, digits or characters of ._@- and is not system",
            field="name",
        )
    if role not in (OPERATOR, REVIEWER):
        raise InvalidValue(f"not {OPERATOR} or {REVIEWER}", field="role")


def is_token(text: str) -> bool:
    """Whether `text` can be a bearer token at all."""
    return len(text) <= MAX_TOKEN_CHARACTERS and _TOKEN.fullmatch(text) is not None


async def issue_key(
    connection: AsyncConnection,
    enterprise_id: uuid.UUID,
    label: str | None = None,
    expires_at: datetime.datetime | None = None,
    *,
    principal: Principal = SYSTEM,
    request_id: str | None = None,
) -> tuple[uuid.UUID, str]:
    """Make a key of an enterprise; return its id and the token, which is shown this once.

    Raises NotFound for an unknown enterprise, Conflict for a closed one.
    """
    status = await connection.scalar(
        sa.select(enterprises.c.status).where(enterprises.c.id == enterprise_id)
    )
    if status is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    if status != "active":
        raise Conflict(f"the enterprise is {status}")
    token = new_token(ENTERPRISE)
    key, whole = digest(token)
    key_id: uuid.UUID = (
        await connection.execute(
            api_keys.insert()
            .values(
                enterprise_id=enterprise_id,
                label=label,
                token_key=key,
                token_hash=whole,
                expires_at=expires_at,
            )
            .returning(api_keys.c.id)
        )
    ).scalar_one()
    detail = {"enterprise_id": str(enterprise_id), "label": label}
    await audit.append(connection, principal, "key.issue", str(key_id), detail, request_id)
    return key_id, token
