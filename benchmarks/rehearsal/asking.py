"""An application that resolves: it knows several entries, and asks the next if one is gone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from benchmarks.rehearsal.nodes import HTTP_PORT, Part
from benchmarks.rehearsal.tower import url_of

CONNECT_SECONDS, ANSWER_SECONDS = 1.0, 6.0
AT_ONCE = 16


@dataclass
class Tally:
    """What came of questions.

    stale: answered with what held before, marked so. elsewhere: of all that were answered, those
    by another entry than the first.
    """

    asked: int = 0
    answered: int = 0
    stale: int = 0
    elsewhere: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Share of the questions that were answered, stale or not."""
        return (self.answered + self.stale) / self.asked if self.asked else 1.0


class Application:
    """Asks nodes over HTTP. What did not answer once is not asked again until `forgive`."""

    def __init__(self, entries: Sequence[Part]) -> None:
        """Take the entries, in the order in which they are tried from any one on."""
        self._entries = entries
        self._gone: set[str] = set()

    def forgive(self) -> None:
        """Take all entries for good again."""
        self._gone.clear()

    async def ask_all(self, names: Iterable[str]) -> Tally:
        """Ask every entry for every name."""
        tally, places = Tally(), asyncio.Semaphore(AT_ONCE)

        async def one(first: int, name: str) -> None:
            async with places:
                self._count(tally, await self.ask(session, name, first))

        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(
                *(one(first, name) for name in names for first in range(len(self._entries)))
            )
        return tally

    async def ask(self, session: aiohttp.ClientSession, name: str, first: int) -> tuple[str, bool]:
        """Resolve a name at an entry, or at the next if nobody is there.

        Returns ``answered``, ``stale`` or why not, and whether another entry said so.
        """
        why = "no entry"
        for step in range(len(self._entries)):
            entry = self._entries[(first + step) % len(self._entries)]
            if entry.name in self._gone:
                continue
            try:
                return await _resolve(session, entry, name), step > 0
            except (aiohttp.ClientError, TimeoutError) as error:
                why = type(error).__name__
                self._gone.add(entry.name)
        return why, False

    @staticmethod
    def _count(tally: Tally, outcome: tuple[str, bool]) -> None:
        said, elsewhere = outcome
        tally.asked += 1
        if said == "answered":
            tally.answered += 1
        elif said == "stale":
            tally.stale += 1
        else:
            tally.failed[said] += 1
            return
        tally.elsewhere += elsewhere


async def _resolve(session: aiohttp.ClientSession, entry: Part, name: str) -> str:
    url = URL(f"http://{entry.place.address}:{HTTP_PORT}/api/handles/{name}", encoded=True)
    async with session.get(url) as answer:
        if answer.status != 200:
            return str(answer.status)
        values = (await answer.json())["values"]
        if [value["data"]["value"] for value in values] != [url_of(name)]:
            return "wrong"
        return "stale" if "stale" in answer.headers.get("Cache-Status", "") else "answered"
