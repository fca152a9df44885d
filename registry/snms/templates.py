"""Templates of the SNMS API: the published versions of templates of the registry.

There a template is one thing that is changed in place. Here its ``version`` is the name of a
template; a change is the next version, published at once, and to delete it is to withdraw all that
are published: what is registered stays held to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    row = await _current(work, name)
    definition = service.definition_of(row)
    _check_text_only(definition)
    return _shown(row, definition)


async def create(work: Work, template: SnmsTemplate) -> None:
    """Make a template and publish it. Raises Conflict if it is there, and as the service does."""
    prefix, name = _named(template)
    items = [_item(item) for item in _with_indexes(template.items, ())]
    definition = _definition(template, template.description, items)
    newest = await _newest(work, prefix, name)
    try:
        if newest is None:
            row = await service.create(work, prefix, name, definition)
        elif newest.state == WITHDRAWN:
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
    row = await _current(work, template)
    before = service.definition_of(row)
    _check_text_only(before)
    description = template.description
    if description is None:
        description = before.description
    definition = _definition(template, description, _merged(before.items, template.items))
    if definition == before:
        return
    try:
        draft = await service.draft_next(work, prefix, name, definition)
    except HandleExists:  # somebody was faster
        draft = None
    if draft is None or draft.version != row.version + 1:
        raise Conflict(f"template {name} is being changed by others; try again", field="version")
    await service.publish(work, prefix, Reference(draft.name, draft.version))


async def delete(work: Work, name: SnmsTemplateName) -> None:
    """Withdraw all versions of a template that are published. Raises NotFound."""
    prefix, text = _named(name)
    rows = await _versions(work, prefix, text, limit=MAX_VERSION)
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


async def _versions(work: Work, prefix: str, name: str, *, limit: int) -> Sequence[Record]:
    """Return the versions of a template, the newest first; none if there is no such template."""
    try:
        return await service.versions(work, prefix, name, before=None, limit=limit)
    except NotFound:
        return []


async def _newest(work: Work, prefix: str, name: str) -> Record | None:
    rows = await _versions(work, prefix, name, limit=1)
    return rows[0] if rows else None


async def _current(work: Work, template: SnmsTemplateName | SnmsTemplateHead) -> Record:
    """Return the newest version, with its items, that is no draft. Raises NotFound."""
    prefix, name = _named(template)
    rows = await _versions(work, prefix, name, limit=2)  # there is one draft at most
    newest = next((row for row in rows if row.state != DRAFT), None)
    if newest is None or newest.state != PUBLISHED:
        raise _not_found(prefix, name)
    return await service.get(work, prefix, Reference(name, newest.version))


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


def _merged(before: Sequence[Item], changes: Sequence[SnmsItem]) -> list[Item]:
    """Return the items of before with those that change, and after them those that come."""
    merged = {(item.index, fold(item.type)): item for item in before}
    for change in _with_indexes(changes, [item.index for item in before]):
        assert change.id_index is not None  # noqa: S101
        key = change.id_index, fold(change.id_type)
        merged[key] = _item(change, merged.get(key))
    return list(merged.values())


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
