"""The work of imports: takes the oldest one that is open, batch by batch, until the file ends.

A batch is one transaction: its identifiers, its refused rows, the progress and a line of the audit
log. The progress is moved on only from where this batch began, so a batch that was committed
is never done again: not after a crash, and not by a second worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator

import asyncpg
import structlog

from protocol.errors import StoreUnavailable
from registry.database import Database, unavailable
from registry.imports import merge, modes, turns
from registry.imports.batches import Batch, read_batches
from registry.imports.checks import TemplateWithdrawn
from registry.imports.merge import MAX_ERRORS, STAGING, Course, Import, Overtaken
from registry.imports.progress import Meter
from registry.imports.readers import Unreadable
from registry.imports.templates import Templates, finder
from registry.services import Registry

log = structlog.get_logger("idnode.imports")

CHANNEL = "idnode_imports"
"""NOTIFY channel that tells of a queued import; the payload is empty."""

LOOK_SECONDS = 5.0
"""Between two looks for open imports, in case a NOTIFY was lost."""

_STEP_SECONDS = 60.0
"""One batch, or one chunk read, may take as long."""

_BACK_OFF_SECONDS = (0.2, 10.0)


async def run_imports(registry: Registry, stop: asyncio.Event) -> None:
    """Work on imports until `stop` is set; then end with the batch under way.

    While PostgreSQL is away, try again with growing pauses.
    """
    shortest, longest = _BACK_OFF_SECONDS
    pause = shortest
    while not stop.is_set():
        try:
            async with _listening(registry.database) as (connection, wake):
                while not stop.is_set():
                    wake.clear()
                    import_id = await turns.following(connection, within=LOOK_SECONDS)
                    if import_id is None:
                        await _first_of(stop, wake, within=LOOK_SECONDS)
                    else:
                        await _attempt(registry, import_id, stop)
                    pause = shortest
        except StoreUnavailable as error:
            log.warning("imports_wait_for_database", seconds=pause, error=repr(error.__cause__))
            await _first_of(stop, within=pause)
            pause = min(2 * pause, longest)


async def import_once(
    registry: Registry, import_id: uuid.UUID, *, stop: asyncio.Event | None = None
) -> None:
    """Work on one import until it has ended, or is to make way after the batch under way.

    It makes way at `stop`, and for others that have waited for their turn. Goes on where an
    earlier attempt was cut off. Raises StoreUnavailable; what was committed by then stays, and a
    later call goes on from there.
    """
    with unavailable():
        try:
            while not await _attempt_once(registry, import_id, stop):
                log.info("import_reads_templates_again", id=str(import_id))
        except asyncpg.TransactionRollbackError as error:  # such as a deadlock
            raise StoreUnavailable("the database rolled a batch back") from error
        except Overtaken:
            log.warning("import_overtaken", id=str(import_id))


async def _attempt_once(
    registry: Registry, import_id: uuid.UUID, stop: asyncio.Event | None
) -> bool:
    """Go on with an import where it stands; False where a template was withdrawn meanwhile."""
    async with _connected(registry.database) as writer:
        try:
            await _import(registry, writer, import_id, stop)
        except TemplateWithdrawn:
            return False
    return True


async def _import(
    registry: Registry,
    writer: asyncpg.Connection,
    import_id: uuid.UUID,
    stop: asyncio.Event | None,
) -> None:
    async with asyncio.timeout(_STEP_SECONDS):
        job = await merge.begin(writer, import_id)
    if job is None:
        return
    log.info("import_started", id=str(job.id), read=job.read)
    watch = _Watch()
    state, reason = "checked" if job.dry_run else "done", None
    try:
        if not await _work(registry, writer, job, stop, watch):
            return
    except Unreadable as error:
        state, reason = "failed", str(error)
    async with asyncio.timeout(_STEP_SECONDS):
        await merge.end(writer, job, state, reason, watch.lap())
    log.info("import_ended", id=str(job.id), state=state, reason=reason)


async def _attempt(registry: Registry, import_id: uuid.UUID, stop: asyncio.Event) -> None:
    """Work on an import; one that breaks the worker must not keep the others waiting."""
    try:
        await import_once(registry, import_id, stop=stop)
    except StoreUnavailable:
        raise
    except Exception:
        log.exception("import_broke", id=str(import_id))
        with unavailable():
            async with _connected(registry.database) as connection, asyncio.timeout(_STEP_SECONDS):
                job = await merge.begin(connection, import_id)
                if job is not None:
                    await merge.end(connection, job, "failed", "internal error, see the log", 0)


class _Watch:
    """Tells the seconds since it was last asked, so that none is counted twice."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        before, self._last = self._last, time.perf_counter()
        return self._last - before


