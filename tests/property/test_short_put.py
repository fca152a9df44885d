"""A PUT on the short way is answered as aiohttp does: the same bytes, for any input, cut anywhere.

Two protocols serve the application of the registry over transports in memory: aiohttp's own, and
ours with the short way before it. What writes is in memory too, so that both begin with the same:
it has an identifier or not, and refuses what it is asked to refuse.
"""

from __future__ import annotations

import asyncio
import datetime
import re
from collections.abc import Iterator, Sequence

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import json_api
from protocol.errors import Busy, Conflict, StoreUnavailable
from registry.api.app import make_app
from registry.api.identifiers import GROUPS
from registry.batch import Done, Put, Stored
from registry.batch.groups import Groups
from registry.database import Database
from registry.metrics import private_row
from registry.services import Registry
from resolver.transports.server import SERVER_NAME
from resolver.transports.short import Front
from resolver.transports.short_put import Puts
from resolver.transports.short_server import Room, ShortServer
from tests.property.test_short_way import Wire, _cut, _turn

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_VARIES = re.compile(rb'(Date: |X-Request-Id: |"requestId":")[^\r"]*')

GOOD = (
    b'{"values":[{"index":1,"type":"URL","data":{"format":"string","value":"https://a.example"}}]}'
)


class Memory(Groups):
    """Writes into a dictionary, a few turns of the loop later."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.versions: dict[str, int] = {}

    def put(self, token: str, put: Put) -> asyncio.Future[Done]:
        if put.identifier.suffix_key == "BUSY":
            raise Busy("as many registrations wait as the node lets wait")
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_soon(loop.call_soon, self._write, put, done)
        return done

    def _write(self, put: Put, done: asyncio.Future[Done]) -> None:
        if done.done():
            return
        try:
            done.set_result(self._written(put))
        except Exception as error:
            done.set_exception(error)

    def _written(self, put: Put) -> Done:
        key = put.identifier.key
        if put.identifier.suffix_key == "AWAY":
            raise StoreUnavailable
        if put.identifier.suffix_key == "BROKEN":
            raise RuntimeError("broken")
        if put.identifier.prefix == "88.118.36":
            raise Conflict("prefix 88.118.36 is suspended, not active")
        put.when.check(self.versions.get(key))
        decoded = json_api.decode_values(put.values, timestamp=0)
        what = "replaced" if key in self.versions else "created"
        self.versions[key] = version = len(self.versions) + self.versions.get(key, 100)
        values = [json_api.encode_stored(value) for value in decoded]
        return Done(what, put.identifier, version, Stored(values, put.template, NOW, NOW))


class Bench:
    """One application, served both ways on one loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        database = Database("postgresql://nobody@127.0.0.1:1/none")
        registry = Registry(database, "88.118", lambda *_: None, private_row())
        app = make_app(registry)
        self.memory = Memory(registry)
        app[GROUPS] = self.memory
        app.on_response_prepare.append(_sign)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=1000, lingering_time=0)
        await runner.setup()
        assert runner.server is not None
        self.plain = runner.server
        self.puts = Puts(self.memory, registry.row, SERVER_NAME, self.loop)
        front = Front({}, self.loop, [], self.puts)
        self.short = ShortServer(runner.server, front, Room(), private_row())

    def answer(
        self, server: web.Server, chunks: Sequence[bytes], *, settle: bool
    ) -> tuple[bytes, bool]:
        """Send the chunks to a registry that has one identifier; return what came back, without
        what is never the same, and whether the connection was closed.
        """
        return self.loop.run_until_complete(self._answer(server, chunks, settle=settle))

    async def _answer(
        self, server: web.Server, chunks: Sequence[bytes], *, settle: bool
    ) -> tuple[bytes, bool]:
        self.memory.versions = {"88.118.35/THERE": 7}
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
        await asyncio.sleep(0)
        return _VARIES.sub(rb"\1-", bytes(wire.sent)), closed

    def close(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_NAME


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def put(
    name: str = "88.118.35/SN-1", body: bytes = GOOD, *headers: str, version: str = "1.1"
) -> bytes:
    """Return a PUT; headers come after those that each has."""
    lines = [
        f"PUT /api/v1/identifiers/{name} HTTP/{version}",
        "Host: node.example",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


TOKEN, JSON = "Authorization: Bearer a-token-of-somebody", "Content-Type: application/json"
PLAIN = (TOKEN, JSON)
GET = b"GET /api/v1/none HTTP/1.1\r\nHost: node.example\r\n\r\n"

names = st.sampled_from(
    ["88.118.35/SN-1"] * 8
    + [
        "88.118.35/THERE",
        "88.118.35/there",
        "88.118.35/Pump_7~b.c",
        "88.118.35/%53N-1",
        "88.118.35/a/b",
        "88.118.35/history",
        "88.118.35/a/history",
        "88.118.35/..",
        "88.118.35/.",
        "88.118.35/..a",
        "88.118.35/a..b",
        "88.118.35/x?y=1",
        "88.118.35/x#y",
        "88.118.35/",
        "88.118..35/x",
        "88.118./x",
        "88/x",
        "0.NA/88.118.35",
        "88.118.36/x",
        "88.118.35/BUSY",
        "88.118.35/AWAY",
        "88.118.35/BROKEN",
        "88.118.35/" + "x" * 300,
        "",
    ]
)
LOOK_LIKE_REQUESTS = (GET, put(body=b"{}"), b"\r\n\r\n", b"PUT ")
bodies = st.sampled_from(
    [GOOD] * 6
    + [
        b'{"values":[]}',
        b'{"values":[],"template":"pump"}',
        b'{"values":[{"index":0}]}',
        b'{"values":[],"more":1}',
        b'{"values":["\\u0000"]}',
        b"{}",
        b"",
        b"\xff",
        *LOOK_LIKE_REQUESTS,
    ]
)
ODD_HEADERS = (
    "Connection: close",
    "Connection: keep-alive",
    "Connection: keep-alive\r\nConnection: close",
    "Content-Length: 3",
    "Content-Type: text/plain",
    "Content-Encoding: gzip",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Upgrade: websocket\r\nConnection: upgrade",
    "If-None-Match: *",
    'If-None-Match: "7"',
    'If-Match: "7"',
    'If-Match: "8", "9"',
    "If-Match: 7",
    'If-Match: "7"\r\nIf-Match: "8"',
    "Authorization: Bearer another-token-of-somebody",
    "Accept-Language: zh-CN",
    "Accept-Encoding: gzip, deflate",
    "User-Agent: erp/7",
    "X-Forwarded-For: 192.0.2.1",
    "Cookie: session=1",
    "Range: bytes=0-3",
    "Bad Header: x",
    "Accept: text/plain",
)
kinds = st.sampled_from(
    [JSON] * 8
    + [
        "Content-Type: application/json; charset=utf-8",
        "Content-Type: Application/JSON; charset=UTF-8",
        "content-type: application/json;charset=latin-1",
        "Content-Type: application/problem+json",
        "X-None: 1",
    ]
)
tokens = st.sampled_from(
    [TOKEN] * 8 + ["Authorization: Basic YTpi", "Authorization: Bearer", "X-None: 1"]
)


@st.composite
def puts(draw: st.DrawFn) -> bytes:
    """One PUT, often plain, sometimes with what forbids the short way."""
    headers = [draw(tokens), draw(kinds), *draw(st.lists(st.sampled_from(ODD_HEADERS), max_size=1))]
    version = draw(st.sampled_from(["1.1"] * 8 + ["1.0"]))
    return put(draw(names), draw(bodies), *headers, version=version)


requests = st.lists(st.one_of(puts(), puts(), puts(), st.just(GET)), min_size=1, max_size=4)
places = st.lists(st.integers(0, 2000), max_size=4)


@st.composite
def deliveries(draw: st.DrawFn) -> list[bytes]:
    """Some requests, cut between them, at random, or not at all."""
    parts = draw(requests)
    return parts if draw(st.integers(0, 3)) else _cut(b"".join(parts), draw(places))


common = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@common
@given(chunks=deliveries(), settle=st.booleans())
def test_both_ways_answer_alike_however_the_input_is_cut(
    bench: Bench, chunks: list[bytes], settle: bool
) -> None:
    expected = bench.answer(bench.plain, chunks, settle=settle)
    assert bench.answer(bench.short, chunks, settle=settle) in (
        expected,
        *_as_if_apart(bench, chunks, settle=settle),
    )


def _as_if_apart(bench: Bench, chunks: list[bytes], *, settle: bool) -> list[tuple[bytes, bool]]:
    """Return what aiohttp answers where it gets the chunks one after the other.

    At an error aiohttp drops the good requests that it holds: with the short way before it, it
    may hold fewer of them.
    """
    return [] if settle else [bench.answer(bench.plain, chunks, settle=True)]


@common
@given(data=st.data(), request=puts())
def test_both_ways_answer_alike_whatever_byte_is_broken(
    bench: Bench, data: st.DataObject, request: bytes
) -> None:
    broken = bytearray(request)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(broken)))
        piece = data.draw(
            st.sampled_from([b"\n", b"\r", b"\r\n", b"\0", b" ", b":", b"\x80", b"P"])
        )
        if data.draw(st.booleans()):
            broken[place:place] = piece
        else:
            del broken[place : place + data.draw(st.integers(1, 3))]
    chunks = [bytes(broken), put("88.118.35/after", GOOD, *PLAIN)]
    expected = bench.answer(bench.plain, chunks, settle=True)
    assert bench.answer(bench.short, chunks, settle=True) == expected


