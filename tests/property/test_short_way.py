"""The short way answers exactly as aiohttp does: the same bytes, for any input, cut anywhere.

Two protocols serve one application over transports in memory: aiohttp's own, and ours with the
short way before it. Whatever a client sends, what comes back must not differ.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.database import Database
from registry.metrics import private_row
from resolver.cache import Prefix
from resolver.lookup import Resolver, encode
from resolver.transports import short
from resolver.transports.http import add_routes
from resolver.transports.server import found_headers
from resolver.transports.short import Front
from resolver.transports.short_server import Room, ShortServer

CACHED = (
    "88.118.35/SN-0001",
    "88.118.35/Pump-7/b",
    "88.118.35/中文",
    '88.118.35/a"b',
    "88.118.35/n?x",
)
ABSENT = ("88.118.35/NONE",)
_DATE = re.compile(rb"Date: [^\r]*")


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        if not self.closed:
            self.sent += data

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Bench:
    """One application, served both ways on one loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        # No database is there: what is not cached is a 503, and that too must be equal.
        self.resolver = Resolver(
            Database("postgresql://nobody@127.0.0.1:1/none"),
            row=private_row(),
            cache_bytes=1 << 20,
            node_prefix="88.118",
            clock=lambda: 0.0,
        )
        prefix = Prefix(None)
        for name in CACHED:
            identifier = Identifier.parse(name)
            value = HandleValue(1, "URL", b"https://pump.example/7")
            key = identifier.key.encode()
            self.resolver.cache.put(key, encode(name, key, [value], prefix))
        for name in ABSENT:
            self.resolver.cache.put_absent(Identifier.parse(name).key.encode())
        app = web.Application(client_max_size=1000)
        add_routes(app, self.resolver)
        app.router.add_post("/echo", self._echo)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=1000, lingering_time=0)
        await runner.setup()
        server = runner.server
        assert server is not None
        self.plain = server
        names = self.resolver.counter.found.names
        self.front = Front(self.resolver.cache.answers, self.loop, names)
        lines = "".join(f"{name}: {value}\r\n" for name, value in found_headers(stale=True))
        self.front.head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: ".encode()
        self.short = ShortServer(server, self.front, Room(), private_row())

    @staticmethod
    async def _echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    def answer(
        self, server: web.Server, chunks: Sequence[bytes], *, settle: bool
    ) -> tuple[bytes, bool]:
        """Send the chunks; return what came back, without dates, and whether it was closed."""
        return self.loop.run_until_complete(self._answer(server, chunks, settle=settle))

    async def _answer(
        self, server: web.Server, chunks: Sequence[bytes], *, settle: bool
    ) -> tuple[bytes, bool]:
        wire = Wire()
        protocol = server()
        protocol.connection_made(wire)
        await _turn(protocol, wire)
        for chunk in chunks:
            protocol.data_received(chunk)
            if settle:
                await _turn(protocol, wire)
        await _turn(protocol, wire)
        closed = wire.closed
        protocol.connection_lost(None)
        return _DATE.sub(b"Date: -", bytes(wire.sent)), closed

    def close(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


async def _turn(protocol: RequestHandler, wire: Wire) -> None:
    """Let everything that can run do so: until aiohttp waits, for a message or for more of one."""
    quiet = 0
    before = -1
    for _ in range(500):
        await asyncio.sleep(0)
        now = len(wire.sent)
        quiet = quiet + 1 if now == before else 0
        before = now
        if quiet > 20:
            return


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def _expected(bench: Bench, chunks: list[bytes], *, settle: bool) -> set[tuple[bytes, bool]]:
    """Return what aiohttp answers to these chunks, which depends on the cutting if they are bad.

    At an error aiohttp drops the good requests that came in the same read. The short way is as
    if the first so many requests had come in reads of their own.
    """
    stream = b"".join(chunks)
    edges = [len(b"".join(chunks[:n])) for n in range(1, len(chunks))]
    heads = [match.end() for match in re.finditer(rb"\r\n\r\n", stream)]
    return {
        bench.answer(bench.plain, _cut(stream, edges + heads[:count]), settle=settle)
        for count in range(len(heads) + 1)
    }


def _cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[a:b] for a, b in itertools.pairwise(edges)] or [stream]


