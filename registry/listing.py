"""All identifiers under a prefix, in order of their canonical suffixes: rows and members of ranges.

Members without a row stand nowhere in the database; they are counted out of their ranges, here,
and put between the rows. What is read at once is bounded, whatever a prefix has.
"""

from __future__ import annotations

import bisect
import heapq
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.identifier import Identifier, fold
from registry import bounded
from registry.identifiers import may_read
from registry.range_members import Span, member_values
from registry.ranges import COLUMNS, span_of
from registry.schema import Name, identifiers, range_exceptions, ranges
from registry.services import Record, Work

_PREFIX = sa.bindparam("at_prefix", type_=Name)
_AFTER = sa.bindparam("after", type_=Name)
_TO = sa.bindparam("to", type_=Name)
_IDS = pg.ARRAY(pg.UUID(as_uuid=True))

_OCTETS = sa.bindparam("octets", type_=sa.BigInteger)


def _rows(values: sa.ColumnElement[Any], octets: sa.ColumnElement[int]) -> sa.Select[Any]:
    page = (
        sa.select(
            identifiers.c.suffix_key,
            identifiers.c.suffix,
            values.label("values_"),
            identifiers.c.template,
            identifiers.c.version,
            identifiers.c.created_at,
            identifiers.c.updated_at,
            octets.label("octets"),
        )
        .where(identifiers.c.prefix == _PREFIX, identifiers.c.suffix_key > _AFTER)
        .order_by(identifiers.c.suffix_key)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )
    return bounded.cut(page.subquery(), descending=False, by="suffix_key", most=_OCTETS)


_NONE: sa.ColumnElement[Any] = sa.literal_column("'[]'::jsonb", identifiers.c["values"].type)
_ROWS = _rows(identifiers.c["values"], bounded.octets_of(identifiers.c["values"]))
_NAMES = _rows(_NONE, sa.literal_column("0", sa.Integer))
_RANGES = sa.select(
    *(column for column in COLUMNS if column.name != "values_"),
    bounded.octets_of(ranges.c["values"]).label("octets"),
).where(ranges.c.prefix == _PREFIX)
_VALUES = sa.select(ranges.c.id, ranges.c["values"].label("values_")).where(
    ranges.c.prefix == _PREFIX, ranges.c.id == sa.func.any(sa.bindparam("ids", type_=_IDS))
)
_OUT = sa.select(range_exceptions.c.suffix_key, range_exceptions.c.range_id).where(
    range_exceptions.c.prefix == _PREFIX,
    range_exceptions.c.suffix_key > _AFTER,
    range_exceptions.c.suffix_key <= _TO,
)


_UNDER = identifiers.c.prefix == _PREFIX
_COUNT = sa.select(sa.func.count()).select_from(identifiers).where(_UNDER)
_COVERED = _COUNT.where(
    sa.exists().select_from(
        sa.func.range_covering(identifiers.c.prefix, identifiers.c.suffix_key).table_valued(
            sa.column("id", pg.UUID(as_uuid=True)), name="covering"
        )
    )
)
# Exceptions of ranges that hold, without those that have been registered anew.
_LEFT_OUT = (
    sa.select(sa.func.count())
    .select_from(
        range_exceptions.join(
            ranges,
            sa.and_(
                ranges.c.prefix == range_exceptions.c.prefix,
                ranges.c.id == range_exceptions.c.range_id,
            ),
        )
    )
    .where(
        range_exceptions.c.prefix == _PREFIX,
        ~sa.exists().where(
            identifiers.c.prefix == range_exceptions.c.prefix,
            identifiers.c.suffix_key == range_exceptions.c.suffix_key,
        ),
    )
)
_AT = (
    sa.select(identifiers.c.suffix_key)
    .where(_UNDER)
    .order_by(identifiers.c.suffix_key)
    .offset(sa.bindparam("offset", type_=sa.Integer))
    .limit(1)
)

_SKIPPED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Listed:
    """An identifier as it is registered.

    member: it has no row of its own. octets: of its values, about.
    """

    suffix_key: str
    suffix: str
    values: list[dict[str, Any]]
    template: str | None
    version: int
    created_at: Any
    updated_at: Any
    member: bool
    octets: int


def _listed(row: Record) -> Listed:
    return Listed(
        row.suffix_key,
        row.suffix,
        row.values_,
        row.template,
        row.version,
        row.created_at,
        row.updated_at,
        member=False,
        octets=row.octets,
    )


