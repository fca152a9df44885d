"""The short way of DNS answers as the long way does, or not at all; and no bytes break either."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from protocol.dns.query import MAX_TCP_BYTES, BadQuery, NoQuery, Query, read_query
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.database import Database
from registry.metrics import private_row
from resolver.cache import Prefix
from resolver.dns.service import DnsService
from resolver.dns.setup import ZoneSettings
from resolver.lookup import Resolver, encode
from resolver.transports.dns_short import DnsFront

ZONE = "118.88.oid-res.org."
CACHED = {
    "88.118.1/ABC": [
        HandleValue(1, "URL", b"http://example.org/abc", ttl=77),
        HandleValue(2, "EMAIL", b"abc@example.org"),
        HandleValue(3, "URL.RINF", b"http://example.org/more", ttl=99),
    ],
    "88.118.1/4.7": [HandleValue(7, "URL", b"urn:x:y")],
    "88.118.1/中文": [HandleValue(1, "URL", "https://泵.example/".encode())],
    "88.118.1/none": [HandleValue(1, "TEXT", b"x")],
    "88.118.1/ends": [HandleValue(1, "URL", b"x:y", ttl=1_900_000_000, ttl_absolute=True)],
    "88.118.1/long": [HandleValue(n, "URL", b"x:" + b"y" * 200) for n in range(1, 6)],
    "88.118.1/longer": [HandleValue(n, "URL", b"x:" + b"y" * 200) for n in range(1, 60)],
    "88.118.1/01/00614141322602": [HandleValue(1, "URL", b"https://gtin.example/")],
    "0.NA/88.118.1": [HandleValue(2, "URL", b"https://prefix.example/")],
}
NAMES = [
    f"abc.1.{ZONE}",
    f"7.4.1.{ZONE}",
    f"中文.1.{ZONE}",
    f"none.1.{ZONE}",
    f"ends.1.{ZONE}",
    f"long.1.{ZONE}",
    f"longer.1.{ZONE}",
    f"1.{ZONE}",
    f"absent.1.{ZONE}",
    ZONE,
    "0.0.6.2.2.3.1.4.1.4.1.6.0.gtin.gs1.id.onsepc.com.",
    "0.6.2.2.3.1.4.1.4.1.6.0.gtin.gs1.id.onsepc.com.",
    "example.org.",
    ".",
]


class Bench:
    """A worker's DNS service whose cache is filled and whose database is away."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._start())
        for name in NAMES:
            for _ in range(2):
                self.long_way(message(name))

    async def _start(self) -> None:
        database, row = Database("postgresql://nobody@127.0.0.1:1/none"), private_row()
        resolver = Resolver(
            database, row=row, cache_bytes=1 << 20, node_prefix="88.118", clock=lambda: 0.0
        )
        prefix = Prefix(None)
        for name, values in CACHED.items():
            key = Identifier.parse(name).key.encode()
            resolver.cache.put(key, encode(name, key, values, prefix))
        resolver.cache.put_absent(b"88.118.1/ABSENT")
        zones = ZoneSettings("88.118", ons="gtin.gs1.id.onsepc.com=88.118.1")
        self.service = DnsService(
            resolver, zones.data("127.0.0.1"), row, secret=bytes(16), clock=lambda: 1.8e9
        )
        self.front = DnsFront(resolver.cache, resolver.counter.found, 1 << 20)
        self.service.learned = self.front.learn

    def long_way(self, request: bytes, limit: int = 0) -> bytes | None:
        """Return what the codec and the service answer, None for nothing."""
        query = self.service.read(request)
        if not isinstance(query, Query):
            return query
        answer = self.service.answer(query, limit or query.udp_limit)
        return self.loop.run_until_complete(answer)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.loop.close()


def message(name: str, type_: str = "NAPTR", **changes: Any) -> bytes:
    flags = changes.pop("flags", 0)
    labels = [part.encode() for part in name.removesuffix(".").split(".") if part]
    query = dns.message.make_query(dns.name.Name((*labels, b"")), type_, **changes)
    query.flags = dns.flags.Flag(flags)
    return query.to_wire()


def case(name: str, bits: int) -> str:
    """The name with some of its letters in the other case, as resolvers ask (0x20)."""
    return "".join(
        c.swapcase() if c.isascii() and bits >> at & 1 else c for at, c in enumerate(name)
    )


queries = st.builds(
    lambda name, bits, type_, **changes: message(case(name, bits), type_, **changes),
    st.sampled_from(NAMES),
    st.integers(0, 2**40 - 1),
    st.sampled_from(["NAPTR"] * 6 + ["A", "ANY", "SOA", "TYPE97", "AXFR"]),
    rdclass=st.sampled_from(["IN"] * 8 + ["CH", "ANY"]),
    id=st.integers(0, 65535),
    flags=st.sampled_from([0, 0x0100, 0x0120, 0x0110, 0x0020, 0x0400, 0x0200, 0x0040, 0x0080]),
    use_edns=st.sampled_from([-1, -1, 0, 0, 0, 1]),
    payload=st.sampled_from([0, 100, 512, 700, 1232, 4096, 65535]),
    want_dnssec=st.just(False),
    options=st.just([]),
)
common = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@common
@given(request_=queries, over_tcp=st.booleans())
def test_both_ways_answer_alike(bench: Bench, request_: bytes, over_tcp: bool) -> None:
    most = MAX_TCP_BYTES if over_tcp else 0
    bench.front.answer(request_, most)  # learns the form of such queries
    short = bench.front.answer(request_, most)
    if short is not None:
        assert short == bench.long_way(request_, most)


