"""What the node reports of its work: figures of each hour and day, and templates.

A filing is kept until it is taken; a report of figures is replaced, while it waits, by a later one
of the same hour or day, so that an authority that is away for long does not find the outbox full.
Each report is whole and has a revision: the greater one holds, in whatever order they come.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
import structlog
from msgspec import Meta
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from registry import outbox
from registry.database import Database
from registry.principals import SYSTEM
from registry.schema import reports
from registry.services import Record, Work
from registry.statistics import CHINA
from registry.statistics.ranking import ranking

log = structlog.get_logger("idnode.reports")

STATISTICS = "statistics"
"""Kind of the messages whose payload is a PeriodReport."""

TEMPLATE = "template"
"""Kind of the messages whose payload is a TemplateReport."""

EVERY_SECONDS = 60.0
ALL_SECONDS = 3600.0
"""How often the hours and days that ended long ago are looked at, for counts that came late."""

SETTLED = datetime.timedelta(seconds=60)
"""After its end an hour is reported: workers write their counts every few seconds."""

RECENT = datetime.timedelta(hours=3)
HOURS_KEPT = datetime.timedelta(days=7)
DAYS_KEPT = datetime.timedelta(days=90)
"""An hour, and a day, that ended longer ago is not reported any more, whatever comes."""

MAX_PREFIXES = 500
"""Prefixes that one report tells apart, the busiest; the rest are in the sum alone."""

MAX_NAMES = 100

MAX_DEFINITION_BYTES = 128 * 1024

HOUR: Literal["hour"] = "hour"
DAY: Literal["day"] = "day"
_LENGTH = {HOUR: datetime.timedelta(hours=1), DAY: datetime.timedelta(days=1)}

_COUNTED = ("found", "not_found", "no_values", "referral", "invalid", "unavailable", "error")
_REGISTERED = ("created", "changed", "deleted")

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Name = Annotated[str, Meta(max_length=2048)]
_Moment = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]


class Figures(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Resolutions by outcome, and what was registered."""

    found: _Count = 0
    not_found: _Count = 0
    no_values: _Count = 0
    referral: _Count = 0
    invalid: _Count = 0
    unavailable: _Count = 0
    error: _Count = 0
    created: _Count = 0
    changed: _Count = 0
    deleted: _Count = 0


class PrefixFigures(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Those of one prefix; empty: what was asked for under no prefix that is served here."""

    prefix: _Name
    figures: Figures


class NameFigures(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How often a name was asked for, at least and at most: an estimate, see docs/statistics.md."""

    prefix: _Name
    name: _Name
    at_least: _Count
    at_most: _Count


class PeriodReport(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Payload of a message of kind "statistics": one hour, or one day of China (UTC+8).

    start: its begin, in UTC. revision: a later report of the same has a greater one and replaces
    it. total: of all prefixes. prefixes: the busiest of them, at most 500. found, missing: the
    names that were asked for most, of a day.
    """

    per: Literal["hour", "day"]
    start: _Moment
    revision: Annotated[int, Meta(ge=1)]
    total: Figures
    prefixes: Annotated[list[PrefixFigures], Meta(max_length=MAX_PREFIXES)]
    found: Annotated[list[NameFigures], Meta(max_length=MAX_NAMES)] = []
    missing: Annotated[list[NameFigures], Meta(max_length=MAX_NAMES)] = []


class TemplateReport(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Payload of a message of kind "template": a version that was published or withdrawn.

    definition: left out where it is longer than a message may be. sha256: of it, as the audit log
    has it.
    """

    prefix: _Name
    name: _Name
    version: Annotated[int, Meta(ge=1)]
    state: Literal["published", "withdrawn"]
    definition: dict[str, Any] | None
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class _Period:
    per: Literal["hour", "day"]
    start: datetime.datetime

    @property
    def subject(self) -> str:
        return f"{STATISTICS} {self.per} {moment(self.start)}"


def moment(time_: datetime.datetime) -> str:
    """Return a time in UTC as reports have it, to the second."""
    return time_.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def report_template(connection: AsyncConnection, row: Record) -> None:
    """Report that a version of a template was published or withdrawn, in that transaction."""
    report = TemplateReport(
        prefix=row.prefix,
        name=row.name,
        version=row.version,
        state=row.state,
        definition=row.definition if _fits(row.definition) else None,
        sha256=row.digest.hex(),
    )
    await outbox.enqueue(
        connection,
        subject=f"{row.prefix} template {row.name_key}",
        kind=TEMPLATE,
        payload=msgspec.to_builtins(report),
    )


def _fits(definition: object) -> bool:
    return len(msgspec.json.encode(definition)) <= MAX_DEFINITION_BYTES


async def run_reports(
    database: Database, stop: asyncio.Event, clock: Callable[[], float] = time.time
) -> None:
    """Report hours and days that are over, and again what has changed, until `stop`.

    clock: returns Unix seconds. Raises StoreUnavailable.
    """
    all_at = 0.0
    while not stop.is_set():
        whole = time.monotonic() >= all_at
        if whole:
            all_at = time.monotonic() + ALL_SECONDS
        await report_due(database, clock(), whole=whole)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY_SECONDS):
                await stop.wait()


async def report_due(database: Database, now: float, *, whole: bool) -> int:
    """Write the reports of all that is over and not reported as it is; return how many.

    now: Unix seconds. whole: look also at what ended more than some hours ago. Raises
    StoreUnavailable.
    """
    settled = datetime.datetime.fromtimestamp(now, datetime.UTC) - SETTLED
    count = 0
    for per, kept in ((HOUR, HOURS_KEPT), (DAY, DAYS_KEPT)):
        length = _LENGTH[per]
        end = _begin(settled, per)
        since = _begin(end - (kept if whole else max(RECENT, length)), per)
        async with database.begin() as connection:
            changed = await _changed(connection, per, since, end)
        for period, digest in changed:
            # One at a time: a transaction is short, whatever has come together.
            async with database.begin() as connection:
                await _report(connection, period, digest, now)
            log.info("reported", per=period.per, start=moment(period.start))
            count += 1
    if whole:
        async with database.begin() as connection:
            forgotten = settled - 2 * DAYS_KEPT
            await connection.execute(reports.delete().where(reports.c.reported_at < forgotten))
    return count


def _begin(time_: datetime.datetime, per: Literal["hour", "day"]) -> datetime.datetime:
    """Return the begin of the hour, or the day of China, that a time lies in."""
    local = time_.astimezone(CHINA).replace(minute=0, second=0, microsecond=0)
    return local if per == HOUR else local.replace(hour=0)


def _bucket(per: str) -> str:
    if per == HOUR:
        return "hour"
    return "date_trunc('day', hour + interval '8 hours', 'UTC') - interval '8 hours'"


def _counted(per: str) -> str:
    """Return the query for the figures by `start` and prefix, from :since on and before :end."""
    columns = (*_COUNTED, *_REGISTERED)
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in columns)
    resolved, registered = ", ".join(_COUNTED), ", ".join(_REGISTERED)
    zeros = [", ".join("0" for _ in names) for names in (_REGISTERED, _COUNTED)]
    within = "WHERE hour >= :since AND hour < :end"
    return (
        f"SELECT {_bucket(per)} AS start, prefix, {sums} FROM ("  # noqa: S608  (names of ours)
        f"SELECT hour, prefix, {resolved}, {zeros[0]} FROM resolution_hours {within} UNION ALL"
        f" SELECT hour, prefix, {zeros[1]}, {registered} FROM registration_hours {within}"
        f") AS h (hour, prefix, {', '.join(columns)}) GROUP BY 1, 2"
    )


