"""One question to the DNS, and whether its answer may be believed.

- With a trust anchor (DS or DNSKEY of the zone) all has to be signed, and is checked here from the
  anchor down (RFC 4035 section 5), whatever the DNS servers say. What is not signed is refused.
- Without one, what is signed is believed if a validating server on this machine says that it has
  checked it (AD; RFC 4035 section 4.9.3: it means something over a channel that is secure alone).
  What is not signed is believed as any DNS answer is.

That there is nothing is not proved: whoever can forge that has the node walk from the root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.dnssec
import dns.exception
import dns.flags
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.DS
import dns.resolver
import dns.rrset
from dns.nameserver import Do53Nameserver

UDP_BYTES = 1232
"""Longest answer over UDP that is asked for; one that is longer comes over TCP."""

SECONDS = 1.0
"""Time for one question, tries at all servers included."""

MAX_KEYS, MAX_SIGNATURES = 8, 8
"""Of one set: more of them make checking expensive (CVE-2023-50387) and are refused."""

_MAX_ZONES = 4  # signed zones from the anchor down
_MAX_ANCHOR_BYTES = 65_536

Anchors = Sequence[dns.rdata.Rdata]


class Untrusted(Exception):
    """What the DNS says may not be believed."""


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one name and type, and their signatures."""

    rrset: dns.rrset.RRset
    signatures: dns.rrset.RRset | None


