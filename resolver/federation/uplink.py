"""The uplink: empties the outbox to the top-level node, and tells it that this node lives.

A message is sent until the top-level node has answered that it holds it; then, and not before,
it is marked delivered. Whatever is killed in between, the message is sent again, and the
receiver knows it by its message_id: it takes effect exactly once. The next message of a subject
is not sent before the earlier one is marked, so the order of each subject holds as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import aiohttp
import msgspec
import sqlalchemy as sa
import structlog
from yarl import URL

from protocol.errors import StoreUnavailable
from registry import metrics, outbox
from registry.database import UNAVAILABLE, Database
from registry.schema import prefixes
from resolver.federation.health import Workers, look
from resolver.federation.problems import detail_of

log = structlog.get_logger("idnode.uplink")

_LONGEST_ANSWER = 64 * 1024

# These say that the message itself is not wanted. Any other status may pass with time: the
# authority is not there, does not know our token (yet), or is busy.
_REFUSALS = frozenset({400, 409, 413, 415, 422})


@dataclass(frozen=True)
class Pace:
    """How fast and how patiently the uplink works; all times in seconds.

    concurrency: requests under way at most.
    batch: messages taken out of the outbox at most, each of another subject; they wait in memory
    for their turn, so that a look at a deep outbox serves many.
    look: between two looks at the outbox when nothing wakes it.
    timeout: that one request may take.
    first_delay, longest_delay: bounds of the back-off after failures.
    refused_delay: before a message that was refused is tried again, at most.
    heartbeat: between two heartbeats.
    """

    concurrency: int = 4
    batch: int = 128
    look: float = 1.0
    timeout: float = 10.0
    first_delay: float = outbox.FIRST_DELAY
    longest_delay: float = outbox.LONGEST_DELAY
    refused_delay: float = 300.0
    heartbeat: float = 10.0


class NotDelivered(Exception):
    """The top-level node did not say that it has the message. `refused`: it never will."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


class _Receipt(msgspec.Struct):
    message_id: uuid.UUID


@dataclass
class _Uplink:
    database: Database
    session: aiohttp.ClientSession
    url: URL
    token: str | None
    node: str
    row: metrics.Row
    pace: Pace
    random: Callable[[], float]
    workers: Callable[[], Workers] | None
    slots: asyncio.Semaphore
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)


async def run_uplink(
    database: Database,
    *,
    url: str,
    token: str | None,
    node_prefix: str,
    row: metrics.Row,
    stop: asyncio.Event,
    tls: ssl.SSLContext | None = None,
    pace: Pace = Pace(),
    random: Callable[[], float] = random.random,
    workers: Callable[[], Workers] | None = None,
) -> None:
    """Send what the outbox holds to the top-level node at `url` until `stop` is set.

    tls: for an https URL, with the node's certificate; None: what the machine trusts is trusted.
    workers: asked at each heartbeat how they fare; None: the heartbeat tells nothing of it.
    The caller sees to it that no second sender runs for this registry. Neither the database nor
    the top-level node needs to be there; what is under way at the stop is broken off and sent
    again later. Raises ValueError for a URL or a token that can not be used.
    """
    base = _check(url, token)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=pace.timeout),
        connector=aiohttp.TCPConnector(limit=pace.concurrency + 1, ssl=tls or True),
    ) as session:
        slots = asyncio.Semaphore(pace.concurrency)
        uplink = _Uplink(
            database, session, base, token, node_prefix, row, pace, random, workers, slots
        )
        async with asyncio.TaskGroup() as tasks:
            loops = [
                tasks.create_task(_send_all(uplink, tasks)),
                tasks.create_task(_listen(uplink)),
                tasks.create_task(_beat(uplink)),
            ]
            await stop.wait()
            for task in [*loops, *uplink.under_way.values()]:
                task.cancel()


def _check(url: str, token: str | None) -> URL:
    base = URL(url)
    if base.scheme not in ("http", "https") or not base.host:
        raise ValueError("the URL of the top-level node is not an http or https URL")
    if base.user is not None or base.password is not None:
        raise ValueError("the URL of the top-level node holds a user; set a token instead")
    if token is not None and not re.fullmatch("[!-~]+", token):
        raise ValueError("the token of the top-level node has a character other than ASCII 33-126")
    return base


async def _send_all(uplink: _Uplink, tasks: asyncio.TaskGroup) -> None:
    """Start to send whatever is due, as often as there is room for more."""
    reachable = True
    while True:
        uplink.wake.clear()
        try:
            messages = await _look(uplink)
        except StoreUnavailable as error:
            if reachable:
                log.warning("outbox_unavailable", error=error.detail)
            reachable = False
            await asyncio.sleep(uplink.pace.look)
            continue
        reachable = True
        for message in messages:
            uplink.under_way[message.subject] = tasks.create_task(_send(uplink, message))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(uplink.pace.look):
                await uplink.wake.wait()


async def _look(uplink: _Uplink) -> list[outbox.Message]:
    async with uplink.database.begin() as connection:
        state = await outbox.waiting(connection)
        room = uplink.pace.batch - len(uplink.under_way)
        if not room or not state.depth:
            return []
        return await outbox.take_due(connection, limit=room, except_subjects=list(uplink.under_way))