@pytest.mark.parametrize(
    "request_", [put("88.118.35/THERE", GOOD, *PLAIN), put("88.118.35/Pump_7~b.c", GOOD, *PLAIN)]
)
@pytest.mark.parametrize("more", [(), ("If-None-Match: *",), ('If-Match: "7"',)], ids=str)
def test_a_plain_put_takes_it(bench: Bench, request_: bytes, more: tuple[str, ...]) -> None:
    request_ = request_.replace(
        b"\r\nHost", "".join(f"\r\n{each}" for each in more).encode() + b"\r\nHost"
    )
    expected = bench.answer(bench.plain, [request_], settle=True)
    before = bench.puts.taken
    assert bench.answer(bench.short, [request_], settle=True) == expected
    assert bench.puts.taken - before == (b" 20" in expected[0][:13])


def test_a_refusal_leaves_the_connection_on_the_short_way(bench: Bench) -> None:
    good, bad = put("88.118.35/A", GOOD, *PLAIN), put("88.118.36/A", GOOD, *PLAIN)
    before = bench.puts.taken
    sent, closed = bench.answer(bench.short, [good, bad, good, bad, good], settle=True)
    assert re.findall(rb"HTTP/1.1 (\d+)", sent) == [b"201", b"409", b"200", b"409", b"200"]
    assert not closed
    assert bench.puts.taken == before + 3


