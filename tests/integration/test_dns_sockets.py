"""DNS over real UDP and TCP sockets, asked by dnspython, with a real PostgreSQL behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from random import Random

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from protocol.dns.query import PAYLOAD
from registry.database import Database
from resolver.dns.setup import ZoneSettings
from resolver.transports import dns_tcp, dns_udp
from resolver.transports.limits import Limits
from tests.integration.dns_front_support import HERE, Node, cookie_of, put, running, with_cookie

ZONE = "118.88.oid-res.org."
ABC = f"ABC.1.{ZONE}"
GTIN = "0.0.6.2.2.3.1.4.1.4.1.6.0.gtin.gs1.id.onsepc.com."


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    async with running(database_url) as node:
        yield node


def texts(response: dns.message.Message) -> list[str]:
    return [rdata.to_text() for rrset in response.answer for rdata in rrset]


def sections(response: dns.message.Message) -> tuple[int, int]:
    return len(response.answer), len(response.authority)


async def test_urls_are_naptr_records_of_ors_and_ons(node: Node) -> None:
    for _ in range(3):  # from the database, and twice from memory
        answer = await node.ask(f"7.4.1.{ZONE}")
        assert answer.rcode() == dns.rcode.NOERROR
        assert answer.flags & dns.flags.AA
        assert texts(answer) == [
            '100 10 "U" "ORS+UINF" "!^.*$!https://pumps.example/4.7!" .',
            '100 20 "U" "ORS+RINF" "!^.*$!https://reg.example/!" .',
        ]
        assert answer.answer[0].ttl == 86_400
        ons = await node.ask(GTIN)
        assert texts(ons) == [
            '100 10 "U" "http://www.gs1.org/ons/product_information"'
            ' "!^.*$!https://pumps.example/gtin!" .'
        ]
    assert node.count("idnode_database_reads") == 2


async def test_names_keep_the_case_in_which_they_were_asked(node: Node) -> None:
    for name in ("aBc.1.118.88.OID-res.ORG.", "AbC.1.118.88.oid-RES.org."):
        for _ in range(2):
            answer = await node.ask(name)
            assert answer.question[0].name.to_text() == name
            assert answer.answer[0].name.to_text() == name
            assert len(texts(answer)) == 1


async def test_there_is_no_such_name_or_no_such_record(node: Node) -> None:
    absent = (f"nothing.1.{ZONE}", f"1.9.{ZONE}", f"9.{ZONE}", f"a.9.x.{ZONE}", "1." + GTIN)
    for name in absent:
        answer = await node.ask(name)
        assert answer.rcode() == dns.rcode.NXDOMAIN, name
        assert sections(answer) == (0, 1)
        assert answer.flags & dns.flags.AA
        (soa,) = answer.authority
        assert (soa.rdtype, soa.ttl, soa[0].minimum) == (dns.rdatatype.SOA, 60, 60)
    for name, type_ in (
        (f"text.1.{ZONE}", "NAPTR"),
        (ABC, "A"),
        (f"1.{ZONE}", "NS"),
        (ZONE, "NAPTR"),
        (f"ns.{ZONE}", "AAAA"),
    ):
        answer = await node.ask(name, type_)
        assert (answer.rcode(), sections(answer)) == (dns.rcode.NOERROR, (0, 1)), name


async def test_a_name_between_others_exists(node: Node) -> None:
    """Resolvers that ask for one label after the other stop at a name that does not exist."""
    for name in (f"9.1.{ZONE}", f"8.9.1.{ZONE}", f"1.{ZONE}", "0.gtin.gs1.id.onsepc.com."):
        answer = await node.ask(name, "A")
        assert (answer.rcode(), sections(answer)) == (dns.rcode.NOERROR, (0, 1)), name
    answer = await node.ask(f"8.1.{ZONE}", "A")
    assert answer.rcode() == dns.rcode.NXDOMAIN


async def test_a_delegated_prefix_has_no_records_here(node: Node) -> None:
    answer = await node.ask(f"abc.2.{ZONE}")
    assert (answer.rcode(), sections(answer)) == (dns.rcode.NOERROR, (0, 1))
    assert node.count("idnode_resolutions", "dns", "referral") == 1


async def test_the_apex(node: Node) -> None:
    soa = await node.ask(ZONE, "SOA")
    assert texts(soa) == [f"ns.{ZONE} hostmaster.{ZONE} 1 3600 600 604800 60"]
    ns = await node.ask(ZONE, "NS")
    assert texts(ns) == [f"ns.{ZONE}"]
    assert [rrset.to_text() for rrset in ns.additional] == [f"ns.{ZONE} 3600 IN A 127.0.0.1"]
    assert texts(await node.ask(f"ns.{ZONE}", "A")) == ["127.0.0.1"]
    assert texts(await node.ask("gtin.gs1.id.onsepc.com.", "NS")) == ["ns.gtin.gs1.id.onsepc.com."]


async def test_name_servers_that_are_set(database_url: str) -> None:
    zones = ZoneSettings(
        "88.118", ors="1.2.3.oid-res.org", servers="ns1.example.org,ns2.example.org."
    )
    async with running(database_url, zones=zones) as node:
        ns = await node.ask("1.2.3.oid-res.org", "NS")
        assert sorted(texts(ns)) == ["ns1.example.org.", "ns2.example.org."]
        assert ns.additional == []
        assert len(texts(await node.ask("abc.1.1.2.3.oid-res.org"))) == 1
        assert (await node.ask(ABC)).rcode() == dns.rcode.REFUSED


async def test_what_is_not_ours_and_transfers_are_refused(node: Node) -> None:
    for name, type_ in (("example.org", "A"), ("oid-res.org", "SOA"), (".", "NS"), (ZONE, "AXFR")):
        for asking in (node.udp, node.tcp):
            answer = await asking(dns.message.make_query(name, type_))
            assert (answer.rcode(), sections(answer)) == (dns.rcode.REFUSED, (0, 0)), name
            assert not answer.flags & dns.flags.AA
    ixfr = dns.message.make_query(ZONE, "IXFR")
    ixfr.authority.append(
        dns.rrset.from_text(ZONE, 0, "IN", "SOA", f"ns.{ZONE} h.{ZONE} 1 2 3 4 5")
    )
    assert (await node.tcp(ixfr)).rcode() == dns.rcode.REFUSED
    chaos = dns.message.make_query("version.bind", "TXT", "CH")
    assert (await node.udp(chaos)).rcode() == dns.rcode.REFUSED


async def test_any_gets_one_short_record(node: Node) -> None:
    for name in (ZONE, ABC, f"many.1.{ZONE}"):
        answer = await node.ask(name, "ANY")
        assert texts(answer) == ['"RFC8482" ""'], name


async def exchange(node: Node, request: bytes) -> bytes:
    """Send a datagram; return what comes back, b"" if the next one is answered before it."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        await loop.sock_connect(client, (HERE, node.port))
        await loop.sock_sendall(client, request)
        probe = dns.message.make_query("example.org", "A", id=4711).to_wire()
        await loop.sock_sendall(client, probe)
        async with asyncio.timeout(10):
            received = await loop.sock_recv(client, 65_536)
        return b"" if received[:2] == probe[:2] else received


