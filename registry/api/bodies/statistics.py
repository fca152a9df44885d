"""Bodies and parameters of /api/v1/statistics."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Moment = Annotated[datetime.datetime, Meta(tz=True)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
By = Literal["prefix", "enterprise", "industry"]


class _Of(msgspec.Struct, frozen=True, kw_only=True):
    prefix: Annotated[str, Meta(max_length=100)] | None = None
    enterprise_id: uuid.UUID | None = None
    industry: Annotated[str, Meta(max_length=100)] | None = None
    by: By | None = None
    cursor: str | None = None
    limit: Limit = 100


class NowQuery(_Of, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which identifiers are counted, and how they are grouped."""


class HoursQuery(_Of, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Of what time, and for what."""

    start: Moment | None = msgspec.field(default=None, name="from")
    end: Moment | None = msgspec.field(default=None, name="to")
    per: Literal["hour", "day", "total"] = "day"


class TopQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Of which days, and under what."""

    kind: Literal["found", "missing"] = "found"
    first: datetime.date | None = msgspec.field(default=None, name="from")
    last: datetime.date | None = msgspec.field(default=None, name="to")
    prefix: Annotated[str, Meta(max_length=100)] | None = None
    enterprise_id: uuid.UUID | None = None
    limit: Limit = 10


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What a row is about: what it is not grouped by is null, as is what is under no prefix."""

    time: Annotated[
        datetime.datetime | None, Meta(description="Begin of the hour or of the day in China")
    ]
    prefix: str | None
    enterprise_id: uuid.UUID | None
    enterprise: str | None
    industry: str | None


class Resolutions(Group, frozen=True, kw_only=True):
    """Answers to queries by outcome."""

    found: int
    not_found: Annotated[int, Meta(description="Misses: there is no such identifier")]
    no_values: Annotated[int, Meta(description="Found, without a value that was asked for")]
    referral: Annotated[int, Meta(description="Referred to the enterprise's own node")]
    invalid: int
    unavailable: Annotated[int, Meta(description="The registry could not be reached")]
    error: int


class Registrations(Group, frozen=True, kw_only=True):
    """Identifiers created, changed and deleted; a range counts each of its members."""

    created: int
    changed: int
    deleted: int


class Identifiers(Group, frozen=True, kw_only=True):
    """How many identifiers there are."""

    identifiers: int


class ResolutionsPage(msgspec.Struct, frozen=True):
    """A page, in order of time and group."""

    items: list[Resolutions]
    next: str | None


class RegistrationsPage(msgspec.Struct, frozen=True):
    """A page, in order of time and group."""

    items: list[Registrations]
    next: str | None


class IdentifiersPage(msgspec.Struct, frozen=True):
    """A page, in order of the group."""

    items: list[Identifiers]
    next: str | None


class TopName(msgspec.Struct, frozen=True):
    """A name and how often it was asked for."""

    identifier: str
    at_least: int
    at_most: int


class TopNames(msgspec.Struct, frozen=True):
    """The names that were asked for most, in order of the estimates."""

    items: list[TopName]
    others: Annotated[
        int, Meta(description="How often any name was asked for at most that no worker has kept")
    ]
