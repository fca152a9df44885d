"""The fleet keeps its processes, also while the system does not let it start any."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from admin import child, fleet
from admin.fleet import Fleet
from admin.settings import Settings
from registry import metrics

DEADLINE = 20.0


@pytest.fixture
def program(tmp_path: Path) -> str:
    """Says that it is ready, and waits to be ended."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\nprintf '{child.READY.decode()}'\nexec cat\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Fleet]:
    settings = Settings(workers=1)
    file = tmp_path / "metrics"
    metrics.create(file, Fleet.rows_needed(settings))
    rows = metrics.open_rows(file)
    kept = Fleet(settings, "postgresql://nowhere", str(file), rows, Counter())
    yield kept
    await kept.stop()
    assert sorted(kept._free_rows) == [0, 1, 2], "a row of metrics is lost"


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_process_that_cannot_be_started_is_tried_again(
    kept: Fleet, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet.sys, "executable", "/nonexistent/python")
    with capture_logs() as logs:
        kept.start()
        # More tries than there are rows.
        await _until(lambda: sum(line["event"] == "process_not_started" for line in logs) >= 6)
        monkeypatch.setattr(fleet.sys, "executable", program)
        assert await kept.all_ready(DEADLINE), "nobody starts the worker any more"


async def test_a_process_that_cannot_be_replaced_goes_on(
    kept: Fleet, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet.sys, "executable", program)
    kept.start()
    assert await kept.all_ready(DEADLINE)
    before = [slot.child for slot in kept.slots]
    monkeypatch.setattr(fleet.sys, "executable", "/nonexistent/python")
    await kept.replace_all(Settings(workers=1, log_level="debug"))
    assert [slot.child for slot in kept.slots] == before
    monkeypatch.setattr(fleet.sys, "executable", program)
    await kept.replace_all(Settings(workers=1))
    assert kept.ready_workers == 1
    assert kept.slots[0].child is not before[0]
