"""Bounds of recursion, what it finds, and why it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from protocol.errors import PeerUnavailable, ResponseCode
from protocol.values import HandleValue

Reason: TypeAlias = Literal[
    "loop", "questions", "depth", "place", "refused", "servers", "deadline", "busy", "client"
]
"""Why a walk failed: it came to the same question again; too many questions; services of services;
no site that can be asked, or none whose address may be; no server gave an answer; no time left; as
much as may be is under way, for all or for this client."""

REASONS: tuple[str, ...] = get_args(Reason)


@dataclass(frozen=True)
class Bounds:
    """How much one walk may cost.

    seconds: for all of it. questions: sent to servers that answer, for one identifier with all
    services on its way. depth: of services that are found by other services. attempts: tries of
    one question at all servers. min_ttl, max_ttl, negative_ttl: seconds for which an answer is
    kept, whatever it says itself; the last one for answers without values.
    """

    seconds: float = 4.0
    questions: int = 16
    depth: int = 3
    attempts: int = 12
    min_ttl: int = 5
    max_ttl: int = 86_400
    negative_ttl: int = 60


class RecursionFailed(PeerUnavailable):
    """Other nodes were asked and no answer was found."""

    def __init__(self, detail: str, reason: Reason) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Found:
    """What another node says of an identifier.

    code: SUCCESS with values, or HANDLE_NOT_FOUND, VALUES_NOT_FOUND without. stale: its time was
    over, and nobody could be asked (RFC 8767).
    """

    code: int
    answered: tuple[HandleValue, ...] = ()
    stale: bool = False

    def values(self) -> list[HandleValue]:
        """Return the values, as an answer of this node does."""
        return list(self.answered)


FINAL = frozenset(
    {
        ResponseCode.SUCCESS,
        ResponseCode.HANDLE_NOT_FOUND,
        ResponseCode.VALUES_NOT_FOUND,
    }
)
"""Answers of a server that is responsible."""


def seconds_to_keep(values: Sequence[HandleValue], bounds: Bounds, now: float) -> int:
    """Return how long an answer is kept: the shortest ttl in it, within the bounds.

    now: Unix seconds, for a ttl that is a time.
    """
    if not values:
        return bounds.negative_ttl
    shortest = min(int(value.ttl - now) if value.ttl_absolute else value.ttl for value in values)
    return max(bounds.min_ttl, min(bounds.max_ttl, shortest))
