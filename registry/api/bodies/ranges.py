"""Bodies of /api/v1/ranges."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from registry.api.bodies.identifiers import Values

Template = Annotated[str, Meta(max_length=255)]
Substitute = Annotated[
    bool,
    Meta(
        description="{suffix} and {number} in strings of the values stand for the member's own;"
        " the number has its leading zeros"
    ),
]


class NewRange(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Identifiers that differ in the number at their end alone."""

    prefix: Annotated[str, Meta(max_length=255, examples=["88.118.35"])]
    first: Annotated[str, Meta(max_length=255, examples=["SN-0000001"])]
    last: Annotated[
        str,
        Meta(
            max_length=255,
            description="The same but for its number, which has as many digits",
            examples=["SN-1000000"],
        ),
    ]
    values: Values
    substitute: Substitute = False
    template: Template | None = None


class RangeValues(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the members of a range shall say that have no values of their own."""

    values: Values
    substitute: Substitute = False
    template: Template | None = None


class Range(msgspec.Struct, frozen=True):
    """A range of identifiers."""

    id: uuid.UUID
    prefix: str
    first: Annotated[str, Meta(description="The first suffix")]
    last: Annotated[str, Meta(description="The last suffix")]
    count: Annotated[int, Meta(description="Numbers from the first to the last")]
    values: Values
    substitute: bool
    template: str | None
    version: Annotated[int, Meta(description="Never the same number twice; the ETag")]
    created_at: datetime.datetime
    updated_at: datetime.datetime


class RangePage(msgspec.Struct, frozen=True):
    """A page of ranges."""

    items: list[Range]
    next: str | None
