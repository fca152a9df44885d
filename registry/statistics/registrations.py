"""Registrations by the hour: what triggers have noted is added up, each line once."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from collections.abc import Callable

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.database import Database
from registry.statistics import partitions

log = structlog.get_logger("idnode.statistics")

EVERY_SECONDS = 10.0
CLEAN_SECONDS = 600.0
BATCH = 10_000
"""Lines that one transaction adds up."""

_OLDEST = sa.text("SELECT min(at), max(at) FROM registration_changes")
_ADD_UP = sa.text(
    """
    WITH taken AS (
        DELETE FROM registration_changes WHERE (prefix, id) IN (
            SELECT prefix, id FROM registration_changes LIMIT :rows)
        RETURNING prefix, at, created, changed, deleted
    ), hours AS (
        INSERT INTO registration_hours AS h (prefix, hour, created, changed, deleted)
            SELECT prefix, date_trunc('hour', at, 'UTC'), sum(created), sum(changed), sum(deleted)
            FROM taken GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (prefix, hour) DO UPDATE SET created = h.created + excluded.created,
            changed = h.changed + excluded.changed, deleted = h.deleted + excluded.deleted
    ), totals AS (
        INSERT INTO registration_totals AS t (prefix, identifiers)
            SELECT prefix, sum(created - deleted) FROM taken GROUP BY 1 ORDER BY 1
        ON CONFLICT (prefix) DO UPDATE SET identifiers = t.identifiers + excluded.identifiers
    )
    SELECT count(*) FROM taken
    """
)
_FORGET = (
    sa.text("DELETE FROM resolution_sources WHERE ended AND updated_at < :before"),
    sa.text("DELETE FROM top_sources WHERE day < CAST(:before AS timestamptz)::date"),
)


async def run_statistics(
    database: Database, days: int, stop: asyncio.Event, clock: Callable[[], float] = time.time
) -> None:
    """Add up, make partitions ahead and drop old ones, until `stop`. Raises StoreUnavailable.

    days: how long statistics are kept at least. clock: returns Unix seconds.
    """
    clean_at = 0.0
    while not stop.is_set():
        if time.monotonic() >= clean_at:
            clean_at = time.monotonic() + CLEAN_SECONDS
            await clean_up(database, days, datetime.datetime.fromtimestamp(clock(), datetime.UTC))
        while await add_up(database) == BATCH and not stop.is_set():
            pass
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY_SECONDS):
                await stop.wait()


async def add_up(database: Database) -> int:
    """Add up what was noted, BATCH lines at most; return how many. Raises StoreUnavailable."""
    async with database.begin(within=30) as connection:
        await _make_missing(connection)
        added: int = (await connection.execute(_ADD_UP, {"rows": BATCH})).scalar_one()
    return added


async def _make_missing(connection: AsyncConnection) -> None:
    """Make the months of what was noted: it may be older, or newer, than what was made ahead."""
    oldest, newest = (await connection.execute(_OLDEST)).one()
    if oldest is not None:
        first, last = oldest.date(), newest.date()
        months = (last.year - first.year) * 12 + last.month - first.month + 1
        await partitions.make(connection, first, months=months)


async def clean_up(database: Database, days: int, now: datetime.datetime) -> list[str]:
    """Make the next months' partitions and drop those that are older than `days`.

    Returns the names of those dropped. Raises StoreUnavailable.
    """
    before = now - datetime.timedelta(days=days)
    async with database.begin() as connection:
        await partitions.make(connection, now.date(), months=1 + partitions.MONTHS_AHEAD)
        for statement in _FORGET:
            await connection.execute(statement, {"before": before})
    async with database.begin() as connection:
        dropped = await partitions.drop(connection, before.date())
    if dropped:
        log.info("statistics_dropped", partitions=dropped)
    return dropped
