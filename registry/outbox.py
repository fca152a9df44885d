"""What the top-level node must learn, kept until it has said that it has it.

A message is written in the transaction that makes it true, so that none is lost and none tells
of what was rolled back. `resolver/federation/uplink.py` sends them. The messages of one subject
are sent in the order in which their transactions committed; subjects do not wait for each other.

Times are those of the database's clock: the process that sends may move between machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.database import Database
from registry.metrics import Row
from registry.schema import enterprises, outbox, prefixes

log = structlog.get_logger("idnode.outbox")

CHANNEL = "idnode_outbox"
"""Channel of NOTIFY that wakes the sender."""

PREFIX = "prefix"
"""Kind of the messages whose payload is a PrefixFiling."""

FIRST_DELAY = 1.0
"""Seconds before the second attempt, at most."""

LONGEST_DELAY = 60.0
"""Seconds between two attempts, at most."""

SHOWN_SECONDS = 5.0
"""How often the metrics learn how many messages wait."""

MANY = 10_000
"""Messages that wait, of which an operator is warned. None is refused for it: filings are never
given up by themselves, and reports of figures are as many as there are hours and days."""

_LONGEST_ERROR = 500
_LOCK = "idnode outbox"

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class FiledEnterprise(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The enterprise that holds a prefix, as the top-level node files it."""

    name: _Name
    credit_code: _Name
    industry: _Name


