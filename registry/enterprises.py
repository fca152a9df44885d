"""Enterprises and their keys."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from protocol.errors import HandleExists, InvalidValue, NotFound
from registry import principals
from registry.credit_code import check_credit_code
from registry.principals import ENTERPRISE, OPERATOR, REVIEWER
from registry.schema import api_keys, enterprises
from registry.services import Record, Work, check_text

_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{4,30}[0-9]")
_EMAIL = re.compile(r"[^\s@\x00-\x20]{1,64}@[^\s@.\x00-\x20]+(?:\.[^\s@.\x00-\x20]+)+")

# What a key may show of itself: all but its hash.
_KEY_COLUMNS = (
    api_keys.c.id,
    api_keys.c.label,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.last_used_at,
    api_keys.c.revoked_at,
)


async def create(
    work: Work, *, name: str, credit_code: str, industry: str, contact: Mapping[str, str]
) -> Record:
    """Register an enterprise and return its row. For operators.

    contact: name, phone and email. Raises InvalidValue with the field, and HandleExists for a
    credit code that is registered.
    """
    work.principal.require(OPERATOR)
    check_text(name, "name", maximum=200)
    check_credit_code(credit_code)
    check_text(industry, "industry", maximum=100)
    _check_contact(contact)
    row: Record | None = (
        await work.connection.execute(
            insert(enterprises)
            .values(name=name, credit_code=credit_code, industry=industry, contact=dict(contact))
            .on_conflict_do_nothing(index_elements=[enterprises.c.credit_code])
            .returning(enterprises)
        )
    ).one_or_none()
    if row is None:
        raise HandleExists("an enterprise has this credit code already", field="credit_code")
    await work.audit("enterprise.create", str(row.id), {"credit_code": credit_code})
    return row


def _check_contact(contact: Mapping[str, str]) -> None:
    check_text(contact["name"], "contact.name", maximum=100)
    if not _PHONE.fullmatch(contact["phone"]):
        raise InvalidValue("not a telephone number such as +86 592 5550100", field="contact.phone")
    email = contact["email"]
    if len(email) > 254 or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise InvalidValue("not an e-mail address", field="contact.email")


async def get(work: Work, enterprise_id: uuid.UUID) -> Record:
    """Return one enterprise; an enterprise sees itself alone. Raises NotFound."""
    work.principal.require(OPERATOR, REVIEWER, enterprise=enterprise_id)
    query = sa.select(enterprises).where(enterprises.c.id == enterprise_id)
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    return row


async def page(work: Work, *, after: uuid.UUID | None, limit: int) -> Sequence[Record]:
    """Return at most `limit` enterprises that the caller may see, by id, those after `after`."""
    query = sa.select(enterprises).order_by(enterprises.c.id).limit(limit)
    if work.principal.kind == ENTERPRISE:
        query = query.where(enterprises.c.id == work.principal.enterprise_id)
    if after is not None:
        query = query.where(enterprises.c.id > after)
    return (await work.connection.execute(query)).all()


async def issue_key(
    work: Work, enterprise_id: uuid.UUID, *, label: str | None, expires_at: datetime.datetime | None
) -> tuple[Record, str]:
    """Make a key; return its row and the token. For operators and the enterprise itself."""
    work.principal.require(OPERATOR, enterprise=enterprise_id)
    if label is not None:
        check_text(label, "label", maximum=100)
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= work.now):
        raise InvalidValue("not a time to come, with its offset from UTC", field="expires_at")
    key_id, token = await principals.issue_key(
        work.connection,
        enterprise_id,
        label,
        expires_at,
        principal=work.principal,
        request_id=work.request_id,
    )
    query = sa.select(*_KEY_COLUMNS).where(api_keys.c.id == key_id)
    return (await work.connection.execute(query)).one(), token


async def page_keys(
    work: Work, enterprise_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` keys of an enterprise, by id, without secrets. Raises NotFound."""
    await get(work, enterprise_id)
    query = (
        sa.select(*_KEY_COLUMNS)
        .where(api_keys.c.enterprise_id == enterprise_id)
        .order_by(api_keys.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(api_keys.c.id > after)
    return (await work.connection.execute(query)).all()


async def revoke_key(work: Work, enterprise_id: uuid.UUID, key_id: uuid.UUID) -> None:
    """End a key at once; to revoke it again changes nothing. Raises NotFound."""
    work.principal.require(OPERATOR, enterprise=enterprise_id)
    one = sa.and_(api_keys.c.id == key_id, api_keys.c.enterprise_id == enterprise_id)
    revoked = await work.connection.execute(
        api_keys.update().where(one, api_keys.c.revoked_at.is_(None)).values(revoked_at=work.now)
    )
    if revoked.rowcount:
        await work.audit("key.revoke", str(key_id), {"enterprise_id": str(enterprise_id)})
    elif not (await work.connection.execute(sa.select(api_keys.c.id).where(one))).first():
        raise NotFound(f"no key {key_id}")
