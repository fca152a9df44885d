"""Answers of the SNMS API; what it takes stands in registry/snms/wire.py."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from registry.snms.template_wire import SnmsShownTemplate3, SnmsShownTemplate5
from registry.snms.wire import SnmsDetail, SnmsToken

Status = Annotated[
    int,
    Meta(
        description="1 done, -1 not signed in, -2 refused (message says why), -3 not allowed,"
        " -4 internal error"
    ),
]


class SnmsAnswer(msgspec.Struct, frozen=True):
    """An answer about something that was done, or was not. data: true, or null."""

    message: str
    status: Status
    data: bool | None


class SnmsTokenAnswer(msgspec.Struct, frozen=True):
    """An answer with a token."""

    message: str
    status: Status
    data: SnmsToken | None


class SnmsOutcome(msgspec.Struct, frozen=True):
    """What became of one item of a batch. msg: success, or why not."""

    handle: str
    msg: str


class SnmsDeletion(SnmsOutcome, frozen=True):
    """What became of one identifier to delete. code: as status."""

    code: Status


class SnmsBatchAnswer(msgspec.Struct, frozen=True):
    """An answer with the outcome of each item, in the order of the request."""

    message: str
    status: Status
    data: list[SnmsOutcome] | None


class SnmsDeletionAnswer(msgspec.Struct, frozen=True):
    """An answer with the outcome of each identifier to delete, in the order of the request."""

    message: str
    status: Status
    data: list[SnmsDeletion] | None


class SnmsDetailAnswer(msgspec.Struct, frozen=True):
    """An answer with what is registered of an identifier."""

    message: str
    status: Status
    data: SnmsDetail | None


class SnmsTemplateAnswer3(msgspec.Struct, frozen=True):
    """An answer with a template, as version 3 shows it."""

    message: str
    status: Status
    data: SnmsShownTemplate3 | None


class SnmsTemplateAnswer5(msgspec.Struct, frozen=True):
    """An answer with a template, as version 5 shows it."""

    message: str
    status: Status
    data: SnmsShownTemplate5 | None
