"""A node is no amplifier: what one source gets over UDP is bounded by what it sends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random

import pytest

from protocol.errors import ResponseCode
from protocol.handle import session as keys
from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.fragment import Reassembly, cut
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message, decode_payload
from protocol.handle.requests import HandleRequest, ResolutionRequest
from protocol.handle.responses import ErrorResponse, ResolutionResponse
from protocol.identifier import Identifier
from registry.metrics import slot
from resolver.cache import Answer
from resolver.client.exchange import Asking
from resolver.client.resolving import resolve
from resolver.client.steps import Endpoint, Step
from resolver.transports.limits import AMPLIFICATION, Limits, ResponseLimit
from tests.integration.handle_support import PLAIN, Node, ask, owned

BUDGET = 20_000
SMALL, DATAGRAM, LONG, HUGE = "SMALL", "DATAGRAM", "LONG", "HUGE"
SIZES = {SMALL: [20], DATAGRAM: [300], LONG: [500] * 24, HUGE: [1000] * 40}


@dataclass
class Source:
    """One source, which counts what it sends and gets."""

    node: Node
    prefix: str
    socket: socket.socket
    sent: int = 0
    received: list[bytes] = field(default_factory=list)

    @property
    def got(self) -> int:
        return sum(map(len, self.received))

    def dropped(self, reason: str) -> float:
        return self.node.services[0].registry.row.cells[slot("idnode_udp_dropped", reason)]

    async def send(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        for datagram in cut(message.envelope, message.encode_payload(), mark_truncated=True):
            await loop.sock_sendall(self.socket, datagram)
            self.sent += len(datagram)

    async def take(self, wanted: Message) -> Message:
        """Take all that comes until the answer to a request is whole; return that."""
        loop = asyncio.get_running_loop()
        whole = Reassembly()
        async with asyncio.timeout(20):
            while True:
                part = await loop.sock_recv(self.socket, 65_535)
                self.received.append(part)
                done = whole.add("server", decode_envelope(part), part[SIZE:], 0.0)
                if done is not None and done[0].request_id == wanted.envelope.request_id:
                    return decode_payload(*done)

    async def ask(self, message: Message) -> Message:
        await self.send(message)
        return await self.take(message)

    async def settle(self) -> None:
        """Wait until all that was sent is worked off, and take what has come of it."""
        await self.ask(self.question(SMALL))
        while tasks := self.node.servers[0]._udp._tasks:
            await asyncio.wait(tasks, timeout=20)
        await self.ask(self.question(SMALL))

    def question(self, suffix: str, flags: int = PLAIN, types: tuple[str, ...] = ()) -> Message:
        body = ResolutionRequest(f"{self.prefix}/{suffix}", (), types)
        return ask(OpCode.RESOLUTION, body, flags)


@pytest.fixture
async def source(node: Node) -> AsyncIterator[Source]:
    """A source on a worker that lets it have BUDGET, which is not renewed while a test runs."""
    prefix, token, _ = await owned(node)
    for suffix, lengths in SIZES.items():
        values = [
            {"index": n, "type": "TEXT", "data": {"format": "string", "value": "x" * length}}
            for n, length in enumerate(lengths, 1)
        ]
        status, answer, _ = await node.http.call(
            "PUT", f"/identifiers/{prefix}/{suffix}", token, {"values": values}
        )
        assert status == 201, answer
    udp = node.servers[0]._udp
    udp._limit = ResponseLimit(Limits(0, BUDGET), lambda: 1.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        opened.setblocking(False)
        opened.connect(("127.0.0.1", udp.port))
        yield Source(node, prefix, opened)


async def test_whatever_one_source_asks_it_gets_a_bounded_multiple_of_what_it_sent(
    source: Source,
) -> None:
    random = Random(2641)
    missing, many_types = "MISSING", tuple(f"TYPE-{n}" for n in range(60))
    for _ in range(300):
        suffix = random.choice([SMALL, DATAGRAM, DATAGRAM, LONG, HUGE, missing])
        flags = random.choice(
            [PLAIN, PLAIN, PLAIN | OpFlag.CERTIFY, PLAIN | OpFlag.AUTHORITATIVE, 0]
        )
        types = random.choice([(), (), (), ("TEXT",), many_types])
        if random.random() < 0.1:
            message = ask(OpCode.GET_SITE_INFO, HandleRequest("/"), flags)
        else:
            message = source.question(suffix, flags, types)
        await source.send(message)
        if random.random() < 0.2:
            await source.settle()
    await source.settle()
    assert source.got <= AMPLIFICATION * source.sent + BUDGET
    assert source.got > BUDGET, "the source was not let have what it may"
    assert source.dropped("bytes") > 50
    assert source.dropped("size") > 10


@pytest.mark.parametrize("suffix", [DATAGRAM, LONG])
async def test_who_has_had_its_share_is_told_to_ask_over_tcp(source: Source, suffix: str) -> None:
    """By code 2, upon which the reference client does so; see tests/interop."""
    lengths = SIZES[suffix]
    told = 0
    for _ in range(BUDGET // sum(lengths) + 100):
        asked = source.question(suffix)
        answer = await source.ask(asked)
        if isinstance(answer.body, ResolutionResponse):
            assert not told, "what is spent is spent"
            assert len(answer.body.values) == len(lengths)
            continue
        told += 1
        assert answer.header.response_code == ResponseCode.ERROR
        assert isinstance(answer.body, ErrorResponse)
        assert "TCP" in answer.body.message
        assert len(source.received[-1]) <= AMPLIFICATION * len(asked.encode())
    assert told == source.dropped("bytes") > 20
    assert isinstance((await source.ask(source.question(SMALL))).body, ResolutionResponse)
    (over_tcp,) = await source.node.send(source.question(suffix))
    assert isinstance(over_tcp.body, ResolutionResponse)


async def test_what_was_not_sent_is_not_counted_as_resolved(source: Source) -> None:
    cached = source.node.services[0].resolver.cache.answers
    found: list[Answer] = []
    async with asyncio.timeout(20):
        while not found:  # an answer made before the news of its registration came is not kept
            await source.ask(source.question(DATAGRAM))
            found = [answer for key, answer in cached.items() if key.endswith(b"/DATAGRAM")]
    udp = source.node.servers[0]._udp
    udp._limit = ResponseLimit(Limits(0, 1), lambda: 1.0)
    prefix = found[0].prefix
    before = sum(prefix.cells)
    for _ in range(5):
        answer = await source.ask(source.question(DATAGRAM))
        assert answer.header.response_code == ResponseCode.ERROR
    assert sum(prefix.cells) == before


async def test_in_an_encrypted_session_the_word_to_ask_over_tcp_is_encrypted(
    source: Source,
) -> None:
    session = await source.node.session(None, encrypted=True)
    source.node.servers[0]._udp._limit = ResponseLimit(Limits(0, 1), lambda: 1.0)
    question = ResolutionRequest(f"{source.prefix}/{LONG}")
    request = session.message(OpCode.RESOLUTION, question).encode()
    envelope, payload = keys.encrypt_message(
        decode_envelope(request), request[SIZE:], session.key, bytes(16)
    )
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(source.socket, envelope.encode() + payload)
    async with asyncio.timeout(20):
        part = await loop.sock_recv(source.socket, 65_535)
    answer = decode_envelope(part)
    assert answer.encrypted
    assert len(part) <= AMPLIFICATION * (SIZE + len(payload))
    told = decode_payload(*keys.decrypt_message(answer, part[SIZE:], session.key))
    assert told.header.response_code == ResponseCode.ERROR
    assert isinstance(told.body, ErrorResponse)
    assert source.dropped("bytes") == 1


async def test_our_client_gets_over_tcp_what_is_too_long_for_udp(source: Source) -> None:
    node = source.node
    endpoint = Endpoint("udp", "127.0.0.1", node.servers[0].port)
    steps: list[Step] = []
    name = Identifier.parse(f"{source.prefix}/{HUGE}")
    got = await resolve(Asking(name, 7, 1_800_000_000), endpoint, watch=steps.append)
    assert (got.code, len(got.values)) == (ResponseCode.SUCCESS, len(SIZES[HUGE]))
    assert [one.endpoint.transport for one in steps if one.event == "ask"] == ["udp", "tcp"]
