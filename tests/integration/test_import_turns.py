"""No enterprise makes others wait for all of its files, nor fills the database with them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from registry.imports import batches, room, turns
from registry.imports.job import run_imports
from tests.integration.import_support import (
    DEADLINE,
    csv_file,
    query,
    registry_of,
    send,
    until,
    worked_on,
)
from tests.integration.registry_client import Node


@pytest.fixture
async def other(node: Node) -> tuple[str, str]:
    """Another enterprise's key and its prefix."""
    enterprise, key = await node.enterprise(2)
    return key, await node.prefix(enterprise, key)


@contextlib.asynccontextmanager
async def working(node: Node) -> AsyncIterator[None]:
    stop = asyncio.Event()
    job = asyncio.create_task(run_imports(registry_of(node), stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(job, DEADLINE)


async def sent(node: Node, key: str, prefix: str, rows: int = 1, more: str = "") -> str:
    status, made = await send(node, key, csv_file(prefix, rows), f"?format=csv{more}")
    assert status == 202, made
    return str(made["id"])


async def ended_in_order(node: Node, count: int) -> list[str]:
    """Work until so many imports are at their end; return them in the order in which they came."""
    ended = "SELECT id FROM imports WHERE state IN ('done', 'checked') ORDER BY finished_at"

    async def all_done() -> bool:
        return len(await query(node, ended)) == count

    async with working(node):
        await until(all_done, f"{count} imports done")
    return [str(row["id"]) for row in await query(node, ended)]


async def test_enterprises_take_turns(
    node: Node, works: tuple[str, str], other: tuple[str, str]
) -> None:
    mine = [await sent(node, *works) for _ in range(3)]
    theirs = [await sent(node, *other) for _ in range(2)]
    order = await ended_in_order(node, 5)
    assert order == [mine[0], theirs[0], mine[1], theirs[1], mine[2]]


async def test_cancelling_and_resuming_wins_no_turn(
    node: Node, works: tuple[str, str], other: tuple[str, str]
) -> None:
    mine, theirs = [await sent(node, *works, rows=1) for _ in range(2)], await sent(node, *other)
    await worked_on(node, works[0], mine[0])
    for step in ("cancel", "resume"):
        assert (await node.call("POST", f"/imports/{mine[1]}/{step}", works[0]))[0] == 200
    assert await ended_in_order(node, 3) == [mine[0], theirs, mine[1]]


@pytest.mark.parametrize("dry", [False, True])
async def test_a_long_import_makes_way_and_goes_on_where_it_was(
    node: Node,
    works: tuple[str, str],
    other: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    dry: bool,
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 10)
    monkeypatch.setattr(turns, "SECONDS", 0.0)
    mine = await sent(node, *works, rows=100, more="&dry_run=true" if dry else "")
    theirs = await sent(node, *other)
    order = await ended_in_order(node, 2)
    assert order == ([mine, theirs] if dry else [theirs, mine])
    _, body, _ = await node.call("GET", f"/imports/{mine}", works[0])
    assert (body["done"], body["failed"]) == (100, 0)
    (found,) = await query(
        node, "SELECT count(*), sum(jsonb_array_length(values)) FROM identifiers"
        " WHERE prefix = $1", works[1]
    )  # fmt: skip
    assert tuple(found) == ((0, None) if dry else (100, 200)), "nothing twice, nothing lost"


async def test_an_enterprise_has_a_bounded_number_of_imports_under_way(
    node: Node, works: tuple[str, str], other: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_OPEN", 2)
    key, prefix = works
    waiting = [await sent(node, key, prefix) for _ in range(2)]
    refused = await asyncio.gather(*(send(node, key, csv_file(prefix, 1)) for _ in range(3)))
    assert [status for status, _ in refused] == [409, 409, 409]
    assert "2 imports are under way" in refused[0][1]["detail"]
    await sent(node, *other)
    assert (await node.call("POST", f"/imports/{waiting[0]}/cancel", key))[0] == 200
    await sent(node, key, prefix)
    assert (await node.call("POST", f"/imports/{waiting[0]}/resume", key))[0] == 409
    await worked_on(node, key, waiting[1])
    assert (await node.call("POST", f"/imports/{waiting[0]}/resume", key))[0] == 200


async def test_the_files_of_an_enterprise_have_a_bounded_size(
    node: Node, works: tuple[str, str], other: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, prefix = works
    small, large = csv_file(prefix, 10), csv_file(prefix, 60_000)
    monkeypatch.setattr(room, "MAX_BYTES", 2 << 20)
    assert len(large) > 2 << 20
    status, problem, _ = await node.call(
        "POST", "/imports?format=csv", key, large, Accept_Language="zh"
    )
    assert (status, "保存的文件合计超过" in problem["detail"]) == (409, True)
    assert not await query(node, "SELECT FROM import_chunks"), "what was refused is not kept"
    monkeypatch.setattr(room, "MAX_BYTES", 3 * len(small) - 1)
    kept = [await sent(node, key, prefix, rows=10) for _ in range(2)]
    assert (await node.call("POST", f"/imports/{kept[0]}/cancel", key))[0] == 200
    assert (await send(node, key, small))[0] == 409, "the file of a cancelled import is kept"
    assert (await send(node, other[0], csv_file(other[1], 10)))[0] == 202
    await worked_on(node, key, kept[1])
    assert (await send(node, key, small))[0] == 202, "what is done is kept no more"
