"""Of several nodes on one registry, one does the jobs, and another when that one is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from admin import jobs
from admin.child import Task
from admin.settings import Settings
from registry import metrics, outbox
from registry.database import Database

DEADLINE = 20.0


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the processes that began to do the jobs, in order."""
    names: list[str] = []

    def recording(task: Task, *_: object) -> Mapping[str, jobs.Job]:
        async def job(stop: asyncio.Event) -> None:
            names.append(task.name)
            await stop.wait()

        return {"recording": job}

    monkeypatch.setattr(jobs, "_jobs", recording)
    monkeypatch.setattr(jobs, "_TRY_SECONDS", 0.05)
    monkeypatch.setattr(jobs.child, "report_ready", lambda: None)
    return names


@asynccontextmanager
async def _process(name: str, url: str, tmp_path: Path) -> AsyncIterator[asyncio.Event]:
    file = tmp_path / "metrics"
    metrics.create(file, 1)
    stop = asyncio.Event()
    task = Task(name, Settings(), url, str(file), 0)
    running = asyncio.create_task(jobs.work(task, stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(running, DEADLINE)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.01)


async def test_one_process_does_the_jobs_and_another_takes_over(
    database_url: str, tmp_path: Path, begun: list[str]
) -> None:
    with capture_logs() as logs:
        async with _process("first", database_url, tmp_path) as stop_first:
            await _until(lambda: begun == ["first"])
            async with _process("second", database_url, tmp_path):
                await _until(lambda: "jobs_wait" in [line["event"] for line in logs])
                assert begun == ["first"], "two processes do the jobs at once"
                stop_first.set()
                await _until(lambda: begun == ["first", "second"])


async def test_jobs_are_taken_up_again_after_the_connection_was_lost(
    database_url: str, database: Database, tmp_path: Path, begun: list[str]
) -> None:
    async with _process("first", database_url, tmp_path):
        await _until(lambda: begun == ["first"])
        async with database.begin() as connection:
            await connection.exec_driver_sql(
                """SELECT pg_terminate_backend(pid) FROM pg_locks
                   WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"""
            )
        await _until(lambda: begun == ["first", "first"])


async def test_messages_that_wait_are_shown_without_a_top_level_node_and_by_one_process(
    database_url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.child, "report_ready", lambda: None)
    monkeypatch.setattr(jobs, "_TRY_SECONDS", 0.05)
    async with database.begin() as connection:
        for subject in ("88.118.1", "88.118.2"):
            await outbox.enqueue(connection, subject=subject, kind="prefix", payload={})
    depth = metrics.slot("idnode_outbox_depth")
    async with _process("first", database_url, tmp_path) as stop:
        (row,) = metrics.open_rows(tmp_path / "metrics")
        await _until(lambda: row.cells[depth] == 2)
        stop.set()
        await _until(lambda: row.cells[depth] == 0)


async def test_a_job_that_fails_is_begun_again_and_stops_when_told() -> None:
    stop, runs = asyncio.Event(), 0

    async def fails(_: asyncio.Event) -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            stop.set()
        raise RuntimeError("broken")

    async with asyncio.timeout(DEADLINE):
        await jobs._keep("broken", fails, stop)
    assert runs == 3
