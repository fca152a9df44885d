"""What holds back who guesses secrets of identities, and not who knows one.

Wrong proofs are counted in windows of time: of a source (an IPv4 address, an IPv6 network of 64
bits) and of an identity from wherever it is claimed. Over a limit a proof is refused unread, and
not counted: the lock ends with its window, however often somebody tries. From a source where an
identity has proved itself lately, only its own failures there count, so that strangers do not lock
it out. Such secrets come with each request of some clients, so the counts are in the memory of a
worker: of several, each has its own.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from protocol.errors import AuthenticationFailed, TooManyRequests
from registry.accounts.throttle import source_of
from registry.admins import Identity
from registry.metrics import Row

WINDOW_SECONDS = 300.0

SOURCE_LIMIT = 20
"""Wrong proofs in a window from one source; also of one identity where it is known."""

IDENTITY_LIMIT = 100
"""Wrong proofs in a window of one identity, from all sources where it is not known."""

MOST_KEPT = 10_000
"""Of each kind of count, and places where an identity is known. What is oldest goes first."""

Proved = TypeVar("Proved")


@dataclass(slots=True)
class _Window:
    ends: float
    count: int = 0


class _Counts:
    """How often something has happened, by key, in the window that began with the first time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # All windows are equally long, so they stand in the order in which they end.
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def seconds_left(self, key: str, now: float) -> float:
        """Return for how long nothing more may happen."""
        window = self._windows.get(key)
        if window is None or window.count < self._limit:
            return 0.0
        return max(0.0, window.ends - now)

    def add(self, key: str, now: float) -> None:
        window = self._windows.get(key)
        if window is None or window.ends <= now:
            self._windows.pop(key, None)
            if len(self._windows) >= MOST_KEPT:
                self._windows.popitem(last=False)
            window = self._windows[key] = _Window(now + WINDOW_SECONDS)
        window.count += 1

    def take_back(self, key: str) -> None:
        window = self._windows.get(key)
        if window is not None and window.count:
            window.count -= 1


class Guesses:
    """The counts of one worker."""

    def __init__(self, row: Row, clock: Callable[[], float]) -> None:
        """Take where to count for the metrics, and a clock in seconds."""
        self._row = row
        self._clock = clock
        self._sources, self._identities = _Counts(SOURCE_LIMIT), _Counts(IDENTITY_LIMIT)
        self._pairs = _Counts(SOURCE_LIMIT)
        self._known: OrderedDict[str, None] = OrderedDict()

    async def check(
        self,
        address: str | None,
        identity: Identity | None,
        prove: Callable[[], Awaitable[Proved | None]],
    ) -> Proved | None:
        """Return what `prove` does, None for a wrong proof, if whoever tries may try.

        address: of the peer. identity: that is claimed; None for one that has no secret here,
        which is not to push out the counts of those that have. It is counted before it is looked
        at, so that many at once are no more than the limit. Raises TooManyRequests.
        """
        claims = self._claims(source_of(address), identity)
        now = self._clock()
        seconds = max(counts.seconds_left(key, now) for counts, key in claims)
        if seconds:
            self._row.add("idnode_secrets_refused", "limit")
            raise TooManyRequests(
                "too many wrong secrets; the lock ends by itself", retry_after=math.ceil(seconds)
            )
        for counts, key in claims:
            counts.add(key, now)
        wrong = False
        try:
            proved = await prove()
            wrong = proved is None
        except AuthenticationFailed:
            wrong = True
            raise
        finally:
            if wrong:
                self._row.add("idnode_secrets_refused", "wrong")
            else:  # right, or not looked at after all
                for counts, key in claims:
                    counts.take_back(key)
        if proved is not None and identity is not None:
            self._know(_pair(source_of(address), identity))
        return proved

    def _claims(self, source: str, identity: Identity | None) -> list[tuple[_Counts, str]]:
        if identity is None:
            return [(self._sources, source)]
        pair = _pair(source, identity)
        if pair in self._known:
            return [(self._pairs, pair)]
        return [(self._sources, source), (self._identities, identity.key)]

    def _know(self, pair: str) -> None:
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)


def _pair(source: str, identity: Identity) -> str:
    return f"{source} {identity.key}"
