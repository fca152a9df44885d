"""Imports are watched, cancelled and resumed; what is committed stays and is counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from registry.imports import batches, readers, uploads
from registry.imports.job import run_imports
from tests.integration.import_support import (
    DEADLINE,
    csv_file,
    imported,
    query,
    registry_of,
    send,
    until,
    worked_on,
)
from tests.integration.registry_client import Node


async def _step(node: Node, token: str | None, import_id: str, step: str) -> tuple[int, Any]:
    status, body, _ = await node.call("POST", f"/imports/{import_id}/{step}", token)
    return status, body


@contextlib.asynccontextmanager
async def _held(node: Node, prefix: str, suffix: str) -> AsyncIterator[asyncpg.Connection]:
    """Hold the job at a row that another transaction is about to write."""
    blocker = await node.database.connection()
    try:
        await blocker.execute("BEGIN")
        await blocker.execute(
            "INSERT INTO identifiers (prefix, suffix_key, suffix, values)"
            " VALUES ($1, $2, $2, '[]')",
            prefix,
            suffix,
        )
        yield blocker
    finally:
        await blocker.close()


async def _waits(node: Node) -> bool:
    return bool(
        await query(
            node,
            """SELECT FROM pg_stat_activity WHERE query LIKE 'COPY %identifiers%'
               AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()""",
        )
    )


async def test_cancelling_does_not_wait_for_the_batch_and_resuming_goes_on_behind_it(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)
    key, prefix = works
    _, made = await send(node, key, csv_file(prefix, 1000))
    stop = asyncio.Event()
    job = asyncio.create_task(run_imports(registry_of(node), stop))
    try:
        async with _held(node, prefix, "SN-000550") as blocker:
            await until(lambda: _waits(node), "the job held in the middle of a batch")
            status, body = await _step(node, key, made["id"], "cancel")
            assert (status, body["state"]) == (200, "cancelled"), "while the batch is held"
            assert body["finished_at"]
            assert body["done"] == 499
            await blocker.execute("ROLLBACK")
        assert (await _step(node, key, made["id"], "cancel"))[0] == 200, "it is cancelled already"

        async def next_one_done() -> bool:
            return bool(await query(node, "SELECT FROM imports WHERE state = 'done'"))

        await send(node, key, b"identifier\n")
        await until(next_one_done, "the import after it done")
        (count,) = await query(node, "SELECT count(*) FROM identifiers WHERE prefix <> '0.NA'")
        assert count[0] == 499, "what was committed stays, the batch under way does not"
        status, body, _ = await node.call("GET", f"/imports/{made['id']}", key)
        assert (body["state"], body["done"]) == ("cancelled", 499)
        status, body = await _step(node, key, made["id"], "resume")
        assert (status, body["state"], body["finished_at"]) == (200, "queued", None)

        async def done() -> bool:
            _, body, _ = await node.call("GET", f"/imports/{made['id']}", key)
            return bool(body["state"] == "done")

        await until(done, "the import resumed and done")
    finally:
        stop.set()
        await asyncio.wait_for(job, DEADLINE)
    _, body, _ = await node.call("GET", f"/imports/{made['id']}", key)
    assert (body["done"], body["failed"], body["progress"], body["eta"]) == (1000, 0, 1, None)
    assert await query(node, "SELECT FROM identifier_history") == [], "nothing was done twice"
    lines = await query(
        node, "SELECT action FROM audit_log WHERE subject = $1 ORDER BY seq", made["id"]
    )
    steps = [line["action"] for line in lines if line["action"] != "import.batch"]
    assert steps == ["import.queue", "import.cancel", "import.resume", "import.done"]


async def test_one_that_failed_is_resumed_and_fails_at_the_same_row(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    record = await imported(node, key, csv_file(prefix, 3) + b'"open')
    assert (record["state"], record["done"]) == ("failed", 3)
    status, body = await _step(node, key, record["id"], "resume")
    assert (status, body["state"], body["reason"]) == (200, "queued", None)
    again = await worked_on(node, key, record["id"])
    assert (again["state"], again["done"]) == ("failed", 3)
    assert again["reason"] == record["reason"]


async def test_steps_that_the_state_does_not_allow_are_refused(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    record = await imported(node, key, csv_file(prefix, 3))
    status, body = await _step(node, key, record["id"], "cancel")
    assert (status, body["detail"]) == (
        409,
        "the import is done: only one under way can be cancelled",
    )
    assert (await _step(node, key, record["id"], "resume"))[0] == 409
    _, made = await send(node, key, csv_file(prefix, 3))
    assert (await _step(node, key, made["id"], "resume"))[0] == 409, "it is queued"
    assert (await _step(node, key, made["id"], "cancel"))[0] == 200
    await query(node, "DELETE FROM import_chunks")
    status, body, _ = await node.call(
        "POST", f"/imports/{made['id']}/resume", key, Accept_Language="zh"
    )
    assert (status, body["detail"]) == (409, "文件已不再保存,请重新上传")
    (row,) = await query(node, "SELECT state FROM imports WHERE id = $1::text::uuid", made["id"])
    assert row[0] == "cancelled", "a step that is refused changes nothing"


async def test_who_may_not_change_an_import_may_not_cancel_or_resume_it(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    _, other_key = await node.enterprise(2)
    _, made = await send(node, key, csv_file(prefix, 3))
    for step in ("cancel", "resume"):
        for token, expected in ((other_key, 404), (node.reviewer, 404), (None, 401)):
            assert (await _step(node, token, made["id"], step))[0] == expected
        status, _, _ = await node.call(
            "POST", f"/imports/{made['id']}/{step}", key, {"state": "done"}
        )
        assert status == 422, "a step takes no members"
    assert (await _step(node, node.operator, made["id"], "cancel"))[0] == 200


async def test_the_list_is_filtered_by_state_and_prefix_across_pages(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    made = []
    for number in range(6):
        at = f"?format=csv&prefix={prefix}" if number % 2 else "?format=csv"
        made.append((await send(node, key, b"identifier\n", at))[1]["id"])
    for import_id in (made[1], made[2], made[5]):
        assert (await _step(node, key, import_id, "cancel"))[0] == 200
    for filters, expected in (
        ("state=cancelled", [made[5], made[2], made[1]]),
        (f"prefix={prefix}", [made[5], made[3], made[1]]),
        (f"state=queued&prefix={prefix}", [made[3]]),
        ("state=checked", []),
    ):
        seen: list[str] = []
        path = f"/imports?limit=1&{filters}"
        while path:
            status, body, _ = await node.call("GET", path, key)
            assert status == 200
            seen += [item["id"] for item in body["items"]]
            path = f"/imports?limit=1&{filters}&cursor={body['next']}" if body["next"] else ""
        assert seen == expected, filters
    for path, expected in (
        ("?state=over", 422),
        ("?status=done", 422),
        ("?prefix=88", 400),
        ("?prefix=%00", 400),
    ):
        assert (await node.call("GET", f"/imports{path}", key))[0] == expected, path


async def test_progress_and_the_time_that_is_left_are_told(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)
    monkeypatch.setattr(uploads, "CHUNK_BYTES", 4096)
    monkeypatch.setattr(readers, "LOOK_BYTES", 4096)
    key, prefix = works
    status, made = await send(node, key, csv_file(prefix, 3000))
    assert (made["progress"], made["rate"], made["eta"]) == (0, None, None)
    stop = asyncio.Event()
    job = asyncio.create_task(run_imports(registry_of(node), stop))
    try:
        async with _held(node, prefix, "SN-000550") as blocker:
            await until(lambda: _waits(node), "the job held in the middle of a batch")
            status, body, _ = await node.call("GET", f"/imports/{made['id']}", key)
            assert status == 200
            assert body["state"] == "running"
            assert 0.2 < body["progress"] < 1
            assert body["rate"] > 0
            assert body["eta"] > 0
            await blocker.execute("ROLLBACK")
    finally:
        stop.set()
        await asyncio.wait_for(job, DEADLINE)
