"""Single registrations: those that wait at the same time are written in one transaction.

What a commit costs, and each round trip before it, is then paid once for all of them: the more
clients there are, the more they share. One that waits alone takes the way of identifiers.put, which
is shorter for one. Each is done or refused by itself, has its own line in the audit log, and is
acknowledged after the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.errors import Busy
from registry import identifiers
from registry.batch.model import Done, Put, Stored
from registry.batch.service import run
from registry.services import Registry, work

AT_ONCE = 6
"""Transactions of one process under way, each for another token; those that are held up beside."""

MAX_GROUP = 64
"""Registrations in one transaction."""

MAX_WAITING = 4096
"""Registrations that one process has taken and not answered yet."""

WITHIN = 1.0
"""Seconds in which a group must be ready to commit. It is not where somebody else holds a lock that
one of them needs: the others shall not wait for that, each is done alone then."""


GATHERING = 0.005
"""Seconds for which the next transaction waits, at the longest, for as many as the last one had and
as wait already. Those who were answered just now send the next, one after another: else there were
two crowds for ever, each of which waits for the transaction of the other."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    put: Put
    done: asyncio.Future[Done]


class _HeldUp(Exception):
    """A group was not ready in time; nothing of it is written."""


class Groups:
    """The single registrations of one process.

    Of each token one transaction is under way at a time: what comes meanwhile gathers for the
    next.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._queues: dict[str, deque[_Waiting]] = {}
        self._waiting = 0
        self._busy: set[str] = set()
        self._gathering: dict[str, tuple[int, asyncio.Event]] = {}
        self._turns: set[asyncio.Task[None]] = set()

    def put(self, token: str, put: Put) -> asyncio.Future[Done]:
        """Create or replace an identifier in the name of who holds `token`.

        Returns what to wait for. It raises as identifiers.put and services.work do; this itself
        raises Busy.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy("as many registrations wait as the node lets wait")
        waiting = _Waiting(put, asyncio.get_running_loop().create_future())
        queue = self._queues.setdefault(token, deque())
        queue.append(waiting)
        self._waiting += 1
        waiting.done.add_done_callback(self._leave)
        wanted, enough = self._gathering.get(token, (0, None))
        if enough is not None and len(queue) >= wanted:
            enough.set()
        self._go_on()
        return waiting.done

    def _leave(self, _: asyncio.Future[Done]) -> None:
        self._waiting -= 1

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._turns:
            await asyncio.wait(self._turns)

    def _go_on(self) -> None:
        """Begin turns of those whose token has none, the longest without one first."""
        while len(self._busy) < AT_ONCE:
            token = next((each for each in self._queues if each not in self._busy), None)
            if token is None:
                return
            group = self._take(token)
            if group:
                self._busy.add(token)
                turn = asyncio.create_task(self._turn(token, group))
                self._turns.add(turn)
                turn.add_done_callback(self._turns.discard)

    def _take(self, token: str) -> Sequence[_Waiting]:
        """Take those who wait, in their order, each for another identifier."""
        queue = self._queues.pop(token)
        group: dict[str, _Waiting] = {}
        left: list[_Waiting] = []
        while queue and len(group) < MAX_GROUP:
            one = queue.popleft()
            if one.done.done():  # nobody waits any more
                continue
            if one.put.identifier.key in group:
                left.append(one)
            else:
                group[one.put.identifier.key] = one
        queue.extendleft(reversed(left))
        if queue:
            self._queues[token] = queue  # at the end: others come first
        return list(group.values())

    async def _turn(self, token: str, group: Sequence[_Waiting]) -> None:
        writing = asyncio.create_task(self._write(token, group))
        await asyncio.wait([writing], timeout=WITHIN)
        if len(group) > 1 and writing.done() and writing.exception() is None:
            await self._gather(token, min(len(group) + writing.result(), MAX_GROUP))
        self._busy.discard(token)  # what takes longer holds up none that come later
        self._go_on()
        try:
            await writing
        except _HeldUp:
            await asyncio.gather(*(self._write(token, [one]) for one in group))

    async def _gather(self, token: str, count: int) -> None:
        if len(self._queues.get(token, ())) >= count:
            return
        enough = asyncio.Event()
        self._gathering[token] = (count, enough)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHERING):
                await enough.wait()
        del self._gathering[token]

    async def _write(self, token: str, group: Sequence[_Waiting]) -> int:
        """Write a group, and tell those who wait; return how many others of the token wait then.

        Raises _HeldUp where there are several.
        """
        try:
            if len(group) == 1:
                outcomes: Sequence[Done | Exception] = [await self._alone(token, group[0].put)]
            else:
                outcomes = await self._together(token, group)
        except _HeldUp:
            raise
        except Exception as error:  # whatever it is, each of those who wait is told
            outcomes = [error] * len(group)
        # Now, for whoever is told may be among those who wait before anybody looks again.
        others = len(self._queues.get(token, ()))
        for one, outcome in zip(group, outcomes, strict=True):
            if one.done.done():
                continue
            if isinstance(outcome, Done):
                one.done.set_result(outcome)
            else:
                one.done.set_exception(outcome)
        return others

    async def _alone(self, token: str, put: Put) -> Done:
        async with work(self._registry, token, put.request_id) as current:
            row, created = await identifiers.put(
                current, put.identifier, values=put.values, template=put.template, when=put.when
            )
        stored = Stored(row.values_, row.template, row.created_at, row.updated_at)
        return Done("created" if created else "replaced", put.identifier, row.version, stored)

    async def _together(self, token: str, group: Sequence[_Waiting]) -> Sequence[Done | Exception]:
        puts = [one.put for one in group]
        async with work(self._registry, token) as current:
            try:
                async with asyncio.timeout(WITHIN):
                    result = await run(current, puts, atomic=False, single=True)
            except TimeoutError as error:
                raise _HeldUp from error
        return result.outcomes
