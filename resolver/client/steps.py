"""What a client did and saw on its way to an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from protocol.handle.message import Message

Transport: TypeAlias = Literal["udp", "tcp", "http"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens. host: name or IP address.

    tcp_port: of a server that is asked over UDP: where it takes the same over TCP; None: at `port`.
    """

    transport: Transport
    host: str
    port: int
    tcp_port: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened.

    event: ``ask`` a server, as the first of a hop; ``send``, ``receive``; ``ignore`` what came and
    is no answer; ``wait`` in vain; ``refer`` to another server. attempt: from 1. size: bytes on
    the wire, in `packets` datagrams. message: of the Handle protocol; content: of HTTP.
    """

    event: Literal["ask", "send", "receive", "ignore", "wait", "refer"]
    endpoint: Endpoint
    attempt: int = 1
    size: int = 0
    packets: int = 1
    message: Message | None = None
    content: Any = None
    detail: str = ""


Watch: TypeAlias = Callable[[Step], None]


def nobody(_step: Step) -> None:
    """Watch nothing."""
