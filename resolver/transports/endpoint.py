"""What the sockets of the Handle protocol need of whoever answers."""

from __future__ import annotations

from typing import Protocol

from protocol.handle.envelope import Envelope
from protocol.handle.message import Message
from registry.metrics import Row
from resolver.handle.service import Peer


class Freshness(Protocol):
    """Says whether what is in memory is known to be up to date."""

    @property
    def fresh(self) -> bool:
        """Whether it is."""


class ShortWay(Protocol):
    """The short way: answers out of memory, byte for byte."""

    def answer(self, request: bytes) -> bytes | None:
        """Return the answer to one whole message, None if it is to go the long way."""

    def take_back(self, request: bytes) -> None:
        """Do not count the last answer, which was to this request: it is not sent."""


class Front(ShortWay, Protocol):
    """The short way, whose answers hold the time."""

    def renew(self) -> None:
        """Forget what holds the time; called a few times a second."""


class Endpoint(Protocol):
    """Answers whole messages."""

    @property
    def row(self) -> Row:
        """Where the sockets count."""

    @property
    def front(self) -> Front:
        """The short way."""

    @property
    def freshness(self) -> Freshness:
        """Whether the answers of the short way are up to date."""

    @property
    def expiration(self) -> int:
        """Unix seconds at which an answer made now is void."""

    async def answer(self, envelope: Envelope, payload: bytes, peer: Peer) -> list[Message]:
        """Answer one message the long way; nothing for what is no request."""

    def too_long(self, request: bytes) -> bytes:
        """Answer a plain request over UDP, for which there is an answer that is too long."""
