"""The operator's view of the outbox: what waits and why, and what to do about it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from protocol.errors import NotFound
from registry.outbox import CHANNEL
from registry.principals import OPERATOR, STAFF
from registry.schema import outbox
from registry.services import Record, Work, check_text

MAX_REASON = 1000
"""Characters."""

_earlier = outbox.alias("earlier")

_BEHIND = (
    sa.select(_earlier.c.message_id)
    .where(
        _earlier.c.subject == outbox.c.subject,
        _earlier.c.id < outbox.c.id,
        _earlier.c.delivered_at.is_(None),
    )
    .order_by(_earlier.c.id)
    .limit(1)
    .scalar_subquery()
    .label("behind")
)

_SHOWN = (
    outbox.c.id.label("number"),
    outbox.c.message_id.label("id"),
    *(
        outbox.c[name]
        for name in ("subject", "kind", "created_at", "attempts", "next_attempt_at", "last_error")
    ),
    _BEHIND,
)

_WAITING = outbox.c.delivered_at.is_(None)


async def waiting(
    work: Work, *, after: int, limit: int, subject: str | None, kind: str | None
) -> Sequence[Record]:
    """Return at most `limit` messages that wait, in the order in which they were written.

    after: `number` of the last one seen. `behind` is the message of the same subject that must be
    delivered before; None where nothing is in the way. For staff.
    """
    work.principal.require(*STAFF)
    query = sa.select(*_SHOWN).where(_WAITING, outbox.c.id > after)
    if subject is not None:
        query = query.where(outbox.c.subject == subject)
    if kind is not None:
        query = query.where(outbox.c.kind == kind)
    return (await work.connection.execute(query.order_by(outbox.c.id).limit(limit))).all()


async def retry(work: Work, message_id: uuid.UUID) -> Record:
    """Let a message be sent at once and return it; one that is behind another still waits for it.

    For operators. Raises NotFound for one that does not wait.
    """
    work.principal.require(OPERATOR)
    if not await _hasten(work, outbox.c.message_id == message_id):
        raise NotFound(f"no message {message_id} waits", field="id")
    row: Record = (
        await work.connection.execute(sa.select(*_SHOWN).where(outbox.c.message_id == message_id))
    ).one()
    await work.audit("outbox.retry", str(message_id), {"subject": row.subject, "kind": row.kind})
    return row


async def retry_all(work: Work) -> int:
    """Let all that waits be sent at once; return how many were put off. For operators."""
    work.principal.require(OPERATOR)
    count = await _hasten(work, outbox.c.next_attempt_at > sa.func.now())
    await work.audit("outbox.retry", "all", {"messages": count})
    return count


async def drop(work: Work, message_id: uuid.UUID, reason: str) -> None:
    """Give up a message, so that those of its subject behind it go on. For operators.

    The line in the audit log has the whole message. One that is on its way at the moment may still
    arrive. Raises InvalidValue, and NotFound for one that does not wait.
    """
    work.principal.require(OPERATOR)
    check_text(reason, "reason", maximum=MAX_REASON)
    gone: Any = (
        await work.connection.execute(
            outbox.delete()
            .where(_WAITING, outbox.c.message_id == message_id)
            .returning(outbox.c.subject, outbox.c.kind, outbox.c.payload, outbox.c.attempts)
        )
    ).one_or_none()
    if gone is None:
        raise NotFound(f"no message {message_id} waits", field="id")
    await work.audit("outbox.drop", str(message_id), {**gone._mapping, "reason": reason})
    await work.connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


async def _hasten(work: Work, which: sa.ColumnElement[bool]) -> int:
    result = await work.connection.execute(
        outbox.update().where(_WAITING, which).values(next_attempt_at=sa.func.now())
    )
    await work.connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))
    return int(result.rowcount)
