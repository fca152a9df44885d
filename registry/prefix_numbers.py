"""The numbers that prefixes are made of: which is free, which are kept, and how many one may have.

A number that was given out is never given out again, whatever became of its prefix: labels with it
may be in the world. Operators keep ranges of numbers back; they alone give those out, by name.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import sqlalchemy as sa

from protocol.errors import Conflict, InvalidValue, NotFound
from registry.principals import OPERATOR, STAFF
from registry.schema import enterprises, prefixes, reserved_numbers
from registry.services import Record, Work, check_text

MAX_NUMBER = 999_999_999
MAX_REASON = 1000
MAX_QUOTA = 100_000
MAX_RESERVATIONS = 10_000

_LOCK = "idnode prefix numbers"
_COUNTED = ("pending", "active", "suspended")


async def lock(work: Work) -> None:
    """Let nobody else give out or reserve a number before the transaction ends."""
    held = sa.func.pg_advisory_xact_lock(sa.func.hashtext(_LOCK))
    await work.connection.execute(sa.select(held))


async def next_free(work: Work) -> str:
    """Return the prefix with the lowest number that was never given out and is not reserved."""
    head = work.node_prefix + "."
    child = sa.func.split_part(prefixes.c.prefix, ".", work.node_prefix.count(".") + 2)
    number = sa.cast(child, sa.BigInteger)
    taken = (
        sa.select(number.label("number"))
        # "/" follows "." in ASCII: the range of all that starts with `head`, by the index.
        .where(prefixes.c.prefix >= head, prefixes.c.prefix < work.node_prefix + "/")
        .cte("taken")
    )
    # The lowest is 1, or comes right after what is taken or reserved.
    candidate = sa.union_all(
        sa.select(sa.literal(1, sa.BigInteger).label("number")),
        sa.select(taken.c.number + 1),
        sa.select(reserved_numbers.c.last + 1),
    ).subquery("candidate")
    free = sa.select(sa.func.min(candidate.c.number)).where(
        candidate.c.number.not_in(sa.select(taken.c.number)),
        ~_reserving(candidate.c.number),
    )
    found = await work.connection.scalar(free)
    if found is None or found > MAX_NUMBER:
        raise Conflict("there is no number left that is free and not reserved")
    return f"{head}{found}"


def _reserving(number: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return sa.exists().where(reserved_numbers.c.first <= number, reserved_numbers.c.last >= number)


async def check_wish(work: Work, prefix: str) -> None:
    """Let pass the wish for a number: a reserved one is an operator's to give out.

    Raises Conflict.
    """
    if work.principal.role == OPERATOR:
        return
    number = int(prefix.rpartition(".")[2])
    if await work.connection.scalar(sa.select(_reserving(sa.literal(number, sa.BigInteger)))):
        raise Conflict(f"the number {number} is reserved: turn to the operator", field="prefix")


async def check_quota(work: Work, enterprise_id: uuid.UUID, default: int) -> None:
    """Let pass one more prefix of an enterprise. Call it under `lock`.

    default: for enterprises without a quota of their own. Raises Conflict.
    """
    own = sa.select(enterprises.c.prefix_quota).where(enterprises.c.id == enterprise_id)
    counted = sa.select(sa.func.count()).where(
        prefixes.c.enterprise_id == enterprise_id, prefixes.c.status.in_(_COUNTED)
    )
    quota = await work.connection.scalar(own)
    most = default if quota is None else quota
    if (await work.connection.scalar(counted) or 0) >= most:
        raise Conflict(f"the enterprise has its quota of {most} prefixes", field="enterprise_id")


async def set_quota(work: Work, enterprise_id: uuid.UUID, quota: int | None) -> Record:
    """Say how many prefixes an enterprise may have; None: as many as the setting says.

    For operators. What it has beyond stays. Returns the row of the enterprise. Raises NotFound and
    InvalidValue.
    """
    work.principal.require(OPERATOR)
    if quota is not None and not 0 <= quota <= MAX_QUOTA:
        raise InvalidValue(f"not 0 to {MAX_QUOTA} prefixes", field="quota")
    row: Record | None = (
        await work.connection.execute(
            enterprises.update()
            .where(enterprises.c.id == enterprise_id)
            .values(prefix_quota=quota, updated_at=work.now)
            .returning(enterprises)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    await work.audit("enterprise.quota", str(enterprise_id), {"quota": quota})
    return row


async def reserve(work: Work, first: int, last: int, reason: str) -> Record:
    """Keep the numbers from `first` to `last` back and return the row. For operators.

    Those of them that are given out stay so. Raises InvalidValue, and Conflict where some of them
    are reserved already.
    """
    work.principal.require(OPERATOR)
    if not 0 <= first <= MAX_NUMBER:
        raise InvalidValue(f"not 0 to {MAX_NUMBER}", field="first")
    if not first <= last <= MAX_NUMBER:
        raise InvalidValue(f"not {first} to {MAX_NUMBER}", field="last")
    check_text(reason, "reason", maximum=MAX_REASON)
    await lock(work)
    known = reserved_numbers.c
    over = sa.exists().where(known.first <= last, known.last >= first)
    if await work.connection.scalar(sa.select(over)):
        raise Conflict("some of these numbers are reserved already", field="first")
    count = sa.select(sa.func.count()).select_from(reserved_numbers)
    if (await work.connection.scalar(count) or 0) >= MAX_RESERVATIONS:
        raise Conflict(f"there are {MAX_RESERVATIONS} reservations already: delete some first")
    row: Record = (
        await work.connection.execute(
            reserved_numbers.insert()
            .values(
                first=first,
                last=last,
                reason=reason,
                actor=work.principal.actor,
                created_at=work.now,
            )
            .returning(reserved_numbers)
        )
    ).one()
    await work.audit("numbers.reserve", f"{first}-{last}", {"reason": reason})
    return row


async def release(work: Work, first: int) -> None:
    """End the reservation that begins with `first`. For operators. Raises NotFound."""
    work.principal.require(OPERATOR)
    await lock(work)
    ended = await work.connection.execute(
        reserved_numbers.delete()
        .where(reserved_numbers.c.first == first)
        .returning(reserved_numbers.c.last)
    )
    last = ended.scalar_one_or_none()
    if last is None:
        raise NotFound(f"no reservation begins with {first}")
    await work.audit("numbers.release", f"{first}-{last}")


async def reserved(work: Work, *, after: int, limit: int) -> Sequence[Record]:
    """Return at most `limit` reservations, those that begin after `after`. For staff."""
    work.principal.require(*STAFF)
    query = sa.select(reserved_numbers).where(reserved_numbers.c.first > after)
    query = query.order_by(reserved_numbers.c.first).limit(limit)
    return (await work.connection.execute(query)).all()
