"""Who reads the change log is woken after the commit, by the writer itself.

PostgreSQL commits transactions with a NOTIFY in them one after another: each holds a lock until it
is on the disk, so that no two share a write to it. Writers of single identifiers therefore say in
their transaction that they wake the readers themselves; the triggers, which NOTIFY for everybody
else, then leave it out. What wakes holds nothing that could be lost, and need not be on the disk.

A writer that dies between the two leaves readers asleep until they look by themselves, within a
second (resolver/feed.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import sqlalchemy as sa
import structlog

from protocol.errors import StoreUnavailable
from registry.store import CHANNEL

log = structlog.get_logger("idnode.registry")

SETTING, WRITER = "idnode.wakes", "writer"
"""Setting of a transaction, and what it says where the triggers shall not NOTIFY."""

PAUSE = 0.02
"""Seconds between two NOTIFYs of one process: what comes in between is told by the next."""

_CLOSE_SECONDS = 1.0

_NOTIFY = f"BEGIN; SET LOCAL synchronous_commit = off; NOTIFY {CHANNEL}; COMMIT"


def by_writer() -> sa.ColumnElement[str]:
    """Return an expression after which the transaction wakes nobody: its writer will."""
    only_this_transaction = True
    return sa.func.set_config(SETTING, WRITER, only_this_transaction, type_=sa.Text)


class Waker:
    """Wakes readers for one process, any number of writers at once.

    pool: returns connections; it may raise StoreUnavailable.
    """

    def __init__(self, pool: Callable[[], Awaitable[asyncpg.Pool]]) -> None:
        self._pool = pool
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Wake readers soon; what the caller has committed they then see."""
        self._wanted = True
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Wait until it is done, but not long."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_CLOSE_SECONDS)

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                await self._notify()
                await asyncio.sleep(PAUSE)
        finally:
            self._task = None

    async def _notify(self) -> None:
        try:
            pool = await self._pool()
            await pool.execute(_NOTIFY)
        except (StoreUnavailable, OSError, TimeoutError, asyncpg.PostgresError) as error:
            log.warning("readers_not_woken", cause=repr(error))