class PrefixFiling(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Payload of a message of kind "prefix": the whole state of one prefix after a change.

    A later filing replaces an earlier one. `site` is the HS_SITE in Handle JSON of a delegated
    prefix, or `service` the handle that has it; None for a hosted one. A prefix that was never
    approved is not filed.
    """

    prefix: _Name
    status: Literal["active", "suspended", "revoked"]
    enterprise: FiledEnterprise
    hosting: Literal["hosted", "delegated"]
    site: dict[str, Any] | None
    service: str | None = None


@dataclass(frozen=True)
class Message:
    """One message that waits. `attempts` were made before and have failed."""

    id: int
    message_id: uuid.UUID
    subject: str
    kind: str
    payload: Mapping[str, Any]
    attempts: int


@dataclass(frozen=True)
class Waiting:
    """How far behind the top-level node is.

    depth: messages that wait. failing: how many of them were tried in vain (see `last_error`).
    oldest_age: seconds since the oldest was written; 0 where none waits.
    """

    depth: int
    failing: int
    oldest_age: float


async def last(connection: AsyncConnection, *, subject: str, kind: str) -> dict[str, Any] | None:
    """Return the payload of the last message of a subject and a kind, sent or not.

    None where there was none, or where it was delivered so long ago that it is forgotten.
    """
    payload: dict[str, Any] | None = await connection.scalar(
        sa.select(outbox.c.payload)
        .where(outbox.c.subject == subject, outbox.c.kind == kind)
        .order_by(outbox.c.id.desc())
        .limit(1)
    )
    return payload


async def enqueue(
    connection: AsyncConnection, *, subject: str, kind: str, payload: Mapping[str, Any]
) -> None:
    """Write a message within the caller's transaction; it is sent once that has committed.

    subject: what it is about, such as a prefix; messages of one subject keep their order.
    The subject stays locked until the transaction ends, so a transaction that writes of several
    subjects should do so in sorted order.
    """
    await _lock(connection, subject)
    await connection.execute(
        outbox.insert().values(subject=subject, kind=kind, payload=dict(payload))
    )
    await connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


async def replace(
    connection: AsyncConnection, *, subject: str, kind: str, payload: Mapping[str, Any]
) -> None:
    """Write a message in the place of one of the same subject and kind that waits, if one does.

    For reports of which the latest alone counts, and whose payload says which is the later: one
    that is on its way at the moment may arrive as well. The reason why the former one waits stays,
    and so does the time of its next attempt.
    """
    await _lock(connection, subject)
    waits = (
        sa.select(outbox.c.id)
        .where(outbox.c.subject == subject, outbox.c.kind == kind, outbox.c.delivered_at.is_(None))
        .order_by(outbox.c.id.desc())
        .limit(1)
    )
    replaced = await connection.execute(
        outbox.update()
        .where(outbox.c.id == waits.scalar_subquery())
        .values(payload=dict(payload), message_id=sa.func.gen_random_uuid())
    )
    if not replaced.rowcount:
        await connection.execute(
            outbox.insert().values(subject=subject, kind=kind, payload=dict(payload))
        )
    await connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


async def enqueue_prefix(connection: AsyncConnection, prefix: str) -> None:
    """File the state that `prefix` has in the caller's transaction.

    Call it after the change of the row. Raises ValueError for a prefix that is not there or was
    never approved.
    """
    # Locked before it is read: what is filed last is then also what was read last.
    await _lock(connection, prefix)
    result = await connection.execute(
        sa.select(
            prefixes.c.status,
            prefixes.c.hosting,
            prefixes.c.site,
            prefixes.c.service,
            enterprises.c.name,
            enterprises.c.credit_code,
            enterprises.c.industry,
        )
        .join_from(prefixes, enterprises)
        .where(prefixes.c.prefix == prefix)
    )
    row = result.one_or_none()
    if row is None or row.status in ("pending", "rejected"):
        raise ValueError(f"prefix {prefix} has nothing to file")
    filing = PrefixFiling(
        prefix=prefix,
        status=row.status,
        enterprise=FiledEnterprise(row.name, row.credit_code, row.industry),
        hosting=row.hosting,
        site=row.site,
        service=row.service,
    )
    await enqueue(connection, subject=prefix, kind=PREFIX, payload=msgspec.to_builtins(filing))


async def waiting(connection: AsyncConnection) -> Waiting:
    """Return how many messages wait, and for how long."""
    age = sa.extract("epoch", sa.func.now() - sa.func.min(outbox.c.created_at))
    row = (
        await connection.execute(
            sa.select(
                sa.func.count().label("depth"),
                sa.func.count(outbox.c.last_error).label("failing"),
                sa.cast(sa.func.coalesce(age, 0), sa.Double).label("oldest_age"),
            ).where(outbox.c.delivered_at.is_(None))
        )
    ).one()
    return Waiting(row.depth, row.failing, max(row.oldest_age, 0.0))


async def run_depth(database: Database, row: Row, stop: asyncio.Event) -> None:
    """Show in the metrics how many messages wait, until `stop`; then 0: others may know better.

    Raises StoreUnavailable.
    """
    warned = False
    try:
        while not stop.is_set():
            async with database.begin() as connection:
                state = await waiting(connection)
            row.set("idnode_outbox_depth", value=state.depth)
            if (state.depth > MANY) != warned:
                warned = not warned
                tell = log.warning if warned else log.info
                tell("outbox_deep" if warned else "outbox_shrunk", depth=state.depth, bound=MANY)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHOWN_SECONDS):
                    await stop.wait()
    finally:
        row.set("idnode_outbox_depth", value=0)


async def take_due(
    connection: AsyncConnection, *, limit: int, except_subjects: Sequence[str] = ()
) -> list[Message]:
    """Return at most `limit` messages whose time has come, the longest due first.

    Of each subject only the earliest message that waits is looked at: while it is not due, the
    later ones are not either. `except_subjects` are under way already.
    """
    first = (
        sa.select(outbox)
        .ext(distinct_on(outbox.c.subject))
        .where(outbox.c.delivered_at.is_(None))
        .order_by(outbox.c.subject, outbox.c.id)
        .subquery()
    )
    result = await connection.execute(
        sa.select(first)
        .where(
            first.c.next_attempt_at <= sa.func.now(),
            first.c.subject.not_in(list(except_subjects)),
        )
        .order_by(first.c.next_attempt_at, first.c.id)
        .limit(limit)
    )
    return [
        Message(row.id, row.message_id, row.subject, row.kind, row.payload, row.attempts)
        for row in result
    ]


async def mark_delivered(connection: AsyncConnection, message: Message) -> None:
    """Record that the top-level node has the message, unless it was replaced meanwhile."""
    await connection.execute(
        outbox.update()
        .where(*_same(message))
        .values(delivered_at=sa.func.now(), attempts=outbox.c.attempts + 1, last_error=None)
    )


async def mark_failed(
    connection: AsyncConnection, message: Message, *, error: str, delay: float
) -> None:
    """Record that an attempt failed for reason of `error`; the next is in `delay` seconds.

    `error` must hold no secret: operators read it.
    """
    await connection.execute(
        outbox.update()
        .where(*_same(message))
        .values(
            attempts=outbox.c.attempts + 1,
            next_attempt_at=sa.func.now() + sa.func.make_interval(0, 0, 0, 0, 0, 0, delay),
            last_error=_printable(error)[:_LONGEST_ERROR],
        )
    )


def retry_delay(
    attempts: int,
    random: Callable[[], float],
    *,
    first: float = FIRST_DELAY,
    longest: float = LONGEST_DELAY,
) -> float:
    """Return the seconds to wait after `attempts` earlier failures.

    It doubles from `first` to `longest`; then half of it is left to chance, so that messages
    which failed together do not come back together. `random` returns numbers in [0, 1).
    """
    # The exponent is bounded because 2.0**1024 is an error.
    bound = min(longest, first * 2.0 ** min(attempts, 64))
    return bound * (0.5 + 0.5 * random())


def _same(message: Message) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        outbox.c.id == message.id,
        outbox.c.message_id == message.message_id,
        outbox.c.delivered_at.is_(None),
    )


def _printable(text: str) -> str:
    """Return `text` without what a PostgreSQL text, or a terminal, cannot bear."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


async def _lock(connection: AsyncConnection, subject: str) -> None:
    """Let one transaction at a time write of `subject`: ids then grow in order of commit."""
    await connection.execute(
        sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(_LOCK), sa.func.hashtext(subject)))
    )
