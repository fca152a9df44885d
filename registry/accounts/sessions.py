"""Sessions: an account signs in with its name and password and gets a bearer token."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import AuthenticationFailed, Conflict
from registry import audit
from registry.accounts import passwords, throttle
from registry.enterprises.status import APPROVED, CLOSED
from registry.principals import ACCOUNT, Principal, digest, new_token
from registry.schema import accounts, enterprises, sessions
from registry.services import Record, Registry, Work

log = structlog.get_logger("idnode.accounts")

LIFE = datetime.timedelta(hours=12)
"""The longest life of a session, however much it is used."""

MAX_SESSIONS = 20
"""Sessions of one account; the oldest ends when one more begins."""


@dataclass(frozen=True)
class SignedIn:
    """A session that has just begun. token: shown this once."""

    token: str
    principal: Principal
    ends_at: datetime.datetime


async def sign_in(
    registry: Registry, name: str, password: str, address: str | None, request_id: str | None
) -> SignedIn:
    """Begin a session of the account `name`.

    address: of the peer. Raises AuthenticationFailed, the same and after the same time whether the
    name is unknown, the account closed or the password wrong; TooManyRequests; StoreUnavailable.
    """
    source = throttle.source_of(address)
    now = datetime.datetime.fromtimestamp(registry.clock(), datetime.UTC)
    async with registry.database.begin() as connection:
        await throttle.claim(connection, name, source, now)
        account = await _account(connection, name)
    stored = None if account is None else account.password
    # No connection is held while the hash is worked out.
    if not await registry.passwords.verify(stored, password):
        shown = name if name.isprintable() else ascii(name)
        log.warning("sign_in_failed", name=shown, source=source, request_id=request_id)
        raise AuthenticationFailed("the name or the password is wrong")
    renewed = (
        await registry.passwords.renew(password) if passwords.is_outdated(stored or "") else None
    )
    async with registry.database.begin() as connection:
        account = await _account(connection, name)
        if account is None or account.password != stored:  # changed in between
            raise AuthenticationFailed("the name or the password is wrong")
        if renewed is not None:
            await connection.execute(
                accounts.update().where(accounts.c.id == account.id).values(password=renewed)
            )
        await throttle.succeeded(connection, name, source, now)
        principal = Principal(
            ACCOUNT, account.role, account.id, account.name, account.enterprise_id
        )
        token = await _begin(connection, account.id, source, now)
        await audit.append(connection, principal, "session.begin", name, {}, request_id)
    return SignedIn(token, principal, now + LIFE)


async def _account(connection: AsyncConnection, name: str) -> Record | None:
    """Return the account that may sign in by `name`, held until the transaction ends."""
    query = (
        sa.select(accounts)
        .select_from(accounts.outerjoin(enterprises))
        .where(
            accounts.c.name == name,
            accounts.c.status == "active",
            sa.func.coalesce(enterprises.c.status, APPROVED) != CLOSED,
        )
        .with_for_update(of=accounts)
    )
    row: Record | None = (await connection.execute(query)).one_or_none()
    return row


async def _begin(
    connection: AsyncConnection, account_id: uuid.UUID, source: str, now: datetime.datetime
) -> str:
    kept = (
        sa.select(sessions.c.id)
        .where(sessions.c.account_id == account_id)
        .order_by(sessions.c.created_at.desc(), sessions.c.id)
        .limit(MAX_SESSIONS - 1)
    )
    await connection.execute(
        sessions.delete().where(sessions.c.account_id == account_id, sessions.c.id.not_in(kept))
    )
    token = new_token(ACCOUNT)
    key, whole = digest(token)
    await connection.execute(
        sessions.insert().values(
            account_id=account_id,
            token_key=key,
            token_hash=whole,
            source=source,
            created_at=now,
            used_at=now,
            ends_at=now + LIFE,
        )
    )
    return token


async def sign_out(work: Work, token: str) -> None:
    """End the session of `token`. Raises Conflict for a key, which is revoked instead."""
    if work.principal.kind != ACCOUNT:
        raise Conflict("this is the token of a key, not of a session: revoke the key")
    await work.connection.execute(sessions.delete().where(sessions.c.token_key == digest(token)[0]))
    await work.audit("session.end", work.principal.name)


async def end_all(work: Work, account_id: uuid.UUID, *, but: str | None = None) -> None:
    """End the sessions of an account, all but that of the token `but`."""
    ended = sessions.delete().where(sessions.c.account_id == account_id)
    if but is not None:
        ended = ended.where(sessions.c.token_key != digest(but)[0])
    await work.connection.execute(ended)
