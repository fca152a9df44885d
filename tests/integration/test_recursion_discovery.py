"""Nodes found in the DNS, by a real server on loopback, with and without DNSSEC."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import pytest

from registry.database import Database
from resolver.recursion.discovery import names
from resolver.recursion.discovery.lookup import Lookup, make_resolver, read_anchors, read_servers
from resolver.recursion.discovery.search import Discovery
from resolver.recursion.places import Place, read_nodes
from tests.integration.dns_support import Dns, Key, Spoil, make_key, make_zone, serving
from tests.integration.recursion_support import listening, recursive, tower
from tests.recursion_world import PUMP, URL, Clock, Server

ZONE = "nodes.example."
SRV = """
_hdl-srv._udp.120.88 300 SRV 10 0 2641 a
_hdl-srv._tcp.120.88 300 SRV 10 0 2642 a
_hdl-srv._udp.120.88 300 SRV 20 0 2641 b
a 300 A 8.8.1.1
a 300 AAAA 2400:3200::1
b 300 A 8.8.1.2
"""


class World:
    """A DNS server, what is found by it, and what was counted."""

    def __init__(self, server: Dns, anchors: Any = (), now: float = 0) -> None:
        self.clock = Clock()
        self.counted: list[str] = []
        zone = dns.name.from_text(ZONE)
        resolver = make_resolver([("127.0.0.1", server.port)])
        lookup = Lookup(resolver, zone, anchors, lambda: now or time.time())
        self.discovery = Discovery(
            lookup,
            lambda host, _port: not host.startswith("10."),
            self.counted.append,
            clock=self.clock,
        )

    async def near(self, prefix: str = "88.120") -> list[tuple[str, int | None, int | None, int]]:
        return listed(await self.discovery.near(prefix))


def listed(place: Place | None) -> list[tuple[str, int | None, int | None, int]]:
    """Return address, ports and rank of each server."""
    servers = place.servers_for(PUMP) if place else []
    return [(one.host, one.udp, one.tcp, one.rank) for one in servers]


async def found(text: str, prefix: str = "88.120") -> Any:
    async with serving(Dns([make_zone(ZONE, text)])) as server:
        return await World(server).near(prefix)


async def test_srv_records_name_servers_by_their_priority() -> None:
    expected = [
        ("8.8.1.1", 2641, 2642, 0),
        ("2400:3200::1", 2641, 2642, 0),
        ("8.8.1.2", 2641, None, 1),
    ]
    assert await found(SRV) == expected
    assert await found(SRV, "88.120.7.5") == expected, "who derives from it is found by it"
    assert await found(SRV, "88.121") == []


async def test_uri_records_name_servers() -> None:
    text = """
        _hdl-srv._udp.120.88 300 URI 10 0 "hdl://8.8.1.1"
        _hdl-srv._udp.120.88 300 URI 20 0 "hdl://[2400:3200::1]:99/"
        _hdl-srv._udp.120.88 300 URI 5 0 "http://8.8.1.9"
        _hdl-srv._udp.120.88 300 URI 5 0 "hdl://8.8.1.9:99999"
        _hdl-srv._tcp.120.88 300 URI 10 0 "hdl://8.8.1.1:77"
    """
    assert await found(text) == [("8.8.1.1", 2641, 77, 0), ("2400:3200::1", 99, None, 1)]


async def test_naptr_records_come_first_and_lead_to_srv_records_addresses_and_uris() -> None:
    text = """
        120.88 300 NAPTR 2 0 "s" "HDL:udp" "" _hdl-srv._udp.other
        120.88 300 NAPTR 1 5 "a" "HDL:udp:tcp" "" a
        120.88 300 NAPTR 3 0 "u" "HDL:tcp" "!^.*$!hdl://8.8.1.4:44!" .
        120.88 300 NAPTR 0 0 "u" "HDL:tcp" "!^(.*)$!hdl://8.8.1.9/\\\\1!" .
        120.88 300 NAPTR 0 0 "u" "E2U+sip" "!^.*$!hdl://8.8.1.9!" .
        _hdl-srv._udp.other 300 SRV 7 0 33 c
        _hdl-srv._udp.120.88 300 SRV 0 0 2641 b
        a 300 A 8.8.1.1
        b 300 A 8.8.1.2
        c 300 A 8.8.1.3
    """
    assert await found(text) == [
        ("8.8.1.1", 2641, 2641, 0),
        ("8.8.1.3", 33, None, 1),
        ("8.8.1.4", None, 44, 2),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "_hdl-srv._udp.120.88 300 SRV 0 0 0 .",
        "_hdl-srv._udp.120.88 300 SRV 0 0 2641 nowhere",
        "_hdl-srv._udp.120.88 300 SRV 0 0 2641 a\na 300 A 10.1.1.1",
        '_hdl-srv._udp.120.88 300 URI 0 0 "hdl://10.1.1.1"',
        '_hdl-srv._udp.120.88 300 URI 0 0 "hdl://u:p@8.8.8.8"',
        '120.88 300 NAPTR 0 0 "s" "HDL:udp" "" _hdl-srv._udp.loop\nloop 300 CNAME loop',
    ],
)
async def test_what_names_nobody_or_an_address_inside_is_nobody(text: str) -> None:
    assert await found(text) == []


async def test_answers_are_remembered_for_their_ttl_and_that_there_are_none_too() -> None:
    async with serving(Dns([make_zone(ZONE, SRV)])) as server:
        world = World(server)
        await world.near()
        await world.near("88.121")
        asked = len(server.asked)
        world.clock.now += 59
        await world.near()
        await world.near("88.121")
        assert len(server.asked) == asked
        world.clock.now += 2
        await world.near("88.121")
        assert len(server.asked) > asked, "a minute for what is not there"
        assert world.counted.count("found") == 1
        world.clock.now += 300
        await world.near()
        assert world.counted.count("found") == 2


def anchored(tmp_path: Path, key: Key, zone: str = ZONE, *, as_key: bool = False) -> Any:
    path = tmp_path / "anchor"
    kind, data = ("DNSKEY", key.record.to_text()) if as_key else ("DS", key.ds(zone))
    path.write_text(f"; the anchor\n{zone} 3600 IN {kind} {data}\n")
    return read_anchors(path, dns.name.from_text(zone))


@pytest.mark.parametrize("as_key", [False, True])
async def test_with_an_anchor_what_is_signed_is_checked_and_believed(
    tmp_path: Path, *, as_key: bool
) -> None:
    key = make_key()
    async with serving(Dns([make_zone(ZONE, SRV, key)])) as server:
        world = World(server, anchored(tmp_path, key, as_key=as_key))
        assert len(await world.near()) == 3
        assert world.counted == ["found"]
        keys = [one for one in server.asked if one[1] == "DNSKEY"]
        assert len(keys) == 1, "keys are remembered"


async def test_a_zone_below_that_is_delegated_securely_is_believed(tmp_path: Path) -> None:
    key, lower = make_key(), make_key()
    below = f"88.{ZONE}"
    upper = make_zone(ZONE, f"88 300 NS ns.88\n88 300 DS {lower.ds(below)}", key)
    text = "_hdl-srv._udp.120 300 SRV 0 0 2641 a\na 300 A 8.8.1.1"
    async with serving(Dns([upper, make_zone(below, text, lower)])) as server:
        assert await World(server, anchored(tmp_path, key)).near() == [("8.8.1.1", 2641, None, 0)]
    for other in (make_zone(below, text, make_key()), make_zone(below, text)):
        async with serving(Dns([upper, other])) as server:
            world = World(server, anchored(tmp_path, key))
            assert await world.near() == []
            assert "untrusted" in world.counted


def _stripped(reply: dns.message.Message) -> dns.message.Message:
    reply.answer = [one for one in reply.answer if one.rdtype != dns.rdatatype.RRSIG]
    return reply


def _changed(reply: dns.message.Message) -> dns.message.Message:
    for rrset in reply.answer:
        if rrset.rdtype == dns.rdatatype.A:
            rrset.clear()
            rrset.add(dns.rdata.from_text("IN", "A", "8.8.6.6"))
    return reply


@pytest.mark.parametrize("spoil", [_stripped, _changed])
async def test_with_an_anchor_what_is_not_signed_or_changed_is_refused_even_with_ad(
    tmp_path: Path, spoil: Spoil
) -> None:
    key = make_key()
    async with serving(Dns([make_zone(ZONE, SRV, key)], ad=True, spoil=spoil)) as server:
        world = World(server, anchored(tmp_path, key))
        assert await world.near() == []
        assert "untrusted" in world.counted


async def test_with_an_anchor_other_keys_and_times_are_refused(tmp_path: Path) -> None:
    key = make_key()
    zone = make_zone(ZONE, SRV, key)
    async with serving(Dns([zone])) as server:
        world = World(server, anchored(tmp_path, make_key()))
        assert await world.near() == [], "signed by another key"
        for late in (7200, -7200):
            world = World(server, anchored(tmp_path, key), now=time.time() + late)
            assert await world.near() == [], "the signatures hold at another time"
            assert "untrusted" in world.counted


async def test_without_an_anchor_what_is_signed_needs_a_validating_server_on_this_machine() -> None:
    zone = make_zone(ZONE, SRV, make_key())
    async with serving(Dns([zone])) as server:
        world = World(server)
        assert await world.near() == []
        assert "untrusted" in world.counted
    async with serving(Dns([zone], ad=True)) as server:
        assert len(await World(server).near()) == 3


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0" * 12,
        b"\xff" * 600,
        # an answer whose name is a pointer to itself
        bytes.fromhex("000081800001000100000000c00c00010001c00c000100010000003c000408080808"),
    ],
)
async def test_what_is_no_answer_of_the_dns_is_none(octets: bytes) -> None:
    async with serving(Dns([make_zone(ZONE, SRV)], spoil=lambda _reply: octets)) as server:
        world = World(server)
        assert await world.near() == []
        assert set(world.counted) == {"failed"}


async def test_walks_begin_where_the_dns_says_and_without_it_at_the_root(
    database: Database,
) -> None:
    async with (
        tower({PUMP.key: (URL,)}) as nodes,
        listening(Server({PUMP.key: (URL,)})) as direct,
    ):
        text = f"_hdl-srv._udp.120.88 300 SRV 0 0 {direct.port} a\na 300 A 127.0.0.1"
        direct.server.says["0.NA/88.120.7"] = (direct.site,)
        async with serving(Dns([make_zone(ZONE, text)])) as server:
            lookup = Lookup(
                make_resolver([("127.0.0.1", server.port)]),
                dns.name.from_text(ZONE),
                (),
                time.time,
            )
            async with recursive(database, nodes.root, dns=lookup) as front:
                status, _, _ = await front.get(f"/api/handles/{PUMP}")
                assert status == 200
                assert nodes.datagrams == [0, 0, 0, 0], "the root was not needed"
                assert front.counted("idnode_recursion_discovered", "found") == 1
                direct.server.says.clear()
                asked = len(server.asked)
                status, _, _ = await front.get("/api/handles/88.120.7/NONE")
                assert (status, len(server.asked)) == (404, asked), "the place is known"
            # What is set comes before what the DNS says.
            other = read_nodes(f"88.120=127.0.0.1:{nodes.node.port}")
            async with recursive(database, nodes.root, dns=lookup, nodes=other) as front:
                status, _, _ = await front.get(f"/api/handles/{PUMP}")
                assert status == 200
                assert nodes.datagrams == [0, 0, 1, 1]
                assert len(server.asked) == asked
        async with recursive(database, nodes.root, dns=lookup) as front:
            status, _, _ = await front.get(f"/api/handles/{PUMP}")
            assert status == 200, "the DNS is away: from the root"
            assert front.counted("idnode_recursion_discovered", "failed") > 0


async def test_the_root_is_found_in_the_dns_where_it_is_not_set() -> None:
    text = "_hdl-srv._udp 300 SRV 0 0 2641 a\na 300 A 8.8.1.1"
    async with serving(Dns([make_zone(ZONE, text)])) as server:
        world = World(server)
        assert listed(await world.discovery.root()) == [("8.8.1.1", 2641, None, 0)]


def test_names_of_prefixes() -> None:
    zone = dns.name.from_text(ZONE)
    assert str(names.of_prefix("88.118.AB-1", zone)) == f"ab-1.118.88.{ZONE}"
    assert names.of_prefix("", zone) == zone
    for prefix in ("88._x", "88.*", "88.a b", "88.-1", "标识", "1." * 9 + "1", "8" * 64):
        assert names.of_prefix(prefix, zone) is None, prefix


def test_anchors_and_servers_are_checked_when_they_are_read(tmp_path: Path) -> None:
    key, zone = make_key(), dns.name.from_text(ZONE)
    path = tmp_path / "anchor"
    for wrong in ("", "; nothing", f"other.example. IN DS {key.ds(ZONE)}", f"{ZONE} IN A 1.1.1.1"):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="anchor"):
            read_anchors(path, zone)
    assert read_servers("127.0.0.1:53, [::1]:5353") == [("127.0.0.1", 53), ("::1", 5353)]
    for text in ("127.0.0.1", "dns.example:53", "127.0.0.1:0", "127.0.0.1:x"):
        with pytest.raises(ValueError, match=r"form|address"):
            read_servers(text)
