"""Prefixes go from one enterprise to another: an operator says so, or both of them do.

From the moment on everything under the prefix is the new holder's. Keys and accounts of the old one
stop opening it at once, since who owns a prefix is asked with each write; what its prefix handle
says of administrators and their keys is made anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from protocol.errors import Conflict, InvalidValue, NotFound
from registry import outbox, prefix_handles, prefix_numbers, prefix_steps, tenancy
from registry.prefixes import ACTIVE, MAX_REASON, SUSPENDED, check_enterprise, hold_alone
from registry.principals import ADMINISTRATOR, OPERATOR, STAFF
from registry.schema import prefix_transfers as transfers
from registry.schema import prefixes
from registry.services import Record, Work, check_text

OFFERED, DONE, ENDED = "offered", "done", "ended"
STATES = (OFFERED, DONE, ENDED)


@dataclass(frozen=True)
class Wish:
    """To whom a prefix shall go, and why."""

    to_enterprise: uuid.UUID
    reason: str


async def transfer(work: Work, prefix: str, wish: Wish, quota: int) -> Record:
    """Give a prefix to another enterprise, or, as the holder, offer it; return the transfer.

    For operators, and for an administrator of the holder, whose offer the other one accepts. quota:
    as in `prefixes.apply`. Raises NotFound, InvalidValue with the field, and Conflict for a prefix
    that is not given out, is offered already, or for an enterprise that cannot have it.
    """
    check_text(wish.reason, "reason", maximum=MAX_REASON)
    row = await _hold(work, prefix)
    own = work.principal.role == ADMINISTRATOR
    work.principal.require(OPERATOR, enterprise=row.enterprise_id if own else None)
    _check_given_out(row)
    if wish.to_enterprise == row.enterprise_id:
        raise InvalidValue("the enterprise has this prefix already", field="enterprise_id")
    offered = await _open(work, prefix)
    if own:
        # An enterprise cannot see the other one; whether it may have the prefix is asked later.
        work.principal.require(enterprise=row.enterprise_id, scope="enterprise:write")
        if offered is not None:
            raise Conflict(f"prefix {prefix} is offered already: withdraw that first")
        async with tenancy.lifted(work.connection, work.principal.enterprise_id):
            await check_enterprise(work, wish.to_enterprise)
        made = await _note(work, row, wish, OFFERED)
        await _audit(work, "prefix.offer", made)
        return made
    if offered is not None:
        await _end(work, offered, ENDED)
    await _move(work, row, wish, quota)
    made = await _note(work, row, wish, DONE)
    await _audit(work, "prefix.transfer", made)
    return made


async def accept(work: Work, prefix: str, quota: int) -> Record:
    """Take a prefix that is offered, and return the transfer. For an administrator of who gets it.

    Raises NotFound where nothing is offered to it, and Conflict as `transfer` does.
    """
    work.principal.require(ADMINISTRATOR, scope="enterprise:write")
    me = work.principal.enterprise_id
    if me is None:
        raise _nothing(prefix)
    async with tenancy.lifted(work.connection, me):
        row = await _hold(work, prefix, of=me)
        offered = await _offered_to(work, prefix, me)
        _check_given_out(row)
        if row.enterprise_id != offered.from_enterprise:
            raise Conflict(f"prefix {prefix} is not with who offered it any more")
        done = await _end(work, offered, DONE)
        await _move(work, row, Wish(offered.to_enterprise, offered.reason), quota)
    await _audit(work, "prefix.transfer", done)
    return done


async def end_offer(work: Work, prefix: str) -> None:
    """Withdraw an offer, or decline it. For operators and administrators of both enterprises.

    Raises NotFound.
    """
    query = sa.select(transfers).where(transfers.c.prefix == prefix, transfers.c.state == OFFERED)
    offered = (await work.connection.execute(query.with_for_update())).one_or_none()
    me = work.principal.enterprise_id
    if work.principal.role == ADMINISTRATOR:
        work.principal.require(enterprise=me, scope="enterprise:write")
        if offered is None or me not in (offered.from_enterprise, offered.to_enterprise):
            raise _nothing(prefix)
    else:
        work.principal.require(OPERATOR)
    if offered is None:
        raise _nothing(prefix)
    async with tenancy.lifted(work.connection, me):
        ended = await _end(work, offered, ENDED)
    await _audit(work, "prefix.end_offer", ended)


async def page(
    work: Work, *, prefix: str | None, state: str | None, after: tuple[str, int], limit: int
) -> Sequence[Record]:
    """Return at most `limit` transfers that the caller may see, by prefix and number.

    An enterprise sees those from and to itself. after: the prefix and the number of the last one.
    """
    me = work.principal.enterprise_id
    work.principal.require(*STAFF, enterprise=me, scope="enterprise:read")
    place = sa.tuple_(transfers.c.prefix, transfers.c.number)
    query = sa.select(transfers).where(place > sa.tuple_(*map(sa.literal, after)))
    if me is not None:
        query = query.where(
            sa.or_(transfers.c.from_enterprise == me, transfers.c.to_enterprise == me)
        )
    if prefix is not None:
        query = query.where(transfers.c.prefix == prefix)
    if state is not None:
        query = query.where(transfers.c.state == state)
    query = query.order_by(transfers.c.prefix, transfers.c.number).limit(limit)
    return (await work.connection.execute(query)).all()


async def _hold(work: Work, prefix: str, *, of: uuid.UUID | None = None) -> Record:
    """Lock a prefix against all who write under it; of: who is offered it."""
    if of is not None:
        await _offered_to(work, prefix, of)  # nobody else learns whether there is such a prefix
    await hold_alone(work.connection, prefix)
    query = sa.select(prefixes).where(prefixes.c.prefix == prefix).with_for_update()
    row: Record | None = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no prefix {prefix}")
    return row


def _check_given_out(row: Record) -> None:
    if row.status not in (ACTIVE, SUSPENDED):
        raise Conflict(f"prefix {row.prefix} is {row.status}")


async def _open(work: Work, prefix: str) -> Record | None:
    query = sa.select(transfers).where(transfers.c.prefix == prefix, transfers.c.state == OFFERED)
    row: Record | None = (await work.connection.execute(query)).one_or_none()
    return row


async def _offered_to(work: Work, prefix: str, enterprise: uuid.UUID) -> Record:
    row = await _open(work, prefix)
    if row is None or row.to_enterprise != enterprise:
        raise _nothing(prefix)
    return row


def _nothing(prefix: str) -> NotFound:
    return NotFound(f"nobody offers prefix {prefix}")


async def _note(work: Work, row: Record, wish: Wish, state: str) -> Record:
    last = sa.select(sa.func.coalesce(sa.func.max(transfers.c.number), 0) + 1).where(
        transfers.c.prefix == row.prefix
    )
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        made: Record = (
            await work.connection.execute(
                transfers.insert()
                .values(
                    prefix=row.prefix,
                    number=last.scalar_subquery(),
                    from_enterprise=row.enterprise_id,
                    to_enterprise=wish.to_enterprise,
                    state=state,
                    reason=wish.reason,
                    begun_by=work.principal.actor,
                    begun_at=work.now,
                    ended_by=None if state == OFFERED else work.principal.actor,
                    ended_at=None if state == OFFERED else work.now,
                )
                .returning(transfers)
            )
        ).one()
    return made


async def _end(work: Work, offered: Record, state: str) -> Record:
    """End an offer that is still open. Raises NotFound."""
    row: Record | None = (
        await work.connection.execute(
            transfers.update()
            .where(
                transfers.c.prefix == offered.prefix,
                transfers.c.number == offered.number,
                transfers.c.state == OFFERED,
            )
            .values(state=state, ended_by=work.principal.actor, ended_at=work.now)
            .returning(transfers)
        )
    ).one_or_none()
    if row is None:
        raise _nothing(offered.prefix)
    return row


async def _move(work: Work, row: Record, wish: Wish, quota: int) -> None:
    """Make an enterprise the holder of a prefix that is locked."""
    await check_enterprise(work, wish.to_enterprise)
    await prefix_numbers.lock(work)
    await prefix_numbers.check_quota(work, wish.to_enterprise, quota)
    await work.connection.execute(
        prefixes.update()
        .where(prefixes.c.prefix == row.prefix)
        .values(enterprise_id=wish.to_enterprise, updated_at=work.now)
    )
    step = prefix_steps.Step(prefix_steps.TRANSFER, row.status, row.status, wish.reason)
    await prefix_steps.note(work, row.prefix, step)
    await prefix_handles.renew(work, row.prefix)
    await outbox.enqueue_prefix(work.connection, row.prefix)
    work.changes(row.prefix, None)


async def _audit(work: Work, action: str, row: Record) -> None:
    detail = {
        "from": str(row.from_enterprise),
        "to": str(row.to_enterprise),
        "reason": row.reason,
    }
    await work.audit(action, row.prefix, detail)
