"""Putting one question to a place: which of its servers, how long to wait, over what transport."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Protocol

from protocol.errors import IdnodeError, PeerUnavailable, ProtocolError, ResponseCode
from protocol.handle.header import OpFlag
from protocol.handle.message import Message
from resolver.client import tcp
from resolver.client.exchange import REFERRALS, Answer, Asking, read_answer
from resolver.client.steps import Endpoint, Step, Transport, Watch, nobody
from resolver.handle.elsewhere import read_address
from resolver.recursion import udp
from resolver.recursion.model import FINAL, Bounds, RecursionFailed
from resolver.recursion.places import Server
from resolver.recursion.timing import Timing
from resolver.recursion.udp import Dropped
from resolver.recursion.walk import Question

FLAGS = OpFlag.CACHE_CERTIFY | OpFlag.PUBLIC_ONLY
"""Of our questions: not recursive, so that nodes that recurse never ask each other in a circle."""

TCP_SECONDS = 2.0
"""Time for the connection, the question and its answer."""


class Carry(Protocol):
    """Sends a request to a server and returns the answer. Raises PeerUnavailable, ProtocolError."""

    async def __call__(
        self, request: Message, endpoint: Endpoint, *, seconds: float, watch: Watch
    ) -> Message:
        """Carry one request."""


@dataclass(frozen=True)
class Network:
    """What carries questions: the real one by default, another one in tests."""

    udp: Carry
    tcp: Carry


def real_network(dropped: Dropped) -> Network:
    """Return the network. dropped: is told of what came and is no answer."""

    async def over_udp(
        request: Message, endpoint: Endpoint, *, seconds: float, watch: Watch
    ) -> Message:
        address = await _addressed(endpoint)
        return await udp.ask(request, address, seconds=seconds, dropped=dropped, watch=watch)

    async def over_tcp(
        request: Message, endpoint: Endpoint, *, seconds: float, watch: Watch
    ) -> Message:
        try:
            return await tcp.ask(request, endpoint, watch=watch, seconds=seconds)
        except ProtocolError as error:
            dropped(udp.reason_of(error))
            raise

    return Network(over_udp, over_tcp)


async def _addressed(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint by its address: a root may be given by its name."""
    if read_address(endpoint.host) is not None:
        return endpoint
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_DGRAM
        )
    except OSError as error:
        raise PeerUnavailable(f"{endpoint}: {error.strerror or error}") from None
    return replace(endpoint, host=str(found[0][4][0]))


@dataclass(slots=True)
class Asker:
    """Puts questions to places. One a worker.

    clock: seconds that do not go back. now: Unix seconds. number: a request id, 32 random bits.
    """

    network: Network
    bounds: Bounds
    clock: Callable[[], float] = monotonic
    now: Callable[[], float] = time
    number: Callable[[], int] = lambda: secrets.randbits(32)
    timing: Timing = field(init=False)

    def __post_init__(self) -> None:
        self.timing = Timing(self.clock)

    async def ask(self, question: Question, count: int = 0, watch: Watch = nobody) -> Answer:
        """Return what the first server says that helps: an answer or a referral.

        count: how many servers have passed the question on before this one. Each server is asked
        over UDP, all of them once more, and then over TCP. A server that is not responsible, or
        cannot answer now, is not asked again. Raises RecursionFailed.
        """
        servers = self.timing.order(question.place.servers_for(question.identifier))
        out: set[Server] = set()
        trouble = "it has no server for this identifier"
        for server, endpoint in _attempts(servers, self.bounds.attempts, out):
            try:
                answer = await self._try(question, count, server, endpoint, watch)
            except IdnodeError as error:
                self.timing.failed(server)
                trouble = error.detail
                if isinstance(error, ProtocolError):
                    out.add(server)
                continue
            if answer.code in FINAL:
                return answer
            if answer.code in REFERRALS:
                watch(Step("refer", endpoint, detail=_told(answer)))
                return answer
            trouble = f"{server} answers {answer.code} {answer.detail}".rstrip()
            self.timing.failed(server)
            out.add(server)
        raise RecursionFailed(f"{question.identifier}: {trouble}", "servers")

    async def _try(
        self,
        question: Question,
        count: int,
        server: Server,
        endpoint: Endpoint,
        watch: Watch,
    ) -> Answer:
        request = self._request(question, count)
        over_udp = endpoint.transport == "udp"
        carry = self.network.udp if over_udp else self.network.tcp
        seconds = self.timing.wait(server) if over_udp else TCP_SECONDS
        started = self.clock()
        watch(Step("ask", endpoint, detail=f"for {question.identifier}"))
        message = await carry(request, endpoint, seconds=seconds, watch=watch)
        self.timing.answered(server, self.clock() - started)
        further = server.endpoint("tcp") if over_udp and _may_be_too_long(message) else None
        if further is not None:
            return await self._try(question, count, server, further, watch)
        return read_answer(message)

    def _request(self, question: Question, count: int) -> Message:
        asking = Asking(
            question.identifier, self.number(), int(self.now()), question.types, flags=FLAGS
        )
        message = asking.message()
        return replace(message, header=replace(message.header, recursion_count=count + 1))


def _told(answer: Answer) -> str:
    """Return where a referral leads, for people: the types of what it says."""
    types = dict.fromkeys(value.type for value in answer.values)
    return f"{answer.code} {' '.join(types) or answer.handle}"


def _may_be_too_long(message: Message) -> bool:
    """Whether an answer over UDP may stand for one that is too long for that."""
    return message.header.response_code == ResponseCode.ERROR


def _attempts(
    servers: list[Server], most: int, out: set[Server]
) -> Iterator[tuple[Server, Endpoint]]:
    """Yield whom to try next, and where; not those that are `out` by then."""
    rounds: tuple[Transport, ...] = ("udp", "udp", "tcp")
    for transport in rounds:
        for server in servers:
            endpoint = server.endpoint(transport)
            if endpoint is None or server in out:
                continue
            if most <= 0:
                return
            most -= 1
            yield server, endpoint
