"""Bodies of the keys of enterprises and accounts."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Scope = Literal[
    "identifiers:read",
    "identifiers:write",
    "imports",
    "templates",
    "enterprise:read",
    "enterprise:write",
    "labels",
    "statistics",
]
Scopes = Annotated[list[Scope], Meta(min_length=1, max_length=32)]


class NewKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A key to issue; the body may be left out."""

    label: Annotated[str, Meta(max_length=100)] | None = None
    scopes: Annotated[
        Scopes | None,
        Meta(description="What it may be used for; left out: all that the caller may do"),
    ] = None
    expires_at: Annotated[datetime.datetime, Meta(tz=True)] | None = None


class KeyRotation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How a key is replaced; the body may be left out."""

    grace_hours: Annotated[
        int, Meta(ge=0, le=720, description="How long the old key still opens the door")
    ] = 24
    expires_at: Annotated[
        Annotated[datetime.datetime, Meta(tz=True)] | None,
        Meta(description="Left out: the new key lives as long as the old one was made for"),
    ] = None


class Key(msgspec.Struct, frozen=True):
    """A key, without its secret."""

    id: uuid.UUID
    label: str | None
    scopes: Scopes
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


class KeyPage(msgspec.Struct, frozen=True):
    """A page of keys."""

    items: list[Key]
    next: str | None
