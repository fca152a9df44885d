"""Takes a step of the escrow now and then, gives up old ones, and tells the top-level node of each.

What the top-level node is told is the digest of the manifest: whoever restores the node asks there
for the latest, and sees whether steps are missing at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from registry import outbox
from registry.database import Database
from registry.escrow import chain
from registry.escrow.manifest import Digest, EscrowError, Step, read
from registry.escrow.taking import take

log = structlog.get_logger("idnode.escrow")

ESCROW = "escrow"
"""Kind, and subject, of the messages whose payload is an EscrowNotice."""

MAX_INCREMENTS = 30
"""After so many a snapshot begins another series: what is restored must all be read."""

KEPT_SERIES = 2

LOOK_SECONDS = 60.0

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class EscrowNotice(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Payload of a message of kind "escrow": a step that was taken. taken_at: Unix seconds."""

    digest: Digest
    previous: Digest | None
    series: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    number: _Count
    taken_at: _Count
    bytes: _Count


@dataclass(frozen=True)
class Schedule:
    """Where steps go and how often.

    seconds: from one step to the next. node, version: of this node. told: whether there is a
    top-level node to tell.
    """

    directory: Path
    seconds: float
    node: str
    version: str
    told: bool


async def run_escrow(
    database: Database,
    schedule: Schedule,
    key: Ed25519PrivateKey,
    stop: asyncio.Event,
    clock: Callable[[], float] = time.time,
) -> None:
    """Take steps when they are due, until `stop`, which breaks off one under way.

    clock: returns Unix seconds. What cannot be written is told in the log and tried again. Raises
    StoreUnavailable.
    """
    ended = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            step = asyncio.create_task(step_due(database, schedule, key, clock))
            await asyncio.wait({step, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                step.cancel()
            try:
                await step
            except asyncio.CancelledError:
                if not stop.is_set():
                    raise
            except (EscrowError, OSError) as error:
                log.warning("escrow_failed", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await stop.wait()
    finally:
        ended.cancel()


async def step_due(
    database: Database, schedule: Schedule, key: Ed25519PrivateKey, clock: Callable[[], float]
) -> Step | None:
    """Take a step if it is due, and return it; tell of the latest if that was not done.

    Raises EscrowError, OSError, StoreUnavailable.
    """
    latest, taken = _latest(schedule.directory, key), None
    if latest is None or clock() - latest.manifest.taken_at >= schedule.seconds:
        whole = latest is not None and latest.manifest.number >= MAX_INCREMENTS
        latest = taken = await take(
            database,
            schedule.directory,
            key,
            node=schedule.node,
            version=schedule.version,
            clock=clock,
            whole=whole,
        )
        log.info("escrow_taken", step=taken.path.name, digest=taken.digest)
        _give_up(schedule.directory, key)
    if schedule.told:
        await _tell(database, latest)
    return taken


def _latest(directory: Path, key: Ed25519PrivateKey) -> Step | None:
    return chain.latest(directory, key.public_key()) if directory.exists() else None


def _give_up(directory: Path, key: Ed25519PrivateKey) -> None:
    """Delete the series but the latest, each from its end, so that what is left makes a whole."""
    steps = [read(directory / name, key.public_key()) for name in chain.names(directory)]
    series = list(dict.fromkeys(step.manifest.series for step in steps))
    kept = set(series[-KEPT_SERIES:])
    for step in reversed(steps):
        if step.manifest.series not in kept:
            shutil.rmtree(step.path)
            log.info("escrow_given_up", step=step.path.name)


async def _tell(database: Database, step: Step) -> None:
    """Tell the top-level node of a step, unless it was what was told last."""
    manifest = step.manifest
    notice = EscrowNotice(
        digest=step.digest,
        previous=manifest.previous,
        series=manifest.series.hex,
        number=manifest.number,
        taken_at=manifest.taken_at,
        bytes=step.bytes,
    )
    payload = msgspec.to_builtins(notice)
    async with database.begin() as connection:
        last = await outbox.last(connection, subject=ESCROW, kind=ESCROW)
        if last is None or last["digest"] != step.digest:
            await outbox.enqueue(connection, subject=ESCROW, kind=ESCROW, payload=payload)
