"""Queries as they come: read strictly, within bounds, and without anything that has to be followed.

A name in a question stands first of all names, so there is nothing it could point to: a compressed
one is refused, and with it every loop and every name that grows when it is unpacked. Of the other
sections, a query has the OPT record of EDNS (RFC 6891) and nothing else that is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import ClassVar

from protocol.dns.zones import MAX_LABEL_BYTES, MAX_NAME_BYTES, Labels

HEADER_BYTES = 12
PAYLOAD = 1232
"""Longest answer over UDP: it is not fragmented on any path of IPv6 (DNS flag day 2020). Longest
query, too: we say so in each OPT record, and one with a name, a cookie and padding is shorter."""

PLAIN_PAYLOAD = 512
"""Longest answer over UDP to a query without EDNS (RFC 1035 section 4.2.1)."""

MAX_TCP_BYTES = 65_535
COOKIE_OPTION = 10
CLIENT_COOKIE_BYTES = 8
_SERVER_COOKIE_BYTES = range(8, 33)
_OPT_BYTES = 11


class Rcode(IntEnum):
    """Response codes (RFC 1035, 6891, 7873)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16
    BADCOOKIE = 23


class Type(IntEnum):
    """Types of records that mean something here."""

    A = 1
    NS = 2
    SOA = 6
    HINFO = 13
    AAAA = 28
    NAPTR = 35
    OPT = 41
    IXFR = 251
    AXFR = 252
    MAILB = 253
    MAILA = 254
    ANY = 255


class Flag(IntFlag):
    """Flags of a header, and of EDNS."""

    QR = 0x8000
    AA = 0x0400
    TC = 0x0200
    RD = 0x0100
    DO = 0x8000


IN, ANY_CLASS = 1, 255
_OPCODE = 0x7800


@dataclass(frozen=True, slots=True)
class Edns:
    """What an OPT record says. cookie: client's and server's, as sent; empty for none."""

    payload: int
    version: int
    dnssec: bool
    cookie: bytes = b""


@dataclass(frozen=True, slots=True)
class Query:
    """One question. wire: as it stands in the message, name, type and class."""

    id: int
    flags: int
    labels: Labels
    type: int
    class_: int
    wire: bytes
    edns: Edns | None

    @property
    def udp_limit(self) -> int:
        """Bytes that an answer over UDP may have."""
        if self.edns is None:
            return PLAIN_PAYLOAD
        return max(PLAIN_PAYLOAD, min(self.edns.payload, PAYLOAD))


class NoQuery(Exception):
    """Bytes that get no answer: too short for a header, or an answer themselves."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadQuery(Exception):
    """A query that is answered with its header alone and a code. reason: for those who count."""

    rcode: ClassVar[Rcode] = Rcode.FORMERR

    def __init__(self, data: bytes, reason: str, rcode: Rcode = Rcode.FORMERR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = rcode
        self._data = data

    def response(self) -> bytes:
        """Return the answer: id, opcode and RD as they were asked."""
        asked = int.from_bytes(self._data[2:4], "big")
        flags = Flag.QR | asked & (_OPCODE | Flag.RD) | self.code
        return self._data[:2] + int(flags).to_bytes(2, "big") + bytes(8)


def read_query(data: bytes) -> Query:
    """Read one message. Raises NoQuery and BadQuery."""
    if len(data) < HEADER_BYTES:
        raise NoQuery("malformed")
    flags = int.from_bytes(data[2:4], "big")
    if flags & Flag.QR:
        raise NoQuery("response")  # never answer an answer: two servers would do so for ever
    if flags & _OPCODE:
        raise BadQuery(data, "opcode", Rcode.NOTIMP)
    counts = [int.from_bytes(data[at : at + 2], "big") for at in range(4, HEADER_BYTES, 2)]
    if counts[0] != 1:  # RFC 9619
        raise BadQuery(data, "questions")
    labels, at = _read_name(data)
    end = at + 4
    if end > len(data):
        raise BadQuery(data, "short")
    type_, class_ = (int.from_bytes(data[start : start + 2], "big") for start in (at, at + 2))
    wire = data[HEADER_BYTES:end]
    if type_ in (Type.IXFR, Type.AXFR):  # IXFR names the version that it goes by: not read
        return Query(int.from_bytes(data[:2], "big"), flags, labels, type_, class_, wire, None)
    if counts[1] or counts[2] or counts[3] > 1:
        raise BadQuery(data, "records")
    edns = _read_opt(data, end) if counts[3] else None
    if edns is None and end != len(data):
        raise BadQuery(data, "rest")
    return Query(int.from_bytes(data[:2], "big"), flags, labels, type_, class_, wire, edns)


def _read_name(data: bytes) -> tuple[Labels, int]:
    labels: list[bytes] = []
    at = HEADER_BYTES
    while True:
        if at >= len(data):
            raise BadQuery(data, "short")
        length = data[at]
        at += 1
        if not length:
            return tuple(labels), at
        if length > MAX_LABEL_BYTES:
            raise BadQuery(data, "compressed" if length >= 0xC0 else "label")
        labels.append(data[at : at + length])
        at += length
        if at - HEADER_BYTES >= MAX_NAME_BYTES:
            raise BadQuery(data, "name")


def _read_opt(data: bytes, at: int) -> Edns:
    """Read the one additional record, which is OPT and ends the message."""
    if len(data) < at + _OPT_BYTES or data[at : at + 3] != b"\0\0\x29":
        raise BadQuery(data, "additional")
    payload = int.from_bytes(data[at + 3 : at + 5], "big")
    version = data[at + 6]
    dnssec = bool(data[at + 7] & 0x80)
    options = data[at + _OPT_BYTES :]
    if len(options) != int.from_bytes(data[at + 9 : at + 11], "big"):
        raise BadQuery(data, "options")
    return Edns(payload, version, dnssec, _read_cookie(data, options))


def _read_cookie(data: bytes, options: bytes) -> bytes:
    """Return the first COOKIE option. Raises BadQuery for one of a wrong length (RFC 7873)."""
    at, cookie = 0, b""
    while at < len(options):
        start = at + 4
        end = start + int.from_bytes(options[at + 2 : start], "big")
        if end > len(options) or start > len(options):
            raise BadQuery(data, "options")
        if int.from_bytes(options[at : at + 2], "big") == COOKIE_OPTION and not cookie:
            cookie = options[start:end]
            server = len(cookie) - CLIENT_COOKIE_BYTES
            if server != 0 and server not in _SERVER_COOKIE_BYTES:
                raise BadQuery(data, "cookie")
        at = end
    return cookie
