"""Bodies of the users of the SNMS API."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import msgspec
from msgspec import Meta


class NewSnmsUser(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A user of the SNMS API to make."""

    name: Annotated[str, Meta(max_length=50, examples=["mes"])]
    password: Annotated[str, Meta(max_length=64, extra_json_schema={"minLength": 12})]
    hashed: Annotated[
        bool,
        Meta(
            description="Whether it may also send its password hashed with the day"
            " (/identity/token/v1). What checks that is kept encrypted, and opens the door like the"
            " password itself"
        ),
    ] = False


class SnmsUser(msgspec.Struct, frozen=True):
    """A user of the SNMS API."""

    id: uuid.UUID
    name: str
    hashed: bool
    created_at: datetime.datetime


class SnmsUserPage(msgspec.Struct, frozen=True):
    """A page of users of the SNMS API."""

    items: list[SnmsUser]
    next: str | None
