"""The short way of the Handle protocol answers as the codecs and the service do, or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.errors import IdnodeError
from protocol.handle.envelope import SIZE, Envelope, decode_envelope
from protocol.handle.header import Header, OpFlag
from protocol.handle.message import Message
from protocol.handle.requests import ResolutionRequest
from protocol.handle.version import Version
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.database import Database
from registry.metrics import private_row
from registry.services import Registry
from resolver.cache import Prefix
from resolver.handle import resolve
from resolver.handle.service import HandleService, Peer
from resolver.lookup import Resolver, encode
from resolver.site import make_site
from resolver.transports.handle_endpoint import HandleEndpoint

VECTORS = Path(__file__).parents[1] / "vectors" / "handle-net-9.2.json"
NOW = 1_800_000_000
CACHED = {
    "88.118.1/ABC": [
        HandleValue(1, "URL", b"http://example.org/abc", timestamp=1704164645),
        HandleValue(2, "EMAIL", b"abc@example.org", timestamp=1704164645),
    ],
    "88.118.1/Mixed-Case": [HandleValue(7, "URL", b"x")],
    "88.118.1/中文": [HandleValue(1, "NAME", "泵".encode())],
    "88.118.1/none": [],
    "88.118.1/secret": [HandleValue(1, "KEY", b"k", permissions=12)],
    "88.118.1/long": [HandleValue(1, "TEXT", b"x" * 2000)],
    "0.NA/88.118.1": [HandleValue(1, "URL", b"y")],
}


class Bench:
    """A worker's Handle endpoint whose cache is filled and whose database is away."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        database = Database("postgresql://nobody@127.0.0.1:1/none")
        row = private_row()
        resolver = Resolver(
            database, row=row, cache_bytes=1 << 20, node_prefix="88.118", clock=lambda: 0.0
        )
        prefix = Prefix(None)
        for name, values in CACHED.items():
            key = Identifier.parse(name).key.encode()
            resolver.cache.put(key, encode(name, key, values, prefix))
        resolver.cache.put_absent(b"88.118.1/NO")
        service = HandleService(
            resolver,
            Registry(database, "88.118", resolver.forget, row),
            make_site("127.0.0.1", handle_port=2641, http_port=8000),
            handlers=resolve.HANDLERS,
            clock=lambda: NOW,
        )
        self.endpoint = HandleEndpoint(service, row)

    def long_way(self, request: bytes) -> bytes:
        """Return what the codecs and the service answer, b"" for nothing."""

        async def answer() -> bytes:
            try:
                envelope = decode_envelope(request)
            except IdnodeError:
                return b""
            peer = Peer("udp", "127.0.0.1")
            answers = await self.endpoint.answer(envelope, request[SIZE:], peer)
            return b"".join(message.encode() for message in answers)

        return self.loop.run_until_complete(answer())

    def close(self) -> None:
        self.loop.close()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def request(name: str = "88.118.1/ABC", **changes: Any) -> bytes:
    """A request as the reference client sends it."""
    body = ResolutionRequest(name, changes.pop("indexes", ()), changes.pop("types", ()))
    header = {
        name: changes.pop(name)
        for name in ("flags", "site_serial", "recursion_count", "expiration")
        if name in changes
    }
    return Message(
        Envelope(**{"request_id": 7, **changes}), Header(1, **{"expiration": NOW, **header}), body
    ).encode()


