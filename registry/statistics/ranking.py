"""The names that were asked for most, over all workers and some days."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from protocol.errors import InvalidValue
from registry import tenancy
from registry.schema import prefixes, top_names, top_sources
from registry.services import Work
from registry.statistics.queries import owned_by

MAX_DAYS = 31
"""Days that one request may be about."""


@dataclass(frozen=True)
class Ranked:
    """A name, and how often it was asked for: at least and at most."""

    prefix: str
    name: str
    at_least: int
    at_most: int


@dataclass(frozen=True)
class Ranking:
    """The first so many. others: how often any name was asked for at most that no worker kept."""

    names: Sequence[Ranked]
    others: int


async def ranking(
    work: Work,
    kind: str,
    first: datetime.date,
    last: datetime.date,
    *,
    prefix: str | None = None,
    enterprise_id: uuid.UUID | None = None,
    limit: int,
) -> Ranking:
    """Return the names of a kind, "found" or "missing", that were asked for most.

    first, last: days of China. prefix, enterprise_id: under these alone. Raises InvalidValue,
    InsufficientPermission.
    """
    if first > last:
        raise InvalidValue("comes after to", field="from")
    if (last - first).days >= MAX_DAYS:
        raise InvalidValue(f"more than {MAX_DAYS} days", field="from")
    owner = owned_by(work, enterprise_id)
    names, hits = top_names.c, sa.func.sum(top_names.c.hits)
    source = sa.func.concat(names.source, " ", names.day)
    query = (
        sa.select(
            names.prefix,
            names.name,
            sa.cast(hits, sa.BigInteger).label("hits"),
            sa.cast(hits - sa.func.sum(names.error), sa.BigInteger).label("at_least"),
            sa.func.array_agg(source, type_=sa.ARRAY(sa.Text)).label("sources"),
        )
        .where(names.kind == kind, names.day.between(first, last))
        .group_by(names.prefix, names.name)
        .order_by(hits.desc(), names.prefix, names.name)
        .limit(limit)
    )
    if prefix is not None:
        query = query.where(names.prefix == prefix)
    if owner is not None:
        own = sa.select(prefixes.c.prefix).where(prefixes.c.enterprise_id == owner)
        query = query.where(names.prefix.in_(own))
    rows = (await work.connection.execute(query)).all()
    floors = await _floors(work, kind, first, last)
    everywhere = sum(floors.values())
    return Ranking(
        [
            Ranked(
                row.prefix,
                row.name,
                row.at_least,
                row.hits + everywhere - sum(floors.get(source, 0) for source in row.sources),
            )
            for row in rows
        ],
        everywhere,
    )


async def _floors(
    work: Work, kind: str, first: datetime.date, last: datetime.date
) -> dict[str, int]:
    """Return by worker and day how often a name was asked for at most that it has not kept."""
    sources = top_sources.c
    query = sa.select(sources.source, sources.day, sources.floor).where(
        sources.kind == kind, sources.day.between(first, last)
    )
    # They tell nothing of anybody's names, and are not of any enterprise.
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        rows = (await work.connection.execute(query)).all()
    return {f"{row.source} {row.day}": row.floor for row in rows}
