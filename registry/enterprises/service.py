"""What is filed of an enterprise: read, listed, registered by operators, corrected."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import Conflict, HandleExists, InvalidValue, NotFound
from registry import tenancy
from registry.credit_code import check_credit_code
from registry.enterprises import steps
from registry.enterprises.codes import check_industry, check_region, region_prefix
from registry.enterprises.status import APPROVED, CLOSED, CORRECTABLE, STATES
from registry.principals import ADMINISTRATOR, OPERATOR, STAFF
from registry.reading import listed
from registry.schema import enterprises
from registry.services import Record, Work, check_text

_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{4,30}[0-9]")
_EMAIL = re.compile(r"[^\s@\x00-\x20]{1,64}@[^\s@.\x00-\x20]+(?:\.[^\s@.\x00-\x20]+)+")

MIN_WORD, MAX_WORD = 2, 100
"""Characters of what a list is searched for."""


@dataclass(frozen=True)
class Facts:
    """What is filed of an enterprise.

    name: as it is registered. credit_code: unified social credit code. industry: code of
    GB/T 4754-2017. region: code of GB/T 2260. contact: name, phone and email.
    """

    name: str
    credit_code: str
    industry: str
    region: str | None
    contact: Mapping[str, str]

    def checked(self) -> dict[str, Any]:
        """Return the columns to write. Raises InvalidValue with the field."""
        check_text(self.name, "name", maximum=200)
        check_credit_code(self.credit_code)
        _check_contact(self.contact)
        return {
            "name": self.name,
            "credit_code": self.credit_code,
            "industry": check_industry(self.industry),
            "region": None if self.region is None else check_region(self.region),
            "contact": dict(self.contact),
        }


def _check_contact(contact: Mapping[str, str]) -> None:
    check_text(contact["name"], "contact.name", maximum=100)
    if not _PHONE.fullmatch(contact["phone"]):
        raise InvalidValue("not a telephone number such as +86 592 5550100", field="contact.phone")
    email = contact["email"]
    if len(email) > 254 or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise InvalidValue("not an e-mail address", field="contact.email")


async def add(connection: AsyncConnection, columns: Mapping[str, Any], status: str) -> Record:
    """Write the row of a new enterprise. Raises HandleExists for a credit code that is there."""
    row: Record | None = (
        await connection.execute(
            insert(enterprises)
            .values(**columns, status=status)
            .on_conflict_do_nothing(
                index_elements=[enterprises.c.credit_code],
                index_where=sa.text("status <> 'closed'"),
            )
            .returning(enterprises)
        )
    ).one_or_none()
    if row is None:
        raise _taken()
    return row


def _taken() -> HandleExists:
    return HandleExists("an enterprise has this credit code already", field="credit_code")


async def create(work: Work, facts: Facts) -> Record:
    """Register an enterprise and return its row, approved at once. For operators.

    Raises InvalidValue with the field, and HandleExists for a credit code that is registered.
    """
    work.principal.require(OPERATOR)
    row = await add(work.connection, facts.checked(), APPROVED)
    await steps.note(work, row.id, steps.FILE, None, APPROVED, None)
    await work.audit("enterprise.create", str(row.id), {"credit_code": row.credit_code})
    return row


async def change(work: Work, enterprise_id: uuid.UUID, facts: Facts) -> Record:
    """Correct what is filed of an enterprise and return its row.

    For operators; for an administrator of the enterprise while it is filed or rejected, and the
    contact while it is approved. Raises InvalidValue with the field, NotFound, HandleExists, and
    Conflict where the state does not allow it.
    """
    own = work.principal.role == ADMINISTRATOR
    work.principal.require(OPERATOR, enterprise=enterprise_id if own else None)
    new = facts.checked()
    before = await _locked(work, enterprise_id)
    changed = sorted(name for name, value in new.items() if before._mapping[name] != value)
    if before.status == CLOSED:
        raise Conflict("the enterprise is closed")
    if own and before.status not in CORRECTABLE:
        _check_contact_alone(before.status, changed)
    # What an enterprise files is its own; its state is not, so its role may not write the row.
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        row = await _write(work, enterprise_id, new)
    await work.audit("enterprise.change", str(enterprise_id), {"changed": changed})
    return row


def _check_contact_alone(status: str, changed: Sequence[str]) -> None:
    if status != APPROVED:
        raise Conflict(f"the enterprise is {status}: what it has filed cannot be changed now")
    for name in changed:
        if name != "contact":
            raise Conflict(
                "of an approved enterprise it changes the contact alone: turn to the operator",
                field=name,
            )


async def _write(work: Work, enterprise_id: uuid.UUID, columns: Mapping[str, Any]) -> Record:
    statement = (
        enterprises.update()
        .where(enterprises.c.id == enterprise_id)
        .values(**columns, updated_at=work.now)
        .returning(enterprises)
    )
    try:
        async with work.connection.begin_nested():
            row: Record = (await work.connection.execute(statement)).one()
    except sa.exc.IntegrityError:
        raise _taken() from None
    return row


async def _locked(work: Work, enterprise_id: uuid.UUID) -> Record:
    query = sa.select(enterprises).where(enterprises.c.id == enterprise_id)
    row: Record | None = (await work.connection.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    return row


async def get(work: Work, enterprise_id: uuid.UUID) -> Record:
    """Return one enterprise; an enterprise sees itself alone. Raises NotFound."""
    work.principal.require(*STAFF, enterprise=enterprise_id, scope="enterprise:read")
    query = sa.select(enterprises).where(enterprises.c.id == enterprise_id)
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    return row


@dataclass(frozen=True)
class Wanted:
    """Which enterprises a list shows: those that all of these hold for.

    word: in the name, or at the beginning of the credit code. industry, region: what is in them
    too.
    """

    status: str | None = None
    word: str | None = None
    industry: str | None = None
    region: str | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return them in SQL. Raises InvalidValue with the parameter."""
        found: list[sa.ColumnElement[bool]] = []
        if self.status is not None:
            if self.status not in STATES:
                raise InvalidValue(f"must be one of {listed(STATES)}", field="status", rule="enum")
            found.append(enterprises.c.status == self.status)
        if self.word is not None:
            found.append(_matching(self.word))
        if self.industry is not None:
            code = check_industry(self.industry)
            found.append(enterprises.c.industry.startswith(code))
        if self.region is not None:
            code = region_prefix(check_region(self.region))
            found.append(enterprises.c.region.startswith(code))
        return found


def _matching(word: str) -> sa.ColumnElement[bool]:
    if not MIN_WORD <= len(word) <= MAX_WORD or "\0" in word:
        raise InvalidValue(f"not {MIN_WORD} to {MAX_WORD} characters", field="q")
    # The index knows pairs of characters; what has them all is looked at.
    named = sa.and_(
        sa.func.name_pairs(enterprises.c.name).op("@>")(sa.func.name_pairs(word)),
        sa.func.strpos(sa.func.lower(enterprises.c.name), sa.func.lower(word)) > 0,
    )
    if not (word.isascii() and word.isalnum()):
        return named
    return sa.or_(named, enterprises.c.credit_code.startswith(word.upper()))


async def page(
    work: Work, wanted: Wanted, *, after: uuid.UUID | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` enterprises that the caller may see, by id, those after `after`."""
    own = work.principal.enterprise_id
    work.principal.require(*STAFF, enterprise=own, scope="enterprise:read")
    query = sa.select(enterprises).where(*wanted.conditions())
    query = query.order_by(enterprises.c.id).limit(limit)
    if own is not None:
        query = query.where(enterprises.c.id == own)
    if after is not None:
        query = query.where(enterprises.c.id > after)
    return (await work.connection.execute(query)).all()
