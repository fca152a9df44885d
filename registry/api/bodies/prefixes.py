"""Bodies of /api/v1/prefixes."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Hosting = Literal["hosted", "delegated"]
Reason = Annotated[str, Meta(max_length=1000)]
PrefixStatus = Literal["pending", "active", "rejected", "suspended", "revoked"]


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
            " prefixes alone, which need it or a service"
        ),
    ] = None
    service: (
        Annotated[
            str,
            Meta(
                max_length=2048,
                description="In the place of a site the handle, of any node, whose HS_SITE values"
                " say where the prefix is served; questions are referred to it by HS_SERV",
                examples=["0.SERV/PUMPS"],
            ),
        ]
        | None
    ) = None


class Prefix(msgspec.Struct, frozen=True):
    """A prefix and its state."""

    prefix: str
    status: PrefixStatus
    enterprise_id: uuid.UUID
    hosting: Hosting
    site: dict[str, Any] | None
    service: str | None
    reason: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


class PrefixStep(msgspec.Struct, frozen=True):
    """A step that was taken: by whom, when and why."""

    number: int
    step: Literal[
        "apply", "approve", "reject", "suspend", "resume", "revoke", "hosting", "transfer"
    ]
    before: PrefixStatus | None
    after: PrefixStatus
    actor: str
    reason: str | None
    at: datetime.datetime


class PrefixStepPage(msgspec.Struct, frozen=True):
    """A page of steps."""

    items: list[PrefixStep]
    next: str | None


class PrefixPage(msgspec.Struct, frozen=True):
    """A page of prefixes."""

    items: list[Prefix]
    next: str | None


class StepReason(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why a step is taken; the body may be left out where no reason is needed."""

    reason: Reason | None = None


class Approval(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Approval of a prefix; a delegated one whose site did not answer needs force and a reason."""

    reason: Reason | None = None
    force: bool = False
