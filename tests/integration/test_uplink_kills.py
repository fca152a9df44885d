"""Exactly once, in order: whatever is killed, and whenever."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from registry.database import Database
from tests.integration.uplink_support import all_delivered, arrived, put, until

_ROOT = Path(__file__).parents[2]
_ROUNDS = 24
_SUBJECTS = [f"88.118.{number}" for number in range(1, 7)]


class Process:
    """One of the modules run_*.py as a process that can be killed and started again."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = ["-m", f"tests.integration.{module}", *arguments]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._command, cwd=_ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            assert await self._process.stdout.readline() == b"ready\n", "it did not start"
        # Its log lines are of no use, but a full pipe would stop it.
        self._drain = asyncio.create_task(self._process.stdout.read())

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            await self._drain
            self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _write_on(database: Database, chance: random.Random) -> None:
    """Write filings of random subjects, numbered for each subject, until cancelled."""
    numbers: dict[str, int] = defaultdict(int)
    while True:
        subject = chance.choice(_SUBJECTS)
        await put(database, subject, numbers[subject])
        numbers[subject] += 1
        await asyncio.sleep(chance.random() * 0.02)


@pytest.mark.timeout(300)
async def test_each_message_takes_effect_once_and_in_order_under_kills(database: Database) -> None:
    chance = random.Random(20240229)
    port = _free_port()
    toplevel = Process("run_toplevel", database.url, str(port))
    uplink = Process("run_uplink", database.url, f"http://127.0.0.1:{port}")
    writer = asyncio.create_task(_write_on(database, chance))
    try:
        await asyncio.gather(toplevel.start(), uplink.start())
        for _ in range(_ROUNDS):
            victims = chance.choice([[toplevel], [uplink], [toplevel, uplink]])
            await asyncio.sleep(chance.random() * 0.4)  # the point at which it is hit
            await asyncio.gather(*(victim.kill() for victim in victims))
            await asyncio.gather(*(victim.start() for victim in victims))
            assert not writer.done(), "nothing was written while the processes died"
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer
        sent = await until(database, "what waits is delivered in the end", all_delivered, within=90)
    finally:
        writer.cancel()
        await asyncio.gather(toplevel.kill(), uplink.kill())

    assert len(sent) > 10 * _ROUNDS, "too few messages to mean anything"
    assert any(row.attempts > 1 for row in sent), "no fault was ever met"
    held = await arrived(database)
    assert sorted(row.message_id for row in held) == sorted(row.message_id for row in sent), (
        "a message is missing, or one came that was not written"
    )
    for subject in _SUBJECTS:
        came = [row for row in held if row.subject == subject]
        numbers = [int(row.payload["enterprise"]["industry"]) for row in came]
        assert numbers == list(range(len(came))), f"messages of {subject} are out of order"