def header(flags: int = 0, *counts: int) -> bytes:
    return b"\x12\x34" + flags.to_bytes(2, "big") + b"".join(n.to_bytes(2, "big") for n in counts)


QUESTION = b"\x03ABC\x011\x03118\x0288\x07oid-res\x03org\0\0\x23\0\x01"
FORMERR = header(0x8001, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (b"\x12\x34\0\0", b""),
        (header(0x8000, 1, 0, 0, 0) + QUESTION, b""),
        (header(0x2900, 1, 0, 0, 0) + QUESTION, header(0xA904, 0, 0, 0, 0)),
        (header(0x1000, 0, 0, 0, 0), header(0x9004, 0, 0, 0, 0)),
        (header(0, 0, 0, 0, 0), FORMERR),
        (header(0, 2, 0, 0, 0) + QUESTION * 2, FORMERR),
        (header(0x0100, 1, 0, 0, 0) + b"\xc0\x0c\0\x23\0\x01", header(0x8101, 0, 0, 0, 0)),
        (header(0, 1, 0, 0, 0) + b"\xc0\x00\0\x23\0\x01", FORMERR),
        (header(0, 1, 0, 0, 0) + (b"\x01a" * 130) + QUESTION, FORMERR),
        (header(0, 1, 0, 0, 0) + b"\x40" + QUESTION, FORMERR),
        (header(0, 1, 0, 0, 0) + QUESTION[:-1], FORMERR),
        (header(0, 1, 0, 0, 0) + QUESTION + b"\0", FORMERR),
        (header(0, 1, 1, 0, 0) + QUESTION, FORMERR),
        (header(0, 1, 0, 0, 2) + QUESTION + b"\0\0\x29\x04\xd0\0\0\0\0\0\0" * 2, FORMERR),
        (header(0, 1, 0, 0, 1) + QUESTION + b"\xc0\x0c\0\x29\x04\xd0\0\0\0\0\0\0", FORMERR),
        (header(0, 1, 0, 0, 1) + QUESTION + b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x0a\0\x09", FORMERR),
        (
            header(0, 1, 0, 0, 1) + QUESTION + b"\0\0\x29\x04\xd0\0\0\0\0\0\x05\0\x0a\0\x01x",
            FORMERR,
        ),
        (header(0, 1, 0, 0, 1) + QUESTION + bytes(1400), FORMERR),
    ],
)
async def test_what_is_no_query(node: Node, request_: bytes, response: bytes) -> None:
    assert await exchange(node, request_) == response
    kinds = ("malformed", "response")
    dropped = sum(node.count("idnode_dns_dropped", kind) for kind in kinds)
    assert dropped == (not response), "what gets no answer is counted"
    answered = node.count("idnode_dns_responses", "formerr") + node.count(
        "idnode_dns_responses", "notimp"
    )
    assert answered == bool(response)


