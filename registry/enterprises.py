"""Enterprises."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from protocol.errors import HandleExists, InvalidValue, NotFound
from registry.credit_code import check_credit_code
from registry.principals import OPERATOR, STAFF
from registry.schema import enterprises
from registry.services import Record, Work, check_text

_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{4,30}[0-9]")
_EMAIL = re.compile(r"[^\s@\x00-\x20]{1,64}@[^\s@.\x00-\x20]+(?:\.[^\s@.\x00-\x20]+)+")


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
    work.principal.require(*STAFF, enterprise=enterprise_id, scope="enterprise:read")
    query = sa.select(enterprises).where(enterprises.c.id == enterprise_id)
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    return row


async def page(work: Work, *, after: uuid.UUID | None, limit: int) -> Sequence[Record]:
    """Return at most `limit` enterprises that the caller may see, by id, those after `after`."""
    own = work.principal.enterprise_id
    work.principal.require(*STAFF, enterprise=own, scope="enterprise:read")
    query = sa.select(enterprises).order_by(enterprises.c.id).limit(limit)
    if own is not None:
        query = query.where(enterprises.c.id == own)
    if after is not None:
        query = query.where(enterprises.c.id > after)
    return (await work.connection.execute(query)).all()
