"""The operator port's look at the database: what it sees, and that it survives its absence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from admin.watch import Watch
from registry.database import Database

DEADLINE = 20.0


async def _until(holds: Callable[[], bool], promise: str) -> None:
    for _ in range(int(DEADLINE / 0.02)):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(promise)


async def test_watch_sees_the_registry_and_looks_again_after_its_connection_broke(
    database: Database,
) -> None:
    async with database.begin() as connection:
        await connection.exec_driver_sql(
            """
            WITH e AS (
                INSERT INTO enterprises (name, credit_code, industry, contact)
                VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
            INSERT INTO prefixes (prefix, enterprise_id, hosting, status)
                SELECT '88.118.35', id, 'hosted', 'active' FROM e"""
        )
        await connection.exec_driver_sql(
            "INSERT INTO imports (actor, format, state) VALUES ('operator:a', 'csv', 'running')"
        )
        await connection.exec_driver_sql(
            "INSERT INTO outbox (subject, kind, payload, attempts, last_error)"
            " VALUES ('88.118.35', 'prefix', '{}', 3, 'HTTP 422')"
        )
    watch, stop = Watch(), asyncio.Event()
    assert watch.error is not None
    running = asyncio.create_task(watch.run(database.url, stop))
    try:
        await _until(lambda: watch.error is None, "the database is seen")
        seen = watch.overview
        assert seen is not None
        assert (seen.enterprises, seen.prefixes) == (1, {"active": 1})
        assert [entry.state for entry in seen.imports] == ["running"]
        assert [(entry.subject, entry.attempts, entry.last_error) for entry in seen.waiting] == [
            ("88.118.35", 3, "HTTP 422")
        ]
        async with database.begin() as connection:
            await connection.exec_driver_sql(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE application_name = 'idnode control' AND datname = current_database()"""
            )
            await connection.exec_driver_sql("UPDATE prefixes SET status = 'suspended'")
        await _until(
            lambda: (
                watch.error is None
                and watch.overview is not None
                and watch.overview.prefixes == {"suspended": 1}
            ),
            "the database is seen again",
        )
    finally:
        stop.set()
        await running


async def test_watch_of_a_database_that_is_not_there_says_so_and_ends_when_told() -> None:
    watch, stop = Watch(), asyncio.Event()
    running = asyncio.create_task(watch.run("postgresql://u@127.0.0.1:1/none", stop))
    await _until(lambda: "Connect call failed" in (watch.error or ""), "the absence is told")
    stop.set()
    async with asyncio.timeout(DEADLINE):
        await running