async def test_a_later_version_of_edns_is_told_ours(node: Node) -> None:
    query = dns.message.make_query(ABC, "NAPTR", use_edns=1)
    answer = await node.udp(query)
    assert (answer.rcode(), answer.edns, answer.answer) == (dns.rcode.BADVERS, 0, [])


async def test_an_answer_that_is_too_long_is_had_over_tcp(node: Node) -> None:
    name = f"many.1.{ZONE}"
    for payload in (0, 512, 1232, 4096):
        query = dns.message.make_query(name, "NAPTR", use_edns=bool(payload) - 1, payload=payload)
        answer = await node.udp(query)
        assert answer.flags & dns.flags.TC
        assert sections(answer) == (0, 0)
        assert len(answer.to_wire()) < PAYLOAD
        whole, over_tcp = await dns.asyncquery.udp_with_fallback(
            query, HERE, timeout=10, port=node.port
        )
        assert over_tcp
        assert len(texts(whole)) == 30


async def test_edns_is_answered_where_it_is_asked_with(node: Node) -> None:
    for _ in range(2):
        assert (await node.ask(ABC)).edns == -1
        answer = await node.ask(ABC, use_edns=0, want_dnssec=True)
        assert (answer.edns, answer.payload) == (0, PAYLOAD)
        assert answer.ednsflags & dns.flags.DO
        assert not (await node.ask(ABC, use_edns=0)).ednsflags & dns.flags.DO


async def test_a_change_is_seen_and_a_ttl_is_kept(node: Node) -> None:
    assert len(texts(await node.ask(ABC))) == 1
    await put(node.sql, "ABC", [(1, "URL", "https://new.example/")], ttl=77)
    async with asyncio.timeout(20):
        while True:
            answer = await node.ask(ABC)
            if "new.example" in texts(answer)[0]:
                break
            await asyncio.sleep(0.02)
    assert answer.answer[0].ttl == 77
    ends = "2027-01-15T08:10:00Z"
    await put(node.sql, "ENDS", [(1, "URL", "https://new.example/")], ttl=ends)
    for now, left in ((1_800_000_000, 600), (1_800_000_590, 10), (1_800_009_999, 0)):
        node.clock.now = now
        answer = await node.ask(f"ends.1.{ZONE}")
        assert answer.answer[0].ttl == left