names = st.sampled_from(
    ["88.118.35/SN-0001"] * 12
    + [
        "88.118.35/SN-0001",
        "88.118.35/sn-0001",
        "88.118.35/PUMP-7/B",
        "88.118.35/%53N-0001",
        "88.118.35/%E4%B8%AD%E6%96%87",
        "88.118.35/a%22b",
        '88.118.35/a"b',
        "88.118.35/n%3Fx",
        "88.118.35/n?x",
        "88.118.35/SN-0001?type=URL",
        "88.118.35/SN-0001?",
        "88.118.35/SN-0001#x",
        "88.118.35/NONE",
        "88.118.35/UNKNOWN",
        "88.118.35/%zz",
        "88.118.35/",
        "",
    ]
)
plain_headers = st.lists(
    st.sampled_from(
        [
            "User-Agent: wrk",
            "Accept: application/json",
            "accept-encoding: gzip, deflate",
            "Connection: keep-alive",
            "connection: Keep-Alive",
            "X-Request-Id: 7",
        ]
    ),
    max_size=4,
    unique_by=lambda header: header[:4].lower(),
)
ODD_HEADERS = (
    "Connection: close",
    "CONNECTION: Close",
    "connection: keep-alive, close",
    "Connection: close\r\nConnection: keep-alive",
    "Content-Length: 0",
    "Range: bytes=0-3",
    'If-None-Match: "1"',
    "Expect: 100-continue",
    "Authorization: Bearer x",
    "Transfer-Encoding: identity",
    "Upgrade: websocket\r\nConnection: upgrade",
)
odd_headers = st.sampled_from(ODD_HEADERS)


@st.composite
def gets(draw: st.DrawFn) -> bytes:
    """One GET or HEAD, often plain, sometimes with what forbids the short way."""
    method = draw(st.sampled_from(["GET"] * 6 + ["HEAD"]))
    path = draw(st.sampled_from(["/api/handles/"] * 6 + ["/resolve/", "/api/handle/"]))
    version = draw(st.sampled_from(["1.1"] * 8 + ["1.0"]))
    host = draw(st.sampled_from([["Host: node.example"]] * 12 + [[]]))
    headers = [*host, *(draw(plain_headers) if draw(st.booleans()) else [])]
    body = b""
    if draw(st.integers(0, 4)) == 0:
        headers = [*headers, draw(odd_headers)]
    elif draw(st.integers(0, 6)) == 0:
        body = draw(bodies)
        headers = [*headers, f"Content-Length: {len(body)}"]
    lines = [f"{method} {path}{draw(names)} HTTP/{version}", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


smuggled = b"GET /api/handles/88.118.35/SN-0001 HTTP/1.1\r\nHost: x\r\n\r\n"
bodies = st.sampled_from([b"x", smuggled, smuggled * 2, b"\r\n\r\n", b"GET "])


@st.composite
def posts(draw: st.DrawFn) -> bytes:
    """One POST whose body may look like a request."""
    body = draw(bodies)
    if draw(st.booleans()):
        head = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked


requests = st.lists(st.one_of(gets(), gets(), gets(), posts()), min_size=1, max_size=5)
streams = requests.map(b"".join)
places = st.lists(st.integers(0, 2000), max_size=6)


@st.composite
def deliveries(draw: st.DrawFn) -> list[bytes]:
    """Some requests, cut between them, at random, or not at all."""
    parts = draw(requests)
    return parts if draw(st.booleans()) else _cut(b"".join(parts), draw(places))


common = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@common
@given(chunks=deliveries(), settle=st.booleans())
def test_both_ways_answer_alike_however_the_input_is_cut(
    bench: Bench, chunks: list[bytes], settle: bool
) -> None:
    expected = _expected(bench, chunks, settle=settle)
    assert bench.answer(bench.short, chunks, settle=settle) in expected


@common
@given(data=st.data(), stream=streams, cuts=places)
def test_both_ways_answer_alike_whatever_byte_is_broken(
    bench: Bench, data: st.DataObject, stream: bytes, cuts: list[int]
) -> None:
    broken = bytearray(stream)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(broken)))
        piece = data.draw(
            st.sampled_from([b"\n", b"\r", b"\r\n", b"\0", b" ", b":", b"\x80", b"GET ", b"\t"])
        )
        if data.draw(st.booleans()):
            broken[place:place] = piece
        else:
            del broken[place : place + data.draw(st.integers(1, 3))]
    chunks = _cut(bytes(broken), cuts)
    expected = _expected(bench, chunks, settle=True)
    assert bench.answer(bench.short, chunks, settle=True) in expected


def test_the_short_way_is_taken(bench: Bench) -> None:
    before = bench.front.hits
    request = smuggled * 3
    sent, closed = bench.answer(bench.short, [request], settle=True)
    assert sent.count(b'"responseCode":1') == 3
    assert not closed
    assert bench.front.hits == before + 3


def test_a_get_after_a_miss_takes_the_short_way_again(bench: Bench) -> None:
    before = bench.front.hits
    unknown = smuggled.replace(b"SN-0001", b"UNKNOWN")
    sent, _ = bench.answer(bench.short, [smuggled, unknown, smuggled], settle=True)
    assert sent.count(b"HTTP/1.1 200") == 2
    assert sent.count(b"HTTP/1.1 503") == 1
    assert bench.front.hits == before + 2


def test_the_body_of_a_get_is_not_taken_for_a_request(bench: Bench) -> None:
    head = (
        b"GET /api/handles/88.118.35/SN-0001 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        % len(smuggled)
    )
    for chunks in ([head + smuggled], [head, smuggled], [head[:9], head[9:] + smuggled]):
        sent, _ = bench.answer(bench.short, chunks, settle=True)
        assert sent.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("before", [[], [smuggled]])
