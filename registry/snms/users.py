"""Users of the SNMS API: the name and the password of an application of an enterprise."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from protocol.errors import Conflict, HandleExists, InvalidValue, NotFound
from registry.accounts.passwords import Passwords
from registry.enterprises.status import APPROVED
from registry.principals import OPERATOR, STAFF
from registry.schema import enterprises, snms_users
from registry.services import Record, Work, check_text
from registry.snms import secrets

MAX_NAME, MAX_PASSWORD = 50, 64
"""Characters that the SNMS API has room for."""

MAX_USERS = 100
"""Of one enterprise."""

_SHOWN = (
    snms_users.c.id,
    snms_users.c.name,
    snms_users.c.sealed.is_not(None).label("hashed"),
    snms_users.c.created_at,
)


async def create(
    work: Work,
    passwords: Passwords,
    snms_key: bytes | None,
    *,
    enterprise_id: uuid.UUID,
    name: str,
    password: str,
    hashed: bool,
) -> Record:
    """Make a user and return its row.

    For operators and the enterprise itself. hashed: it may also send its password hashed with the
    day, for which `snms_key` is needed. Raises InvalidValue with the field, HandleExists for a name
    that is taken, NotFound, and Conflict for an enterprise that is not active or has too many.
    """
    work.principal.require(OPERATOR, enterprise=enterprise_id, scope="enterprise:write")
    check_text(name, "name", maximum=MAX_NAME)
    if len(password) > MAX_PASSWORD:
        raise InvalidValue(
            f"the SNMS API has room for {MAX_PASSWORD} characters of a password", field="password"
        )
    if hashed and snms_key is None:
        raise Conflict("this node has no key for hashed passwords", field="hashed")
    await _check_room(work, enterprise_id)
    stored = await passwords.hash(password, name)
    sealed = secrets.seal(snms_key, name, password) if hashed and snms_key else None
    row: Record | None = (
        await work.connection.execute(
            insert(snms_users)
            .values(
                enterprise_id=enterprise_id,
                name=name,
                password=stored,
                sealed=sealed,
                created_at=work.now,
            )
            .on_conflict_do_nothing(index_elements=[snms_users.c.name])
            .returning(*_SHOWN)
        )
    ).one_or_none()
    if row is None:
        raise HandleExists(f"the name {name} is taken", field="name")
    await _audit(work, "create", enterprise_id, row)
    return row


async def page(
    work: Work, enterprise_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` users of an enterprise, by id. Raises NotFound."""
    work.principal.require(*STAFF, enterprise=enterprise_id, scope="enterprise:read")
    await _status(work, enterprise_id)
    query = (
        sa.select(*_SHOWN)
        .where(snms_users.c.enterprise_id == enterprise_id)
        .order_by(snms_users.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(snms_users.c.id > after)
    return (await work.connection.execute(query)).all()


async def delete(work: Work, enterprise_id: uuid.UUID, user_id: uuid.UUID) -> None:
    """Delete a user, whose tokens end with it. Raises NotFound."""
    work.principal.require(OPERATOR, enterprise=enterprise_id, scope="enterprise:write")
    row = (
        await work.connection.execute(
            snms_users.delete()
            .where(snms_users.c.id == user_id, snms_users.c.enterprise_id == enterprise_id)
            .returning(*_SHOWN)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"no user {user_id}")
    await _audit(work, "delete", enterprise_id, row)


async def _status(work: Work, enterprise_id: uuid.UUID) -> str:
    status: str | None = await work.connection.scalar(
        sa.select(enterprises.c.status).where(enterprises.c.id == enterprise_id)
    )
    if status is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    return status


async def _check_room(work: Work, enterprise_id: uuid.UUID) -> None:
    status = await _status(work, enterprise_id)
    if status != APPROVED:
        raise Conflict(f"the enterprise is {status}")
    count = await work.connection.scalar(
        sa.select(sa.func.count()).where(snms_users.c.enterprise_id == enterprise_id)
    )
    if (count or 0) >= MAX_USERS:
        raise Conflict(f"an enterprise has at most {MAX_USERS} users of the SNMS API")


async def _audit(work: Work, action: str, enterprise_id: uuid.UUID, row: Record) -> None:
    detail = {"name": row.name, "hashed": row.hashed, "enterprise_id": str(enterprise_id)}
    await work.audit(f"snms_user.{action}", str(row.id), detail)