versions = st.sampled_from(
    [Version(2, minor) for minor in range(12)] + [Version(5, 0), Version(3, 0)]
)
requests = st.builds(
    request,
    st.sampled_from(
        [
            *CACHED,
            "88.118.1/abc",
            "88.118.1/mixed-CASE",
            "88.118.1/NO",
            "88.118.1/?",
            "88.118.1",
            "",
        ]
    ),
    request_id=st.integers(0, 2**32 - 1),
    version=versions,
    suggested=st.none() | versions,
    session_id=st.sampled_from([0, 0, 0, 5]),
    compressed=st.booleans(),
    flags=st.builds(
        lambda *flags: int(sum(set(flags))),
        st.just(OpFlag.PUBLIC_ONLY),
        st.sampled_from([OpFlag.RECURSIVE, OpFlag.CACHE_CERTIFY, OpFlag.KEEP_ALIVE]),
        st.sampled_from([*OpFlag, OpFlag.PUBLIC_ONLY, OpFlag.PUBLIC_ONLY, OpFlag.PUBLIC_ONLY]),
    ),
    site_serial=st.sampled_from([1, 0xFFFF]),
    recursion_count=st.integers(0, 255),
    expiration=st.integers(0, 2**32 - 1),
    indexes=st.sampled_from([(), (), (), (1,)]),
    types=st.sampled_from([(), (), (), ("URL",)]),
)
common = settings(
    max_examples=1500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def check(bench: Bench, octets: bytes) -> bool:
    """Compare both ways; return whether the short one was taken."""
    short = bench.endpoint.front.answer(octets)
    if short is not None:
        assert short == bench.long_way(octets)
    return short is not None


@common
@given(octets=requests)
def test_both_ways_answer_alike(bench: Bench, octets: bytes) -> None:
    check(bench, octets)


@common
@given(octets=requests, edits=st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3))))
def test_both_ways_answer_alike_whatever_is_broken(
    bench: Bench, octets: bytes, edits: list[tuple[int, bytes]]
) -> None:
    broken = bytearray(octets)
    for edit, piece in edits:
        place = edit % (len(broken) + 1)
        broken[place : place + len(piece)] = piece
    check(bench, bytes(broken))


@pytest.mark.parametrize("name", ["88.118.1/ABC", "88.118.1/abc", "88.118.1/中文", "0.NA/88.118.1"])
def test_the_short_way_is_taken(bench: Bench, name: str) -> None:
    assert check(bench, request(name))


def test_the_reference_client_gets_its_answer_on_the_short_way(bench: Bench) -> None:
    """And the answer is that of the reference server, but for site serial and expiration."""
    cases = {case["case"]: case for case in json.loads(VECTORS.read_text())["cases"]}
    asked, answered = (bytes.fromhex(step["hex"]) for step in cases["resolve-udp-ABC"]["steps"][:2])
    assert check(bench, asked)
    ours = bench.endpoint.front.answer(asked)
    assert ours is not None
    # The reference has a third value, HS_ADMIN: compare what comes before the number of values.
    same = slice(20, 36)
    assert ours[:16] == answered[:16]
    assert ours[same] == answered[same]
    assert ours[44:60] == answered[44:60]


def test_a_dead_prefix_is_left_to_the_long_way(bench: Bench) -> None:
    cache = bench.endpoint.service.resolver.cache
    prefix = Prefix(None)
    cache.put(b"88.118.2/X", encode("88.118.2/X", b"88.118.2/X", CACHED["88.118.1/ABC"], prefix))
    assert bench.endpoint.front.answer(request("88.118.2/X"))
    prefix.live = False
    assert bench.endpoint.front.answer(request("88.118.2/X")) is None


def test_the_expiration_moves_on(bench: Bench) -> None:
    first = bench.endpoint.front.answer(request())
    bench.endpoint.service.clock = lambda: NOW + 100
    bench.endpoint.front.renew()
    second = bench.endpoint.front.answer(request())
    bench.endpoint.service.clock = lambda: NOW
    bench.endpoint.front.renew()
    assert first is not None
    assert second is not None
    assert int.from_bytes(second[36:40], "big") == int.from_bytes(first[36:40], "big") + 100


def test_no_single_byte_of_a_request_is_overlooked(bench: Bench) -> None:
    plain = request()
    for place in range(len(plain)):
        for value in (0, 1, 2, 0x7F, 0xFF):
            check(bench, plain[:place] + bytes((value,)) + plain[place + 1 :])


def test_no_length_of_a_request_is_overlooked(bench: Bench) -> None:
    plain = request()
    for length in range(len(plain)):
        check(bench, plain[:length])
    for extra in range(1, 40):
        check(bench, plain + bytes(extra))
        longer = (len(plain) - 20 + extra).to_bytes(4, "big")
        check(bench, plain[:16] + longer + plain[20:] + bytes(extra))