async def _changed(
    connection: AsyncConnection,
    per: Literal["hour", "day"],
    since: datetime.datetime,
    end: datetime.datetime,
) -> list[tuple[_Period, str]]:
    """Return the periods whose figures are not those reported last, with their digests."""
    found = await connection.execute(
        sa.text(
            "SELECT start, encode(sha256(convert_to("  # noqa: S608  (names of ours)
            "string_agg(f::text, ',' ORDER BY prefix), 'UTF8')), 'hex') AS digest"
            f" FROM ({_counted(per)}) AS f GROUP BY start ORDER BY start"
        ),
        {"since": since, "end": end},
    )
    now = {_Period(per, row.start): row.digest for row in found}
    known = await connection.execute(
        sa.select(reports.c.subject, reports.c.digest).where(
            reports.c.subject.in_([period.subject for period in now])
        )
    )
    reported = {row.subject: row.digest for row in known}
    return [each for each in now.items() if reported.get(each[0].subject) != each[1]]


async def _report(connection: AsyncConnection, period: _Period, digest: str, now: float) -> None:
    end = period.start + _LENGTH[period.per]
    rows = (
        await connection.execute(sa.text(_counted(period.per)), {"since": period.start, "end": end})
    ).all()
    revision = await connection.scalar(
        pg.insert(reports)
        .values(subject=period.subject, digest=digest, revision=1)
        .on_conflict_do_update(
            index_elements=[reports.c.subject],
            set_={
                "digest": digest,
                "revision": reports.c.revision + 1,
                "reported_at": sa.func.now(),
            },
        )
        .returning(reports.c.revision)
    )
    each = [PrefixFigures(row.prefix, _figures([row])) for row in rows]
    each.sort(key=lambda one: (-sum(msgspec.structs.astuple(one.figures)), one.prefix))
    report = PeriodReport(
        per=period.per,
        start=moment(period.start),
        revision=revision or 1,
        total=_figures(rows),
        prefixes=each[:MAX_PREFIXES],
        found=await _names(connection, period, "found", now),
        missing=await _names(connection, period, "missing", now),
    )
    await outbox.replace(
        connection,
        subject=period.subject,
        kind=STATISTICS,
        payload=msgspec.to_builtins(report),
    )


def _figures(rows: Sequence[Any]) -> Figures:
    return Figures(
        **{name: sum(getattr(row, name) for row in rows) for name in (*_COUNTED, *_REGISTERED)}
    )


async def _names(
    connection: AsyncConnection, period: _Period, kind: str, now: float
) -> list[NameFigures]:
    """Return the names that were asked for most on a day; none for an hour."""
    if period.per == HOUR:
        return []
    day = period.start.astimezone(CHINA).date()
    moment_ = datetime.datetime.fromtimestamp(now, datetime.UTC)
    ranked = await ranking(Work(connection, SYSTEM, "", moment_), kind, day, day, limit=MAX_NAMES)
    return [NameFigures(one.prefix, one.name, one.at_least, one.at_most) for one in ranked.names]