async def test_every_answer_is_counted(node: Node) -> None:
    for name in (ABC, ABC, ABC, f"none.1.{ZONE}", f"text.1.{ZONE}", "example.org"):
        await node.ask(name)
    async with asyncio.timeout(10):  # those of the short way are put down twice a second
        while node.count("idnode_resolutions", "dns", "found") < 3:
            await asyncio.sleep(0.02)
    assert node.count("idnode_resolutions", "dns", "found") == 3
    assert node.count("idnode_resolutions", "dns", "not_found") == 1
    assert node.count("idnode_resolutions", "dns", "no_values") == 1
    assert node.count("idnode_dns_responses", "noerror") == 4
    assert node.count("idnode_dns_responses", "nxdomain") == 1
    assert node.count("idnode_dns_responses", "refused") == 1
    cells = node.resolver.cache.prefixes["88.118.1"].cells
    assert cells[:3].tolist() == [3, 1, 1], "as over HTTP and the Handle protocol"


async def test_without_its_database_what_is_cached_goes_on(node: Node) -> None:
    await node.ask(ABC)
    await node.resolver.feed.close()
    reached, away = node.resolver.database, Database("postgresql://nobody@127.0.0.1:1/none")
    node.resolver.database = away
    assert len(texts(await node.ask(ABC))) == 1
    answer = await node.ask(f"never-asked.1.{ZONE}")
    assert (answer.rcode(), sections(answer)) == (dns.rcode.SERVFAIL, (0, 0))
    assert node.count("idnode_resolutions", "dns", "unavailable") == 1
    node.resolver.database = reached


async def burst(node: Node, queries: list[bytes]) -> list[dns.message.Message]:
    """Send datagrams at once; return the answers when each was answered or dropped."""
    loop = asyncio.get_running_loop()
    answers: list[dns.message.Message] = []
    before = node.count("idnode_dns_dropped", "rate")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        await loop.sock_connect(client, (HERE, node.port))
        for query in queries:
            client.send(query)
        async with asyncio.timeout(30):
            while len(answers) + node.count("idnode_dns_dropped", "rate") - before < len(queries):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        answers.append(dns.message.from_wire(await loop.sock_recv(client, 4096)))
    return answers


async def test_over_its_rate_a_network_gets_nothing_or_is_sent_to_tcp(database_url: str) -> None:
    limits = Limits(udp_responses_per_second=10)  # one in a window of 0.1 s
    async with running(database_url, limits) as node:
        query = dns.message.make_query(ABC, "NAPTR")
        await node.tcp(query)
        answers = await burst(node, [query.to_wire()] * 40)
        full = [one for one in answers if one.answer]
        cut = [one for one in answers if one.flags & dns.flags.TC]
        assert len(full) + len(cut) == len(answers)
        assert 1 <= len(full) <= 20
        assert len(cut) == node.count("idnode_dns_dropped", "slip")
        dropped = node.count("idnode_dns_dropped", "rate")
        assert dropped + len(answers) == 40
        assert abs(dropped - len(cut)) <= 1, "every second one is sent, cut short"


async def test_who_shows_our_cookie_is_not_limited(database_url: str) -> None:
    async with running(database_url, Limits(udp_responses_per_second=10)) as node:
        client = b"12345678"
        first = await node.tcp(with_cookie(dns.message.make_query(ABC, "NAPTR"), client))
        cookie = cookie_of(first)
        assert cookie.startswith(client)
        assert len(cookie) == 24
        for _ in range(30):
            answer = await node.udp(with_cookie(dns.message.make_query(ABC, "NAPTR"), cookie))
            assert len(texts(answer)) == 1
            assert cookie_of(answer) == cookie
        forged = cookie[:-1] + bytes((cookie[-1] ^ 1,))
        query = with_cookie(dns.message.make_query(ABC, "NAPTR"), forged).to_wire()
        answers = await burst(node, [query] * 20)
        assert all(cookie_of(answer) != forged for answer in answers)
        codes = {answer.rcode() for answer in answers}
        assert codes == {dns.rcode.NOERROR, dns.rcode.BADCOOKIE}


