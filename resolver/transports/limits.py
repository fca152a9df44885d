"""How much one source may have of a worker.

Whoever sends requests over UDP with the address of a victim makes us send the victim more than it
cost him. So what a source gets is counted: its answers, and the bytes by which they are longer than
AMPLIFICATION times the requests. A client that is real and gets too much asks over TCP.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

AMPLIFICATION = 3
"""How many times as long as its request an answer may be that costs its source nothing. RFC 9000
section 8.1 allows a server that much towards an address that is not validated."""

ANSWERS_WINDOW_SECONDS, BYTES_WINDOW_SECONDS = 0.1, 1.0
"""Answers are short and many; a window of bytes has to hold an answer that is long."""

_MOST_SOURCES = 100_000
_IPV6_SITE_BYTES = 7
_IPV4_MAPPED = bytes(10) + b"\xff\xff"


@dataclass(frozen=True)
class Limits:
    """What one source may have of a worker; 0: any number.

    udp_responses_per_second: answers. udp_bytes_per_second: bytes of them beyond AMPLIFICATION
    times the bytes of their requests. tcp_connections: open at once.
    """

    udp_responses_per_second: int = 0
    udp_bytes_per_second: int = 0
    tcp_connections: int = 0


def source_of(host: str) -> str:
    """Return whom an address is counted for: an IPv4 address, or the /56 of an IPv6 one.

    A site gets a block of IPv6 addresses and not one (RFC 6177), so whoever may forge one address
    of it may forge 2^64 of them. A /56 is what many sites have, and all in it share one line.
    """
    if ":" not in host:
        return host
    octets = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if octets.startswith(_IPV4_MAPPED):
        return socket.inet_ntop(socket.AF_INET, octets[len(_IPV4_MAPPED) :])
    return octets[:_IPV6_SITE_BYTES].hex()


def network_of(host: str) -> str:
    """Return whom an address is counted for over DNS: the /24 of an IPv4 one, the /56 of IPv6.

    Whoever floods a victim by answers of ours forges the addresses of its network in turn.
    """
    source = source_of(host)
    return source.rpartition(".")[0] or source


class ResponseLimit:
    """What each source has had over UDP in the present windows."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        """Take the limits, and a clock in seconds that does not go back."""
        answers, octets = limits.udp_responses_per_second, limits.udp_bytes_per_second
        self._answers = Shares(answers, ANSWERS_WINDOW_SECONDS, clock)
        self._bytes = Shares(octets, BYTES_WINDOW_SECONDS, clock)
        self.on = bool(answers or octets)
        """Whether there is any: the hot path asks nothing else where there is none."""

    def allows(self, source: str, answers: int = 1) -> bool:
        """Count answers to a source, of a datagram each; return whether they may be sent."""
        return self._answers.take(source, answers)

    def affords(self, source: str, asked: int, answered: int) -> bool:
        """Count the bytes of an answer; return whether it may be sent to that source.

        asked: bytes of the request. So a source never gets more than AMPLIFICATION times what it
        sent, and the limit.
        """
        beyond = answered - AMPLIFICATION * asked
        return beyond <= 0 or self._bytes.take(source, beyond)


class Places:
    """How many connections each source has, and all together."""

    def __init__(self, per_source: int) -> None:
        """Take how many one source may have; 0: any number."""
        self._per_source = per_source
        self._taken: Counter[str] = Counter()
        self.taken = 0

    def free_for(self, source: str) -> bool:
        """Whether a source may have one more."""
        return not self._per_source or self._taken[source] < self._per_source

    def take(self, source: str) -> None:
        """Count a connection that is made."""
        self._taken[source] += 1
        self.taken += 1

    def leave(self, source: str) -> None:
        """Count one less."""
        self._taken[source] -= 1
        self.taken -= 1
        if not self._taken[source]:
            del self._taken[source]


class Shares:
    """What has been taken of something, by source, in the present window of time."""

    def __init__(self, per_second: int, seconds: float, clock: Callable[[], float]) -> None:
        self.in_window = max(1, int(per_second * seconds)) if per_second else 0
        self._seconds = seconds
        self._clock = clock
        self._until = 0.0
        self._taken: dict[str, int] = {}

    def take(self, source: str, amount: int) -> bool:
        """Take so much if there is so much left; return whether there was."""
        if not self.in_window:
            return True
        now = self._clock()
        if now >= self._until:
            self._until = now + self._seconds
            self._taken.clear()
        taken = self._taken
        total = taken.get(source, 0) + amount
        if total > self.in_window:
            return False
        if source not in taken and len(taken) >= _MOST_SOURCES:
            return False  # a flood from everywhere: none of them is told apart any more
        taken[source] = total
        return True