@common
@given(request_=queries, cookie=st.sampled_from([b"", bytes(24)]), data=st.data())
def test_with_options_both_ways_answer_alike(
    bench: Bench, request_: bytes, cookie: bytes, data: st.DataObject
) -> None:
    query = dns.message.from_wire(request_)
    if query.edns >= 0:
        codes = data.draw(st.lists(st.sampled_from([8, 10, 12, 65001]), max_size=3))
        options = [dns.edns.GenericOption(code, bytes(24)) for code in codes]
        query.use_edns(query.edns, query.ednsflags, query.payload, options=options)
    read = bench.service.read(query.to_wire())
    if isinstance(read, Query):
        short = bench.front.answer_query(read, read.udp_limit, cookie)
        answer = bench.loop.run_until_complete(bench.service.answer(read, read.udp_limit, cookie))
        assert short is None or short == answer


@common
@given(request_=queries, data=st.data())
def test_no_change_of_a_query_makes_them_differ_or_fail(
    bench: Bench, request_: bytes, data: st.DataObject
) -> None:
    octets = bytearray(request_)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(octets) - 1))
        octets[place] = data.draw(st.integers(0, 255))
    changed = bytes(octets[: data.draw(st.sampled_from([len(octets), len(octets), 11, 20, 40]))])
    bench.front.answer(changed)
    short = bench.front.answer(changed)
    answer = bench.long_way(changed)
    assert short is None or short == answer
    if answer is not None:
        assert answer[:2] == changed[:2]
        assert answer[2] & 0x80
        dns.message.from_wire(answer)


@common
@example(b"")
@given(st.binary(max_size=300))
def test_any_bytes_are_answered_by_a_message_or_not_at_all(bench: Bench, octets: bytes) -> None:
    assert bench.front.answer(octets) is None
    answer = bench.long_way(octets)
    if answer is not None:
        dns.message.from_wire(answer)
        assert len(answer) <= 512


@common
@given(request_=queries, data=st.data())
def test_a_query_is_read_as_dnspython_reads_it(
    bench: Bench, request_: bytes, data: st.DataObject
) -> None:
    octets = bytearray(request_)
    if data.draw(st.booleans()):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        ours = read_query(bytes(octets))
    except (NoQuery, BadQuery):
        return  # stricter than dnspython, which is for all messages
    with contextlib.suppress(dns.exception.DNSException):
        theirs = dns.message.from_wire(bytes(octets))
        (question,) = theirs.question
        assert question.name.labels == (*ours.labels, b"")
        assert (int(question.rdtype), int(question.rdclass)) == (ours.type, ours.class_)
        assert theirs.id == ours.id
        if ours.edns is not None:
            assert (theirs.edns, theirs.payload) == (ours.edns.version, ours.edns.payload)
            assert bool(theirs.ednsflags & dns.flags.DO) == ours.edns.dnssec


def test_what_is_plain_and_cached_goes_the_short_way(bench: Bench) -> None:
    """Without this the others would hold for a short way that answers nothing."""
    for name in ("AbC.1.", "7.4.1.", "中文.1.", "1."):
        for options in ({}, {"use_edns": 0}, {"use_edns": 0, "want_dnssec": True}):
            for flags in (0, 0x0100, 0x0120):
                request_ = message(name + ZONE, flags=flags, **options)
                bench.front.answer(request_)
                answer = bench.front.answer(request_)
                assert answer is not None, (name, options, flags)
                assert dns.message.from_wire(answer).answer
    read = bench.service.read(message(f"abc.1.{ZONE}", use_edns=0, want_dnssec=True))
    assert isinstance(read, Query)
    assert bench.front.answer_query(read, read.udp_limit, bytes(24)) is not None
    gtin = message(NAMES[10])
    bench.front.answer(gtin)
    assert bench.front.answer(gtin) is not None


def test_an_answer_that_is_taken_back_is_not_counted(bench: Bench) -> None:
    request_ = message(f"abc.1.{ZONE}", use_edns=0)
    bench.front._noted.clear()  # it takes no more names of this second than it has room for
    bench.front.answer(request_)
    cells = bench.service.resolver.cache.answers[b"88.118.1/ABC"].prefix.cells
    before, noted = cells[0], len(bench.front._noted)
    assert bench.front.answer(request_) is not None
    bench.front.take_back(request_)
    assert (cells[0], len(bench.front._noted)) == (before, noted)


def test_the_names_that_are_known_keep_within_their_budget(bench: Bench) -> None:
    cache = bench.service.resolver.cache
    front = DnsFront(cache, bench.service.resolver.counter.found, 2000)
    bench.service.learned = front.learn
    try:
        for bits in range(64):  # all of them are one question
            bench.long_way(message(case(f"abc.1.{ZONE}", bits)))
        assert len(front._keys) == 1
        for name in (f"7.4.1.{ZONE}", f"中文.1.{ZONE}", f"long.1.{ZONE}", f"1.{ZONE}", NAMES[10]):
            bench.long_way(message(name))
            assert 0 < front.held_bytes <= 2000
        assert 1 < len(front._keys) < 6
    finally:
        bench.service.learned = bench.front.learn


def test_records_beside_an_answer_count_for_the_cache_and_go_with_it(bench: Bench) -> None:
    cache = bench.service.resolver.cache
    key = b"88.118.1/OTHER"
    values = [HandleValue(1, "URL", b"https://other.example/")]
    cache.put(key, encode("88.118.1/other", key, values, Prefix(None)))
    before = cache.bytes
    request_ = message(f"other.1.{ZONE}")
    bench.long_way(request_)
    assert cache.bytes > before
    bench.front.answer(request_)
    assert bench.front.answer(request_) is not None
    cache.answers[key].prefix.live = False
    assert bench.front.answer(request_) is None, "what was changed is not answered from memory"
    cache.forget(key)
    assert bench.front.answer(request_) is None
