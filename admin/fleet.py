"""The child processes, seen from the supervisor: started, started again, replaced, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from admin import child
from admin.metrics import clear_gauges
from admin.settings import Settings
from admin.waiting import Backoff, wait
from registry.metrics import Row

log = structlog.get_logger("idnode.supervisor")

START_SECONDS = 30.0
"""A child that is not ready by then is ended and started again."""

_ROOT = Path(child.__file__).parents[1]
"""Where children start, so that it is our packages they import: those of the present directory
come first, and anybody may have one named admin."""

_WORKER_MEMORY = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Environment that puts a worker's memory on huge pages where the kernel allows it
(transparent_hugepage = madvise or always): a look-up in a cache of hundreds of megabytes then
waits less for page tables; docs/performance.md has the figure. Without glibc it changes nothing."""

KILL_AFTER = 3.0
"""Seconds that a child gets beyond its time to drain."""


@dataclass(eq=False)
class Child:
    """One running process."""

    name: str
    row: int
    process: asyncio.subprocess.Process
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    started: float = field(default_factory=time.monotonic)
    row_freed: bool = False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        # Not through asyncio: that looks whether the process has ended first, and so takes the
        # exit code away from asyncio's own watcher.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    async def became_ready(self, seconds: float, give_up: asyncio.Event) -> bool:
        """Wait for the word that it is ready; False if it ends, or takes too long, before."""
        assert self.process.stdout is not None  # noqa: S101  (made with a pipe)
        word = asyncio.create_task(self.process.stdout.readline())
        if await _first(word, give_up, seconds) and word.result() == child.READY:
            self.ready.set()
        word.cancel()
        return self.ready.is_set()

    async def end(self, seconds: float, hurry: asyncio.Event) -> None:
        """Ask it to end; kill it after so many seconds, or at once when there is a hurry."""
        self.signal(signal.SIGTERM)
        ended = asyncio.create_task(self.process.wait())
        if not await _first(ended, hurry, seconds):
            log.warning("process_killed", process=self.name, pid=self.process.pid)
            self.signal(signal.SIGKILL)
        await ended


async def _first(task: asyncio.Task[Any], give_up: asyncio.Event, seconds: float) -> bool:
    """Wait until the task is done, the event is set or time is over; return whether it is done."""
    given_up = asyncio.create_task(give_up.wait())
    await asyncio.wait((task, given_up), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    given_up.cancel()
    return task.done()


@dataclass(eq=False)
class Slot:
    """A place where one child shall always run."""

    name: str
    kind: str
    module: str
    child: Child | None = None


class Fleet:
    """Workers and jobs. Each child has a row of metrics; one row is spare, for replacements."""

    def __init__(
        self,
        settings: Settings,
        database_url: str,
        metrics_file: str,
        rows: Sequence[Row],
        restarts: Counter[str],
    ) -> None:
        """Take what children are told, the rows (`rows_needed`), and where to count restarts."""
        self.settings = settings
        self.database_url = database_url
        self.restarts = restarts
        self.slots = [
            Slot(f"worker-{number}", "worker", "admin.worker")
            for number in range(1, settings.workers + 1)
        ]
        self.slots.append(Slot("jobs", "jobs", "admin.jobs"))
        self.hurry = asyncio.Event()
        self._metrics_file = metrics_file
        self._rows = rows
        self._free_rows = list(range(len(rows)))
        self._stopping = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []
        self._replacing = asyncio.Lock()

    @staticmethod
    def rows_needed(settings: Settings) -> int:
        """Return how many rows a fleet takes: workers, jobs, and one to replace with."""
        return settings.workers + 2

    @property
    def ready_workers(self) -> int:
        """How many workers are ready to answer."""
        return sum(
            slot.child.ready.is_set()
            for slot in self.slots
            if slot.kind == "worker" and slot.child is not None
        )

    def start(self) -> None:
        """Start all children and keep them."""
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in self.slots]

    async def all_ready(self, seconds: float) -> bool:
        """Wait until every worker is ready, for so long at most."""
        deadline = time.monotonic() + seconds
        while self.ready_workers < self.settings.workers:
            if time.monotonic() > deadline or await wait(self._stopping, 0.02):
                return False
        return True

    async def replace_all(self, settings: Settings) -> None:
        """Bring new settings into force: each child makes way for a new one, one after another.

        A new worker answers before the old one stops to.
        """
        async with self._replacing:
            self.settings = settings
            for slot in self.slots:
                if not self._stopping.is_set():
                    await self._replace(slot)

    async def stop(self) -> None:
        """End all children: they finish what is under way, for a bounded time."""
        self._stopping.set()
        children = [slot.child for slot in self.slots if slot.child is not None]
        await asyncio.gather(*(self._end(running) for running in children))
        await asyncio.gather(*self._keepers)
        async with self._replacing:
            pass  # a replacement under way sees that all is stopping, and ends what it started

    async def _keep(self, slot: Slot) -> None:
        backoff = Backoff(first=0.1, longest=10.0)
        while not self._stopping.is_set():
            started = await self._spawn(slot)
            if started is None:
                await wait(self._stopping, backoff.next(0))
                continue
            running = slot.child = started
            if not await running.became_ready(START_SECONDS, self._stopping):
                await self._end(running)
            code = await running.process.wait()
            # A process that was replaced ends too: then its replacement is the one to watch.
            while slot.child is not running:
                running = slot.child
                code = await running.process.wait()
            slot.child = None
            self._free_row(running)
            if not self._stopping.is_set():
                self.restarts[slot.kind] += 1
                log.error("process_died", process=slot.name, pid=running.process.pid, code=code)
                await wait(self._stopping, backoff.next(time.monotonic() - running.started))

    async def _replace(self, slot: Slot) -> None:
        old = slot.child
        if old is None:
            return  # it is about to be started, and gets the new settings
        new = await self._spawn(slot)
        if new is None:
            return  # the old one goes on
        ready = await new.became_ready(START_SECONDS, self._stopping)
        if ready and slot.child is old and not self._stopping.is_set():
            slot.child = new
            await self._end(old)
            return
        if not self._stopping.is_set():
            log.error("replacement_failed", process=slot.name)
        await self._end(new)

    async def _spawn(self, slot: Slot) -> Child | None:
        """Start a process; None where the system has none to give just now, of which it tells."""
        row = self._free_rows.pop()
        task = child.Task(slot.name, self.settings, self.database_url, self._metrics_file, row)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                slot.module,
                cwd=_ROOT,
                env={**_WORKER_MEMORY, **os.environ} if slot.kind == "worker" else None,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            self._free_rows.append(row)
            log.error("process_not_started", process=slot.name, error=str(error))
            return None
        started = Child(slot.name, row, process)
        assert process.stdin is not None  # noqa: S101  (made with a pipe)
        process.stdin.write(task.encode())
        log.info("process_started", process=slot.name, pid=process.pid)
        return started

    async def _end(self, running: Child) -> None:
        running.ready.clear()
        await running.end(self.settings.shutdown_seconds + KILL_AFTER, self.hurry)
        self._free_row(running)

    def _free_row(self, ended: Child) -> None:
        """Let others have the row of a process that has ended. What it counted stays."""
        if not ended.row_freed:
            ended.row_freed = True
            clear_gauges(self._rows[ended.row])
            self._free_rows.append(ended.row)
