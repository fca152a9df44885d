"""Bodies of /api/v1/outbox."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import msgspec
from msgspec import Meta


class Waiting(msgspec.Struct, frozen=True):
    """A message to the top-level node that waits.

    attempts: how often it was sent in vain. last_error: why. behind: the message of the same
    subject that has to be delivered before this one; null: none.
    """

    id: uuid.UUID
    subject: str
    kind: str
    created_at: datetime.datetime
    attempts: int
    next_attempt_at: datetime.datetime
    last_error: str | None
    behind: uuid.UUID | None


class WaitingPage(msgspec.Struct, frozen=True):
    """A page of messages, the oldest first."""

    items: list[Waiting]
    next: str | None


class WaitingAsked(msgspec.Struct, frozen=True):
    """The query of the list: of one subject, or of one kind."""

    subject: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    kind: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    cursor: str | None = None
    limit: str | None = None


class Hastened(msgspec.Struct, frozen=True):
    """How many messages were put off and are sent now."""

    messages: int


class Drop(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why a message is given up; it stands in the audit log."""

    reason: Annotated[str, Meta(max_length=1000)]
