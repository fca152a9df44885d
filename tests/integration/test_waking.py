"""Readers of the change log are woken by every write: by triggers, or by the writer afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from registry.database import Database
from registry.store import CHANNEL
from tests.integration.registry_client import URL_VALUE, Node

Works = tuple[str, str]
"""An enterprise's key and its prefix."""

DEADLINE = 20.0


@pytest.fixture
async def woken(node: Node, works: Works) -> AsyncIterator[asyncio.Queue[None]]:
    """What a reader hears that listens, from now on."""
    heard: asyncio.Queue[None] = asyncio.Queue()
    await node.database.waker.close()  # what the enterprise was made with is told
    connection = await asyncpg.connect(node.database.url)
    await connection.add_listener(CHANNEL, lambda *_: heard.put_nowait(None))
    yield heard
    await connection.close()


async def hears(woken: asyncio.Queue[None]) -> None:
    async with asyncio.timeout(DEADLINE):
        await woken.get()


async def test_single_writes_and_batches_wake_readers_after_their_commit(
    node: Node, works: Works, woken: asyncio.Queue[None]
) -> None:
    key, prefix = works
    path, body = f"/identifiers/{prefix}/SN-1", {"values": [URL_VALUE]}
    batch = {"operations": [{"op": "put", "identifier": f"{prefix}/SN-2", **body}]}
    for method, target, sent in (
        ("PUT", path, body),
        ("PATCH", path, body),
        ("DELETE", path, None),
        ("POST", "/identifiers:batch", batch),
    ):
        status, answer, _ = await node.call(method, target, key, sent)
        assert status < 300, answer
        await hears(woken)
    await asyncio.gather(
        *(node.call("PUT", f"/identifiers/{prefix}/{n}", key, body) for n in range(20))
    )
    await hears(woken)


async def test_their_transactions_hold_no_notify(
    node: Node, works: Works, woken: asyncio.Queue[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction with a NOTIFY commits alone: many that write at once would wait in a line."""
    key, prefix = works
    monkeypatch.setattr(node.database.waker, "wake", lambda: None)
    body = {"values": [URL_VALUE]}
    calls = [node.call("PUT", f"/identifiers/{prefix}/{n}", key, body) for n in range(5)]
    assert {status for status, _, _ in await asyncio.gather(*calls)} == {201}
    status, answer, _ = await node.call("DELETE", f"/identifiers/{prefix}/1", key)
    assert status == 204, answer
    connection = await asyncpg.connect(node.database.url)
    try:
        # What is heard comes in the order of commits: nothing came before this.
        await connection.execute(f"NOTIFY {CHANNEL}")
        await hears(woken)
        assert woken.empty()
        for statement in (
            "UPDATE identifiers SET template = NULL WHERE suffix_key = '2'",
            "INSERT INTO identifiers (prefix, suffix_key, suffix, values)"
            f" VALUES ('{prefix}', 'X', 'x', '[]')",
            "DELETE FROM identifiers WHERE suffix_key = '3'",
        ):
            await connection.execute(statement)
            await hears(woken)  # everybody else is spoken for by the triggers
    finally:
        await connection.close()


async def test_many_writes_are_told_by_few_notifies(node: Node, woken: asyncio.Queue[None]) -> None:
    for _ in range(1000):
        node.database.waker.wake()
    await hears(woken)
    await node.database.waker.close()
    connection = await asyncpg.connect(node.database.url)
    try:
        await connection.execute(f"NOTIFY {CHANNEL}")
    finally:
        await connection.close()
    await hears(woken)
    assert woken.qsize() <= 2


async def test_without_a_database_a_writer_goes_on() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing", timeout=1)
    database.waker.wake()
    await database.waker.close()
    database.waker.wake()  # it can be asked again
    await database.close()
