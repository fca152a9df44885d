"""Exactly once, in order: whatever is killed, and whenever."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry import outbox
from registry.database import Database
from registry.schema import outbox as table
from resolver.federation.toplevel.schema import figures
from tests.integration.run_writer import REPORT, SUBJECTS
from tests.integration.uplink_support import arrived, eventually, rows

_ROOT = Path(__file__).parents[2]

ROUNDS = int(os.environ.get("KILL_ROUNDS", "24"))
"""How often something is killed; `make kills` does a thousand."""


class Forks:
    """Starts processes of run_*.py in milliseconds, and kills them."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.run_forks"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._running: dict[str, int] = {}

    def start(self, module: str, *arguments: object) -> None:
        self._running[module] = self._ask([module, *arguments])

    def kill(self, module: str) -> None:
        number = self._running.pop(module)
        os.kill(number, signal.SIGKILL)
        assert self._ask([]) == number, f"{module} has ended by itself"

    def end(self) -> None:
        self._server.communicate(timeout=30)

    def _ask(self, line: list[object]) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(line), file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.timeout(300 + 3 * ROUNDS)
async def test_each_message_takes_effect_once_and_in_order_under_kills(database: Database) -> None:
    chance, began = random.Random(20240229), time.monotonic()
    port, forks = _free_port(), Forks()
    processes: dict[str, tuple[object, ...]] = {
        "run_toplevel": (database.url, port),
        "run_uplink": (database.url, f"http://127.0.0.1:{port}"),
        "run_writer": (database.url, 7),
    }
    try:
        for name, arguments in processes.items():
            forks.start(name, *arguments)
        for _ in range(ROUNDS):
            victims = chance.sample(sorted(processes), chance.choice([1, 1, 2, 3]))
            await asyncio.sleep(chance.random() * 0.4)  # the point at which it is hit
            for name in victims:
                forks.kill(name)
            for name in victims:
                forks.start(name, *processes[name])
        await eventually("it is written and delivered after all", _goes_on(database))
        forks.kill("run_writer")
        await eventually("what waits is delivered in the end", _all_delivered(database), within=120)
    finally:
        await asyncio.to_thread(forks.end)
    sent, held = await rows(database), await arrived(database)
    print(
        f"{ROUNDS} rounds in {time.monotonic() - began:.0f} s: {len(sent)} messages,"
        f" {sum(row.attempts > 1 for row in sent)} of them sent more than once"
    )
    filed = [row for row in sent if row.subject in SUBJECTS]
    assert len(filed) >= ROUNDS // 2, "too few messages to mean anything"
    assert any(row.attempts > 1 for row in sent), "no fault was ever met"
    came = [row.message_id for row in held if row.subject in SUBJECTS]
    assert sorted(came) == sorted(row.message_id for row in filed), (
        "a message is missing, or one came that was not written"
    )
    for subject in SUBJECTS:
        numbers = [
            int(row.payload["enterprise"]["industry"]) for row in held if row.subject == subject
        ]
        assert numbers == list(range(len(numbers))), f"messages of {subject} are out of order"
    last = max(row.payload["revision"] for row in sent if row.subject == REPORT)
    async with database.begin() as connection:
        kept = await connection.scalar(sa.select(figures.c.revision))
    assert kept == last, "the report that holds is not the latest"


def _goes_on(database: Database) -> Callable[[], Coroutine[Any, Any, bool]]:
    """Whether enough has been written and delivered for the test to mean anything."""

    async def look() -> bool:
        async with database.begin() as connection:
            delivered = await connection.scalar(
                sa.select(sa.func.count()).where(table.c.delivered_at.is_not(None))
            )
        return (delivered or 0) > 4 * len(SUBJECTS)

    return look


def _all_delivered(database: Database) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def look() -> bool:
        async with database.begin() as connection:
            return (await outbox.waiting(connection)).depth == 0

    return look
