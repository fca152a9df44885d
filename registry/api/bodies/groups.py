"""Bodies of /api/v1/groups and /api/v1/shared."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from registry.api.bodies.identifiers import Values

Partner = Annotated[
    str,
    Meta(
        max_length=512,
        description="enterprise:CREDIT-CODE of an enterprise of this node, or a Handle identity of"
        " any node, index:handle; index 0 is any key of that handle",
        examples=["300:0.NA/88.118.36"],
    ),
]


class NewGroup(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who shall be in a group."""

    members: Annotated[list[Partner], Meta(max_length=1000)]


class Group(msgspec.Struct, frozen=True):
    """Partners under one name; values name it as group:NAME."""

    enterprise_id: uuid.UUID
    name: str
    members: Annotated[list[Partner], Meta(description="In their canonical form")]
    version: Annotated[int, Meta(description="Never the same number twice; the ETag")]
    created_at: datetime.datetime
    updated_at: datetime.datetime


class GroupPage(msgspec.Struct, frozen=True):
    """A page of groups."""

    items: list[Group]
    next: str | None


class Shared(msgspec.Struct, frozen=True):
    """What an identifier says to the caller."""

    handle: str
    values: Values