class _Numbers(Sequence[bytes]):
    """The canonical suffixes of a span as a sorted sequence, none of which is stored."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def __len__(self) -> int:
        return self._span.count

    def __getitem__(self, at: Any) -> Any:
        return fold(self._span.suffix(self._span.first + at)).encode()


@dataclass(frozen=True, slots=True)
class _Members:
    row: Record
    span: Span

    def after(self, suffix_key: str) -> Iterator[tuple[bytes, int, _Members]]:
        """Yield (bytes of the suffix, its number, self) of the members that follow."""
        names = _Numbers(self.span)
        # A range may have more members than len() may return to bisect.
        at = bisect.bisect_right(names, suffix_key.encode(), 0, self.span.count)
        for number in range(self.span.first + at, self.span.last + 1):
            yield names[number - self.span.first], number, self

    def listed(self, number: int, values: list[dict[str, Any]]) -> Listed:
        suffix, row = self.span.suffix(number), self.row
        if row.substitute:
            values = member_values(values, suffix, self.span.digits(number))
        return Listed(
            fold(suffix),
            suffix,
            values,
            row.template,
            row.version,
            row.created_at,
            row.updated_at,
            member=True,
            octets=row.octets,
        )


class Listing:
    """The identifiers of one prefix, page by page, within one transaction."""

    def __init__(
        self,
        connection: AsyncConnection,
        prefix: str,
        found: Sequence[_Members],
        *,
        values: bool = True,
    ) -> None:
        self._connection = connection
        self._prefix = prefix
        self._ranges = found
        self._with_values = values

    @classmethod
    async def of(
        cls, connection: AsyncConnection, prefix: str, *, members: bool = True, values: bool = True
    ) -> Listing:
        """Open the list of a prefix.

        members: also those that have no row of their own. values: read what they say, too.
        """
        rows = (await connection.execute(_RANGES, {"at_prefix": prefix})).all() if members else ()
        found = [_Members(row, span_of(row)) for row in rows]
        return cls(connection, prefix, found, values=values)

    async def after(self, suffix_key: str, limit: int) -> list[Listed]:
        """Return the next `limit` identifiers after `suffix_key`, none at the end alone.

        Fewer where the values that are read have bounded.MAX_OCTETS or more by then.
        """
        found: list[Listed] = []
        left = bounded.MAX_OCTETS
        while True:
            block, horizon = await self._block(suffix_key, limit - len(found), left)
            found += block
            left -= sum(one.octets for one in block)
            if horizon is None or len(found) == limit or (self._with_values and left <= 0):
                return found
            suffix_key = horizon  # what is missing up to there was deleted, or is a row

    async def total(self) -> int:
        """Return how many identifiers there are, members of ranges among them."""
        at = {"at_prefix": self._prefix}
        rows = await self._connection.scalar(_COUNT, at) or 0
        if not self._ranges:
            return rows
        covered = await self._connection.scalar(_COVERED, at) or 0
        out = await self._connection.scalar(_LEFT_OUT, at) or 0
        return rows + sum(each.span.count for each in self._ranges) - covered - out

    async def key_at(self, offset: int) -> str:
        """Return the canonical suffix before the identifier at `offset`; "" before the first."""
        if not self._ranges and offset:
            at = {"at_prefix": self._prefix, "offset": offset - 1}
            return str(await self._connection.scalar(_AT, at))
        key, left = "", offset
        while left:
            found = await self.after(key, min(left, _SKIPPED_AT_ONCE))
            key, left = found[-1].suffix_key, left - len(found)
        return key

    async def _block(self, after: str, limit: int, octets: int) -> tuple[list[Listed], str | None]:
        """Return identifiers after `after`, and how far they are known; None: to the end."""
        at = {"at_prefix": self._prefix, "after": after}
        query = _ROWS if self._with_values else _NAMES
        bounds = {"limit": limit, "octets": octets}
        rows = (await self._connection.execute(query, at | bounds)).all()
        ends = []
        if rows and (rows[0].in_page == limit or len(rows) < rows[0].in_page):
            ends.append(rows[-1].suffix_key)
        taken, whole = self._taken(after, limit, octets)
        if not whole:
            ends.append(taken[-1][0].decode())
        horizon = min(ends, key=str.encode) if ends else None
        found = {row.suffix_key: _listed(row) for row in rows if _within(row.suffix_key, horizon)}
        if taken:
            to = horizon if horizon is not None else taken[-1][0].decode()
            out = (await self._connection.execute(_OUT, {**at, "to": to})).all()
            excepted = {(row.suffix_key, row.range_id) for row in out}
            wanted = {
                key: (number, members)
                for name, number, members in taken
                if _within(key := name.decode(), horizon)
                and key not in found
                and (key, members.row.id) not in excepted
            }
            said = await self._values({members.row.id for _, members in wanted.values()})
            for key, (number, members) in wanted.items():
                found[key] = members.listed(number, said.get(members.row.id, []))
        return sorted(found.values(), key=lambda one: one.suffix_key.encode())[:limit], horizon

    def _taken(
        self, after: str, limit: int, octets: int
    ) -> tuple[list[tuple[bytes, int, _Members]], bool]:
        """Return the members that follow, and whether these are all that there are."""
        streams = [each.after(after) for each in self._ranges]
        taken: list[tuple[bytes, int, _Members]] = []
        for member in heapq.merge(*streams, key=lambda m: m[0]):
            taken.append(member)
            octets -= member[2].row.octets if self._with_values else 0
            if len(taken) == limit or octets <= 0:
                return taken, False
        return taken, True

    async def _values(self, ids: set[uuid.UUID]) -> dict[uuid.UUID, list[dict[str, Any]]]:
        """Return what the members of these ranges say."""
        if not ids or not self._with_values:
            return {}
        at = {"at_prefix": self._prefix, "ids": list(ids)}
        return {row.id: row.values_ for row in await self._connection.execute(_VALUES, at)}


def _within(suffix_key: str, horizon: str | None) -> bool:
    return horizon is None or suffix_key.encode() <= horizon.encode()


async def page(
    work: Work, prefix: str, *, after: str, limit: int, members: bool
) -> tuple[Sequence[Listed], bool]:
    """Return at most `limit` identifiers of a prefix, those after the canonical suffix `after`,
    and whether there are more.

    members: also those of ranges that have no row of their own. For whoever may read them:
    raises ServerNotResponsible and InsufficientPermission.
    """  # noqa: D205
    await may_read(work, Identifier.of(prefix, "0"), field="prefix")
    opened = await Listing.of(work.connection, prefix, members=members)
    found = await opened.after(after, limit + 1)
    if len(found) > limit or sum(one.octets for one in found) < bounded.MAX_OCTETS:
        return found[:limit], len(found) > limit
    return found, bool(await opened.after(found[-1].suffix_key, 1))
