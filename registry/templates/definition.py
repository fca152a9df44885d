"""What a template says: its items, and for each the rules of its data."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.values import MAX_DATA_BYTES, MAX_INDEX

FIRST_INDEX = 2000
"""Items have indexes from here on (SNMS)."""

MAX_ITEMS = 500
MAX_PATTERN = 512
"""Characters of a regular expression."""

MAX_CHARACTERS = MAX_DATA_BYTES // 4
"""A text of so many characters fits a handle value whatever they are."""

PUBLIC, PARTNERS, PRIVATE = "public", "partners", "private"

_Length = Annotated[int, Meta(ge=0, le=MAX_CHARACTERS)]
_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Decimal = Annotated[str, Meta(max_length=64, examples=["0.001"])]
_Date = Annotated[str, Meta(max_length=10, examples=["2026-01-31"])]


class AnyData(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind"):
    """What the data of a value must be. The data itself is always text."""


class StringData(AnyData, frozen=True, tag="string"):
    """Any text. Lengths are in characters; the pattern must match the whole text."""

    min_length: _Length = 0
    max_length: Annotated[int, Meta(ge=1, le=MAX_CHARACTERS)] = MAX_CHARACTERS
    pattern: (
        Annotated[
            str,
            Meta(
                max_length=MAX_PATTERN,
                description="A regular expression of RE2",
                examples=["[A-Z]{2}-[0-9]{4}"],
            ),
        ]
        | None
    ) = None


class IntegerData(AnyData, frozen=True, tag="integer"):
    """A whole number within 64 bits, without leading zeros."""

    minimum: _Int64 | None = None
    maximum: _Int64 | None = None


class DecimalData(AnyData, frozen=True, tag="decimal"):
    """A decimal number with a point, such as -12.50. Digits are counted as they are written."""

    digits: Annotated[int, Meta(ge=1, le=38)] = 38
    fraction_digits: (
        Annotated[int, Meta(ge=0, le=37, description="At most so many after the point")] | None
    ) = None
    minimum: _Decimal | None = None
    maximum: _Decimal | None = None


class DateData(AnyData, frozen=True, tag="date"):
    """A day such as 2026-01-31 (full-date of RFC 3339)."""

    minimum: _Date | None = None
    maximum: _Date | None = None


class EnumData(AnyData, frozen=True, tag="enum"):
    """One of these texts."""

    values: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=255)]],
        Meta(min_length=1, max_length=1000),
    ]


class UrlData(AnyData, frozen=True, tag="url"):
    """An absolute URL with a host and without a user name."""

    max_length: Annotated[int, Meta(ge=1, le=MAX_CHARACTERS)] = 2048
    schemes: Annotated[
        tuple[Annotated[str, Meta(max_length=32, pattern="^[a-z][a-z0-9+.-]*$")], ...],
        Meta(min_length=1, max_length=16),
    ] = ("https", "http")


class IdentifierData(AnyData, frozen=True, tag="identifier"):
    """Another identifier, prefix/suffix."""

    prefix: (
        Annotated[str, Meta(max_length=255, description="The prefix that it must stand under")]
        | None
    ) = None
    registered: Annotated[
        bool, Meta(description="It must be registered at this node when the value is written")
    ] = False


Data = StringData | IntegerData | DecimalData | DateData | EnumData | UrlData | IdentifierData


class Item(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One value that an identifier may have: which, and what its data must be."""

    index: Annotated[int, Meta(ge=FIRST_INDEX, le=MAX_INDEX, description="Index of the value")]
    type: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=128,
            description="Type of the value: the English name of the item",
            examples=["PRODUCT_NAME"],
        ),
    ]
    name: Annotated[
        str, Meta(max_length=100, description="Chinese name of the item", examples=["产品名称"])
    ]
    data: Data
    required: bool = False
    enabled: Annotated[
        bool, Meta(description="An item that is not enabled takes no values, required or not")
    ] = True
    audience: Annotated[
        Literal["public", "partners", "private"],
        Meta(description="Whom a value is for unless it says so itself"),
    ] = "public"


class Industry(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"class_": "class"}):
    """By GB/T 4754: category (门类), division (大类), group (中类) and class (小类)."""

    category: Annotated[str, Meta(pattern="^[A-T]$", examples=["C"])]
    division: Annotated[str, Meta(pattern="^[0-9]{2}$", examples=["34"])] | None = None
    group: Annotated[str, Meta(pattern="^[0-9]{3}$", examples=["344"])] | None = None
    class_: Annotated[str, Meta(pattern="^[0-9]{4}$", examples=["3441"])] | None = None


class Definition(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What one version of a template says."""

    items: Annotated[list[Item], Meta(max_length=MAX_ITEMS)]
    industry: Industry | None = None
    carrier: Annotated[
        Literal["active", "other"],
        Meta(description="Whether the objects carry their identifier actively (主动标识载体)"),
    ] = "other"
    description: Annotated[str, Meta(max_length=1000)] | None = None
