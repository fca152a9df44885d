"""Keys: bearer tokens of programs, of an enterprise or of an account of the node."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from protocol.errors import Conflict, InsufficientPermission, InvalidValue, NotFound
from registry.enterprises.status import APPROVED
from registry.principals import (
    ALL_SCOPES,
    KEY,
    OPERATOR,
    SCOPES,
    STAFF,
    digest,
    new_token,
)
from registry.schema import accounts, api_keys, enterprises
from registry.services import Record, Work, check_text

MAX_LABEL = 100
MAX_KEYS = 1000
"""Keys of one owner that are not revoked."""

MAX_GRACE_HOURS = 30 * 24

# What a key may show of itself: all but its hash.
_SHOWN = (
    api_keys.c.id,
    api_keys.c.label,
    api_keys.c.scopes,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.last_used_at,
    api_keys.c.revoked_at,
)


@dataclass(frozen=True)
class Owner:
    """Whose keys: an enterprise or an account; one of the two is None."""

    enterprise_id: uuid.UUID | None = None
    account_id: uuid.UUID | None = None

    @property
    def where(self) -> sa.ColumnElement[bool]:
        """The condition that a key is this owner's."""
        if self.enterprise_id is not None:
            return api_keys.c.enterprise_id == self.enterprise_id
        return api_keys.c.account_id == self.account_id

    @property
    def named(self) -> dict[str, str]:
        """How the audit log names it."""
        if self.enterprise_id is not None:
            return {"enterprise_id": str(self.enterprise_id)}
        return {"account_id": str(self.account_id)}


async def issue(
    work: Work,
    owner: Owner,
    *,
    label: str | None = None,
    scopes: Sequence[str] | None = None,
    expires_at: datetime.datetime | None = None,
) -> tuple[Record, str]:
    """Make a key; return its row and the token, which is shown this once.

    For operators, the enterprise itself and the account itself. scopes: those of SCOPES that it
    shall have; None for all that the caller has. Raises InvalidValue with the field, NotFound,
    Conflict for an owner that is closed or has too many, InsufficientPermission for a key that
    would give more than the caller has.
    """
    await _may_write(work, owner)
    if label is not None:
        check_text(label, "label", maximum=MAX_LABEL)
    _check_time(work, expires_at)
    wanted = _check_scopes(work, scopes)
    await _check_room(work, owner)
    return await _make(work, owner, "key.issue", label=label, scopes=wanted, expires_at=expires_at)


async def rotate(
    work: Work,
    owner: Owner,
    key_id: uuid.UUID,
    *,
    grace_hours: int,
    expires_at: datetime.datetime | None = None,
) -> tuple[Record, str]:
    """Make a key that takes the place of another; return its row and the token, shown this once.

    It has the label and the scopes of the old one, and, without `expires_at`, a life as long. The
    old one goes on for `grace_hours`. Raises NotFound, Conflict for a key that has ended, and what
    `issue` does.
    """
    await _may_write(work, owner)
    if not 0 <= grace_hours <= MAX_GRACE_HOURS:
        raise InvalidValue(f"not 0 to {MAX_GRACE_HOURS} hours", field="grace_hours")
    _check_time(work, expires_at)
    old = (
        await work.connection.execute(
            sa.select(api_keys).where(api_keys.c.id == key_id, owner.where).with_for_update()
        )
    ).one_or_none()
    if old is None:
        raise NotFound(f"no key {key_id}")
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= work.now):
        raise Conflict("the key has ended: issue another")
    _check_scopes(work, old.scopes or SCOPES)
    await _check_room(work, owner)
    if expires_at is None and old.expires_at is not None:
        expires_at = work.now + (old.expires_at - old.created_at)
    until = work.now + datetime.timedelta(hours=grace_hours)
    ended = until if old.expires_at is None else min(until, old.expires_at)
    await work.connection.execute(
        api_keys.update().where(api_keys.c.id == key_id).values(expires_at=ended)
    )
    return await _make(
        work,
        owner,
        "key.rotate",
        {"replaces": str(key_id), "until": ended.isoformat()},
        label=old.label,
        scopes=old.scopes,
        expires_at=expires_at,
    )


