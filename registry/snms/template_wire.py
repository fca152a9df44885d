"""Templates as they go over the wire of the SNMS API; names and limits are those of id-guide."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocol.values import MAX_INDEX
from registry.snms.wire import MAX_TYPE, MAX_VERSION, Wire
from registry.templates.definition import FIRST_INDEX, MAX_CHARACTERS, MAX_ITEMS

MAX_PREFIX = 64

ACTIVE_CARRIER, OTHER_CARRIER = 1, 2
"""``type``: whether the objects carry their identifier actively (主动标识载体)."""

State = Literal[0, 1]
"""``state`` of an item: disabled or enabled."""

DISABLED: State = 0
ENABLED: State = 1

Prefix = Annotated[str, Meta(min_length=1, max_length=MAX_PREFIX)]
Version = Annotated[str, Meta(min_length=1, max_length=MAX_VERSION)]


class SnmsMetadata(Wire, frozen=True):
    """The rule of an item; lengths are in characters."""

    min_length: Annotated[int, Meta(ge=0, le=MAX_CHARACTERS)]
    max_length: Annotated[int, Meta(ge=1, le=MAX_CHARACTERS)]
    type: Literal["string"] = "string"


class SnmsItem(Wire, frozen=True):
    """An item of a new template. id_index: left out, the next one that is free."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    id_type: Annotated[str, Meta(min_length=1, max_length=MAX_TYPE)]
    metadata: SnmsMetadata
    id_index: Annotated[int, Meta(ge=FIRST_INDEX, le=MAX_INDEX)] | None = None
    required: bool = False
    state: State = ENABLED
    metadata_id: Any = None


class SnmsItemChange(SnmsItem, frozen=True, kw_only=True):
    """An item to change or to add."""

    state: State


class SnmsTemplateHead(Wire, frozen=True):
    """What a template says beside its items."""

    prefix: Prefix
    version: Version
    industry_category: Annotated[str, Meta(pattern="^[A-T]$", examples=["A"])]
    industry_specific: Annotated[str, Meta(pattern="^[0-9]{2}$", examples=["01"])]
    industry_trade: Annotated[str, Meta(pattern="^[0-9]{3}$", examples=["011"])]
    industry_subclass: Annotated[str, Meta(pattern="^[0-9]{4}$", examples=["0111"])]
    type: Literal[1, 2]
    description: Annotated[str, Meta(max_length=1000)] | None = None
    id: Any = None
    name: Any = None
    handle: Any = None


class SnmsTemplate(SnmsTemplateHead, frozen=True, kw_only=True):
    """A template to make."""

    items: Annotated[list[SnmsItem], Meta(max_length=MAX_ITEMS)]


class SnmsTemplateChange(SnmsTemplateHead, frozen=True, kw_only=True):
    """A template to change. items: those that change or come; the others stay."""

    items: Annotated[list[SnmsItemChange], Meta(max_length=MAX_ITEMS)] = msgspec.field(
        default_factory=list
    )


class SnmsTemplateName(Wire, frozen=True):
    """Which template."""

    prefix: Prefix
    version: Version


class SnmsShownItem3(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An item, as version 3 shows it."""

    name: str
    id_type: str
    metadata: SnmsMetadata
    required: bool


class SnmsShownItem5(SnmsShownItem3, frozen=True, kw_only=True):
    """An item, as version 5 shows it."""

    id_index: int
    metadata_id: int
    state: State


class SnmsShownTemplate3(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A template, as version 3 shows it. What it does not say of its industry is empty."""

    id: int
    prefix: str
    name: str
    version: str
    industry_category: str
    industry_specific: str
    industry_trade: str
    industry_subclass: str
    type: Literal[1, 2]
    description: str
    items: list[SnmsShownItem3]


class SnmsShownTemplate5(SnmsShownTemplate3, frozen=True, kw_only=True):
    """A template, as version 5 shows it. handle: the identifier under which it resolves."""

    handle: str
    items: list[SnmsShownItem5]  # type: ignore[assignment]
