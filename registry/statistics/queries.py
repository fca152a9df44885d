"""What is told of the statistics: to staff of all, to an enterprise of its own prefixes."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from protocol.errors import InvalidValue
from registry.enterprises.codes import check_industry
from registry.metrics import RESULTS
from registry.principals import STAFF
from registry.schema import (
    enterprises,
    prefixes,
    registration_changes,
    registration_hours,
    registration_totals,
    resolution_hours,
)
from registry.services import Record, Work
from registry.statistics import CHINA

HOUR, DAY, TOTAL = "hour", "day", "total"
PREFIX, ENTERPRISE, INDUSTRY = "prefix", "enterprise", "industry"

MAX_DAYS = 1000
"""Longest time that one request may be about."""

_FIRST = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_DEFAULT = {HOUR: datetime.timedelta(days=1)}
_DEFAULT_OTHER = datetime.timedelta(days=30)
_REGISTERED = ("created", "changed", "deleted")
_CHINA: sa.ColumnElement[Any] = sa.literal_column("interval '8 hours'")
_GROUPS: dict[str, tuple[sa.ColumnElement[Any], ...]] = {
    PREFIX: (
        prefixes.c.prefix,
        prefixes.c.enterprise_id,
        enterprises.c.name,
        enterprises.c.industry,
    ),
    ENTERPRISE: (
        enterprises.c.id.label("enterprise_id"),
        enterprises.c.name,
        enterprises.c.industry,
    ),
    INDUSTRY: (enterprises.c.industry,),
}


Position = tuple[datetime.datetime | None, str]
"""Where a page ends: the time and the group of its last row."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    start, end: the time, of which the hours that it touches count. per: "hour", "day" (of China)
    or "total". by: "prefix", "enterprise", "industry", or None for all together. prefix,
    enterprise_id: of these alone. industry: of it and all in it. after: the time and the group of
    the last row before. limit: rows at most.
    """

    start: datetime.datetime | None = None
    end: datetime.datetime | None = None
    per: str = DAY
    by: str | None = None
    prefix: str | None = None
    enterprise_id: uuid.UUID | None = None
    industry: str | None = None
    after: Position | None = None
    limit: int = 100


def time_of(wanted: Wanted, now: datetime.datetime) -> tuple[datetime.datetime, datetime.datetime]:
    """Return from when and until when: whole hours. Raises InvalidValue."""
    end = wanted.end or now
    if end < _FIRST:
        raise InvalidValue("before the year 2000", field="to")
    start = wanted.start or end - _DEFAULT.get(wanted.per, _DEFAULT_OTHER)
    if start > end:
        raise InvalidValue("comes after to", field="from")
    if end - start > datetime.timedelta(days=MAX_DAYS):
        raise InvalidValue(f"more than {MAX_DAYS} days before to", field="from")
    return start.replace(minute=0, second=0, microsecond=0), end


async def resolutions(work: Work, wanted: Wanted) -> Sequence[Record]:
    """Return resolutions by outcome, in order of time and group.

    Raises InvalidValue, InsufficientPermission.
    """
    start, end = time_of(wanted, work.now)
    hours = resolution_hours
    within = sa.select(hours).where(hours.c.hour >= start, hours.c.hour <= end)
    return await _rows(work, wanted, within.subquery(), RESULTS)


async def registrations(work: Work, wanted: Wanted) -> Sequence[Record]:
    """Return what was created, changed and deleted; see `resolutions`.

    What has been committed is in it, also if it was a moment ago.
    """
    start, end = time_of(wanted, work.now)
    hours, recent = registration_hours, registration_changes
    hour = sa.func.date_trunc("hour", recent.c.at, "UTC").label("hour")
    counted = sa.union_all(
        sa.select(hours).where(hours.c.hour >= start, hours.c.hour <= end),
        sa.select(recent.c.prefix, hour, *(recent.c[name] for name in _REGISTERED)).where(
            recent.c.at >= start, hour <= end
        ),
    )
    return await _rows(work, wanted, counted.subquery(), _REGISTERED)


async def identifiers(work: Work, wanted: Wanted) -> Sequence[Record]:
    """Return how many identifiers there are now; see `resolutions`. Times do not matter."""
    totals, recent = registration_totals, registration_changes
    counted = sa.union_all(
        sa.select(totals.c.prefix, totals.c.identifiers),
        sa.select(recent.c.prefix, recent.c.created - recent.c.deleted),
    )
    return await _rows(work, wanted, counted.subquery(), ("identifiers",))


def owned_by(work: Work, enterprise_id: uuid.UUID | None) -> uuid.UUID | None:
    """Return of which enterprise the caller may be told; None: of all.

    enterprise_id: the one asked for. Raises InsufficientPermission.
    """
    own = work.principal.enterprise_id
    wanted = enterprise_id or own
    work.principal.require(*STAFF, enterprise=wanted, scope="statistics")
    return wanted


async def _rows(
    work: Work,
    wanted: Wanted,
    counted: sa.Subquery,
    names: Sequence[str],
) -> Sequence[Record]:
    """Add up `counted`, a row for each time and group; `time_` and `group_` say which."""
    owner = owned_by(work, wanted.enterprise_id)
    time = _time(counted, wanted.per)
    group = _group(wanted.by)
    sums = [sa.cast(sa.func.sum(counted.c[name]), sa.BigInteger).label(name) for name in names]
    told = _GROUPS.get(wanted.by or "", ())
    query = (
        sa.select(time.label("time_"), group.label("group_"), *told, *sums)
        .select_from(
            counted.outerjoin(prefixes, prefixes.c.prefix == counted.c.prefix).outerjoin(
                enterprises, enterprises.c.id == prefixes.c.enterprise_id
            )
        )
        .group_by(time, group, *told)
    )
    if wanted.prefix is not None:
        query = query.where(counted.c.prefix == wanted.prefix)
    if wanted.industry is not None:
        code = check_industry(wanted.industry)
        query = query.where(enterprises.c.industry.startswith(code))
    if owner is not None:
        query = query.where(prefixes.c.enterprise_id == owner)
    rows = query.subquery()
    page = sa.select(rows).order_by(rows.c.time_, rows.c.group_).limit(wanted.limit)
    if wanted.after is not None:
        page = page.where(_comes_after(rows, wanted.after))
    return (await work.connection.execute(page)).all()


def _time(counted: sa.Subquery, per: str) -> sa.ColumnElement[Any]:
    if "hour" in counted.c and per == HOUR:
        return counted.c.hour
    if "hour" in counted.c and per == DAY:
        by_its_clock = counted.c.hour.op("AT TIME ZONE")(_CHINA)
        return sa.func.date_trunc("day", by_its_clock).op("AT TIME ZONE")(_CHINA)
    return sa.cast(sa.null(), sa.DateTime(timezone=True))


def _group(by: str | None) -> sa.ColumnElement[Any]:
    nobody = sa.literal("")
    if by == PREFIX:
        return sa.func.coalesce(prefixes.c.prefix, nobody)
    if by == ENTERPRISE:
        return sa.func.coalesce(sa.cast(enterprises.c.id, sa.Text), nobody)
    if by == INDUSTRY:
        return sa.func.coalesce(enterprises.c.industry, nobody)
    return nobody


def _comes_after(rows: sa.Subquery, after: Position) -> sa.ColumnElement[bool]:
    time, group = after
    later_group = rows.c.group_ > group
    if time is None:
        return later_group
    return sa.or_(rows.c.time_ > time, sa.and_(rows.c.time_ == time, later_group))


def in_china(time: datetime.datetime | None) -> datetime.datetime | None:
    """Return the same moment by the clock of China, in which days begin at 00:00."""
    return None if time is None else time.astimezone(CHINA)
