"""Names in the DNS and the identifiers that they stand for.

Two systems find what is said of a thing by NAPTR records (RFC 3403), each with names of its own:

- ORS, the object identifier resolution system (ITU-T X.672 | ISO/IEC 29168-1). An OID becomes a
  name by writing its arcs from the last to the first, as labels under ``oid-res.org``. A zone of
  this node stands for the node's prefix: below it the first label is the number of an enterprise's
  prefix, and the others are the parts of the suffix between its dots. So with the zone
  ``118.88.oid-res.org`` the identifier ``88.118.35/4.7`` is ``7.4.35.118.88.oid-res.org``.
- ONS, the object name service of GS1 (version 2.0.1). A GTIN of 14 digits becomes a name without
  its check digit: the first digit (indicator) stays the first label, the other twelve follow from
  the last to the first, then come ``gtin.gs1.id`` and the root, ``onsepc.com``. So the digits of
  the company that numbers the thing stand at the right, and a zone can be cut there. Here a GTIN is
  registered as a GS1 Digital Link path has it: ``01/`` and its 14 digits.

Both compare without ASCII case, as Handle identifiers do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from protocol.errors import IdnodeError, InvalidHandle
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier, fold

ORS_ROOT = "oid-res.org"
ONS_TAIL = (b"GTIN", b"GS1", b"ID")
"""What stands between the digits of a GTIN and the root of an ONS."""

GTIN_PATH = "01/"
"""How the suffix of a GTIN begins: application identifier 01 of GS1."""

MAX_NAME_BYTES = 255
"""Longest name on the wire, its length octets and the root included (RFC 1035 section 2.3.4)."""

MAX_LABEL_BYTES = 63

Labels = tuple[bytes, ...]
"""A name without its root, from the left."""

_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]{1,9}")
_DIGIT = re.compile(rb"[0-9]")
_GTIN_DIGITS = 13
_GTIN = re.compile(re.escape(GTIN_PATH) + r"([0-9]{13})([0-9])")


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone that this node answers for.

    apex: its name, folded. prefix: of the node for ORS, of an enterprise for ONS.
    """

    system: Literal["ors", "ons"]
    apex: Labels
    prefix: str

    def __str__(self) -> str:
        return text_of(self.apex).lower()


@dataclass(frozen=True, slots=True)
class Zones:
    """All zones, the longest names first."""

    zones: tuple[Zone, ...]

    @classmethod
    def of(cls, zones: Iterable[Zone]) -> Zones:
        """Put zones in order. Raises ValueError for two of one name."""
        ordered = sorted(zones, key=lambda zone: -len(zone.apex))
        if len({zone.apex for zone in ordered}) != len(ordered):
            raise ValueError("two zones of the DNS have one name")
        return cls(tuple(ordered))

    def find(self, labels: Labels) -> Zone | None:
        """Return the closest zone that a name is in."""
        folded = tuple(label.upper() for label in labels)
        for zone in self.zones:
            if folded[len(folded) - len(zone.apex) :] == zone.apex and len(folded) >= len(
                zone.apex
            ):
                return zone
        return None

    def name_of(self, identifier: Identifier) -> Labels:
        """Return the name of an identifier. Raises InvalidHandle where it has none."""
        for zone in self.zones:
            find = _below_ors if zone.system == "ors" else _below_ons
            below = find(zone, identifier)
            if below is None:
                continue
            name = below + tuple(label.lower() for label in zone.apex)
            if wire_bytes(name) > MAX_NAME_BYTES:
                raise InvalidHandle(
                    f"{identifier} has no name in the DNS: it would be longer than"
                    f" {MAX_NAME_BYTES} bytes",
                    field="identifier",
                )
            if self.find(name) == zone:
                return name
        raise InvalidHandle(
            f"{identifier} has no name in the DNS: it is in none of the zones, or its suffix is"
            " not 1 to 63 bytes between any two dots",
            field="identifier",
        )


def identify(zone: Zone, labels: Labels) -> Identifier | None:
    """Return the identifier that a name in a zone stands for, None if it can stand for none.

    labels: the whole name, which is longer than that of the zone.
    """
    below = labels[: len(labels) - len(zone.apex)]
    return _ors_identifier(zone, below) if zone.system == "ors" else _ons_identifier(zone, below)


def may_be_between(zone: Zone, labels: Labels) -> bool:
    """Whether a name stands for no identifier, but others that do may be below it.

    Such a name exists and holds nothing (RFC 8020). labels: as for `identify`.
    """
    digits = _gtin_labels(zone, labels[: len(labels) - len(zone.apex)])
    return digits is not None and len(digits) < _GTIN_DIGITS


def _ors_identifier(zone: Zone, below: Labels) -> Identifier | None:
    # A slash stands between the arcs of an OID in its other notation (OID-IRI), a dot in ours.
    if any(b"." in label or b"/" in label for label in below):
        return None
    try:
        *arcs, number = (label.decode() for label in below)
        if not _NUMBER.fullmatch(number):
            return None
        prefix = f"{zone.prefix}.{number}"
        if not arcs:
            return Identifier.of(PREFIX_HANDLE_PREFIX, prefix)
        return Identifier.of(prefix, ".".join(reversed(arcs)))
    except (IdnodeError, UnicodeDecodeError):
        return None


