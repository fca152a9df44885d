"""A DNS server on loopback that answers from zones, signed or not, over UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ed25519

Spoil = Callable[[dns.message.Message], dns.message.Message | bytes | None]
"""Changes an answer, or makes bytes of its own, or sends none."""


@dataclass
class Dns:
    """A server. asked: name and type of each question. ad: says that it has validated."""

    zones: list[dns.zone.Zone]
    ad: bool = False
    spoil: Spoil | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    def answer(self, octets: bytes) -> bytes | None:
        query = dns.message.from_wire(octets)
        question = query.question[0]
        self.asked.append((question.name.to_text(), dns.rdatatype.to_text(question.rdtype)))
        reply: Any = dns.message.make_response(query, recursion_available=True)
        if self.ad:
            reply.flags |= dns.flags.AD
        signed = bool(query.ednsflags & dns.flags.DO)
        zones = [zone for zone in self.zones if question.name.is_subdomain(_origin(zone))]
        if question.rdtype == dns.rdatatype.DS:  # it stands above the cut
            zones = [zone for zone in zones if question.name != _origin(zone)]
        zone = max(zones, key=lambda one: len(_origin(one)), default=None)
        if zone is None:
            reply.set_rcode(dns.rcode.REFUSED)
            return bytes(reply.to_wire())
        node = zone.get_node(question.name)
        if node is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            self._add(reply, zone, node, question, signed=signed)
        changed = self.spoil(reply) if self.spoil else reply
        return changed.to_wire() if isinstance(changed, dns.message.Message) else changed

    @staticmethod
    def _add(reply: Any, zone: dns.zone.Zone, node: Any, question: Any, *, signed: bool) -> None:
        for covers in (dns.rdatatype.NONE, question.rdtype)[: 1 + signed]:
            type_ = dns.rdatatype.RRSIG if covers else question.rdtype
            found = node.get_rdataset(zone.rdclass, type_, covers)
            if found is not None:
                rrset = dns.rrset.from_rdata_list(question.name, found.ttl, list(found))
                if covers:
                    rrset.covers = covers
                reply.answer.append(rrset)


def _origin(zone: dns.zone.Zone) -> dns.name.Name:
    assert zone.origin is not None
    return zone.origin


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: Dns) -> None:
        self.server = server
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        octets = self.server.answer(data)
        if octets is not None:
            self.transport.sendto(octets, addr)


@contextlib.asynccontextmanager
async def serving(server: Dns) -> AsyncIterator[Dns]:
    """Run a server on loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(writer):
            size = int.from_bytes(await reader.readexactly(2), "big")
            octets = server.answer(await reader.readexactly(size)) or b""
            writer.write(len(octets).to_bytes(2, "big") + octets)
            await writer.drain()

    tcp = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with tcp:
        server.port = tcp.sockets[0].getsockname()[1]
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Udp(server), local_addr=("127.0.0.1", server.port)
        )
        try:
            yield server
        finally:
            transport.close()


@dataclass(frozen=True)
class Key:
    """A key of a zone, and its DNSKEY record."""

    private: ed25519.Ed25519PrivateKey
    record: Any

    def ds(self, zone: str) -> str:
        """Return the DS record of it, without an owner."""
        name = dns.name.from_text(zone)
        return dns.dnssec.make_ds(name, self.record, "SHA256").to_text()


def make_key() -> Key:
    private = ed25519.Ed25519PrivateKey.generate()
    record = dns.dnssec.make_dnskey(private.public_key(), dns.dnssec.Algorithm.ED25519, flags=257)
    return Key(private, record)


def make_zone(origin: str, text: str, key: Key | None = None, *, now: float = 0) -> dns.zone.Zone:
    """Return a zone of records, signed if there is a key. now: Unix seconds; 0: the time."""
    head = "@ 300 SOA ns hostmaster 1 3600 600 86400 60\n@ 300 NS ns\n"
    zone = dns.zone.from_text(
        head + textwrap.dedent(text), origin, relativize=False, check_origin=False
    )
    if key is not None:
        now = now or time.time()
        with zone.writer() as changing:
            dns.dnssec.sign_zone(
                zone,
                changing,
                keys=[(key.private, key.record)],
                inception=now - 3600,
                expiration=now + 3600,
            )
    return zone
