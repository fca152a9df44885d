"""Templates of the SNMS API: the published versions of templates of the registry.

There a template is one thing that is changed in place. Here its ``version`` is the name of a
template; a change is the next version, published at once, and to delete it is to withdraw all that
are published: what is registered stays held to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from protocol.errors import Conflict, HandleExists, InvalidValue, NotFound
from protocol.identifier import check_prefix, fold
from registry.services import Record, Work
from registry.snms.template_wire import (
    ACTIVE_CARRIER,
    DISABLED,
    ENABLED,
    OTHER_CARRIER,
    SnmsItem,
    SnmsMetadata,
    SnmsShownItem3,
    SnmsShownItem5,
    SnmsShownTemplate3,
    SnmsShownTemplate5,
    SnmsTemplate,
    SnmsTemplateChange,
    SnmsTemplateHead,
    SnmsTemplateName,
)
from registry.templates import service
from registry.templates.definition import FIRST_INDEX, Definition, Industry, Item, StringData
from registry.templates.lookup import DRAFT, PUBLISHED, WITHDRAWN
from registry.templates.names import MAX_VERSION, Reference, check_name

REASON = "deleted over the SNMS API"


async def show(work: Work, name: SnmsTemplateName) -> tuple[SnmsShownTemplate3, SnmsShownTemplate5]:
    """Return a template as versions 3 and 5 show it.

    Raises NotFound, and Conflict for one with items that this API has no words for.
    """
    row, _ = await _current(work, name)
    definition = service.definition_of(row)
    _check_text_only(definition)
    return _shown(row, definition)


async def create(work: Work, template: SnmsTemplate) -> None:
    """Make a template and publish it. Raises Conflict if it is there, and as the service does."""
    prefix, name = _named(template)
    items = [_item(item) for item in _with_indexes(template.items, ())]
    definition = _definition(template, template.description, items)
    versions = await _versions(work, prefix, name)
    try:
        if not versions:
            row = await service.create(work, prefix, name, definition)
        elif all(version.state == WITHDRAWN for version in versions):
            row = await service.draft_next(work, prefix, name, definition)
        else:
            raise HandleExists(f"template {name} is there already")
    except HandleExists:
        raise Conflict(f"template {name} is there already", field="version") from None
    await service.publish(work, prefix, Reference(row.name, row.version))


async def change(work: Work, template: SnmsTemplateChange) -> None:
    """Change a template: say anew what it says of itself, and change or add items.

    Items that are not named stay as they are. Raises NotFound, and Conflict for one with items that
    this API has no words for, one that others are changing, and as the service does.
    """
    prefix, name = _named(template)
    row, newest = await _current(work, template)
    before = service.definition_of(row)
    _check_text_only(before)
    description = template.description
    if description is None:
        description = before.description
    items, sent = _merged(before.items, template.items)
    definition = _definition(template, description, items)
    if definition == before:
        return
    try:
        draft = await service.draft_next(work, prefix, name, definition)
    except HandleExists:  # somebody was faster
        draft = None
    except InvalidValue as error:
        raise _at_sent(error, sent) from None
    if draft is None or draft.version != newest + 1:
        raise Conflict(f"template {name} is being changed by others; try again", field="version")
    await service.publish(work, prefix, Reference(draft.name, draft.version))


async def delete(work: Work, name: SnmsTemplateName) -> None:
    """Withdraw all versions of a template that are published. Raises NotFound."""
    prefix, text = _named(name)
    rows = await _versions(work, prefix, text)
    published = [row for row in rows if row.state == PUBLISHED]
    if not published:
        raise _not_found(prefix, text)
    for row in published:
        await service.withdraw(work, prefix, Reference(row.name, row.version), REASON)


def _named(template: SnmsTemplateName | SnmsTemplateHead) -> tuple[str, str]:
    """Return prefix and name of a template. Raises InvalidHandle, InvalidValue."""
    try:
        return check_prefix(template.prefix), check_name(template.version)
    except InvalidValue as error:
        raise error.at("version") from None


async def _versions(work: Work, prefix: str, name: str) -> Sequence[Record]:
    """Return the versions of a template, the newest first; none if there is no such template."""
    try:
        return await service.versions(work, prefix, name, before=None, limit=MAX_VERSION)
    except NotFound:
        return []


async def _current(work: Work, template: SnmsTemplateName | SnmsTemplateHead) -> tuple[Record, int]:
    """Return the version that is registered by, the newest published one, with its items.

    With it: the number of the newest version of any state but draft. Raises NotFound.
    """
    prefix, name = _named(template)
    rows = await _versions(work, prefix, name)
    published = next((row for row in rows if row.state == PUBLISHED), None)
    if published is None:
        raise _not_found(prefix, name)
    newest = next(row.version for row in rows if row.state != DRAFT)
    return await service.get(work, prefix, Reference(name, published.version)), newest


def _not_found(prefix: str, name: str) -> NotFound:
    return NotFound(f"there is no template {name} under {prefix}")


def _definition(
    template: SnmsTemplateHead, description: str | None, items: list[Item]
) -> Definition:
    return Definition(
        items=items,
        industry=Industry(
            template.industry_category,
            template.industry_specific,
            template.industry_trade,
            template.industry_subclass,
        ),
        carrier="active" if template.type == ACTIVE_CARRIER else "other",
        description=description or None,
    )


def _with_indexes(items: Sequence[SnmsItem], taken: Iterable[int]) -> list[SnmsItem]:
    """Return the items, each with an index: those without one get the next that are free."""
    used = {
        FIRST_INDEX - 1,
        *taken,
        *(item.id_index for item in items if item.id_index is not None),
    }
    result = []
    for item in items:
        index = item.id_index
        if index is None:
            index = max(used) + 1
            used.add(index)
        result.append(msgspec.structs.replace(item, id_index=index))
    return result


def _item(new: SnmsItem, before: Item | None = None) -> Item:
    """Return an item of a definition. before: what it was; what this API does not say stays."""
    assert new.id_index is not None  # noqa: S101
    least, most = new.metadata.min_length, new.metadata.max_length
    said: dict[str, Any] = {
        "index": new.id_index,
        "type": new.id_type,
        "name": new.name,
        "required": new.required,
        "enabled": new.state == ENABLED,
    }
    if before is None:
        return Item(data=StringData(min_length=least, max_length=most), **said)
    data = msgspec.structs.replace(before.data, min_length=least, max_length=most)
    return msgspec.structs.replace(before, data=data, **said)


def _merged(
    before: Sequence[Item], changes: Sequence[SnmsItem]
) -> tuple[list[Item], Mapping[int, int]]:
    """Return the items of before with those that change, and after them those that come.

    With it: where each that was sent stands among them -> where it was sent. Raises InvalidValue
    for one that has the index, the type or the name of another.
    """
    merged = {(item.index, fold(item.type)): item for item in before}
    where = {key: place for place, key in enumerate(merged)}
    sent: dict[int, int] = {}
    for place, change in enumerate(_with_indexes(changes, [item.index for item in before])):
        assert change.id_index is not None  # noqa: S101
        key = change.id_index, fold(change.id_type)
        at = where.setdefault(key, len(where))
        if at in sent:
            raise _stands(sent[at], "index", place)
        merged[key] = _item(change, merged.get(key))
        sent[at] = place
    items = list(merged.values())
    _check_apart(items, sent)
    return items, sent


def _check_apart(items: Sequence[Item], sent: Mapping[int, int]) -> None:
    """Refuse an item that was sent and has what another has. Raises InvalidValue."""
    kept = [at for at in range(len(items)) if at not in sent]
    seen: dict[tuple[str, object], int] = {}
    for at in (*kept, *sorted(sent, key=sent.__getitem__)):
        item = items[at]
        for field, value in (("index", item.index), ("type", fold(item.type)), ("name", item.name)):
            first = seen.setdefault((field, value), at)
            if first == at:
                continue
            if first in sent:
                raise _stands(sent[first], field, sent[at])
            raise InvalidValue(
                f"the {field} is that of index {items[first].index} already",
                field=f"items[{sent[at]}].{field}",
            )


def _stands(first: int, field: str, place: int) -> InvalidValue:
    return InvalidValue(
        f"the {field} stands at items[{first}] already", field=f"items[{place}].{field}"
    )


_ITEM = re.compile(r"items\[(\d+)\]")


def _at_sent(error: InvalidValue, sent: Mapping[int, int]) -> InvalidValue:
    """Return the error about an item, placed where that was sent."""
    match = _ITEM.match(error.field or "")
    if match and error.field is not None and int(match[1]) in sent:
        error.field = f"items[{sent[int(match[1])]}]{error.field[match.end() :]}"
    return error


def _check_text_only(definition: Definition) -> None:
    if not all(isinstance(item.data, StringData) for item in definition.items):
        raise Conflict("the template has items that are not text: use /api/v1/templates")


def _shown(row: Record, definition: Definition) -> tuple[SnmsShownTemplate3, SnmsShownTemplate5]:
    industry = definition.industry or Industry("")
    head: dict[str, Any] = {
        "id": row.revision,
        "prefix": row.prefix,
        "name": "",
        "version": row.name,
        "industry_category": industry.category,
        "industry_specific": industry.division or "",
        "industry_trade": industry.group or "",
        "industry_subclass": industry.class_ or "",
        "type": ACTIVE_CARRIER if definition.carrier == "active" else OTHER_CARRIER,
        "description": definition.description or "",
    }
    handle = str(Reference(row.name).identifier(row.prefix))
    items = [_shown_item(item) for item in definition.items]
    return (
        SnmsShownTemplate3(**head, items=[item for item, _ in items]),
        SnmsShownTemplate5(**head, handle=handle, items=[item for _, item in items]),
    )


def _shown_item(item: Item) -> tuple[SnmsShownItem3, SnmsShownItem5]:
    assert isinstance(item.data, StringData)  # noqa: S101
    metadata = SnmsMetadata(min_length=item.data.min_length, max_length=item.data.max_length)
    head: dict[str, Any] = {
        "name": item.name,
        "id_type": item.type,
        "metadata": metadata,
        "required": item.required,
    }
    state = ENABLED if item.enabled else DISABLED
    return (
        SnmsShownItem3(**head),
        SnmsShownItem5(**head, id_index=item.index, metadata_id=item.index, state=state),
    )
