"""Steps of the escrow that the node takes by itself, and what the top-level node hears of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry.database import Database
from registry.escrow import chain, schedule
from registry.escrow.manifest import Step
from registry.escrow.schedule import Schedule, run_escrow, step_due
from registry.schema import outbox as table
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.schema import escrows, prepare
from tests.integration.escrow_support import KEY, PUBLIC
from tests.integration.uplink_support import all_delivered, eventually, rows, serving, until, uplink

HOUR = 3600.0
NOW = 1_800_000_000.0


def _schedule(directory: Path, *, told: bool = True) -> Schedule:
    return Schedule(directory, HOUR, "88.118", "1", told)


async def _due(database: Database, directory: Path, now: float, **how: Any) -> Step | None:
    return await step_due(database, _schedule(directory, **how), KEY, lambda: now)


async def test_a_step_is_taken_when_it_is_due(database: Database, tmp_path: Path) -> None:
    at = tmp_path / "not there yet"
    first = await _due(database, at, NOW)
    assert first is not None
    assert await _due(database, at, NOW + HOUR - 1) is None
    second = await _due(database, at, NOW + HOUR)
    assert second is not None
    assert [step.manifest.number for step in chain.whole(at, PUBLIC)] == [0, 1]


async def test_each_step_is_told_once_and_in_order(database: Database, tmp_path: Path) -> None:
    await prepare(database)
    taken = [await _due(database, tmp_path, NOW + n * HOUR) for n in range(3)]
    assert await _due(database, tmp_path, NOW + 2 * HOUR + 1) is None
    async with serving(make_toplevel_app(database, token=None)) as url, uplink(database, url):
        sent = await until(database, "all is delivered", all_delivered)
    digests = [step.digest for step in taken if step is not None]
    assert [row.payload["digest"] for row in sent] == digests
    async with database.begin() as connection:
        query = sa.select(escrows).order_by(escrows.c.number)
        kept = (await connection.execute(query)).all()
    assert [row.digest for row in kept] == digests
    assert [row.previous for row in kept] == [None, *digests[:-1]]
    assert all(row.bytes > 0 for row in kept)


async def test_a_step_that_was_not_told_is_told_later(database: Database, tmp_path: Path) -> None:
    """The process may die when the step is on the disk and the message is not written."""
    step = await _due(database, tmp_path, NOW, told=False)
    assert step is not None
    assert await rows(database) == []
    assert await _due(database, tmp_path, NOW + 1) is None
    (message,) = await rows(database)
    assert message.payload["digest"] == step.digest


async def test_old_series_are_given_up(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "MAX_INCREMENTS", 1)
    for n in range(7):
        assert await _due(database, tmp_path, NOW + n * HOUR, told=False)
    numbers = [int(name[-5:]) for name in chain.names(tmp_path)]
    assert numbers == [0, 1, 0], "the two latest series are kept, and no other"
    assert len(chain.whole(tmp_path, PUBLIC)) == 1


async def test_it_ends_when_told_and_leaves_nothing_unfinished(
    database: Database, tmp_path: Path
) -> None:
    stop, locked = asyncio.Event(), await database.connection()
    try:
        await locked.execute("BEGIN; LOCK TABLE top_sources")  # the last table: a step waits there
        task = asyncio.create_task(
            run_escrow(database, _schedule(tmp_path), KEY, stop, lambda: NOW)
        )

        async def under_way() -> bool:
            return any(_left(tmp_path))

        await eventually("a step is under way", under_way)
        stop.set()
        async with asyncio.timeout(20):
            await task
    finally:
        locked.terminate()
    assert chain.names(tmp_path) == []
    assert _left(tmp_path) == []


def _left(directory: Path) -> list[Path]:
    """What an unfinished step has written of identifiers."""
    return list(directory.glob(".unfinished-*/identifiers.rows.zst"))


async def test_a_directory_that_cannot_be_written_is_told_and_tried_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "LOOK_SECONDS", 0.05)
    at, stop = tmp_path / "escrow", asyncio.Event()
    await asyncio.to_thread(at.write_text, "a file is in the way")
    task = asyncio.create_task(run_escrow(database, _schedule(at), KEY, stop, lambda: NOW))
    try:
        await asyncio.sleep(0)
        assert not task.done()
        await asyncio.to_thread(at.unlink)

        async def taken() -> bool:
            async with database.begin() as connection:
                found = await connection.scalar(sa.select(sa.func.count()).select_from(table))
            return found == 1

        await eventually("a step is taken after all", taken)
    finally:
        stop.set()
        await task
