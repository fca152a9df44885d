"""The bodies of requests and answers. The OpenAPI document is made of these structs.

Rules that need more than a type (check characters, printable text, an HS_SITE) are in the
services, so that they hold whoever calls.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Hosting = Literal["hosted", "delegated"]
PrefixStatus = Literal["pending", "active", "rejected", "suspended", "revoked"]


class Contact(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The person to turn to."""

    name: Annotated[str, Meta(max_length=100)]
    phone: Annotated[str, Meta(max_length=32, examples=["+86 592 5550100"])]
    email: Annotated[str, Meta(max_length=254, examples=["node@example.com"])]


class NewEnterprise(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An enterprise to register."""

    name: Annotated[str, Meta(max_length=200)]
    credit_code: Annotated[
        str,
        Meta(
            description="Unified social credit code, GB 32100-2015, check character included",
            examples=["91350211M000100Y46"],
            extra_json_schema={"minLength": 18, "maxLength": 18},
        ),
    ]
    industry: Annotated[
        str, Meta(max_length=100, description="Such as a GB/T 4754 code", examples=["C3441"])
    ]
    contact: Contact


class Enterprise(msgspec.Struct, frozen=True):
    """A registered enterprise."""

    id: uuid.UUID
    status: Literal["active", "closed"]
    name: str
    credit_code: str
    industry: str
    contact: Contact
    created_at: datetime.datetime
    updated_at: datetime.datetime


class NewKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A key to issue; the body may be left out."""

    label: Annotated[str, Meta(max_length=100)] | None = None
    expires_at: Annotated[datetime.datetime, Meta(tz=True)] | None = None


class Key(msgspec.Struct, frozen=True):
    """A key, without its secret."""

    id: uuid.UUID
    label: str | None
    created_at: datetime.datetime
    expires_at: datetime.datetime | None
    last_used_at: Annotated[
        datetime.datetime | None, Meta(description="To the minute, of requests that succeeded")
    ]
    revoked_at: datetime.datetime | None


class IssuedKey(Key, frozen=True):
    """A new key with its secret."""

    key: Annotated[
        str | None,
        Meta(
            description="The bearer token, shown this once and not stored. null where the answer"
            " is a repeated one (Idempotency-Key): if the first answer was lost, revoke this key"
            " and issue another"
        ),
    ]


class NewPrefix(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An application for a prefix."""

    enterprise_id: uuid.UUID
    hosting: Hosting
    prefix: (
        Annotated[
            str,
            Meta(
                max_length=255,
                description="The one wished for, a child of the node's own; left out: the lowest"
                " that was never given out",
                examples=["88.118.35"],
            ),
        ]
        | None
    ) = None
    site: Annotated[
        dict[str, Any] | None,
        Meta(
            description="The HS_SITE of the enterprise's own node, in Handle JSON; for delegated"
            " prefixes alone, and needed there"
        ),
    ] = None


class Prefix(msgspec.Struct, frozen=True):
    """A prefix and its state."""

    prefix: str
    status: PrefixStatus
    enterprise_id: uuid.UUID
    hosting: Hosting
    site: dict[str, Any] | None
    reason: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


class StepReason(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why a step is taken; the body may be left out where no reason is needed."""

    reason: Annotated[str, Meta(max_length=1000)] | None = None


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
    timestamp: Annotated[
        str | None,
        Meta(description="Time of the last change; set by the node, ignored in requests"),
    ] = None


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


class IdentifierVersion(msgspec.Struct, frozen=True):
    """What an identifier said for a time."""

    version: int
    handle: str
    values: Values
    template: str | None
    valid_from: datetime.datetime
    valid_to: Annotated[datetime.datetime | None, Meta(description="null: this one holds now")]
    deleted: Annotated[bool, Meta(description="It ended with the deletion of the identifier")]


class EnterprisePage(msgspec.Struct, frozen=True):
    """A page of enterprises."""

    items: list[Enterprise]
    next: str | None


class KeyPage(msgspec.Struct, frozen=True):
    """A page of keys."""

    items: list[Key]
    next: str | None


class PrefixPage(msgspec.Struct, frozen=True):
    """A page of prefixes."""

    items: list[Prefix]
    next: str | None


class HistoryPage(msgspec.Struct, frozen=True):
    """A page of versions, the newest first."""

    items: list[IdentifierVersion]
    next: str | None


class Import(msgspec.Struct, frozen=True):
    """A file of identifiers and how far the node has come with it."""

    id: uuid.UUID
    state: Literal["uploading", "queued", "running", "done", "failed"]
    format: Literal["csv", "ndjson"]
    prefix: str | None
    rows: Annotated[int, Meta(description="Decided so far: done and failed")]
    done: Annotated[int, Meta(description="Rows registered")]
    failed: Annotated[int, Meta(description="Rows refused; see errors")]
    rate: Annotated[float | None, Meta(description="Rows per second of working time")]
    reason: Annotated[str | None, Meta(description="Why the file could not be read to its end")]
    created_at: datetime.datetime
    finished_at: datetime.datetime | None


class ImportPage(msgspec.Struct, frozen=True):
    """A page of imports, the newest first."""

    items: list[Import]
    next: str | None


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: Annotated[str, Meta(description="In Chinese where Accept-Language prefers it")]
    status: int
    detail: str
    responseCode: Annotated[int, Meta(description="Handle response code, RFC 3652 section 2.2.2.2")]
    requestId: str
    field: Annotated[
        str | None, Meta(description="Where in the request, such as values[0].data.format")
    ] = None
