"""The change feed: what was committed anywhere reaches this process's cache.

One task follows the change log (registry/store.py). NOTIFY wakes it, and it looks once a second
besides, which makes up for wake-ups that were lost and tells whether the database is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import structlog

from registry import store
from registry.database import Database, unavailable
from registry.metrics import Row

log = structlog.get_logger("idnode.feed")

LOOK_SECONDS = 1.0
"""Time between two looks that nobody asked for."""

FRESH_SECONDS = 3.0
"""A cache whose last look is older than this answers stale."""

_LOOK_TIMEOUT = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Feed:
    """Follows the change log and says what to forget."""

    def __init__(
        self,
        database: Database,
        *,
        row: Row,
        forget: Callable[[str, Sequence[str] | None], None],
        forget_all: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the two ways to forget and a monotonic clock in seconds.

        `place` is how far the last look came.
        """
        self.connected = False
        self._database = database
        self.row = row
        self._forget = forget
        self._forget_all = forget_all
        self._clock = clock
        self._looked_at: float | None = None
        self.place: store.Place | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def fresh(self) -> bool:
        """Whether the cache is known to be up to date."""
        return self.connected and self.age < FRESH_SECONDS

    @property
    def age(self) -> float:
        """Seconds since the last look that succeeded; infinite before the first."""
        return float("inf") if self._looked_at is None else self._clock() - self._looked_at

    def start(self) -> None:
        """Begin to follow, whether or not the database is up."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._follow()
            except Exception as error:
                if self.connected:
                    self.connected = False
                    pause = _FIRST_PAUSE
                # A database without our tables is as good as none, until it is migrated.
                log.warning("database_lost", cause=repr(error.__cause__ or error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _follow(self) -> None:
        """Follow over one connection until it breaks."""
        with unavailable():
            connection = await self._database.connection()
        try:
            with unavailable():
                async with asyncio.timeout(_LOOK_TIMEOUT):
                    await connection.add_listener(store.CHANNEL, self._wake_up)
                connection.add_termination_listener(self._wake_up)
                place = await self._begin(connection)
                self.connected = True
                log.info("database_reached")
                while True:
                    place = await self._look(connection, place)
                    # Not wait_for: before Python 3.12 it can swallow a cancellation.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await self._wake.wait()
        finally:
            connection.terminate()

    async def _begin(self, connection: asyncpg.Connection) -> store.Place:
        """Return the place to go on from; forget everything if there is none to go on from."""
        if self.place is not None:
            # Connections that idle in the pools are of the time before the break.
            await self._database.renew()
            return self.place
        async with asyncio.timeout(_LOOK_TIMEOUT):
            place = await store.place(connection)
        self._forget_all()
        return place

    async def _look(self, connection: asyncpg.Connection, since: store.Place) -> store.Place:
        """Forget what was committed since a place; return the present one."""
        self._wake.clear()
        started = self._clock()
        async with asyncio.timeout(_LOOK_TIMEOUT):
            place, changes = await store.changes(connection, since)
        if store.may_have_missed(since, place):
            log.warning("changes_missed", seconds=round(place.at - since.at))
            self._forget_all()
        for change in changes:
            if change.prefix is None:
                self._forget_all()
            else:
                self._forget(change.prefix, change.suffix_keys)
        self.place, self._looked_at = place, started
        self.row.add("idnode_feed_changes", by=len(changes))
        return place

    def _wake_up(self, *_: Any) -> None:
        self._wake.set()
