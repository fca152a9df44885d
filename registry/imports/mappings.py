"""Mappings that are kept under a name, for a template of a prefix."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from protocol.errors import Conflict, InvalidValue, NotFound, ServerNotResponsible
from protocol.identifier import fold
from registry.imports.mapping import Mapping, check_mapping
from registry.principals import OPERATOR, STAFF
from registry.schema import import_mappings
from registry.services import Record, Work
from registry.templates import lookup
from registry.templates.names import Reference, check_name

MAX_MAPPINGS = 100
"""Of one template."""

SCOPE = "imports"


async def put(
    work: Work, prefix: str, template: str, name: str, mapping: Mapping
) -> tuple[Record, bool]:
    """Keep a mapping, instead of the one that has the name; return it and whether it is new.

    It must fit the newest version of the template that is published. Raises InvalidValue,
    InsufficientPermission, ServerNotResponsible, and Conflict for too many.
    """
    await _own(work, prefix, OPERATOR)
    check_mapping(mapping, (await lookup.wanted(work, prefix, template)).usable(None))
    check_name(name)
    # Whoever adds another one to this template waits.
    lock = sa.func.pg_advisory_xact_lock(
        sa.func.hashtext("idnode mappings"), sa.func.hashtext(f"{prefix}/{fold(template)}")
    )
    await work.connection.execute(sa.select(lock))
    there = await _find(work, prefix, template, name)
    if there is None:
        count = (
            sa.select(sa.func.count())
            .select_from(import_mappings)
            .where(import_mappings.c.prefix == prefix)
            .where(import_mappings.c.template_key == fold(template))
        )
        if (await work.connection.scalar(count) or 0) >= MAX_MAPPINGS:
            raise Conflict(f"a template has at most {MAX_MAPPINGS} mappings")
    told = {"name": name, "mapping": msgspec.to_builtins(mapping), "updated_at": work.now}
    new = insert(import_mappings).values(
        prefix=prefix,
        template_key=fold(template),
        template=template,
        name_key=fold(name),
        created_at=work.now,
        **told,
    )
    key = ["prefix", "template_key", "name_key"]
    put_ = new.on_conflict_do_update(index_elements=key, set_=told).returning(import_mappings)
    row: Record = (await work.connection.execute(put_)).one()
    await _audit(work, "put", row)
    return row, there is None


async def get(work: Work, prefix: str, template: str, name: str) -> Record:
    """Return a mapping. Raises NotFound, InsufficientPermission and ServerNotResponsible."""
    await _own(work, prefix, *STAFF)
    row = await _find(work, prefix, template, name)
    if row is None:
        raise NotFound(f"the template {template} has no mapping {name}")
    return row


async def named(work: Work, prefix: str, template: str, name: str) -> Mapping:
    """Return the mapping that an import names. Raises InvalidValue where there is none."""
    try:
        check_name(name)
    except InvalidValue as error:
        raise error.at("mapping") from None
    row = await _find(work, prefix, template, name)
    if row is None:
        raise InvalidValue(f"the template {template} has no mapping {name}", field="mapping")
    return mapping_of(row)


async def page(
    work: Work, prefix: str, *, after: tuple[str, str] | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` mappings of a prefix, in order of template and name.

    after: canonical template and name of the last one of the page before.
    """
    await _own(work, prefix, *STAFF)
    key = (import_mappings.c.template_key, import_mappings.c.name_key)
    query = (
        sa.select(import_mappings)
        .where(import_mappings.c.prefix == prefix)
        .order_by(*key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(sa.tuple_(*key) > sa.tuple_(*map(sa.literal, after)))
    return (await work.connection.execute(query)).all()


async def delete(work: Work, prefix: str, template: str, name: str) -> None:
    """Forget a mapping. Raises NotFound, InsufficientPermission and ServerNotResponsible."""
    await _own(work, prefix, OPERATOR)
    row = await get(work, prefix, template, name)
    await work.connection.execute(import_mappings.delete().where(*_is(prefix, template, name)))
    await _audit(work, "delete", row)


def mapping_of(row: Record) -> Mapping:
    """Return what a row holds."""
    return msgspec.convert(row.mapping, Mapping)


async def _own(work: Work, prefix: str, *roles: str) -> None:
    owner = await work.connection.scalar(sa.select(sa.func.prefix_owner(prefix)))
    if owner is None:
        raise ServerNotResponsible(f"prefix {prefix} is not registered here", field="prefix")
    work.principal.require(*roles, enterprise=owner, scope=SCOPE)


async def _find(work: Work, prefix: str, template: str, name: str) -> Record | None:
    query = sa.select(import_mappings).where(*_is(prefix, template, name))
    return (await work.connection.execute(query)).one_or_none()


def _is(prefix: str, template: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        import_mappings.c.prefix == prefix,
        import_mappings.c.template_key == fold(template),
        import_mappings.c.name_key == fold(name),
    )


async def _audit(work: Work, action: str, row: Record) -> None:
    subject = str(Reference(row.template).identifier(row.prefix))
    await work.audit(f"mapping.{action}", subject, {"mapping": row.name})