def _below_ors(zone: Zone, identifier: Identifier) -> Labels | None:
    handle = identifier.prefix_key == PREFIX_HANDLE_PREFIX
    prefix = identifier.suffix_key if handle else identifier.prefix_key
    number = prefix.removeprefix(f"{zone.prefix}.")
    if number == prefix or not _NUMBER.fullmatch(number):
        return None
    arcs = [] if handle else [part.encode() for part in identifier.suffix.split(".")]
    if any(not 1 <= len(arc) <= MAX_LABEL_BYTES or b"/" in arc for arc in arcs):
        return None
    return (*reversed(arcs), number.encode())


def _gtin_labels(zone: Zone, below: Labels) -> Labels | None:
    """Return the labels of a name that are digits of a GTIN, those of its zone too."""
    if zone.system != "ons":
        return None
    digits = below + zone.apex[: zone.apex.index(ONS_TAIL[0])]
    return digits if all(_DIGIT.fullmatch(label) for label in digits) else None


def _ons_identifier(zone: Zone, below: Labels) -> Identifier | None:
    digits = _gtin_labels(zone, below)
    if digits is None or len(digits) != _GTIN_DIGITS:
        return None
    indicator, *others = (label.decode() for label in digits)
    number = indicator + "".join(reversed(others))
    return Identifier(zone.prefix, f"{GTIN_PATH}{number}{check_digit(number)}")


def _below_ons(zone: Zone, identifier: Identifier) -> Labels | None:
    found = _GTIN.fullmatch(identifier.suffix)
    if found is None or identifier.prefix_key != zone.prefix or found[2] != check_digit(found[1]):
        return None
    indicator, *others = tuple(found[1])
    digits = tuple(digit.encode() for digit in (indicator, *reversed(others)))
    cut = zone.apex.index(ONS_TAIL[0])
    return digits[: _GTIN_DIGITS - cut] if digits[_GTIN_DIGITS - cut :] == zone.apex[:cut] else None


def check_digit(digits: str) -> str:
    """Return the check digit of a GS1 key: weights 3 and 1 in turn from the right, modulo 10.

    Source: GS1 General Specifications, section 7.9.1.
    """
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def ors_zone(name: str, node_prefix: str) -> Zone:
    """Make the ORS zone of a node. name: empty for its prefix as an OID. Raises ValueError."""
    if not name:
        name = ".".join((*reversed(node_prefix.split(".")), ORS_ROOT))
    return Zone("ors", read_name(name), fold(node_prefix))


def ons_zones(text: str) -> list[Zone]:
    """Read ``zone=prefix`` with commas between. Raises ValueError with the rule that is broken."""
    zones = []
    for entry in filter(None, text.split(",")):
        name, equals, prefix = entry.partition("=")
        if not equals:
            raise ValueError(f"{entry!r} is not of the form zone=prefix")
        apex = read_name(name)
        cut = next((place for place, label in enumerate(apex) if len(label) > 1), 0)
        digits = apex[:cut]
        if apex[cut : cut + 3] != ONS_TAIL or not all(map(_DIGIT.fullmatch, digits)):
            raise ValueError(f"{name}: an ONS zone is [digits.]gtin.gs1.id and a root")
        if len(digits) >= _GTIN_DIGITS:
            raise ValueError(f"{name}: has at most {_GTIN_DIGITS - 1} digits")
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){1,7}", prefix):
            raise ValueError(f"{prefix!r} is no prefix")
        zones.append(Zone("ons", apex, prefix))
    return zones


def read_name(text: str) -> Labels:
    """Read a host name, with or without a dot at its end, folded. Raises ValueError."""
    labels = text.removesuffix(".").split(".")
    if not all(map(_HOST_LABEL.fullmatch, labels)):
        raise ValueError(f"{text!r} is not a name of the DNS")
    name = tuple(label.upper().encode() for label in labels)
    if wire_bytes(name) > MAX_NAME_BYTES:
        raise ValueError(f"{text!r} is longer than {MAX_NAME_BYTES} bytes on the wire")
    return name


def wire_bytes(labels: Sequence[bytes]) -> int:
    """Return how long a name is on the wire."""
    return sum(len(label) + 1 for label in labels) + 1


def text_of(labels: Labels) -> str:
    r"""Write a name as zone files do: ``\.`` and ``\DDD`` for what a host name has not.

    Source: RFC 1035 section 5.1.
    """
    return ".".join("".join(map(_escaped, label)) for label in labels)


def _escaped(octet: int) -> str:
    character = chr(octet)
    if character in '."()\\;@$':
        return "\\" + character
    return character if 0x21 <= octet <= 0x7E else f"\\{octet:03}"
