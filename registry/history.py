"""What an identifier said before: every version with who and when, and the one of a moment.

A version holds from the moment it is written until the next is, or until the identifier is deleted.
These are times of the clock of PostgreSQL, taken when the statement that writes begins: the version
of a moment is what whoever began to ask after it, and before the next write, was told.

The past can be read in the registry alone, by who may read the present. Resolution tells everybody
what holds now: what an owner has withdrawn does not come back for who asks for the past.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from protocol.errors import HandleNotFound, InvalidValue
from protocol.identifier import Identifier
from registry import bounded
from registry.identifiers import may_read
from registry.schema import Time, identifier_history, identifiers
from registry.services import Record, Work

_PREFIX = sa.bindparam("at_prefix", type_=identifiers.c.prefix.type)
_SUFFIX_KEY = sa.bindparam("at_suffix_key", type_=identifiers.c.suffix_key.type)
_MOMENT = sa.bindparam("moment", type_=Time)


def _versions() -> sa.Select[Any]:
    """Select all versions of one identifier, the present one too, which has no `valid_to`.

    Those of a range are among them for as long as it said what its member said.
    """
    past = identifier_history.c
    found = (
        sa.func.identifier_versions(_PREFIX, _SUFFIX_KEY)
        .table_valued(
            *(
                sa.column(column.name, column.type)
                for column in (
                    past.version,
                    past.suffix,
                    past["values"],
                    past.template,
                    past.valid_from,
                    past.valid_to,
                    past.deleted,
                    past.actor,
                    past.ended_by,
                )
            ),
            name="versions",
        )
        .c
    )
    return sa.select(
        _PREFIX.label("prefix"),
        found["values"].label("values_"),
        *(column for column in found if column.name != "values"),
    )


def _version_at() -> sa.Select[Any]:
    """Select the version of a moment, when the identifier was created then, and the clock."""
    versions = _versions().cte("versions")
    other, last = versions.alias("other"), versions.alias("last")
    # A statement that creates many may have begun before the version that it followed had ended:
    # of two that could hold, it is the one that ended first.
    held = (
        sa.select(versions)
        .where(
            versions.c.valid_from <= _MOMENT,
            sa.or_(versions.c.valid_to.is_(None), versions.c.valid_to > _MOMENT),
        )
        .order_by(versions.c.valid_to.nulls_last())
        .limit(1)
        .subquery("held")
    )
    deleted_before = (
        sa.select(sa.func.max(last.c.valid_to))
        .where(last.c.deleted, last.c.valid_to <= _MOMENT)
        .scalar_subquery()
    )
    created = (
        sa.select(sa.func.min(other.c.valid_from))
        .where(sa.or_(deleted_before.is_(None), other.c.valid_from >= deleted_before))
        .scalar_subquery()
    )
    begin = sa.select(sa.func.min(other.c.valid_from)).scalar_subquery()
    return sa.select(
        (sa.func.clock_timestamp() < _MOMENT).label("in_the_future"),
        begin.label("registered_first"),
        deleted_before.label("deleted_before"),
        sa.func.coalesce(created, held.c.valid_from).label("created_at"),
        held.c.valid_from.label("updated_at"),
        held,
    ).select_from(sa.select(sa.literal(1)).subquery("always").outerjoin(held, sa.true()))


_ALL = _versions().subquery()
_AT = _version_at()


def _key(identifier: Identifier) -> dict[str, object]:
    return {"at_prefix": identifier.prefix_key, "at_suffix_key": identifier.suffix_key}


async def page(
    work: Work, identifier: Identifier, *, before: int | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` versions, the newest first, the present one included.

    Fewer also where they are large: `in_page` of each says how many there would be.

    before: only versions lower than this. Raises HandleNotFound if there never was one.
    """
    await may_read(work, identifier)
    octets = bounded.octets_of(_ALL.c.values_).label("octets")
    query = sa.select(_ALL, octets).order_by(_ALL.c.version.desc()).limit(limit)
    if before is not None:
        query = query.where(_ALL.c.version < before)
    most = sa.literal(bounded.MAX_OCTETS, sa.BigInteger)
    cut = bounded.cut(query.subquery(), descending=True, by="version", most=most)
    rows: Sequence[Record] = (await work.connection.execute(cut, _key(identifier))).all()
    if not rows and before is None:
        raise HandleNotFound(f"{identifier} was never registered")
    return rows


async def at(work: Work, identifier: Identifier, moment: datetime.datetime) -> Record:
    """Return what the identifier said at a moment, with the columns of `identifiers.get`.

    `created_at` and `updated_at` are what they were then. Raises InvalidValue for a moment that is
    still to come, HandleNotFound with when it was registered first, or deleted, or that it never
    was there.
    """
    await may_read(work, identifier)
    found = await work.connection.execute(_AT, _key(identifier) | {"moment": moment})
    row: Record = found.one()
    if row.in_the_future:
        raise InvalidValue("is still to come", field="at")
    if row.version is not None:
        return row
    if row.registered_first is None:
        raise HandleNotFound(f"{identifier} was never registered")
    if row.deleted_before is None:
        first = _written(row.registered_first)
        raise HandleNotFound(f"{identifier} was registered first at {first}")
    raise HandleNotFound(f"{identifier} was deleted at {_written(row.deleted_before)}")


def _written(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
