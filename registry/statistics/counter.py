"""What one worker counts of the resolutions that it answers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter as Tally
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from protocol.errors import StoreUnavailable
from registry.database import Database
from registry.metrics import RESULTS, TRANSPORTS, Row, slot
from registry.statistics import HOUR_SECONDS, NOWHERE, cells
from registry.statistics.cells import Cells, CountFile
from registry.statistics.flush import flush
from registry.statistics.top import FOUND, MISSING, Top

log = structlog.get_logger("idnode.statistics")

SAMPLE = 512
"""Names kept between two turns of `Counter.run`. Of more that are asked for in this time, the first
so many stand for all."""

MAX_FILES = 2000
"""Files that wait for PostgreSQL; the oldest are given up then. With one file an hour, 83 days."""

FLUSH_SECONDS = 10.0
TOP_SECONDS = 60.0
ADOPT_SECONDS = 60.0
_TURN_SECONDS = 1.0

INDEX = {result: index for index, result in enumerate(RESULTS)}
"""Where a result stands in the cells of a prefix."""

Name = TypeVar("Name", bound=Hashable)


class Sample(Generic[Name]):
    """The first names that are asked for since they were taken.

    names: always the same list. The hot path does what `note` does without the call. Once it is
    full, nothing is kept and nothing let go of any more: that costs more than to look.
    """

    def __init__(self) -> None:
        self.names: list[Name] = []

    def note(self, name: Name) -> None:
        """Keep a name, if there is room."""
        if len(self.names) < SAMPLE:
            self.names.append(name)

    def forget(self, name: Name) -> None:
        """Forget the name that was noted last, if it is this one."""
        if self.names and self.names[-1] == name:
            self.names.pop()

    def take(self, total: int) -> dict[Name, int]:
        """Return how often each was asked for, and forget them.

        total: how many were asked for. Where that is more than are kept, those that are stand for
        as many each.
        """
        names = Tally(self.names)
        kept = len(self.names)
        self.names.clear()
        if kept < SAMPLE or total <= kept:
            return names
        return {name: round(times * total / kept) for name, times in names.items()}


class Counter:
    """Counts by prefix and outcome in a file for each hour, and names that are asked for most.

    found: canonical identifiers in UTF-8 that were found. missing: prefix, empty if it is none that
    is served here, and what is not under it. rolled: called when the cells of all prefixes are new.
    """

    def __init__(
        self,
        database: Database,
        row: Row,
        directory: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the directory of the files, which other workers share; None: memory alone.

        clock: returns Unix seconds.
        """
        self.rolled: Callable[[], None] = lambda: None
        self.found: Sample[bytes] = Sample()
        self.missing: Sample[tuple[str, str]] = Sample()
        self._database = database
        self._row = row
        self._directory = directory
        self._clock = clock
        self._tops = {FOUND: Top(FOUND, clock()), MISSING: Top(MISSING, clock())}
        self._totals = {kind: self._count(kind) for kind in self._tops}
        self._hour = 0
        self._files: list[CountFile] = []  # of this hour; the last has room
        self._ended: list[CountFile] = []
        self._cells: dict[str, Cells] = {}
        self._begin_hour()

    def cells(self, prefix: str) -> Cells:
        """Return where to count what is asked for under a prefix, until `rolled` is called."""
        found = self._cells.get(prefix)
        if found is None:
            try:
                found = self._files[-1].cells(prefix)
            except cells.Full:
                self._files.append(self._new_file())
                found = self._files[-1].cells(prefix)
            self._cells[prefix] = found
        return found

    def roll(self) -> None:
        """Begin a new hour if there is one."""
        if self._clock() // HOUR_SECONDS * HOUR_SECONDS != self._hour:
            self._ended += self._files
            self._begin_hour()
            self.rolled()

    def _begin_hour(self) -> None:
        self._hour = int(self._clock() // HOUR_SECONDS * HOUR_SECONDS)
        self._cells = {}
        self._files = [self._new_file()]
        self.cells(NOWHERE)

    def _new_file(self) -> CountFile:
        if self._directory is None:
            return CountFile.in_memory(self._hour)
        return CountFile.create(self._directory, self._hour)

    async def run(self, stop: asyncio.Event) -> None:
        """Write on what is counted, every few seconds until `stop`, and then the rest."""
        # what is taken over is written at once
        due = dict.fromkeys((self._adopt, self.flush, self.flush_tops), 0.0)
        every = {
            self.flush: FLUSH_SECONDS,
            self.flush_tops: TOP_SECONDS,
            self._adopt: ADOPT_SECONDS,
        }
        while not stop.is_set():
            self.roll()
            self.sample()
            now = time.monotonic()
            for job in due:
                if now >= due[job]:
                    due[job] = now + every[job]
                    await self._attempt(job)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_TURN_SECONDS, self._until_next_hour())):
                    await stop.wait()

    async def close(self) -> None:
        """Write all that was counted; what cannot be written stays in its files."""
        self.sample()
        self._ended += self._files
        self._files = []
        for job in (self.flush, self.flush_tops):
            await self._attempt(job)

    def _until_next_hour(self) -> float:
        return max(0.0, self._hour + HOUR_SECONDS - self._clock()) + 0.001

    def sample(self) -> None:
        """Take what was asked for since the last time into the estimates."""
        for kind, top in self._tops.items():
            total = self._count(kind)
            sample = self.found if kind == FOUND else self.missing
            names = sample.take(total - self._totals[kind])
            self._totals[kind] = total
            top.add(names, self._clock())

    def _count(self, kind: str) -> int:
        result = "found" if kind == FOUND else "not_found"
        at = (slot("idnode_resolutions", transport, result) for transport in TRANSPORTS)
        return int(sum(self._row.cells[index] for index in at))

    async def flush(self) -> None:
        """Add what was counted to the hours. Raises StoreUnavailable."""
        while self._ended:
            file = self._ended[0]
            async with self._database.begin() as connection:
                await flush(connection, file, file.counts(), ended=True)
            file.remove()
            self._ended.pop(0)
        for file in list(self._files):
            counts = file.counts()
            if counts != file.written:
                async with self._database.begin() as connection:
                    await flush(connection, file, counts)
                file.written = counts

    async def flush_tops(self) -> None:
        """Write the estimates. Raises StoreUnavailable."""
        for top in self._tops.values():
            await top.flush(self._database)

    async def _adopt(self) -> None:
        """Take over the files of workers that are gone."""
        if self._directory is not None:
            self._ended += cells.left_behind(self._directory)
        if len(self._ended) > MAX_FILES:
            lost = self._ended[:-MAX_FILES]
            self._ended = self._ended[-MAX_FILES:]
            log.error("statistics_lost", files=len(lost), reason="the database is away too long")
            for file in lost:
                file.remove()

    async def _attempt(self, job: Callable[[], object]) -> None:
        try:
            await job()  # type: ignore[misc]
        except StoreUnavailable as error:
            log.info("statistics_put_off", cause=repr(error.__cause__ or error))
        except Exception:
            log.exception("statistics_failed")
