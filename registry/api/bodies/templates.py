"""Bodies of /api/v1/templates; what a version says is in registry.templates.definition."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from registry.templates.definition import Definition, Industry, Item
from registry.templates.names import MAX_NAME

State = Literal["draft", "published", "withdrawn"]


class NewTemplate(Definition, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A template to make; its first version is a draft."""

    prefix: Annotated[str, Meta(max_length=255, examples=["88.118.35"])]
    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=MAX_NAME,
            description="Unique under the prefix, without regard to ASCII case; without a slash."
            " It is the templateVersion of the SNMS API",
            examples=["pump"],
        ),
    ]


class TemplateSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a template, without its items."""

    prefix: str
    name: str
    version: int
    reference: Annotated[str, Meta(description="What identifiers name it by", examples=["pump/3"])]
    handle: Annotated[
        str,
        Meta(
            description="The identifier under which it resolves once it is published",
            examples=["88.118.35/template/pump/3"],
        ),
    ]
    state: State
    reason: Annotated[str | None, Meta(description="Why it was withdrawn")]
    industry: Industry | None
    carrier: Literal["active", "other"]
    description: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime
    published_at: datetime.datetime | None
    withdrawn_at: datetime.datetime | None


class Template(TemplateSummary, frozen=True, kw_only=True):
    """A version of a template."""

    items: list[Item]


class TemplatePage(msgspec.Struct, frozen=True):
    """A page of versions of templates."""

    items: list[TemplateSummary]
    next: str | None


class WithdrawalReason(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why a version is withdrawn."""

    reason: Annotated[str, Meta(max_length=1000)]
