"""What stands at the apex of a zone, and goes with each answer that there is nothing."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import dns.rdataclass
import dns.rdatatype
import dns.rrset

from protocol.dns.zones import MAX_NAME_BYTES, Labels, Zone, read_name, text_of, wire_bytes
from resolver.dns.responses import name_of

NEGATIVE_SECONDS = 60
"""How long it may be kept that there is no such name or no such record (RFC 2308 section 5)."""

APEX_SECONDS = 3600
_SERIAL = 1
_REFRESH, _RETRY, _EXPIRE = 3600, 600, 604_800
_OWN = "ns"


@dataclass(frozen=True, slots=True)
class ZoneData:
    """Records of one zone.

    ns, soa: at its apex. absent: the SOA as it stands beside an answer that there is nothing.
    server, addresses: the name of our own within the zone, empty if the zone has other servers.
    """

    soa: dns.rrset.RRset
    absent: dns.rrset.RRset
    ns: dns.rrset.RRset
    server: Labels
    addresses: tuple[dns.rrset.RRset, ...]


def make(zone: Zone, servers: tuple[str, ...], address: str | None) -> ZoneData:
    """Make the records of a zone.

    servers: names of its name servers; none: ``ns`` in the zone, at `address`. The serial number
    stays the same, because nobody may copy the zone and compare. Raises ValueError.
    """
    apex = text_of(zone.apex).lower() + "."
    names = [f"{server.removesuffix('.')}." for server in servers] or [f"{_OWN}.{apex}"]
    own = () if servers else read_name(names[0])
    if wire_bytes(own) > MAX_NAME_BYTES:
        raise ValueError(f"{zone}: its name server would have a name that is too long")
    soa = f"{names[0]} hostmaster.{apex} {_SERIAL} {_REFRESH} {_RETRY} {_EXPIRE} {NEGATIVE_SECONDS}"
    owner = name_of(tuple(label.lower() for label in zone.apex))
    return ZoneData(
        dns.rrset.from_text(owner, APEX_SECONDS, "IN", "SOA", soa),
        dns.rrset.from_text(owner, NEGATIVE_SECONDS, "IN", "SOA", soa),
        dns.rrset.from_text(owner, APEX_SECONDS, "IN", "NS", *names),
        own,
        _addresses(own, address),
    )


def _addresses(server: Labels, address: str | None) -> tuple[dns.rrset.RRset, ...]:
    if not server or address is None:
        return ()
    kind = "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
    name = name_of(tuple(label.lower() for label in server))
    return (dns.rrset.from_text(name, APEX_SECONDS, "IN", kind, address),)


def own_address(host: str) -> str | None:
    """Return an address that clients reach, None for one that stands for all."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return None if address.is_unspecified else str(address)