@pytest.mark.parametrize(
    "body", [GOOD, b"{", GET + put(body=GOOD), put("88.118.35/X", GOOD, *PLAIN)]
)
@pytest.mark.parametrize(
    "place", [1, 50, 10_000], ids=["after a byte", "in the midst", "at the end"]
)
def test_a_body_that_comes_after_its_head_leaves_the_connection_on_the_short_way(
    bench: Bench, body: bytes, place: int
) -> None:
    request, after = put("88.118.35/A", body, *PLAIN), put("88.118.35/B", GOOD, *PLAIN)
    head = request[: -len(body)]
    for chunks in (
        [head, body, after],
        [head + body[:place], body[place:], after],
        [head, body[:place], body[place:], after],
    ):
        expected = bench.answer(bench.plain, chunks, settle=True)
        before = bench.puts.taken
        assert bench.answer(bench.short, chunks, settle=True) == expected
        assert bench.puts.taken == before + 1 + (chunks[1] == b"" and body == GOOD)
        together = [*chunks[:-2], chunks[-2] + after]
        expected = bench.answer(bench.plain, together, settle=True)
        assert bench.answer(bench.short, together, settle=True) == expected


@pytest.mark.parametrize("name", ["88.118.36/x", "88.118.35/BUSY", "88.118.35/AWAY"])
def test_a_refusal_is_told_of_its_own_request_alone(bench: Bench, name: str) -> None:
    chunks = [
        put(name, GOOD, *PLAIN, "Accept-Language: zh"),
        GET + put("88.118.35/B", GOOD, *PLAIN),
        put("88.118.35/C", GOOD, *PLAIN),
    ]
    for settle in (True, False):
        expected = bench.answer(bench.plain, chunks, settle=settle)
        assert expected[0].count(b"HTTP/1.1 201") == 2
        assert bench.answer(bench.short, chunks, settle=settle) == expected


def test_what_comes_meanwhile_waits_and_is_not_read_without_end(bench: Bench) -> None:
    stream = [put(f"88.118.35/{n}", GOOD + b" " * 9000, *PLAIN) for n in range(30)]
    paused = []

    async def held() -> bytes:
        wire, protocol = Wire(), bench.short()
        wire.pause_reading = lambda: paused.append(len(protocol._held or b""))  # type: ignore[method-assign]
        bench.memory.versions = {}
        protocol.connection_made(wire)
        await _turn(protocol, wire)
        for request in stream:
            protocol.data_received(request)
            if paused:
                break
        for later in stream[stream.index(request) + 1 :]:
            await _turn(protocol, wire)
            protocol.data_received(later)
        await _turn(protocol, wire)
        protocol.connection_lost(None)
        return bytes(wire.sent)

    sent = bench.loop.run_until_complete(held())
    assert paused, "it is read on however much has come"
    assert paused[0] < 2 * 65536
    handles = [int(n) for n in re.findall(rb'"handle":"88.118.35/(\d+)"', sent)]
    assert handles == list(range(30))
