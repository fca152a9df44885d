"""Handle values as NAPTR records (RFC 3403): each URL is one, to be taken as it is.

The regular expression takes all that was asked for and puts the URL in its place, and the flag U
says that the outcome is a URI (RFC 3404 section 4.3). The service says what is at the URL:

- ORS: ``ORS+`` and a service type. UINF, a URI where things can be had, is what every node of the
  tree has (ITU-T X.672, service types added at itu.int); CINF, RINF, MINF (Annexes C to E) and LINF
  are told by the type of the value: ``URL.CINF`` and so on. COID holds an OID and no URL.
- ONS: a URL of GS1, as in answers of the ONS of GS1 Korea (``http://www.gs1.org/ons/epcis``):
  ``URL.epcis`` has that, and ``URL`` alone has ``product_information``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from protocol.values import HandleValue, select

ORDER = 100
MAX_RECORDS = 64
"""Records of one name; those of the lowest indexes."""

ORS_TYPES = frozenset({"UINF", "CINF", "RINF", "MINF", "LINF"})
_ONS_SERVICE = "http://www.gs1.org/ons/"
_ONS_PLAIN = "product_information"
_ONS_NAME = re.compile(r"[a-z0-9_-]{1,100}")
_MAX_STRING = 255  # of a character-string, RFC 1035 section 3.3
# A URI (RFC 3986) has a scheme, and only what can be seen; anything may stand behind it else.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f]+")
# RFC 3402 section 3.2: no digit, no flag, no backslash. The first is what everybody writes.
_DELIMITERS = "!|#~,;"
_OWNER = b"\xc0\x0c"  # the name of the question, RFC 1035 section 4.1.4


@dataclass(frozen=True, slots=True)
class Naptr:
    """One record; its replacement is the root. RFC 3403 section 4.1."""

    preference: int
    service: str
    regexp: str
    order: int = ORDER
    flags: str = "U"

    def encode(self) -> bytes:
        """Return the data of the record on the wire."""
        strings = (self.flags.encode(), self.service.encode(), self.regexp.encode())
        return b"".join(
            (
                self.order.to_bytes(2, "big"),
                self.preference.to_bytes(2, "big"),
                *(bytes((len(string),)) + string for string in strings),
                b"\0",
            )
        )


@dataclass(frozen=True, slots=True)
class Records:
    """The NAPTR records of a name. ttl: seconds, one for all (RFC 2181 section 5.2).

    lasting: whether the ttl is the same whenever somebody asks.
    """

    records: tuple[Naptr, ...]
    ttl: int
    lasting: bool


def read_values(
    values: Iterable[HandleValue], system: Literal["ors", "ons"], now: float
) -> Records:
    """Return the records that the URLs among the values are. now: Unix seconds.

    What is no URI, or too long for a record, is left out.
    """
    records: list[Naptr] = []
    used: list[HandleValue] = []
    for value in sorted(select(values, ("URL.",)), key=lambda one: one.index):
        regexp = _regexp(value.data)
        if regexp is None or len(records) == MAX_RECORDS:
            continue
        kind = value.type.partition(".")[2]
        service = _ors_service(kind) if system == "ors" else _ons_service(kind)
        records.append(Naptr(10 * (len(records) + 1), service, regexp))
        used.append(value)
    ttl = min((_ttl(value, now) for value in used), default=0)
    return Records(tuple(records), ttl, not any(value.ttl_absolute for value in used))


def encode_answer(records: Sequence[Naptr], ttl: int) -> bytes:
    """Return the answer section: the owner of each is the name in the question."""
    head = _OWNER + b"\0\x23\0\x01" + ttl.to_bytes(4, "big")
    data = [record.encode() for record in records]
    return b"".join(head + len(one).to_bytes(2, "big") + one for one in data)


def url_of(regexp: str) -> str | None:
    """Return the URL that a record of this form gives, None if it is of another form."""
    delimiter = regexp[:1]
    if not delimiter or delimiter not in _DELIMITERS:
        return None
    parts = regexp.split(delimiter)
    if len(parts) != 4 or parts[1] != "^.*$" or parts[3] not in ("", "i"):
        return None
    return parts[2].replace("\\\\", "\\")


def _ttl(value: HandleValue, now: float) -> int:
    return max(0, value.ttl - int(now)) if value.ttl_absolute else value.ttl


def _regexp(data: bytes) -> str | None:
    try:
        url = data.decode()
    except UnicodeDecodeError:
        return None
    if not _URI.fullmatch(url):
        return None
    delimiter = next((one for one in _DELIMITERS if one not in url), None)
    if delimiter is None:
        return None
    escaped = url.replace("\\", "\\\\")
    regexp = f"{delimiter}^.*${delimiter}{escaped}{delimiter}"
    return regexp if len(regexp.encode()) <= _MAX_STRING else None


def _ors_service(kind: str) -> str:
    upper = kind.upper()
    return f"ORS+{upper if upper in ORS_TYPES else 'UINF'}"


def _ons_service(kind: str) -> str:
    lower = kind.lower()
    return _ONS_SERVICE + (lower if _ONS_NAME.fullmatch(lower) else _ONS_PLAIN)
