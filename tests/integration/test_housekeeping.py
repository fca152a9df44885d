"""Housekeeping deletes what has served its time, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from registry import housekeeping
from registry.database import Database
from registry.housekeeping import clean_up, run_housekeeping


async def run(database: Database, sql: str) -> Any:
    pool = await database.pool()
    return await pool.fetch(sql)


async def fill(database: Database) -> None:
    for age in ("59 minutes", "61 minutes", "23 hours", "25 hours"):
        when = f"now() - interval '{age}'"
        await run(
            database,
            f"INSERT INTO change_log (prefix, created_at) SELECT '{age}', {when} "
            "FROM generate_series(1, 3)",
        )
        await run(
            database,
            "INSERT INTO idempotency_keys (actor, key, fingerprint, status, headers, body, "
            f"created_at) VALUES ('a', '{age}', '', 202, '{{}}', '', {when})",
        )
        for state in ("uploading", "queued", "running", "done", "failed"):
            ended = when if state in ("done", "failed") else "NULL"
            await run(
                database,
                "WITH i AS (INSERT INTO imports (actor, format, state, updated_at, finished_at) "
                f"VALUES ('{age}', 'csv', '{state}', {when}, {ended}) RETURNING id) "
                "INSERT INTO import_chunks SELECT id, n, 'x' FROM i, generate_series(0, 2) AS n",
            )


async def test_old_things_go_and_young_ones_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database)
    await clean_up(database)
    left = await run(database, "SELECT DISTINCT prefix FROM change_log")
    assert [row[0] for row in left] == ["59 minutes"]
    left = await run(database, "SELECT key FROM idempotency_keys ORDER BY key")
    assert [row[0] for row in left] == ["23 hours", "59 minutes", "61 minutes"]
    left = await run(database, "SELECT actor FROM imports WHERE state = 'uploading'")
    assert [row[0] for row in left] == ["59 minutes"]
    (row,) = await run(database, "SELECT count(*) FROM imports WHERE state <> 'uploading'")
    assert row[0] == 16, "an import that was queued is never deleted"
    left = await run(
        database,
        "SELECT i.state, count(*) FROM import_chunks c JOIN imports i ON i.id = c.import_id "
        "GROUP BY i.state ORDER BY i.state",
    )
    assert [tuple(row) for row in left] == [
        ("failed", 12),
        ("queued", 12),
        ("running", 12),
        ("uploading", 3),
    ], "an import that failed may be resumed"


async def test_files_of_imports_that_may_be_resumed_are_kept_for_7_days(
    database: Database,
) -> None:
    for days in (6, 8):
        for state in ("done", "checked", "failed", "cancelled"):
            await run(
                database,
                "WITH i AS (INSERT INTO imports (actor, format, state, finished_at) "
                f"VALUES ('{days}', 'csv', '{state}', now() - interval '{days} days') "
                "RETURNING id) INSERT INTO import_chunks SELECT id, 0, 'x' FROM i",
            )
    await clean_up(database)
    left = await run(
        database,
        "SELECT actor, state FROM import_chunks JOIN imports ON id = import_id ORDER BY state",
    )
    assert [tuple(row) for row in left] == [("6", "cancelled"), ("6", "failed")]


async def test_old_imports_go_with_their_errors_and_others_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age in (179, 181):
        for state in ("done", "failed", "running"):
            ended = "NULL" if state == "running" else f"now() - interval '{age} days'"
            await run(
                database,
                "WITH i AS (INSERT INTO imports (actor, format, state, created_at, finished_at) "
                f"VALUES ('{age}', 'csv', '{state}', now() - interval '200 days', {ended}) "
                "RETURNING id) INSERT INTO import_errors "
                "SELECT id, n, 'values', 'missing' FROM i, generate_series(1, 1200) AS n",
            )
    monkeypatch.setattr(housekeeping, "MAX_BATCHES", 1)
    deleted = await clean_up(database)
    assert (deleted["errors_of_old_imports"], deleted["old_imports"]) == (1000, 0), "all at once"
    monkeypatch.undo()
    await clean_up(database)
    left = await run(
        database,
        "SELECT actor, state, count(*) FROM imports JOIN import_errors ON import_id = id "
        "GROUP BY actor, state ORDER BY actor, state",
    )
    assert [tuple(row) for row in left] == [
        ("179", "done", 1200),
        ("179", "failed", 1200),
        ("179", "running", 1200),
        ("181", "running", 1200),
    ]
    (row,) = await run(database, "SELECT count(*) FROM imports")
    assert row[0] == 4


async def test_messages_go_when_they_were_delivered_long_ago(database: Database) -> None:
    for age in (29, 31, 400):
        for delivered in (f"now() - interval '{age} days'", "NULL"):
            await run(
                database,
                "INSERT INTO outbox (subject, kind, payload, created_at, delivered_at) "
                f"VALUES ('{age}', 'prefix', '{{}}', now() - interval '401 days', {delivered})",
            )
    await clean_up(database)
    left = await run(
        database, "SELECT subject, delivered_at IS NULL FROM outbox ORDER BY subject, 2"
    )
    assert [tuple(row) for row in left] == [
        ("29", False),
        ("29", True),
        ("31", True),
        ("400", True),
    ]


async def test_more_than_one_batch_is_deleted(database: Database) -> None:
    await run(
        database,
        "INSERT INTO change_log (created_at) SELECT now() - interval '2 hours' "
        "FROM generate_series(1, 2500)",
    )
    assert (await clean_up(database))["change_log"] == 2500


async def test_the_database_may_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = asyncio.Event()
    attempts = 0

    class Log:
        @staticmethod
        def warning(event: str, **_: object) -> None:
            nonlocal attempts
            assert event == "housekeeping_put_off"
            attempts += 1
            if attempts == 3:
                rounds.set()

    monkeypatch.setattr(housekeeping, "log", Log)
    monkeypatch.setattr(housekeeping, "EVERY_SECONDS", 0.01)
    database = Database("postgresql://nobody@/nothing?host=/nonexistent")
    stop = asyncio.Event()
    job = asyncio.create_task(run_housekeeping(database, stop))
    try:
        await asyncio.wait_for(rounds.wait(), 30)
    finally:
        stop.set()
        await asyncio.wait_for(job, 30)