async def test_a_source_that_may_be_forged_is_sent_no_more_than_a_multiple(
    database_url: str,
) -> None:
    async with running(database_url, Limits(udp_bytes_per_second=100)) as node:
        long = [(n, "URL", f"https://pumps.example/{n}?{'x' * 60}") for n in range(1, 7)]
        await put(node.sql, "LONG", long)
        for _ in range(2):
            query = dns.message.make_query(f"long.1.{ZONE}", "NAPTR", use_edns=0)
            answer = await node.udp(query)
            assert answer.flags & dns.flags.TC
            assert len(answer.to_wire()) <= len(query.to_wire())
            assert len(texts(await node.tcp(query))) == 6
        assert node.count("idnode_dns_dropped", "bytes") == 2


def framed(query: dns.message.Message) -> bytes:
    return len(query.to_wire()).to_bytes(2, "big") + query.to_wire()


async def read_frame(reader: asyncio.StreamReader) -> dns.message.Message:
    length = int.from_bytes(await reader.readexactly(2), "big")
    return dns.message.from_wire(await reader.readexactly(length))


async def test_queries_are_pipelined_over_tcp_and_come_in_pieces(node: Node) -> None:
    reader, writer = await asyncio.open_connection(HERE, node.port)
    names = [ABC, f"7.4.1.{ZONE}", f"none.1.{ZONE}", "example.org.", f"many.1.{ZONE}"] * 40
    queries = [dns.message.make_query(name, "NAPTR", id=n) for n, name in enumerate(names)]
    octets = b"".join(map(framed, queries))
    async with asyncio.timeout(20):
        for at in range(0, len(octets), 97):
            writer.write(octets[at : at + 97])
            await writer.drain()
        answers = {}
        for _ in queries:
            answer = await read_frame(reader)
            answers[answer.id] = answer
        assert set(answers) == set(range(len(queries)))
        for number, query in enumerate(queries):
            assert query.is_response(answers[number])
        writer.write_eof()
        assert await reader.read() == b""
    writer.close()


async def test_a_client_that_ends_its_side_gets_its_answers(node: Node) -> None:
    reader, writer = await asyncio.open_connection(HERE, node.port)
    writer.write(framed(dns.message.make_query(ABC, "NAPTR")))
    writer.write_eof()
    async with asyncio.timeout(10):
        assert len(texts(await read_frame(reader))) == 1
        assert await reader.read() == b""
    writer.close()