async def _work(
    registry: Registry,
    writer: asyncpg.Connection,
    job: Import,
    stop: asyncio.Event | None,
    watch: _Watch,
) -> bool:
    """Write batch after batch; return whether that was all, or it goes on another time.

    It does where `stop` is set, and where others have waited long enough. A dry run does not: it
    would begin anew. Raises Unreadable.
    """
    begun = time.monotonic()
    await writer.execute(modes.SEEN if job.dry_run else STAGING, timeout=_STEP_SECONDS)
    course = Course(room=MAX_ERRORS - job.failed)
    meter = Meter(job.bytes)
    async with _connected(registry.database) as reader:
        batches = read_batches(
            job.format,
            _chunks(reader, job, meter),
            prefix=job.prefix,
            after=job.read,
            clock=registry.clock,
            templates=Templates(finder(reader, _STEP_SECONDS), job.template),
            once=job.mode == modes.INSERT,
            meter=meter,
            mapping=job.mapping,
        )
        async with contextlib.aclosing(_one_ahead(batches)) as ahead:
            async for batch in ahead:
                async with asyncio.timeout(_STEP_SECONDS):
                    await merge.write(writer, job, batch, course, seconds=watch.lap())
                if not job.dry_run:
                    registry.row.add("idnode_import_rows", "done", by=batch.accepted)
                    registry.row.add("idnode_import_rows", "failed", by=len(batch.refusals))
                if stop is not None and stop.is_set():
                    return False
                if not job.dry_run and time.monotonic() - begun >= turns.SECONDS:
                    whose = job.enterprise_id
                    if await turns.others_wait(writer, whose, within=_STEP_SECONDS):
                        log.info("import_makes_way", id=str(job.id))
                        return False
    return True


async def _one_ahead(batches: AsyncIterator[Batch]) -> AsyncGenerator[Batch, None]:
    """Read the next batch while PostgreSQL takes in the one before."""
    reading = asyncio.create_task(_next(batches))
    try:
        while (batch := await reading) is not None:
            reading = asyncio.create_task(_next(batches))
            yield batch
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)


async def _chunks(
    connection: asyncpg.Connection, job: Import, meter: Meter
) -> AsyncIterator[bytes]:
    """Yield the file. Raises Unreadable if a part of it is missing."""
    number = size = 0
    query = "SELECT data FROM import_chunks WHERE import_id = $1 AND number = $2"
    while chunk := await connection.fetchval(query, job.id, number, timeout=_STEP_SECONDS):
        yield chunk
        number, size = number + 1, size + len(chunk)
        meter.taken = size
    if size != job.bytes:
        raise Unreadable(f"the stored file has {size} bytes instead of {job.bytes}")


@contextlib.asynccontextmanager
async def _connected(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection of its own; an error drops it, and with it the transaction under way."""
    connection = await database.connection()
    try:
        yield connection
        await connection.close(timeout=database.timeout)
    finally:
        connection.terminate()


@contextlib.asynccontextmanager
async def _listening(
    database: Database,
) -> AsyncIterator[tuple[asyncpg.Connection, asyncio.Event]]:
    """Open a connection that hears of queued imports; the event tells of one, and of its loss."""
    wake = asyncio.Event()
    with unavailable():
        async with _connected(database) as connection:
            await connection.add_listener(CHANNEL, lambda *_: wake.set())
            connection.add_termination_listener(lambda *_: wake.set())
            yield connection, wake


async def _first_of(*events: asyncio.Event, within: float) -> None:
    """Wait until one of `events` is set, `within` seconds at most."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
