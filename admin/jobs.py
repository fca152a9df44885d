"""The jobs process: imports, the uplink, the log and cleaning up, once in the whole registry.

Several nodes on one registry each have a jobs process; a session lock of PostgreSQL lets one
of them work, and the next one when that one's connection ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import asyncpg
import structlog

from admin import __version__, child, datadir
from admin.metrics import total_of
from admin.settings import Settings
from admin.site import can_be_reached, own_site
from admin.trust import Trust, find_trust
from admin.waiting import Backoff, wait
from protocol.errors import StoreUnavailable
from protocol.typed import site_to_json
from registry.database import Database, unavailable
from registry.escrow.schedule import Schedule, run_escrow
from registry.housekeeping import run_housekeeping
from registry.imports.job import run_imports
from registry.metrics import METRICS, Row, open_rows
from registry.node_filing import file_node
from registry.outbox import run_depth
from registry.reports import run_reports
from registry.services import Registry
from registry.statistics.registrations import run_statistics
from registry.transparency.heads import run_log
from registry.transparency.keys import load_key
from resolver.federation.health import Workers
from resolver.federation.uplink import run_uplink

log = structlog.get_logger("idnode.jobs")

_LOCK = "idnode jobs"
_TRY_SECONDS = 1.0
_ALIVE_TIMEOUT = 5.0

Job = Callable[[asyncio.Event], Awaitable[None]]


async def work(task: child.Task, stop: asyncio.Event) -> None:
    """Do the jobs of the registry whenever no other process does, until `stop`."""
    database = Database(task.database_url, pool_size=4)
    trust = find_trust(task.settings)
    # Whether or not others do the jobs: the certificate is this node's own.
    keeping = None if trust is None else asyncio.create_task(_keep("certificate", trust.keep, stop))
    child.report_ready()
    backoff = Backoff(first=0.2, longest=5.0)
    try:
        while not stop.is_set():
            began = time.monotonic()
            try:
                await _work_once(task, database, trust, stop)
            except StoreUnavailable as error:
                log.warning("jobs_without_database", cause=repr(error.__cause__ or error))
            if not stop.is_set():
                await wait(stop, backoff.next(time.monotonic() - began))
    finally:
        if keeping is not None:
            await keeping
        await database.close()
    log.info("jobs_ended")


async def _work_once(
    task: child.Task, database: Database, trust: Trust | None, stop: asyncio.Event
) -> None:
    """Wait for the lock and work while it is held. Raises StoreUnavailable."""
    with unavailable():
        connection = await database.connection()
    try:
        if await _locked(connection, stop):
            log.info("jobs_begun")
            await _run_all(_jobs(task, database, trust, task.open_row()), connection, stop)
    finally:
        connection.terminate()


async def _locked(connection: asyncpg.Connection, stop: asyncio.Event) -> bool:
    """Wait until the lock is ours; False if told to stop before."""
    waited = False
    while not stop.is_set():
        with unavailable():
            if await connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtext($1))", _LOCK, timeout=_ALIVE_TIMEOUT
            ):
                return True
        if not waited:
            log.info("jobs_wait", reason="another process does the jobs of this registry")
            waited = True
        await wait(stop, _TRY_SECONDS)
    return False


def _jobs(task: child.Task, database: Database, trust: Trust | None, row: Row) -> Mapping[str, Job]:
    settings = task.settings
    registry = Registry(database, settings.prefix, lambda prefix, suffix_keys: None, row)
    jobs: dict[str, Job] = {
        "imports": lambda stop: run_imports(registry, stop),
        "housekeeping": lambda stop: run_housekeeping(database, stop),
        "statistics": lambda stop: run_statistics(database, settings.statistics_days, stop),
        "outbox_depth": lambda stop: run_depth(database, row, stop),
        "log": lambda stop: run_log(database, load_key(datadir.log_key(settings)), stop),
    }
    if settings.escrow_dir is not None:
        schedule = Schedule(
            settings.escrow_dir,
            settings.escrow_hours * 3600,
            settings.prefix,
            __version__,
            told=settings.toplevel_url is not None,
        )
        jobs["escrow"] = lambda stop: run_escrow(
            database, schedule, load_key(datadir.log_key(settings)), stop
        )
    if settings.toplevel_url is not None:
        jobs["reports"] = lambda stop: run_reports(database, stop)
        rows = open_rows(Path(task.metrics_file))
        jobs["uplink"] = lambda stop: _uplink(settings, database, trust, stop, row=row, rows=rows)
    return jobs


async def _uplink(
    settings: Settings,
    database: Database,
    trust: Trust | None,
    stop: asyncio.Event,
    *,
    row: Row,
    rows: Sequence[Row],
) -> None:
    """File where this node is itself, and send whatever is filed."""
    assert settings.toplevel_url is not None  # noqa: S101  (there is no such job otherwise)
    if can_be_reached(settings):
        await file_node(database, settings.prefix, site_to_json(own_site(settings).record))
    else:
        log.warning("site_not_filed", reason="IDNODE_HANDLE_ADDRESS is not set")
    await run_uplink(
        database,
        url=settings.toplevel_url,
        token=settings.toplevel_token,
        node_prefix=settings.prefix,
        row=row,
        stop=stop,
        workers=lambda: of_workers(rows),
        tls=None if trust is None else trust.context,
    )


def of_workers(rows: Sequence[Row]) -> Workers:
    """Put together what the processes of this node count."""

    def totals(name: str) -> dict[tuple[str, ...], float]:
        metric = next(metric for metric in METRICS if metric.name == name)
        return {labels: total_of(rows, metric, labels)[0] for labels in metric.series}

    errors = sum(
        count
        for (_, result), count in totals("idnode_resolutions").items()
        if result in ("unavailable", "error")
    )
    return Workers(
        reaching=int(totals("idnode_database_up")[()]),
        lag_seconds=totals("idnode_feed_lag_seconds")[()],
        errors=int(errors),
    )


async def _run_all(
    jobs: Mapping[str, Job], connection: asyncpg.Connection, stop: asyncio.Event
) -> None:
    """Run all jobs until `stop`, or until the connection that holds the lock is lost."""
    halt = asyncio.Event()
    running = [asyncio.create_task(_keep(name, job, halt)) for name, job in jobs.items()]
    try:
        while not stop.is_set():
            with unavailable():
                await connection.fetchval("SELECT 1", timeout=_ALIVE_TIMEOUT)
            await wait(stop, _TRY_SECONDS)
    finally:
        halt.set()
        await asyncio.gather(*running)


async def _keep(name: str, job: Job, stop: asyncio.Event) -> None:
    """Run one job until `stop`; one that fails is told of and begun again."""
    backoff = Backoff(first=0.5, longest=30.0)
    while not stop.is_set():
        began = time.monotonic()
        try:
            await job(stop)
        except StoreUnavailable as error:
            log.warning("job_without_database", job=name, cause=repr(error.__cause__ or error))
        except Exception:
            log.exception("job_failed", job=name)
        await wait(stop, backoff.next(time.monotonic() - began))


if __name__ == "__main__":
    child.run(work)