async def test_over_tcp_what_is_too_long_or_comes_too_slowly_is_closed(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for length in (b"\xff\xff", b"\0\0"):
        reader, writer = await asyncio.open_connection(HERE, node.port)
        writer.write(length)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
    assert node.count("idnode_dns_dropped", "malformed") == 2
    monkeypatch.setattr(dns_tcp, "IDLE_SECONDS", 0.3)
    reader, writer = await asyncio.open_connection(HERE, node.port)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            ended = asyncio.create_task(reader.read())
            writer.write(b"\x04\0")
            while not ended.done():
                writer.write(b"\0")  # never whole
                await asyncio.wait({ended}, timeout=0.05)
            assert ended.result() == b""
    writer.close()


async def test_a_source_has_so_many_connections_and_the_idle_one_goes_first(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_tcp, "MAX_CONNECTIONS", 2)
    async with running(database_url, Limits(tcp_connections=3)) as node, asyncio.timeout(20):
        opened = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection(HERE, node.port)
            writer.write(framed(dns.message.make_query(ABC, "NAPTR")))
            await read_frame(reader)
            opened.append((reader, writer))
        with contextlib.suppress(ConnectionError):
            assert await opened[0][0].read() == b""
        assert node.count("idnode_dns_dropped", "connections") == 1
        monkeypatch.setattr(dns_tcp, "MAX_CONNECTIONS", 9)
        opened.append(await asyncio.open_connection(HERE, node.port))
        reader, writer = await asyncio.open_connection(HERE, node.port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        assert node.count("idnode_dns_dropped", "source") == 1
        for _, writer in opened:
            writer.close()


async def test_queries_beyond_what_may_be_under_way_are_dropped(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_udp, "MAX_TASKS", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(dns.message.make_query(ABC, "NAPTR").to_wire(), (HERE, node.port))
        async with asyncio.timeout(10):
            while not node.count("idnode_dns_dropped", "busy"):
                await asyncio.sleep(0.01)
    assert node.count("idnode_resolutions", "dns", "found") == 0


@pytest.mark.parametrize("most", [200_000, 64 << 20])
async def test_who_takes_no_answers_is_not_read_from_and_closed_for_want_of_room(
    node: Node, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(dns_tcp, "MAX_HELD_BYTES", most)
    held = node.server._tcp._held
    query = dns.message.make_query(f"many.1.{ZONE}", "NAPTR")
    await node.tcp(query)
    opened = []
    async with asyncio.timeout(50):
        for _ in range(4):
            before = len(held), node.count("idnode_dns_dropped", "memory")
            _, writer = await asyncio.open_connection(HERE, node.port, limit=1)
            opened.append(writer)
            while (len(held), node.count("idnode_dns_dropped", "memory")) == before:
                writer.write(framed(query) * 100)
                with contextlib.suppress(ConnectionError, TimeoutError):
                    async with asyncio.timeout(0.1):
                        await writer.drain()
            assert sum(held.values()) <= most
        closed = node.count("idnode_dns_dropped", "memory")
        assert (closed > 0) == (most == 200_000)
        assert len(texts(await node.tcp(dns.message.make_query(ABC, "NAPTR")))) == 1
    for writer in opened:
        writer.close()


async def test_what_is_not_for_everybody_is_not_in_the_dns(node: Node) -> None:
    await put(node.sql, "HIDDEN", [(1, "URL", "https://secret.example/")], permissions="1100")
    answer = await node.ask(f"hidden.1.{ZONE}")
    assert (answer.rcode(), sections(answer)) == (dns.rcode.NOERROR, (0, 1))


async def test_a_suspended_prefix_is_gone(node: Node) -> None:
    for _ in range(2):
        assert len(texts(await node.ask(ABC))) == 1
    await node.sql.execute("UPDATE prefixes SET status = 'suspended' WHERE prefix = '88.118.1'")
    async with asyncio.timeout(20):
        while (await node.ask(ABC)).rcode() != dns.rcode.NXDOMAIN:
            await asyncio.sleep(0.02)
    assert (await node.ask(f"1.{ZONE}")).rcode() == dns.rcode.NXDOMAIN


async def test_over_ipv6(database_url: str) -> None:
    async with running(database_url, Limits(udp_responses_per_second=1000), host="::1") as node:
        first = await node.tcp(with_cookie(dns.message.make_query(ABC, "NAPTR"), b"12345678"))
        cookie = cookie_of(first)
        again = await node.udp(with_cookie(dns.message.make_query(ABC, "NAPTR"), cookie))
        assert cookie_of(again) == cookie
        for _ in range(2):
            assert len(texts(await node.ask(ABC))) == 1
        assert texts(await node.ask(f"ns.{ZONE}", "AAAA")) == ["::1"]


async def test_no_bytes_over_tcp_do_harm(node: Node) -> None:
    """Frames of any bytes, some of them nearly queries, are answered or end their connection."""
    random = Random(20_260_101)
    good = dns.message.make_query(ABC, "NAPTR", use_edns=0).to_wire()
    async with asyncio.timeout(50):
        for _ in range(60):
            reader, writer = await asyncio.open_connection(HERE, node.port)
            for _ in range(20):
                frame = bytearray(good if random.random() < 0.7 else random.randbytes(80))
                for _ in range(random.randrange(4)):
                    frame[random.randrange(len(frame))] = random.randrange(256)
                writer.write(len(frame).to_bytes(2, "big") + frame)
            with contextlib.suppress(ConnectionError):
                writer.write_eof()
                octets = await reader.read()
                while octets:  # what comes is whole messages, whatever went
                    length = int.from_bytes(octets[:2], "big")
                    dns.message.from_wire(octets[2 : 2 + length])
                    octets = octets[2 + length :]
            writer.close()
    assert len(texts(await node.tcp(dns.message.make_query(ABC, "NAPTR")))) == 1
    assert node.server._tcp._held == {}
