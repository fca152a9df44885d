"""Bodies of /api/v1/enterprises."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


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


class EnterprisePage(msgspec.Struct, frozen=True):
    """A page of enterprises."""

    items: list[Enterprise]
    next: str | None
