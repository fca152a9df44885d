"""Bodies of /api/v1/identifiers."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class ValueData(msgspec.Struct, frozen=True):
    """Data of a handle value."""

    format: Literal["string", "base64", "hex", "admin", "key", "vlist", "site"]
    value: Annotated[
        Any, Meta(description="A string, or the object or list of admin, key, vlist and site")
    ]


class ValueReference(msgspec.Struct, frozen=True):
    """A handle value elsewhere."""

    handle: str
    index: Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Access(msgspec.Struct, frozen=True):
    """Whom a value is for, beside its owner and the operators of the node."""

    audience: Literal["public", "partners", "private"]
    partners: Annotated[
        Annotated[list[str], Meta(min_length=1, max_length=100)] | None,
        Meta(
            description="Only for the audience partners: enterprise:CREDIT-CODE, group:NAME of the"
            " owner's groups, or a Handle identity of any node, index:handle. Left out:"
            " group:partners",
        ),
    ] = None


class Value(msgspec.Struct, frozen=True):
    """A handle value (RFC 3651 section 3.1) in Handle JSON."""

    index: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    type: Annotated[str, Meta(examples=["URL"])]
    data: ValueData | str
    ttl: Annotated[
        int | str, Meta(description="Seconds, or the time at which it ends: 2026-01-01T00:00:00Z")
    ] = 86_400
    permissions: Annotated[
        str, Meta(description="admin read, admin write, public read, public write")
    ] = "1110"
    references: list[ValueReference] = []
    access: Annotated[
        Access | None,
        Meta(
            description="Left out: permissions say whether it is for everybody or for its owner"
            " alone. Answers have it where there are partners"
        ),
    ] = None
    timestamp: (
        Annotated[
            str,
            Meta(
                description="Time of the last change; set by the node, ignored in requests",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET


# The rules of values are protocol.json_api's, which also finds the place of each error; this says
# in the document what they are.
_VALUE = {"$ref": "#/components/schemas/Value"}
Values = Annotated[list[Any], Meta(extra_json_schema={"items": _VALUE})]


class NewIdentifier(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What an identifier shall say."""

    values: Values
    template: Annotated[str, Meta(max_length=255)] | None = None


class IdentifierPatch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What shall change: the values with the indexes of `values` are added or replaced, those
    whose index stands in `remove` are removed, all others stay.
    """  # noqa: D205

    values: Values = []
    remove: Annotated[
        list[Annotated[int, Meta(ge=1, le=2**31 - 1)]],
        Meta(max_length=2048, description="Indexes; each must be there"),
    ] = []


class Identifier(msgspec.Struct, frozen=True):
    """A registered identifier."""

    handle: str
    prefix: str
    suffix: str
    values: Values
    template: str | None
    version: Annotated[int, Meta(description="Never the same number twice; the ETag")]
    created_at: datetime.datetime
    updated_at: datetime.datetime


class IdentifierPage(msgspec.Struct, frozen=True):
    """A page of identifiers."""

    items: list[Identifier]
    next: str | None


class IdentifierVersion(msgspec.Struct, frozen=True):
    """What an identifier said for a time."""

    version: int
    handle: str
    values: Values
    template: str | None
    valid_from: datetime.datetime
    valid_to: Annotated[datetime.datetime | None, Meta(description="null: this one holds now")]
    deleted: Annotated[bool, Meta(description="It ended with the deletion of the identifier")]
    actor: Annotated[
        str | None,
        Meta(
            description="Who wrote it, as the audit log names it; null: before this was recorded",
            examples=["account:desk"],
        ),
    ]
    ended_by: Annotated[str | None, Meta(description="Who replaced or deleted it")]


class HistoryPage(msgspec.Struct, frozen=True):
    """A page of versions, the newest first."""

    items: list[IdentifierVersion]
    next: str | None
