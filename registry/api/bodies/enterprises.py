"""Bodies of /api/v1/enterprises and /api/v1/filings."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from registry.api.bodies.accounts import Name, Password

Status = Literal["filed", "under_review", "approved", "rejected", "suspended", "closed"]
EnterpriseName = Annotated[str, Meta(max_length=200)]
CreditCode = Annotated[
    str,
    Meta(
        description="Unified social credit code, GB 32100-2015, check character included",
        examples=["91350211M000100Y46"],
        extra_json_schema={"minLength": 18, "maxLength": 18},
    ),
]
Industry = Annotated[
    str, Meta(max_length=100, description="Code of GB/T 4754-2017", examples=["C3441"])
]
Region = Annotated[str, Meta(max_length=6, description="Code of GB/T 2260", examples=["350211"])]


class Contact(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The person to turn to."""

    name: Annotated[str, Meta(max_length=100)]
    phone: Annotated[str, Meta(max_length=32, examples=["+86 592 5550100"])]
    email: Annotated[str, Meta(max_length=254, examples=["node@example.com"])]


class NewEnterprise(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An enterprise to register, or what is filed of one from now on."""

    name: EnterpriseName
    credit_code: CreditCode
    industry: Industry
    contact: Contact
    region: Region | None = None


class FirstAdministrator(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The first account of an enterprise that files itself."""

    name: Name
    password: Password


class Filing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An enterprise that files itself."""

    name: EnterpriseName
    credit_code: CreditCode
    industry: Industry
    region: Region
    contact: Contact
    administrator: FirstAdministrator


class Filed(msgspec.Struct, frozen=True):
    """What became of a filing."""

    id: uuid.UUID
    status: Status


class Enterprise(msgspec.Struct, frozen=True):
    """A registered enterprise."""

    id: uuid.UUID
    status: Status
    name: str
    credit_code: str
    industry: str
    region: str | None
    contact: Contact
    prefix_quota: int | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


class EnterprisePage(msgspec.Struct, frozen=True):
    """A page of enterprises."""

    items: list[Enterprise]
    next: str | None


class EnterpriseStep(msgspec.Struct, frozen=True):
    """A step that was taken: by whom, when and why."""

    number: int
    step: Literal["file", "review", "approve", "reject", "refile", "suspend", "resume", "close"]
    before: Status | None
    after: Status
    actor: str
    reason: str | None
    at: datetime.datetime


class EnterpriseStepPage(msgspec.Struct, frozen=True):
    """A page of steps."""

    items: list[EnterpriseStep]
    next: str | None


class Code(msgspec.Struct, frozen=True):
    """A code and what it stands for."""

    code: str
    name: str
    name_en: str | None


class CodeList(msgspec.Struct, frozen=True):
    """Codes in their order."""

    items: list[Code]
