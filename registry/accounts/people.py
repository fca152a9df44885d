"""Accounts: who makes them, who changes them, and how their passwords are set.

Operators look after all accounts; an administrator of an enterprise looks after those of its own.
Nobody changes the role or the state of the account that is at work, so that one operator is left
whatever they do to each other.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import (
    AuthenticationFailed,
    AuthenticationNeeded,
    Conflict,
    HandleExists,
    InsufficientPermission,
    InvalidValue,
    NotFound,
)
from registry.accounts import sessions, throttle
from registry.accounts.passwords import Passwords
from registry.enterprises.status import CLOSED
from registry.principals import (
    ACCOUNT,
    ADMINISTRATOR,
    OPERATOR,
    STAFF,
    SYSTEM,
    Principal,
    digest,
    new_token,
)
from registry.reading import listed
from registry.schema import accounts, enterprises, password_resets
from registry.services import Record, Registry, Work
from registry.services import work as open_work

ROLES = (*STAFF, ADMINISTRATOR)
ACTIVE, DISABLED, DELETED = "active", "disabled", "deleted"

RESET_LIFE = datetime.timedelta(hours=24)
"""How long a one-time token may be used."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")

_SHOWN = (
    accounts.c.id,
    accounts.c.name,
    accounts.c.role,
    accounts.c.enterprise_id,
    accounts.c.status,
    accounts.c.password.is_not(None).label("has_password"),
    accounts.c.created_at,
    accounts.c.updated_at,
)


@dataclass(frozen=True)
class Reset:
    """A one-time token with which somebody sets the password; it is shown this once."""

    token: str
    expires_at: datetime.datetime


async def create(
    work: Work,
    passwords: Passwords,
    *,
    name: str,
    role: str,
    enterprise_id: uuid.UUID | None = None,
    password: str | None = None,
) -> Record:
    """Make an account and return its row.

    For operators, and for an administrator within its enterprise. enterprise_id: for the role
    "administrator" alone, and needed there. password: None for an account that signs in once
    its owner has set one (see `reset`). Raises InvalidValue with the field, HandleExists for a
    name that is taken or was, NotFound and Conflict for an enterprise that is unknown or closed.
    """
    _require(work, enterprise_id)
    check_name(name)
    if role not in ROLES:
        raise InvalidValue(f"must be one of {listed(ROLES)}", field="role", rule="enum")
    if (role == ADMINISTRATOR) != (enterprise_id is not None):
        raise InvalidValue(
            f"the role {ADMINISTRATOR}, and no other, belongs to an enterprise",
            field="enterprise_id",
        )
    if enterprise_id is not None:
        await _check_enterprise(work, enterprise_id)
    stored = None if password is None else await passwords.hash(password, name)
    row = await add(
        work.connection, name=name, role=role, enterprise_id=enterprise_id, password=stored
    )
    detail = {"name": name, "role": role}
    if enterprise_id is not None:
        detail["enterprise_id"] = str(enterprise_id)
    await work.audit("account.create", str(row.id), detail)
    return row


async def add(connection: AsyncConnection, *, field: str = "name", **columns: Any) -> Record:
    """Write the row of a new account. Raises HandleExists at `field` for a name that is taken."""
    row: Record | None = (
        await connection.execute(
            insert(accounts)
            .values(**columns)
            .on_conflict_do_nothing(index_elements=[accounts.c.name])
            .returning(*_SHOWN)
        )
    ).one_or_none()
    if row is None:
        raise HandleExists(f"the name {columns['name']} is taken, now or before", field=field)
    return row


async def _check_enterprise(work: Work, enterprise_id: uuid.UUID) -> None:
    query = sa.select(enterprises.c.status).where(enterprises.c.id == enterprise_id)
    status = await work.connection.scalar(query)
    if status is None:
        raise NotFound(f"no enterprise {enterprise_id}", field="enterprise_id")
    if status == CLOSED:
        raise Conflict("the enterprise is closed", field="enterprise_id")


def check_name(name: str, field: str = "name") -> None:
    """Let pass what may be the name of an account. Raises InvalidValue at `field`."""
    if not _NAME.fullmatch(name) or name == SYSTEM.name:
        raise InvalidValue(
            "a name has 1 to 64 letters, digits or characters of ._@- and is not system",
            field=field,
        )


