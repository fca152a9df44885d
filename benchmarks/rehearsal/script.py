"""What happens to the tower, by a seed: one part after another is lost, and comes back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import aiohttp
import asyncpg

from benchmarks.rehearsal.asking import ANSWER_SECONDS, CONNECT_SECONDS, Application, Tally
from benchmarks.rehearsal.nodes import Part
from benchmarks.rehearsal.tower import TTL, Tower

LEAST_SHARE = 0.99
"""Of the questions for what was asked for before, the share that is answered in any one loss."""

RECOVERY_SECONDS = 120.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Loss:
    """One way to lose a part, and to get it back."""

    name: str
    part: Part
    begin: Callable[[], None]
    end: Callable[[], None]


@dataclass(frozen=True)
class Line:
    """What was seen in a phase.

    known: questions for what was asked for before the loss. fresh: for what never was; those for
    identifiers of the lost part itself can only fail. recovery: seconds from the end of the loss
    until the part's identifiers that nobody has asked for are answered at another node.
    """

    phase: str
    known: Tally
    fresh: Tally
    recovery: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the phase was as promised."""
        wrong = self.known.failed["wrong"] + self.fresh.failed["wrong"]
        calm = self.recovery is None
        return not wrong and self.known.share >= (1.0 if calm else LEAST_SHARE)


def losses(tower: Tower, chance: random.Random) -> list[Loss]:
    """Return one loss of each kind, of parts and in an order that `chance` gives."""
    secondary = chance.sample(tower.secondaries, k=2)
    enterprise = chance.choices(tower.enterprises, k=3)
    found = [
        _killed(secondary[0]),
        _killed(enterprise[0]),
        Loss("stopped", enterprise[1], enterprise[1].pause, enterprise[1].resume),
        Loss("cut off", enterprise[2], enterprise[2].cut, enterprise[2].join),
        Loss("cut off", secondary[1], secondary[1].cut, secondary[1].join),
        Loss("stopped", tower.top, tower.top.pause, tower.top.resume),
        _without_database(secondary[1]),
    ]
    chance.shuffle(found)
    return found


def _killed(part: Part) -> Loss:
    return Loss("killed", part, part.kill, part.start)


def _without_database(part: Part) -> Loss:
    url = str(part.settings["database_url"])
    head, question, query = url.partition("?")
    server, _, name = head.rpartition("/")

    async def allow(allowed: bool) -> None:
        connection = await asyncpg.connect(f"{server}/postgres{question}{query}")
        try:
            await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}")
            if not allowed:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                    name,
                )
        finally:
            await connection.close()

    return Loss(
        "without its database",
        part,
        lambda: asyncio.run(allow(False)),
        lambda: asyncio.run(allow(True)),
    )


def play(tower: Tower, seed: int) -> Iterator[Line]:
    """Ask for everything, then lose each part of the script in turn, ask again, get it back."""
    chance = random.Random(seed)
    application = Application(tower.entries)
    keeper = _Keeper(tower, chance)
    known = [name for names in tower.known.values() for name in names]
    chance.shuffle(known)
    yield Line("calm", _ask(application, known), _ask(application, keeper.some()))
    for loss in losses(tower, chance):
        loss.begin()
        time.sleep(TTL + 1)  # what holds for a short time is stale by now, and its holder gone
        seen = _ask(application, known), _ask(application, keeper.some())
        ended = time.monotonic()
        loss.end()
        application.forgive()
        _recover(tower, keeper, loss.part)
        recovery = time.monotonic() - ended
        _ask(application, known)  # a node that was killed has forgotten all
        yield Line(f"{loss.part.name} {loss.name}", *seen, recovery=recovery)
    yield Line("calm", _ask(application, known), _ask(application, keeper.some()))


def _ask(application: Application, names: list[str]) -> Tally:
    return asyncio.run(application.ask_all(names))


class _Keeper:
    """Gives out names that nobody has asked for, each once."""

    def __init__(self, tower: Tower, chance: random.Random) -> None:
        self._left = {node: chance.sample(names, len(names)) for node, names in tower.fresh.items()}

    def some(self) -> list[str]:
        """Return one of each node."""
        return [names.pop() for names in self._left.values()]

    def one(self, node: str) -> str:
        """Return one of a node; of any if the node has none, as the top level."""
        return self._left.get(node, next(iter(self._left.values()))).pop()


def _recover(tower: Tower, keeper: _Keeper, part: Part) -> None:
    """Wait until an identifier of the part is found from another node, and the part is there."""
    part.wait()
    others = [entry for entry in tower.entries if entry is not part]
    end = time.monotonic() + RECOVERY_SECONDS

    async def found(name: str) -> bool:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            said, _ = await Application(others[:1]).ask(session, name, 0)
        return said == "answered"

    name = keeper.one(part.name)
    while not asyncio.run(found(name)):
        if time.monotonic() > end:
            return
        time.sleep(_LOOK_SECONDS)
