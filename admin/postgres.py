"""The embedded PostgreSQL under the supervisor: started, started again when it dies, stopped."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import structlog

from admin.embedded import EmbeddedPostgres, PostgresError
from admin.waiting import Backoff, wait

log = structlog.get_logger("idnode.postgres")

_LOOK_SECONDS = 0.2


class KeptPostgres:
    """One embedded server that runs until `stop`. Its work blocks, so it is done in threads."""

    def __init__(self, directory: Path, restarts: Counter[str]) -> None:
        """Take where its data is, and where to count restarts. Raises PostgresError."""
        self._server = EmbeddedPostgres(directory)
        self._restarts = restarts
        self._stopping = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[str] | None = None

    async def start(self) -> str:
        """Start it, keep it, and return its URL. Raises PostgresError."""
        url = await self._start()
        self._keeper = asyncio.create_task(self._keep())
        return url

    async def stop(self) -> None:
        """Stop it, also while it is being started."""
        self._stopping.set()
        if self._keeper is not None:
            await self._keeper
        if self._starting is not None:
            await asyncio.wait((self._starting,))
        await asyncio.to_thread(self._server.stop)

    async def _start(self) -> str:
        self._starting = asyncio.create_task(asyncio.to_thread(self._server.start))
        # A thread cannot be cancelled: `stop` waits for what is under way here.
        return await asyncio.shield(self._starting)

    async def _keep(self) -> None:
        backoff = Backoff(first=0.1, longest=10.0)
        began = time.monotonic()
        while not await wait(self._stopping, _LOOK_SECONDS):
            process = self._server.process
            code = process.poll() if process is not None else None
            if process is not None and code is None:
                continue
            self._restarts["postgres"] += 1
            log.error("postgres_died", code=code)
            if await wait(self._stopping, backoff.next(time.monotonic() - began)):
                return
            began = time.monotonic()
            try:
                await self._start()
            except PostgresError as error:
                log.error("postgres_not_started", reason=str(error))