async def page(
    work: Work, owner: Owner, *, after: uuid.UUID | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` keys, by id, without secrets. Raises NotFound."""
    if owner.enterprise_id is not None:
        work.principal.require(*STAFF, enterprise=owner.enterprise_id, scope="enterprise:read")
    else:
        _require_account(work, owner, *STAFF)
    await _status(work, owner)
    query = sa.select(*_SHOWN).where(owner.where).order_by(api_keys.c.id).limit(limit)
    if after is not None:
        query = query.where(api_keys.c.id > after)
    return (await work.connection.execute(query)).all()


async def revoke(work: Work, owner: Owner, key_id: uuid.UUID) -> None:
    """End a key at once; to revoke it again changes nothing. Raises NotFound."""
    _require_writer(work, owner)
    one = sa.and_(api_keys.c.id == key_id, owner.where)
    revoked = await work.connection.execute(
        api_keys.update().where(one, api_keys.c.revoked_at.is_(None)).values(revoked_at=work.now)
    )
    if revoked.rowcount:
        await work.audit("key.revoke", str(key_id), owner.named)
    elif not (await work.connection.execute(sa.select(api_keys.c.id).where(one))).first():
        raise NotFound(f"no key {key_id}")


async def _may_write(work: Work, owner: Owner) -> None:
    _require_writer(work, owner)
    status = await _status(work, owner)
    if status != (APPROVED if owner.enterprise_id is not None else "active"):
        what = "enterprise" if owner.enterprise_id is not None else "account"
        raise Conflict(f"the {what} is {status}")


def _require_writer(work: Work, owner: Owner) -> None:
    if owner.enterprise_id is not None:
        work.principal.require(OPERATOR, enterprise=owner.enterprise_id, scope="enterprise:write")
    else:
        _require_account(work, owner, OPERATOR)


def _require_account(work: Work, owner: Owner, *roles: str) -> None:
    """Let pass the account itself; a key that is not its own may be known to fewer people."""
    if work.principal.id != owner.account_id:
        work.principal.require(*roles)


async def _status(work: Work, owner: Owner) -> str:
    if owner.enterprise_id is not None:
        query = sa.select(enterprises.c.status).where(enterprises.c.id == owner.enterprise_id)
        unknown = f"no enterprise {owner.enterprise_id}"
    else:
        query = sa.select(accounts.c.status).where(
            accounts.c.id == owner.account_id, accounts.c.role.in_(STAFF)
        )
        unknown = f"no account {owner.account_id} of the node"
    status: str | None = await work.connection.scalar(query)
    if status is None or status == "deleted":
        raise NotFound(unknown)
    return status


def _check_time(work: Work, expires_at: datetime.datetime | None) -> None:
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= work.now):
        raise InvalidValue("not a time to come, with its offset from UTC", field="expires_at")


def _check_scopes(work: Work, scopes: Sequence[str] | None) -> list[str] | None:
    """Return what to store: None where it is everything."""
    wanted = work.principal.scopes if scopes is None else frozenset(scopes)
    unknown = wanted - ALL_SCOPES
    if unknown or not wanted:
        raise InvalidValue(f"not one or more of {', '.join(SCOPES)}", field="scopes")
    if not wanted <= work.principal.scopes:
        raise InsufficientPermission("a key cannot give scopes that it does not have itself")
    return None if wanted == ALL_SCOPES else [scope for scope in SCOPES if scope in wanted]


async def _check_room(work: Work, owner: Owner) -> None:
    alive = sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > work.now)
    count = await work.connection.scalar(
        sa.select(sa.func.count()).where(owner.where, api_keys.c.revoked_at.is_(None), alive)
    )
    if (count or 0) >= MAX_KEYS:
        raise Conflict(f"there are {MAX_KEYS} keys already: revoke some first")


async def _make(
    work: Work,
    owner: Owner,
    action: str,
    detail: dict[str, str] | None = None,
    *,
    label: str | None,
    scopes: Sequence[str] | None,
    expires_at: datetime.datetime | None,
) -> tuple[Record, str]:
    token = new_token(KEY if owner.enterprise_id is not None else OPERATOR)
    key, whole = digest(token)
    row: Record = (
        await work.connection.execute(
            api_keys.insert()
            .values(
                enterprise_id=owner.enterprise_id,
                account_id=owner.account_id,
                label=label,
                scopes=scopes,
                token_key=key,
                token_hash=whole,
                created_at=work.now,
                expires_at=expires_at,
            )
            .returning(*_SHOWN)
        )
    ).one()
    logged = {**owner.named, "label": label, "scopes": scopes, **(detail or {})}
    await work.audit(action, str(row.id), logged)
    return row, token
