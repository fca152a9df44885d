"""Ranges: ``SN-0000001`` to ``SN-1000000`` in one call, each with the values of the range.

The number of a suffix is the run of digits at its end, of which the last 18 count. A member exists
from the moment the range does. Whoever writes to it gives it a row of its own (see
registry/identifiers.py), which then holds instead of the range; a member that is deleted is out of
its range for ever, and may be registered anew with values of its own.

Where the range says ``substitute``, ``{suffix}`` and ``{number}`` in its values stand for the
member's own, the number with its leading zeros.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from protocol.errors import Conflict, HandleExists, InvalidHandle, InvalidValue, NotFound
from protocol.identifier import Identifier, check_registrable, fold
from registry import audit, identifiers, prefixes
from registry.schema import ranges
from registry.services import Record, Work
from registry.templates import lookup as templates
from registry.templates.names import check_not_reserved

MAX_RANGES = 10_000
"""Ranges under one prefix: whoever lists its identifiers reads them all."""

_NUMBER = re.compile(r"[0-9]{1,18}\Z")

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


@dataclass(frozen=True, slots=True)
class Span:
    """Where a range stands. spelling: what comes before the number, as it was written."""

    prefix: str
    spelling: str
    width: int
    first: int
    last: int

    @classmethod
    def between(cls, prefix: str, first: str, last: str) -> Span:
        """Return the span from the suffix `first` to `last`. Raises InvalidValue, InvalidHandle."""
        ends = []
        for name, suffix in (("first", first), ("last", last)):
            try:
                check_registrable(Identifier.of(prefix, suffix))
                check_not_reserved(fold(suffix))
            except InvalidHandle as error:
                error.field = name if error.field == "suffix" else error.field
                raise
            digits = _NUMBER.search(suffix)
            if digits is None:
                raise InvalidValue("a member of a range ends in a number", field=name)
            ends.append((suffix[: digits.start()], digits[0]))
        (spelling, low), (other, high) = ends
        if fold(other) != fold(spelling):
            raise InvalidValue("differs from first before its number", field="last")
        if len(low) != len(high):
            raise InvalidValue(
                "its number has not as many digits as that of first: write leading zeros",
                field="last",
            )
        if int(high) < int(low):
            raise InvalidValue("its number is less than that of first", field="last")
        return cls(prefix, spelling, len(low), int(low), int(high))

    def suffix(self, number: int) -> str:
        """Return the suffix of the member with this number, as spelled."""
        return f"{self.spelling}{number:0{self.width}d}"

    @property
    def count(self) -> int:
        """How many members there may be at most."""
        return self.last - self.first + 1


def span_of(row: Record) -> Span:
    """Return the span of a row with COLUMNS."""
    return Span(row.prefix, row.spelling, row.width, row.first_, row.last_)


def member_values(values: list[dict[str, Any]], suffix: str, number: str) -> list[dict[str, Any]]:
    """Return values with ``{suffix}`` and ``{number}`` replaced, as `member_values` in SQL does."""

    def fill(part: Any) -> Any:
        if isinstance(part, str):
            return part.replace("{number}", number).replace("{suffix}", suffix)
        if isinstance(part, dict):
            return {name: fill(member) for name, member in part.items()}
        return [fill(item) for item in part] if isinstance(part, list) else part

    filled: list[dict[str, Any]] = fill(values)
    return filled


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
    identifiers.check_writable(work, prefix, row)


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
    """Return what is stored of a range beside its place. Raises InvalidValue.

    What the last member says is checked: with `substitute` no other one is longer.
    """
    decoded = identifiers.decode(work, values)
    stored = identifiers.encode(decoded)
    said = stored
    if substitute:
        said = member_values(stored, span.suffix(span.last), f"{span.last:0{span.width}d}")
    shown = identifiers.decode(work, said)
    identifiers.encode(shown)
    reference = None
    if wanted is not None:
        checker = wanted.usable(held)
        await templates.check(work, checker, shown)
        stored = identifiers.encode(checker.restrict(decoded))
        reference = str(checker.reference)
    return {
        ranges.c["values"]: stored,
        ranges.c.substitute: substitute,
        ranges.c.template: reference,
    }


async def get(work: Work, prefix: str, range_id: uuid.UUID) -> Record:
    """Return one range. For the enterprise that holds the prefix. Raises NotFound."""
    await identifiers.may_read(work, Identifier.of(prefix, "0"))
    query = sa.select(*COLUMNS).where(ranges.c.prefix == prefix, ranges.c.id == range_id)
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no range {range_id} under {prefix}")
    return row


async def page(work: Work, prefix: str, *, after: uuid.UUID | None, limit: int) -> Sequence[Record]:
    """Return at most `limit` ranges of a prefix, by id, those after `after`."""
    await identifiers.may_read(work, Identifier.of(prefix, "0"))
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
