"""Bulk import beside a bare COPY of the same rows into a table of the same shape and indexes."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import msgspec

from benchmarks import sample
from benchmarks.ask import Connection, WrongAnswer, check_registered
from benchmarks.node import Node
from benchmarks.plan import WRITTEN, Plan
from benchmarks.report import Limit, Row
from benchmarks.store import BARE, checkpoint, connected, copy

_LIMIT = Limit("ratio", ">=", 0.3)
_POLL_SECONDS = 0.02
_LONGEST_SECONDS = 900.0


async def measure(plan: Plan, node: Node, url: str) -> list[Row]:
    """Import a file through the node and COPY the same rows, in turns.

    The import is timed from the moment the upload is accepted until it says that it is done.
    """
    ours: list[float] = []
    uploads: list[float] = []
    theirs: list[float] = []
    for number in range(plan.import_rounds):
        numbers = range(number * plan.import_rows, (number + 1) * plan.import_rows)
        await checkpoint(url)
        uploaded, imported = await _import(node, numbers)
        ours.append(plan.import_rows / imported)
        uploads.append(uploaded)
        await checkpoint(url)
        theirs.append(plan.import_rows / await _copy(url, numbers))
    return [
        Row(
            "import",
            f"bulk import, {plan.import_rows:,} rows of NDJSON",
            "rows per s",
            median(ours),
            "bare COPY",
            median(theirs),
            median(mine / peer for mine, peer in zip(ours, theirs, strict=True)),
            _LIMIT,
            detail={"upload_seconds": round(median(uploads), 3)},
        )
    ]


async def _import(node: Node, numbers: range) -> tuple[float, float]:
    """Return the seconds that the upload took and those that the import took after it."""
    connection = await Connection.open(node.server.port)
    try:
        file = b"".join(sample.ndjson(WRITTEN, numbers))
        started = time.monotonic()
        reply = await connection.send(
            "POST", "/api/v1/imports", file, token=node.token, media="application/x-ndjson"
        )
        accepted = time.monotonic()
        if reply.status != 202:
            raise WrongAnswer(f"POST /api/v1/imports: {reply.status} {reply.body!r}")
        target = f"/api/v1/imports/{msgspec.json.decode(reply.body)['id']}"
        state = await _finished(connection, target, node.token)
        done = time.monotonic()
        if state["state"] != "done" or state["done"] != len(numbers) or state["failed"]:
            raise WrongAnswer(f"{target}: {state}")
    finally:
        await connection.close()
    await check_registered(node.server.port, WRITTEN, numbers[:: len(numbers) // 100])
    return accepted - started, done - accepted


async def _finished(connection: Connection, target: str, token: str) -> dict[str, object]:
    async with asyncio.timeout(_LONGEST_SECONDS):
        while True:
            reply = await connection.get(target, token=token)
            state: dict[str, object] = msgspec.json.decode(reply.body)
            if state.get("state") not in ("uploading", "queued", "running"):
                return state
            await asyncio.sleep(_POLL_SECONDS)


async def _copy(url: str, numbers: range) -> float:
    async with connected(url) as connection:
        rows = list(sample.copy_text(WRITTEN, numbers))
        started = time.monotonic()
        await copy(connection, BARE, rows)
        return time.monotonic() - started