@dataclass(slots=True)
class Lookup:
    """Asks the DNS. zone: where the anchors are of. now: Unix seconds."""

    resolver: dns.asyncresolver.Resolver
    zone: dns.name.Name
    anchors: Anchors
    now: Callable[[], float]
    _keys: dict[dns.name.Name, tuple[float, dns.rrset.RRset]] = field(
        init=False, default_factory=dict
    )

    async def find(self, name: dns.name.Name, type_: str) -> dns.rrset.RRset | None:
        """Return records, None if there are none.

        Raises Untrusted, and dns.exception.DNSException where no server answers.
        """
        answer = await self._ask(name, type_)
        found = _records(answer)
        if found is None:
            return None
        if self.anchors:
            if found.rrset.name != name:
                raise Untrusted(f"{name} is an alias")
            await self._check(found, _MAX_ZONES)
        elif found.signatures is not None and not _checked(answer):
            raise Untrusted(f"{name} is signed, and nobody here has checked it")
        return found.rrset

    async def _ask(self, name: dns.name.Name, type_: str) -> dns.resolver.Answer | None:
        try:
            return await self.resolver.resolve(
                name, type_, raise_on_no_answer=False, lifetime=SECONDS, search=False
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None

    async def _check(self, found: Records, zones: int) -> None:
        """Check the signatures of records. Raises Untrusted."""
        name, signatures = found.rrset.name, found.signatures
        if signatures is None:
            raise Untrusted(f"{name} is not signed")
        signer: dns.name.Name = signatures[0].signer
        if len(signatures) > MAX_SIGNATURES or any(one.signer != signer for one in signatures):
            raise Untrusted(f"{name} has too many signatures, or of several zones")
        if not (signer.is_subdomain(self.zone) and name.is_subdomain(signer)):
            raise Untrusted(f"{name} is signed by {signer}, which is not below the anchor")
        if found.rrset.rdtype == dns.rdatatype.DS and signer == name:
            raise Untrusted(f"{name} is delegated by itself")
        keys = await self._keys_of(signer, zones)
        self._validate(found, {signer: keys})

    async def _keys_of(self, signer: dns.name.Name, zones: int) -> dns.rrset.RRset:
        """Return the keys of a zone, checked from the anchor down. Raises Untrusted."""
        until, kept = self._keys.get(signer, (0.0, None))
        if kept is not None and until > self.now():
            return kept
        if not zones:
            raise Untrusted(f"more than {_MAX_ZONES} signed zones down to {signer}")
        found = _records(await self._ask(signer, "DNSKEY"))
        if found is None or len(found.rrset) > MAX_KEYS:
            raise Untrusted(f"{signer} has no keys, or too many")
        trusted = self.anchors if signer == self.zone else await self._delegated(signer, zones)
        entry = [key for key in found.rrset if any(_is_key(signer, key, one) for one in trusted)]
        if not entry:
            raise Untrusted(f"no key of {signer} is the one that is trusted")
        by = dns.rrset.from_rdata_list(signer, found.rrset.ttl, entry)
        self._validate(found, {signer: by})
        self._keys[signer] = (self.now() + min(found.rrset.ttl, 3600), found.rrset)
        while len(self._keys) > 4 * _MAX_ZONES:
            del self._keys[next(iter(self._keys))]
        return found.rrset

    async def _delegated(self, signer: dns.name.Name, zones: int) -> Anchors:
        found = _records(await self._ask(signer, "DS"))
        if found is None:
            raise Untrusted(f"{signer} is not delegated securely")
        await self._check(found, zones - 1)
        return list(found.rrset)

    def _validate(self, found: Records, keys: dict[dns.name.Name, Any]) -> None:
        if found.signatures is None or len(found.signatures) > MAX_SIGNATURES:
            raise Untrusted(f"{found.rrset.name} has no signatures, or too many")
        try:
            dns.dnssec.validate(found.rrset, found.signatures, keys, now=self.now())
        except (dns.exception.ValidationFailure, dns.exception.UnsupportedAlgorithm) as error:
            raise Untrusted(f"{found.rrset.name}: {error}") from None


def make_resolver(servers: Sequence[tuple[str, int]]) -> dns.asyncresolver.Resolver:
    """Return a resolver that asks these servers, or those of the system if none is given.

    Raises ValueError where the system has none.
    """
    try:
        resolver = dns.asyncresolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration as error:
        raise ValueError(f"no DNS servers: {error}") from None
    if servers:
        resolver.nameservers = [Do53Nameserver(address, port) for address, port in servers]
    resolver.timeout = SECONDS / 2
    resolver.use_edns(0, dns.flags.DO, UDP_BYTES)
    resolver.flags = dns.flags.RD | dns.flags.AD
    return resolver


def read_zone(text: str) -> dns.name.Name:
    """Return the zone in which nodes are named. Raises ValueError."""
    try:
        return dns.name.from_text(text)
    except dns.exception.DNSException as error:
        raise ValueError(f"{text}: {error}") from None


def read_servers(text: str) -> list[tuple[str, int]]:
    """Return addresses and ports, of ``address:port`` with commas between. Raises ValueError."""
    return [_server(part.strip()) for part in text.split(",")] if text else []


def _server(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    address = str(ip_address(host.strip("[]")))
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"not of the form address:port: {text}")
    return address, int(port)


def read_anchors(path: Path, zone: dns.name.Name) -> Anchors:
    """Read the DS and DNSKEY records of a zone, a line each as in a zone file.

    Raises OSError, and ValueError for what is none, or of another zone.
    """
    text = path.read_text(encoding="utf-8")[: _MAX_ANCHOR_BYTES + 1]
    if len(text) > _MAX_ANCHOR_BYTES:
        raise ValueError(f"{path}: longer than {_MAX_ANCHOR_BYTES} characters")
    anchors: list[dns.rdata.Rdata] = []
    try:
        for line in text.splitlines():
            if not line.strip() or line.lstrip().startswith(";"):
                continue
            anchors.append(_anchor(line, zone))
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{path}: no trust anchor of {zone}: {error}") from None
    if not anchors:
        raise ValueError(f"{path}: no trust anchor of {zone} in it")
    return anchors


def _anchor(line: str, zone: dns.name.Name) -> dns.rdata.Rdata:
    owner, *rest = line.split()
    kinds = [index for index, word in enumerate(rest) if word.upper() in ("DS", "DNSKEY")]
    if not kinds or dns.name.from_text(owner) != zone:
        raise ValueError(f"not a DS or DNSKEY record of it: {line[:80]}")
    at = kinds[0]
    return dns.rdata.from_text("IN", rest[at], " ".join(rest[at + 1 :]))


def _records(answer: dns.resolver.Answer | None) -> Records | None:
    if answer is None or answer.rrset is None:
        return None
    rrset = answer.rrset
    signatures = answer.response.get_rrset(
        answer.response.answer, rrset.name, rrset.rdclass, dns.rdatatype.RRSIG, rrset.rdtype
    )
    return Records(rrset, signatures)


def _checked(answer: dns.resolver.Answer | None) -> bool:
    """Whether a server on this machine says that it has validated the answer."""
    if answer is None or not answer.response.flags & dns.flags.AD or answer.nameserver is None:
        return False
    try:
        return ip_address(answer.nameserver).is_loopback
    except ValueError:
        return False


def _is_key(zone: dns.name.Name, key: Any, anchor: dns.rdata.Rdata) -> bool:
    """Whether a key is the one that an anchor means."""
    if isinstance(anchor, dns.rdtypes.ANY.DNSKEY.DNSKEY):
        return bool(key == anchor)
    if not isinstance(anchor, dns.rdtypes.ANY.DS.DS):
        return False
    try:
        made = dns.dnssec.make_ds(zone, key, anchor.digest_type, validating=True)
    except (dns.exception.DeniedByPolicy, dns.exception.UnsupportedAlgorithm):
        return False
    return bool(made == anchor)
