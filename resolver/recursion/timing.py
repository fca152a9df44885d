"""How fast servers answer: smoothed round trips and waiting times, as in RFC 6298.

A server that has not answered yet is taken for a fast one, so that each is tried once; one that
does not answer is asked last for a while, and is tried again when that is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resolver.recursion.places import Server

FIRST_WAIT, MIN_WAIT, MAX_WAIT = 0.5, 0.1, 1.5
"""Seconds to wait for a server of which nothing is known; the least, and the most."""

REST_SECONDS = 30.0
"""How long a server that failed is asked after the others: the failure recheck timer of RFC 8767
section 5, at which a server is not held to be down for longer than that."""

MAX_SERVERS = 10_000


@dataclass(slots=True)
class _Times:
    smoothed: float
    variation: float
    resting_until: float = 0.0
    backoff: int = 0


class Timing:
    """What is known of servers. One a worker; of MAX_SERVERS, the longest unheard of are forgotten.

    clock: seconds that do not go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[Server, _Times] = {}

    def order(self, servers: Sequence[Server]) -> list[Server]:
        """Return the servers, the ones that are likely to answer first at the front."""
        now = self._clock()

        def rank(server: Server) -> tuple[bool, int, float]:
            times = self._known.get(server)
            if times is None:
                return False, server.rank, 0.0
            return times.resting_until > now, server.rank, times.smoothed

        return sorted(servers, key=rank)

    def wait(self, server: Server) -> float:
        """Return how many seconds to wait for an answer: RFC 6298 sections 2 and 5.5."""
        times = self._known.get(server)
        if times is None:
            return FIRST_WAIT
        wait = max(MIN_WAIT, times.smoothed + 4 * times.variation)
        return min(MAX_WAIT, wait * float(1 << times.backoff))

    def answered(self, server: Server, seconds: float) -> None:
        """Take the round trip of an answer."""
        times = self._known.pop(server, None)
        if times is None:
            times = _Times(seconds, seconds / 2)
        else:
            times.variation = 0.75 * times.variation + 0.25 * abs(times.smoothed - seconds)
            times.smoothed = 0.875 * times.smoothed + 0.125 * seconds
            times.resting_until, times.backoff = 0.0, 0
        self._keep(server, times)

    def failed(self, server: Server) -> None:
        """Take it that a server gave no answer, or none that helps."""
        times = self._known.pop(server, None) or _Times(FIRST_WAIT / 2, FIRST_WAIT / 16)
        times.resting_until = self._clock() + REST_SECONDS
        times.backoff = min(times.backoff + 1, 4)
        self._keep(server, times)

    def _keep(self, server: Server, times: _Times) -> None:
        while len(self._known) >= MAX_SERVERS:
            del self._known[next(iter(self._known))]
        self._known[server] = times
