"""Bodies of /api/v1/reserved-numbers and of quotas."""

from __future__ import annotations

import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Number = Annotated[int, Meta(ge=0, le=999_999_999)]


class NewReservation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Numbers of prefixes to keep back, both ends included."""

    first: Number
    last: Number
    reason: Annotated[str, Meta(max_length=1000)]


class Reservation(msgspec.Struct, frozen=True):
    """Numbers that are kept back: by whom, since when, and why."""

    first: int
    last: int
    reason: str
    actor: str
    created_at: datetime.datetime


class ReservationPage(msgspec.Struct, frozen=True):
    """A page of reservations."""

    items: list[Reservation]
    next: str | None


class Quota(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How many prefixes an enterprise may have; null: as many as the node's setting says."""

    quota: Annotated[int, Meta(ge=0, le=100_000)] | None
