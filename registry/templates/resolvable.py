"""The identifiers of templates: ``88.118.35/template/goods`` and ``…/template/goods/3``.

Each version that was published has one, and the template itself has one, which says what the newest
published version says; its history has the earlier ones. The values:

    1 TEMPLATE           the description, a JSON object
    2 TEMPLATE.STATE     published or withdrawn
    3 TEMPLATE.VERSIONS  of the template itself: its versions and their states, a JSON list
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from protocol import json_api
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry import audit
from registry.schema import identifiers, templates
from registry.services import Record, Work
from registry.templates.lookup import DRAFT, PUBLISHED
from registry.templates.names import Reference


async def publish(work: Work, row: Record) -> None:
    """Make what resolves say what `row`, a version that has just changed its state, says."""
    await audit.name_writer(work.connection, work.principal.actor)
    reference = Reference(row.name, row.version)
    await _write(work, reference.identifier(row.prefix), _values(work, row))
    shown = (await work.connection.execute(_shown(row))).one()
    listed = (await work.connection.execute(_listed(row))).all()
    values = _values(work, shown)
    states = [{"version": each.version, "state": each.state} for each in listed]
    values.append(_value(work, 3, "TEMPLATE.VERSIONS", msgspec.json.encode(states)))
    await _write(work, Reference(row.name).identifier(row.prefix), values)


def _were_published(row: Record) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        templates.c.prefix == row.prefix,
        templates.c.name_key == row.name_key,
        templates.c.state != DRAFT,
    )


def _shown(row: Record) -> sa.Select[Any]:
    """Select the newest version that is published, or else the newest that was."""
    is_published = templates.c.state == PUBLISHED
    return (
        sa.select(templates)
        .where(*_were_published(row))
        .order_by(is_published.desc(), templates.c.version.desc())
        .limit(1)
    )


def _listed(row: Record) -> sa.Select[Any]:
    return (
        sa.select(templates.c.version, templates.c.state)
        .where(*_were_published(row))
        .order_by(templates.c.version.desc())
    )


def _values(work: Work, row: Record) -> list[HandleValue]:
    about = {"prefix": row.prefix, "name": row.name, "version": row.version, **row.definition}
    return [
        _value(work, 1, "TEMPLATE", msgspec.json.encode(about)),
        _value(work, 2, "TEMPLATE.STATE", row.state.encode()),
    ]


def _value(work: Work, index: int, type_: str, data: bytes) -> HandleValue:
    return HandleValue(index, type_, data, timestamp=int(work.now.timestamp()))


async def _write(work: Work, identifier: Identifier, values: list[HandleValue]) -> None:
    stored: list[dict[str, Any]] = [json_api.encode_value(value) for value in values]
    new = insert(identifiers).values(
        prefix=identifier.prefix_key,
        suffix_key=identifier.suffix_key,
        suffix=identifier.suffix,
        values=stored,
    )
    await work.connection.execute(
        new.on_conflict_do_update(
            index_elements=[identifiers.c.prefix, identifiers.c.suffix_key],
            set_={"values": new.excluded["values"]},
        )
    )
    await work.audit("identifier.put", str(identifier), audit.of_values(stored))
    work.changes(identifier.prefix_key, [identifier.suffix_key])
