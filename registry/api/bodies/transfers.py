"""Bodies of transfers of prefixes."""

from __future__ import annotations

import datetime
import uuid
from typing import Literal

import msgspec

from registry.api.bodies.prefixes import Reason

State = Literal["offered", "done", "ended"]


class NewTransfer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """To whom a prefix shall go, and why."""

    enterprise_id: uuid.UUID
    reason: Reason


class Transfer(msgspec.Struct, frozen=True):
    """A transfer: offered, done, or ended without that."""

    prefix: str
    number: int
    from_enterprise: uuid.UUID
    to_enterprise: uuid.UUID
    state: State
    reason: str
    begun_by: str
    begun_at: datetime.datetime
    ended_by: str | None
    ended_at: datetime.datetime | None


class TransferPage(msgspec.Struct, frozen=True):
    """A page of transfers."""

    items: list[Transfer]
    next: str | None
