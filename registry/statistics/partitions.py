"""The months of the statistics: a partition each, made ahead, dropped whole when they are old."""

from __future__ import annotations

import datetime
import re

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

TABLES = ("resolution_hours", "registration_hours", "top_names")
"""Partitioned by the month, in UTC, of their `hour` or `day`."""

MONTHS_AHEAD = 2

_MONTH = re.compile(r"_([0-9]{4})_([0-9]{2})")
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtext('idnode partitions'))")
_MADE = sa.text(
    "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = to_regclass(:table)"
)


def month_of(day: datetime.date) -> datetime.date:
    """Return the first day of the month."""
    return datetime.date(day.year, day.month, 1)


def next_month(month: datetime.date) -> datetime.date:
    """Return the first day of the month after."""
    return month_of(month + datetime.timedelta(days=31))


def statement(table: str, month: datetime.date) -> str:
    """Return the statement that makes the partition of a month."""
    zone = "" if table == "top_names" else " 00:00:00+00"
    return (
        f"CREATE TABLE IF NOT EXISTS {table}_{month:%Y_%m} PARTITION OF {table}"
        f" FOR VALUES FROM ('{month}{zone}') TO ('{next_month(month)}{zone}')"
    )


async def make(connection: AsyncConnection, first: datetime.date, *, months: int = 1) -> None:
    """Make the partitions of some months, from that of a day on, which are not there yet."""
    month = month_of(first)
    wanted = []
    for _ in range(months):
        wanted += [(table, month) for table in TABLES]
        month = next_month(month)
    if not [pair for pair in wanted if pair[1] not in await _months(connection, pair[0])]:
        return
    await connection.execute(_LOCK)
    for table, of_month in wanted:
        if of_month not in await _months(connection, table):
            await connection.execute(sa.text(statement(table, of_month)))


async def drop(connection: AsyncConnection, before: datetime.date) -> list[str]:
    """Drop the partitions whose months had ended before a day; return their names."""
    await connection.execute(_LOCK)
    dropped = []
    for table in TABLES:
        for month in sorted(await _months(connection, table)):
            if next_month(month) <= before:
                name = f"{table}_{month:%Y_%m}"
                await connection.execute(sa.text(f"DROP TABLE {name}"))
                dropped.append(name)
    return dropped


async def _months(connection: AsyncConnection, table: str) -> set[datetime.date]:
    found = set()
    for name in (await connection.execute(_MADE, {"table": table})).scalars():
        match = _MONTH.fullmatch(name.removeprefix(table))
        if match is not None:
            found.add(datetime.date(int(match[1]), int(match[2]), 1))
    return found
