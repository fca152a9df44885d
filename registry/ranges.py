"""Ranges: ``SN-0000001`` to ``SN-1000000`` in one call, each with the values of the range.

The number of a suffix is the run of digits at its end, of which the last 18 count. A member exists
from the moment the range does. Whoever writes to it gives it a row of its own (see
registry/identifiers.py), which then holds instead of the range; a member that is deleted is out of
its range for ever, and may be registered anew with values of its own.

Where the range says ``substitute``, ``{suffix}`` and ``{number}`` in its values stand for the
member's own, the number with its leading zeros.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from protocol.errors import Conflict, HandleExists, NotFound
from protocol.identifier import Identifier, fold
from registry import audit, identifiers, prefixes, range_checks
from registry.range_members import Span
from registry.schema import ranges
from registry.services import Record, Work
from registry.templates import lookup as templates

MAX_RANGES = 10_000
"""Ranges under one prefix: whoever lists its identifiers reads them all."""

COLUMNS = (
    ranges.c.id,
    ranges.c.prefix,
    ranges.c.spelling,
    ranges.c.width,
    ranges.c.first.label("first_"),
    ranges.c.last.label("last_"),
    ranges.c["values"].label("values_"),
    ranges.c.substitute,
    ranges.c.template,
    ranges.c.version,
    ranges.c.created_at,
    ranges.c.updated_at,
)


_COUNT = sa.select(sa.func.count()).where(
    ranges.c.prefix == sa.bindparam("at_prefix", type_=ranges.c.prefix.type)
)
_OWNER = sa.select(
    sa.func.prefix_to_write(sa.bindparam("at_prefix", type_=ranges.c.prefix.type)).table_valued(
        sa.column("enterprise_id", pg.UUID(as_uuid=True)),
        sa.column("hosting", sa.Text),
        sa.column("status", sa.Text),
        name="owner",
    ),
    audit.naming(sa.bindparam("actor", type_=sa.Text)),
)


def span_of(row: Record) -> Span:
    """Return the span of a row with COLUMNS."""
    return Span(row.prefix, row.spelling, row.width, row.first_, row.last_)


async def create(
    work: Work,
    prefix: str,
    *,
    first: str,
    last: str,
    values: object,
    substitute: bool = False,
    template: str | None = None,
) -> Record:
    """Register all suffixes from `first` to `last`; return the row of the range.

    Identifiers among them that are registered already keep what they say. Raises HandleExists for
    a range that overlaps another, InvalidValue with the field, and as identifiers.put does.
    """
    span = Span.between(prefix, first, last)
    wanted = None if template is None else await templates.wanted(work, prefix, template)
    await _hold(work, prefix)
    content = await _content(work, span, values, substitute=substitute, wanted=wanted, held=None)
    there = await work.connection.scalar(_COUNT, {"at_prefix": prefix})
    if (there or 0) >= MAX_RANGES:
        raise Conflict(f"a prefix has at most {MAX_RANGES} ranges", field="prefix")
    await _refuse_overlap(work, span)
    new = ranges.insert().values(
        {
            ranges.c.prefix: prefix,
            ranges.c.head: fold(span.spelling),
            ranges.c.spelling: span.spelling,
            ranges.c.width: span.width,
            ranges.c.first: span.first,
            ranges.c.last: span.last,
            **content,
        }
    )
    row: Record = (await work.connection.execute(new.returning(*COLUMNS))).one()
    await work.audit("range.create", _subject(span), _detail(row) | {"count": span.count})
    work.changes(prefix, None)
    return row


def _detail(row: Record) -> dict[str, Any]:
    return {"range": str(row.id), "version": row.version, **audit.of_values(row.values_)}


def _subject(span: Span) -> str:
    return f"{span.prefix}/{span.suffix(span.first)}..{span.suffix(span.last)}"


async def _hold(work: Work, prefix: str) -> None:
    """Keep every other writer out of the prefix, and see that the caller may write there."""
    await prefixes.hold_alone(work.connection, prefix)
    at = {"at_prefix": prefix, "actor": work.principal.actor}
    row = (await work.connection.execute(_OWNER, at)).one_or_none()
    identifiers.check_writable(work, prefix, row, field="prefix")


async def _refuse_overlap(work: Work, span: Span) -> None:
    query = sa.select(*COLUMNS).where(
        ranges.c.prefix == span.prefix,
        ranges.c.head == fold(span.spelling),
        ranges.c.width == span.width,
        ranges.c.first <= span.last,
        ranges.c.last >= span.first,
    )
    other = (await work.connection.execute(query.limit(1))).one_or_none()
    if other is not None:
        raise HandleExists(f"overlaps the range {_subject(span_of(other))}", field="first")


async def _content(
    work: Work,
    span: Span,
    values: object,
    *,
    substitute: bool,
    wanted: templates.Wanted | None,
    held: str | None,
) -> dict[Any, Any]:
    """Return what is stored of a range beside its place. Raises InvalidValue."""
    decoded = identifiers.decode(work, values)
    stored = identifiers.encode(decoded)
    checker = None if wanted is None else wanted.usable(held)
    if substitute:
        await range_checks.check(work, checker, span, decoded, stored)
    elif checker is not None:
        await templates.check(work, checker, decoded)
    reference = None
    if checker is not None:
        stored = identifiers.encode(checker.restrict(decoded))
        reference = str(checker.reference)
    return {
        ranges.c["values"]: stored,
        ranges.c.substitute: substitute,
        ranges.c.template: reference,
    }


async def get(work: Work, prefix: str, range_id: uuid.UUID) -> Record:
    """Return one range. For the enterprise that holds the prefix. Raises NotFound."""
    await identifiers.may_read(work, Identifier.of(prefix, "0"), field="prefix")
    query = sa.select(*COLUMNS).where(ranges.c.prefix == prefix, ranges.c.id == range_id)
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no range {range_id} under {prefix}")
    return row


async def page(work: Work, prefix: str, *, after: uuid.UUID | None, limit: int) -> Sequence[Record]:
    """Return at most `limit` ranges of a prefix, by id, those after `after`."""
    await identifiers.may_read(work, Identifier.of(prefix, "0"), field="prefix")
    query = sa.select(*COLUMNS).where(ranges.c.prefix == prefix).order_by(ranges.c.id).limit(limit)
    if after is not None:
        query = query.where(ranges.c.id > after)
    return (await work.connection.execute(query)).all()


async def change(
    work: Work,
    prefix: str,
    range_id: uuid.UUID,
    *,
    values: object,
    substitute: bool,
    template: str | None,
    when: identifiers.Condition,
) -> Record:
    """Replace what the members say that have no values of their own; return the new row.

    Raises NotFound, PreconditionFailed, and as `create` does.
    """
    wanted = None if template is None else await templates.wanted(work, prefix, template)
    await _hold(work, prefix)
    before = await get(work, prefix, range_id)
    when.check(before.version)
    span = span_of(before)
    content = await _content(
        work, span, values, substitute=substitute, wanted=wanted, held=before.template
    )
    one = sa.and_(ranges.c.prefix == prefix, ranges.c.id == range_id)
    change_ = ranges.update().where(one).values(content).returning(*COLUMNS)
    row: Record = (await work.connection.execute(change_)).one()
    await work.audit("range.change", _subject(span), _detail(row))
    work.changes(prefix, None)
    return row


async def delete(
    work: Work, prefix: str, range_id: uuid.UUID, *, when: identifiers.Condition
) -> None:
    """End a range: its members without values of their own exist no more.

    Raises NotFound and PreconditionFailed.
    """
    await _hold(work, prefix)
    before = await get(work, prefix, range_id)
    when.check(before.version)
    await work.connection.execute(
        ranges.delete().where(ranges.c.prefix == prefix, ranges.c.id == range_id)
    )
    await work.audit("range.delete", _subject(span_of(before)), {"range": str(range_id)})
    work.changes(prefix, None)