async def _send(uplink: _Uplink, message: outbox.Message) -> None:
    """Send one message and record how it went; its subject stays under way until then."""
    try:
        async with uplink.slots:
            try:
                await _post(uplink, message)
            except NotDelivered as failure:
                await _record_failure(uplink, message, failure)
            else:
                await _record_delivery(uplink, message)
    except StoreUnavailable as error:
        # It still waits in the outbox, and is sent again when the database is back.
        log.warning("outbox_unavailable", subject=message.subject, error=error.detail)
        await asyncio.sleep(uplink.pace.look)
    finally:
        del uplink.under_way[message.subject]
        if len(uplink.under_way) < uplink.pace.concurrency:
            uplink.wake.set()


async def _record_delivery(uplink: _Uplink, message: outbox.Message) -> None:
    async with uplink.database.begin() as connection:
        await outbox.mark_delivered(connection, message)
    uplink.row.add("idnode_uplink_messages", "delivered")
    log.info("message_delivered", subject=message.subject, kind=message.kind)


async def _record_failure(uplink: _Uplink, message: outbox.Message, failure: NotDelivered) -> None:
    pace = uplink.pace
    longest = pace.refused_delay if failure.refused else pace.longest_delay
    first = pace.refused_delay if failure.refused else pace.first_delay
    delay = outbox.retry_delay(message.attempts, uplink.random, first=first, longest=longest)
    async with uplink.database.begin() as connection:
        await outbox.mark_failed(connection, message, error=str(failure), delay=delay)
    uplink.row.add("idnode_uplink_messages", "failed")
    log.warning(
        "message_refused" if failure.refused else "message_failed",
        subject=message.subject,
        kind=message.kind,
        attempts=message.attempts + 1,
        retry_seconds=round(delay, 1),
        error=str(failure),
    )


async def _post(uplink: _Uplink, message: outbox.Message) -> None:
    """Return once the top-level node has said that it holds the message. Raises NotDelivered."""
    body = {
        "message_id": message.message_id,
        "node": uplink.node,
        "subject": message.subject,
        "kind": message.kind,
        "payload": message.payload,
    }
    status, answer = await _exchange(uplink, "filings", body)
    if status != 200:
        reason = _without(uplink.token, f"HTTP {status} {detail_of(answer)}".rstrip())
        raise NotDelivered(reason, refused=status in _REFUSALS)
    # Something else than the authority, such as a proxy's page, may answer 200 as well.
    try:
        receipt = msgspec.json.decode(answer, type=_Receipt)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotDelivered("the answer is not a receipt") from None
    if receipt.message_id != message.message_id:
        raise NotDelivered("the receipt is for another message")


async def _exchange(uplink: _Uplink, resource: str, body: object) -> tuple[int, bytes]:
    """POST `body`; return the status and at most so much of the answer as anyone needs."""
    try:
        async with uplink.session.post(
            uplink.url / resource,
            data=msgspec.json.encode(body),
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
        ) as response:
            answer = bytearray()
            async for part in response.content.iter_chunked(_LONGEST_ANSWER):
                answer += part
                if len(answer) > _LONGEST_ANSWER:
                    raise NotDelivered("the answer is too long")
            return response.status, bytes(answer)
    except TimeoutError:
        raise NotDelivered(f"no answer within {uplink.pace.timeout:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        reason = _without(uplink.token, str(error))
        raise NotDelivered(f"{type(error).__name__}: {reason}") from None


def _without(secret: str | None, text: str) -> str:
    return text.replace(secret, "***") if secret else text


async def _listen(uplink: _Uplink) -> None:
    """Wake the sender on NOTIFY. While it can not listen, the sender's own looks do."""
    while True:
        lost = asyncio.Event()
        with contextlib.suppress(*UNAVAILABLE):
            connection = await uplink.database.connection()
            try:
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(outbox.CHANNEL, lambda *_: uplink.wake.set())
                await lost.wait()
            finally:
                connection.terminate()
        await asyncio.sleep(uplink.pace.look)


async def _beat(uplink: _Uplink) -> None:
    """Send a heartbeat now and then. One that fails is not sent again: the next one is."""
    heard = True
    while True:
        try:
            status, answer = await _exchange(uplink, "heartbeats", await _vital_signs(uplink))
            if status not in (200, 204):
                raise NotDelivered(f"HTTP {status} {detail_of(answer)}".rstrip())
        except (NotDelivered, StoreUnavailable) as error:
            if heard:
                log.warning("heartbeat_failed", error=_without(uplink.token, str(error)))
            heard = False
        else:
            if not heard:
                log.info("heartbeat_heard_again")
            heard = True
        await asyncio.sleep(uplink.pace.heartbeat)


async def _vital_signs(uplink: _Uplink) -> dict[str, object]:
    async with uplink.database.begin() as connection:
        state = await outbox.waiting(connection)
        active = await connection.scalar(
            sa.select(sa.func.count()).where(prefixes.c.status == "active")
        )
        # Counting them all would read them all.
        estimate = await connection.scalar(
            sa.text(
                "SELECT greatest(reltuples, 0)::bigint FROM pg_class"
                " WHERE oid = to_regclass('identifiers')"
            )
        )
        health = {}
        if uplink.workers is not None:
            health = {"health": await look(connection, uplink.workers(), state)}
    return {
        "node": uplink.node,
        "version": _version(),
        "outbox_depth": state.depth,
        "prefixes": active,
        "identifiers": estimate,
        **health,
    }


def _version() -> str:
    try:
        return version("idnode")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"