def test_nothing_is_answered_while_aiohttp_holds_half_a_head(
    bench: Bench, before: list[bytes]
) -> None:
    half = b"POST /echo HTTP/1.1\r\nX-Trap: "
    sent, _ = bench.answer(bench.short, [*before, half, smuggled], settle=True)
    assert sent.count(b'"responseCode"') == len(before)


@pytest.mark.parametrize(
    "other",
    [
        smuggled.replace(b"SN-0001", b"sn-0001"),
        smuggled.replace(b"SN-0001", b"UNKNOWN"),
        smuggled.replace(b"GET", b"PUT"),
        smuggled.replace(b"GET", b"HEAD"),
        smuggled.replace(b"/api/handles", b"/api/handler"),
        smuggled.replace(b"/api/handles", b"/resolve"),
        b"X" + smuggled,
    ],
)
def test_the_tail_of_the_last_request_alone_does_not_make_a_short_one(
    bench: Bench, other: bytes
) -> None:
    expected = bench.answer(bench.plain, [smuggled, other, smuggled], settle=True)
    assert bench.answer(bench.short, [smuggled, other, smuggled], settle=True) == expected


def test_a_dead_prefix_is_not_answered_from_the_cache(bench: Bench) -> None:
    prefix = Prefix(None)
    key = b"88.118.36/X"
    value = HandleValue(1, "URL", b"https://pump.example/7")
    bench.resolver.cache.put(key, encode(key.decode(), key, [value], prefix))
    request = smuggled.replace(b"35/SN-0001", b"36/X")
    for chunks in ([smuggled + request], [smuggled, request]):  # both lanes of the short way
        prefix.live = True
        assert bench.answer(bench.short, chunks, settle=True)[0].count(b"200 OK") == 2
        prefix.live = False
        assert bench.answer(bench.short, chunks, settle=True)[0].count(b"200 OK") == 1


def test_an_answer_does_not_overtake_the_one_that_aiohttp_is_making(bench: Bench) -> None:
    unknown = smuggled.replace(b"SN-0001", b"UNKNOWN")
    sent, _ = bench.answer(bench.short, [unknown, smuggled], settle=False)
    assert sent.index(b"HTTP/1.1 503") < sent.index(b"HTTP/1.1 200")


def test_answers_to_one_read_are_not_all_put_together_however_long_they_are(bench: Bench) -> None:
    key = b"88.118.37/LONG"
    value = HandleValue(1, "TEXT", b"x" * 50_000)
    bench.resolver.cache.put(key, encode(key.decode(), key, [value], Prefix(None)))
    stream = 60 * smuggled.replace(b"35/SN-0001", b"37/LONG")

    async def held_at_once() -> int:
        wire, protocol = Wire(), bench.short()
        protocol.connection_made(wire)
        await _turn(protocol, wire)
        protocol.data_received(stream)
        held = len(wire.sent)
        protocol.connection_lost(None)
        return held

    held = bench.loop.run_until_complete(held_at_once())
    assert short._WRITE_BYTES < held < short._WRITE_BYTES + 100_000
    expected = bench.answer(bench.plain, [stream], settle=True)
    assert expected[0].count(b"200 OK") == 60
    assert bench.answer(bench.short, [stream], settle=True) == expected


@pytest.mark.parametrize("header", ODD_HEADERS)
def test_a_header_that_aiohttp_looks_at_has_its_effect(bench: Bench, header: str) -> None:
    request = smuggled.replace(b"Host: x", b"Host: x\r\n" + header.encode())
    expected = bench.answer(bench.plain, [request, smuggled], settle=True)
    assert bench.answer(bench.short, [request, smuggled], settle=True) == expected


@pytest.mark.parametrize("before", [[], [b"GET /other HTTP/1.1\r\nHost: a\r\nX: "], [smuggled]])
@pytest.mark.parametrize("end", [b"\0", b"", b"\n", b"\r\n", b" ", b" HTTP/1.1"])
def test_a_target_without_the_rest_of_a_request_is_not_answered(
    bench: Bench, before: list[bytes], end: bytes
) -> None:
    chunks = [*before, b"GET /api/handles/88.118.35/SN-0001" + end]
    expected = _expected(bench, chunks, settle=True)
    assert bench.answer(bench.short, chunks, settle=True) in expected


def test_a_connection_that_is_being_closed_is_not_answered(bench: Bench) -> None:
    async def close_first() -> bytes:
        wire = Wire()
        protocol = bench.short()
        protocol.connection_made(wire)
        await _turn(protocol, wire)
        protocol.close()  # as a draining server does
        protocol.data_received(smuggled)
        await _turn(protocol, wire)
        protocol.connection_lost(None)
        return bytes(wire.sent)

    assert bench.loop.run_until_complete(close_first()) == b""