def _require(work: Work, enterprise_id: uuid.UUID | None, *readers: str) -> None:
    """Let pass who looks after the accounts of the enterprise, or of the node, and `readers`."""
    scope = "enterprise:read" if readers else "enterprise:write"
    own = enterprise_id is not None and work.principal.role == ADMINISTRATOR
    work.principal.require(
        OPERATOR, *readers, enterprise=enterprise_id if own else None, scope=scope
    )


async def get(work: Work, account_id: uuid.UUID) -> Record:
    """Return an account that the caller may see. Raises NotFound."""
    row = await _one(work, account_id)
    if row.id != work.principal.id:
        _require(work, row.enterprise_id, *STAFF)
    return row


async def _one(work: Work, account_id: uuid.UUID, *, lock: bool = False) -> Record:
    query = sa.select(*_SHOWN).where(accounts.c.id == account_id, accounts.c.status != DELETED)
    row: Record | None = (
        await work.connection.execute(query.with_for_update() if lock else query)
    ).one_or_none()
    if row is None:
        raise NotFound(f"no account {account_id}")
    return row


async def page(
    work: Work, *, enterprise_id: uuid.UUID | None, after: uuid.UUID | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` accounts that the caller may see, by id, those after `after`.

    enterprise_id: only the accounts of this enterprise.
    """
    if work.principal.enterprise_id is not None:
        enterprise_id = enterprise_id or work.principal.enterprise_id
    _require(work, enterprise_id, *STAFF)
    query = (
        sa.select(*_SHOWN).where(accounts.c.status != DELETED).order_by(accounts.c.id).limit(limit)
    )
    if enterprise_id is not None:
        query = query.where(accounts.c.enterprise_id == enterprise_id)
    if after is not None:
        query = query.where(accounts.c.id > after)
    return (await work.connection.execute(query)).all()


async def change(
    work: Work, account_id: uuid.UUID, *, role: str | None, status: str | None
) -> Record:
    """Give an account of the node another role, or disable or enable an account.

    What is disabled has no sessions, and its keys do not open anything. Raises NotFound,
    InvalidValue, and Conflict for the account that is at work itself.
    """
    before = await _to_change(work, account_id)
    if role is None and status is None:
        raise InvalidValue("nothing to change", field="status")
    if role is not None and (role not in STAFF or before.role not in STAFF):
        raise InvalidValue(
            f"an account of the node is {', '.join(STAFF)}; that of an enterprise stays"
            f" {ADMINISTRATOR}",
            field="role",
        )
    if status not in (None, ACTIVE, DISABLED):
        raise InvalidValue(f"not {ACTIVE} or {DISABLED}", field="status")
    new = {"role": role or before.role, "status": status or before.status}
    return await _change(work, before, "account.change", new)


async def delete(work: Work, account_id: uuid.UUID) -> None:
    """End an account for good; its name is not given out again. Raises as `change` does."""
    before = await _to_change(work, account_id)
    await _change(work, before, "account.delete", {"status": DELETED, "password": None})


async def _to_change(work: Work, account_id: uuid.UUID) -> Record:
    before = await _one(work, account_id, lock=True)
    _require(work, before.enterprise_id)
    if before.id == work.principal.id:
        raise Conflict("nobody changes the role or the state of his own account")
    return before


async def _change(work: Work, before: Record, action: str, new: dict[str, Any]) -> Record:
    row: Record = (
        await work.connection.execute(
            accounts.update()
            .where(accounts.c.id == before.id)
            .values(updated_at=work.now, **new)
            .returning(*_SHOWN)
        )
    ).one()
    if row.status != ACTIVE:
        await sessions.end_all(work, row.id)
        await _forget_reset(work.connection, row.id)
    detail = {"name": row.name, "role": row.role, "status": row.status}
    await work.audit(action, str(row.id), detail)
    return row


async def change_password(
    registry: Registry,
    token: str,
    *,
    current: str,
    new: str,
    address: str | None,
    request_id: str | None,
) -> None:
    """Set the caller's own password, which ends its other sessions.

    token: of the session at work. current: the password so far; a wrong one counts as an attempt
    to sign in from `address`. Raises AuthenticationNeeded, AuthenticationFailed, TooManyRequests,
    InvalidValue for a password that breaks a rule, InsufficientPermission for a key.
    """
    own = sa.select(accounts.c.password).with_for_update()
    async with open_work(registry, token, request_id) as first:
        me, now = first.principal, first.now
        if me.kind != ACCOUNT:
            raise InsufficientPermission("only for who has signed in by name and password")
        stored = await first.connection.scalar(own.where(accounts.c.id == me.id))
    source = throttle.source_of(address)
    async with registry.database.begin() as connection:
        await throttle.claim(connection, me.name, source, now)
    if not await registry.passwords.verify(stored, current):
        raise AuthenticationFailed("the present password is wrong", field="password")
    async with registry.database.begin() as connection:
        await throttle.succeeded(connection, me.name, source, now)
    made = await registry.passwords.hash(new, me.name, field="new_password")
    async with open_work(registry, token, request_id) as last:
        if await last.connection.scalar(own.where(accounts.c.id == me.id)) != stored:
            raise AuthenticationFailed("the present password is wrong", field="password")
        await _set_password(last.connection, me.id, made, now)
        await sessions.end_all(last, me.id, but=token)
        await last.audit("account.password", str(me.id), {"name": me.name})


async def reset(work: Work, account_id: uuid.UUID) -> Reset:
    """Make a one-time token with which the owner sets the password; the one before it ends.

    For operators, and for an administrator within its enterprise. Raises NotFound, and Conflict
    for an account that is disabled.
    """
    row = await _one(work, account_id, lock=True)
    _require(work, row.enterprise_id)
    if row.status != ACTIVE:
        raise Conflict(f"the account is {row.status}")
    token = new_token(ACCOUNT)
    key, whole = digest(token)
    made = {"token_key": key, "token_hash": whole, "expires_at": work.now + RESET_LIFE}
    await work.connection.execute(
        insert(password_resets)
        .values(account_id=account_id, **made)
        .on_conflict_do_update(index_elements=[password_resets.c.account_id], set_=made)
    )
    await work.audit("account.reset", str(account_id), {"name": row.name})
    return Reset(token, work.now + RESET_LIFE)


async def use_reset(registry: Registry, token: str, password: str, request_id: str | None) -> None:
    """Set a password with a one-time token, end all sessions of the account and its locks.

    Raises AuthenticationNeeded for a token that is unknown, used or too old, InvalidValue for a
    password that breaks a rule (the token may then be used again), TooManyRequests.
    """
    now = datetime.datetime.fromtimestamp(registry.clock(), datetime.UTC)
    async with registry.database.begin() as connection:
        account = await _of_reset(connection, token, now)
    stored = await registry.passwords.hash(password, account.name)
    async with registry.database.begin() as connection:
        account = await _of_reset(connection, token, now)
        await _forget_reset(connection, account.id)
        await _set_password(connection, account.id, stored, now)
        await throttle.forgive(connection, account.name)
        principal = Principal(
            ACCOUNT, account.role, account.id, account.name, account.enterprise_id
        )
        current = Work(connection, principal, registry.node_prefix, now, request_id)
        await sessions.end_all(current, account.id)
        await current.audit(
            "account.password", str(account.id), {"name": account.name, "reset": True}
        )


async def _of_reset(connection: AsyncConnection, token: str, now: datetime.datetime) -> Record:
    key, whole = digest(token)
    query = (
        sa.select(accounts)
        .select_from(password_resets.join(accounts))
        .where(
            password_resets.c.token_key == key,
            password_resets.c.token_hash == whole,
            password_resets.c.expires_at > now,
            accounts.c.status == ACTIVE,
        )
        .with_for_update()
    )
    row: Record | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise AuthenticationNeeded("the one-time token is unknown, used or too old")
    return row


async def _forget_reset(connection: AsyncConnection, account_id: uuid.UUID) -> None:
    await connection.execute(
        password_resets.delete().where(password_resets.c.account_id == account_id)
    )


async def _set_password(
    connection: AsyncConnection, account_id: uuid.UUID, stored: str, now: datetime.datetime
) -> None:
    await connection.execute(
        accounts.update().where(accounts.c.id == account_id).values(password=stored, updated_at=now)
    )
