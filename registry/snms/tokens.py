"""Tokens of the SNMS API: who gets one, and whose it is.

An application signs in as a user that its enterprise has made for it, a person as the
administrator that he is. A token lives for 24 hours, opens this API and resolution alone, and ends
with the password that it was got by.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import AuthenticationFailed, AuthenticationNeeded
from registry import audit
from registry.accounts import throttle
from registry.enterprises.status import APPROVED
from registry.principals import (
    ACCOUNT,
    ADMINISTRATOR,
    APPLICATION,
    SNMS,
    Principal,
    digest,
    new_token,
)
from registry.schema import accounts, enterprises, snms_tokens, snms_users
from registry.services import Registry
from registry.snms import secrets

log = structlog.get_logger("idnode.snms")

LIFE = datetime.timedelta(hours=24)

MAX_TOKENS = 100
"""Tokens of one user; the oldest ends when one more is given out."""

SCOPES = frozenset({"identifiers:read", "identifiers:write", "templates"})
"""What the user of an application may do."""


@dataclass(frozen=True)
class _Holder:
    """Who signs in. sealed: for the hashed password, see registry.snms.secrets."""

    principal: Principal
    password: str | None
    sealed: bytes | None = None


async def sign_in(
    registry: Registry, name: str, password: str, address: str | None, request_id: str | None
) -> str:
    """Return a token for who has this name and password.

    address: of the peer. Raises AuthenticationFailed, alike and after the same time whatever is
    wrong; TooManyRequests; StoreUnavailable.
    """

    async def proves(holder: _Holder | None) -> bool:
        stored = None if holder is None else holder.password
        return await registry.passwords.verify(stored, password)

    return await _sign_in(registry, name, proves, address, request_id)


async def sign_in_hashed(
    registry: Registry, name: str, given: str, address: str | None, request_id: str | None
) -> str:
    """Return a token for who sends the hashed password of today. Raises as `sign_in` does."""

    async def proves(holder: _Holder | None) -> bool:
        if holder is None or holder.sealed is None or registry.snms_key is None:
            return False
        now = datetime.datetime.fromtimestamp(registry.clock(), datetime.UTC)
        matching = secrets.matches(registry.snms_key, name, holder.sealed, given, now)
        if matching is None:
            log.error("snms_key_does_not_fit", name=name)
        return matching is True

    return await _sign_in(registry, name, proves, address, request_id)


async def _sign_in(
    registry: Registry,
    name: str,
    proves: Callable[[_Holder | None], Coroutine[Any, Any, bool]],
    address: str | None,
    request_id: str | None,
) -> str:
    source = throttle.source_of(address)
    now = datetime.datetime.fromtimestamp(registry.clock(), datetime.UTC)
    async with registry.database.begin() as connection:
        await throttle.claim(connection, name, source, now)
        holder = await _holder(connection, name)
    # No connection is held while a hash is worked out.
    if not await proves(holder):
        log.warning("snms_sign_in_failed", name=name, source=source, request_id=request_id)
        raise AuthenticationFailed("the name or the password is wrong")
    async with registry.database.begin() as connection:
        again = await _holder(connection, name)
        if again is None or again != holder:  # changed in between
            raise AuthenticationFailed("the name or the password is wrong")
        await throttle.succeeded(connection, name, source, now)
        token = await _give(connection, again, now)
        await audit.append(connection, again.principal, "snms.token", name, {}, request_id)
    return token


async def _holder(connection: AsyncConnection, name: str) -> _Holder | None:
    """Return who has this name: first among the users of applications."""
    user = (
        await connection.execute(
            sa.select(snms_users, enterprises.c.name.label("enterprise"))
            .join_from(snms_users, enterprises)
            .where(snms_users.c.name == name, enterprises.c.status == APPROVED)
        )
    ).one_or_none()
    if user is not None:
        return _Holder(_of_user(user), user.password, user.sealed)
    account = (
        await connection.execute(
            sa.select(accounts)
            .join_from(accounts, enterprises)
            .where(
                accounts.c.name == name,
                accounts.c.role == ADMINISTRATOR,
                accounts.c.status == "active",
                enterprises.c.status == APPROVED,
            )
        )
    ).one_or_none()
    return None if account is None else _Holder(_of_account(account), account.password)


def _of_user(row: Any) -> Principal:
    return Principal(SNMS, APPLICATION, row.id, row.name, row.enterprise_id, SCOPES)


def _of_account(row: Any) -> Principal:
    return Principal(ACCOUNT, ADMINISTRATOR, row.id, row.name, row.enterprise_id)


async def _give(connection: AsyncConnection, holder: _Holder, now: datetime.datetime) -> str:
    owner = {
        "user_id" if holder.principal.kind == SNMS else "account_id": holder.principal.id,
    }
    own = [snms_tokens.c[name] == value for name, value in owner.items()]
    kept = (
        sa.select(snms_tokens.c.token_key)
        .where(*own)
        .order_by(snms_tokens.c.ends_at.desc(), snms_tokens.c.token_key)
        .limit(MAX_TOKENS - 1)
    )
    await connection.execute(snms_tokens.delete().where(*own, snms_tokens.c.token_key.not_in(kept)))
    token = new_token(SNMS)
    key, whole = digest(token)
    await connection.execute(
        snms_tokens.insert().values(
            token_key=key,
            token_hash=whole,
            proof=_proof(holder.password),
            ends_at=now + LIFE,
            **owner,
        )
    )
    return token


def _proof(password: str | None) -> bytes:
    """Return what a token remembers of the stored password: it ends when that changes."""
    return hashlib.sha256((password or "").encode()).digest()


_FOUND = (
    sa.select(
        snms_tokens.c.token_hash,
        snms_tokens.c.proof,
        snms_tokens.c.account_id,
        sa.func.coalesce(accounts.c.id, snms_users.c.id).label("id"),
        sa.func.coalesce(accounts.c.name, snms_users.c.name).label("name"),
        sa.func.coalesce(accounts.c.password, snms_users.c.password).label("password"),
        enterprises.c.id.label("enterprise_id"),
    )
    .select_from(
        snms_tokens.outerjoin(
            accounts,
            sa.and_(accounts.c.id == snms_tokens.c.account_id, accounts.c.status == "active"),
        )
        .outerjoin(snms_users, snms_users.c.id == snms_tokens.c.user_id)
        .join(
            enterprises,
            enterprises.c.id
            == sa.func.coalesce(accounts.c.enterprise_id, snms_users.c.enterprise_id),
        )
    )
    .where(
        snms_tokens.c.token_key == sa.bindparam("key", type_=sa.LargeBinary),
        snms_tokens.c.ends_at > sa.bindparam("now", type_=snms_tokens.c.ends_at.type),
        enterprises.c.status == APPROVED,
    )
)


async def authenticate(connection: AsyncConnection, token: str, now: float) -> Principal:
    """Return who holds `token`.

    now: Unix seconds. Raises AuthenticationNeeded.
    """
    key, whole = digest(token)
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    for row in (await connection.execute(_FOUND, {"key": key, "now": moment})).all():
        if not hmac.compare_digest(row.token_hash, whole):
            continue
        if not hmac.compare_digest(row.proof, _proof(row.password)):
            continue
        return _of_user(row) if row.account_id is None else _of_account(row)
    raise AuthenticationNeeded("the bearer token is unknown, expired or revoked")
