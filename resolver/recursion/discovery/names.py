"""Names of prefixes in the DNS, and what records there say of servers. No I/O.

For the prefix 88.120 and the zone ``nodes.example``, with the service name that IANA has for the
Handle System, hdl-srv::

    _hdl-srv._udp.120.88.nodes.example.  SRV    10 0 2641 a.example.             (RFC 2782)
    _hdl-srv._udp.120.88.nodes.example.  URI    10 0 "hdl://a.example:2641"      (RFC 7553)
    120.88.nodes.example.                NAPTR  1 0 "s" "HDL:udp" "" _hdl-srv._udp.other.example.
                                         NAPTR  1 0 "a" "HDL:udp:tcp" "" a.example.
                                         NAPTR  1 0 "u" "HDL:udp" "!.*!hdl://a.example:2641!" .

NAPTR is used as RFC 3958 and RFC 4848 say, with the application HDL and the protocols udp and tcp.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import dns.name

SERVICE = "_hdl-srv"
PORT = 2641
SCHEME = "hdl"

MAX_RECORDS = 16
"""Records of one set that are looked at."""

_LABEL = re.compile(r"[0-9A-Z](?:[0-9A-Z-]{0,61}[0-9A-Z])?")
_MAX_LABELS = 8
_APPLICATION = "HDL"
_EVERYTHING = re.compile(r"(.)\^?\.\*\$?\1(.+)\1i?")
_RANKS = 1 << 16

Transport = Literal["udp", "tcp"]
TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp")


@dataclass(frozen=True, slots=True)
class Target:
    """A server: a name or address, where it listens, and how many are to be tried before it."""

    transport: Transport
    host: str
    port: int
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Further:
    """SRV records at another name are to be asked for."""

    transport: Transport
    name: dns.name.Name
    rank: int


def of_prefix(prefix: str, zone: dns.name.Name) -> dns.name.Name | None:
    """Return the name of a prefix in a zone; None where it has none. ``""``: the zone itself.

    prefix: in canonical spelling.
    """
    labels = prefix.split(".") if prefix else []
    if len(labels) > _MAX_LABELS or not all(map(_LABEL.fullmatch, labels)):
        return None
    try:
        return dns.name.from_text(".".join(labels[::-1]).lower(), zone) if labels else zone
    except dns.name.NameTooLong:
        return None


def at_service(name: dns.name.Name, transport: Transport) -> dns.name.Name | None:
    """Return where the SRV and URI records of a name stand; None if that is too long."""
    try:
        return dns.name.from_text(f"{SERVICE}._{transport}", name)
    except dns.name.NameTooLong:
        return None


def from_srv(records: Iterable[Any], transport: Transport, rank: int = 0) -> list[Target]:
    """Read SRV records. A target of ``.`` is none (RFC 2782)."""
    return [
        Target(transport, _text(record.target), record.port, rank * _RANKS + record.priority)
        for record in list(records)[:MAX_RECORDS]
        if record.target != dns.name.root and record.port
    ]


def from_uri(records: Iterable[Any], transport: Transport) -> list[Target]:
    """Read URI records; others than ``hdl://host`` and ``hdl://host:port`` are passed over."""
    found = []
    for record in list(records)[:MAX_RECORDS]:
        target = read_uri(record.target.decode(errors="replace"), transport, record.priority)
        if target is not None:
            found.append(target)
    return found


def read_uri(text: str, transport: Transport, rank: int) -> Target | None:
    """Return where a URI says that a server is; None if it is of another kind."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, PORT if parts.port is None else parts.port
    except ValueError:
        return None
    if parts.scheme != SCHEME or not host or not port or parts.username or parts.path.strip("/"):
        return None
    return Target(transport, host, port, rank)


def from_naptr(records: Iterable[Any]) -> Sequence[Target | Further]:
    """Read NAPTR records; others than of the application HDL are passed over."""
    found: list[Target | Further] = []
    for record in list(records)[:MAX_RECORDS]:
        tag, *protocols = record.service.decode(errors="replace").split(":")
        if tag.upper() != _APPLICATION:
            continue
        rank = record.order * _RANKS + record.preference
        for transport in TRANSPORTS:
            if transport in map(str.lower, protocols):
                found += _step(record, transport, rank)
    return found


def _step(record: Any, transport: Transport, rank: int) -> Iterable[Target | Further]:
    flags, regexp = record.flags.lower(), record.regexp.decode(errors="replace")
    if flags == b"s":
        return [Further(transport, record.replacement, rank)]
    if flags == b"a":
        return [Target(transport, _text(record.replacement), PORT, rank * _RANKS)]
    # RFC 4848 section 2.2: the whole is replaced, nothing of it is taken over.
    whole = _EVERYTHING.fullmatch(regexp)
    target = read_uri(whole[2], transport, rank * _RANKS) if flags == b"u" and whole else None
    return [] if target is None else [target]


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)
