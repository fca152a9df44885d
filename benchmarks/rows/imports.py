"""Bulk import beside a bare COPY of the same rows into a table of the same shape and indexes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median

import msgspec

from benchmarks import sample
from benchmarks.ask import Connection, WrongAnswer, check_registered
from benchmarks.node import Node
from benchmarks.plan import WRITTEN, Plan
from benchmarks.report import Limit, Row
from benchmarks.store import BARE, checkpoint, connected, copy

_LIMIT = Limit("ratio", ">=", 0.3)
_LIMIT_CHECKED = Limit("ratio", ">=", 0.35)
_POLL_SECONDS = 0.02
_LONGEST_SECONDS = 900.0


@dataclass
class _Turns:
    """Rows per second of the import and of the COPY, a figure a round, and seconds of uploads."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    uploads: list[float] = field(default_factory=list)


async def measure(plan: Plan, node: Node, url: str) -> list[Row]:
    """Import a file through the node and COPY the same rows, in turns, without a template and with.

    The import is timed from the moment the upload is accepted until it says that it is done.
    """
    await _publish(node)
    plain, checked = _Turns(), _Turns()
    for number in range(2 * plan.import_rounds):
        turns = checked if number % 2 else plain
        numbers = range(number * plan.import_rows, (number + 1) * plan.import_rows)
        await checkpoint(url)
        uploaded, imported = await _import(node, numbers, checked=turns is checked)
        turns.ours.append(plan.import_rows / imported)
        turns.uploads.append(uploaded)
        await checkpoint(url)
        turns.theirs.append(plan.import_rows / await _copy(url, numbers))
    name = f"bulk import, {plan.import_rows:,} rows of NDJSON"
    return [
        _row("import", name, plain, _LIMIT),
        _row("import_checked", f"{name}, each checked by a template", checked, _LIMIT_CHECKED),
    ]


def _row(key: str, name: str, turns: _Turns, limit: Limit) -> Row:
    return Row(
        key,
        name,
        "rows per s",
        median(turns.ours),
        "bare COPY",
        median(turns.theirs),
        median(mine / peer for mine, peer in zip(turns.ours, turns.theirs, strict=True)),
        limit,
        detail={"upload_seconds": round(median(turns.uploads), 3)},
    )


async def _publish(node: Node) -> None:
    """Publish the template of the sample."""
    template = {"prefix": WRITTEN, "name": sample.TEMPLATE, "items": sample.ITEMS}
    path = f"/api/v1/templates/{WRITTEN}/{sample.TEMPLATE}/1/publish"
    connection = await Connection.open(node.server.port)
    try:
        for target, body, expected in (("/api/v1/templates", template, 201), (path, None, 200)):
            encoded = b"" if body is None else msgspec.json.encode(body)
            reply = await connection.send("POST", target, encoded, token=node.token)
            if reply.status != expected:
                raise WrongAnswer(f"POST {target}: {reply.status} {reply.body!r}")
    finally:
        await connection.close()


async def _import(node: Node, numbers: range, *, checked: bool) -> tuple[float, float]:
    """Return the seconds that the upload took and those that the import took after it."""
    first = sample.FIRST_ITEM if checked else 1
    query = f"?prefix={WRITTEN}&template={sample.TEMPLATE}" if checked else ""
    connection = await Connection.open(node.server.port)
    try:
        file = b"".join(sample.ndjson(WRITTEN, numbers, first=first))
        started = time.monotonic()
        reply = await connection.send(
            "POST",
            f"/api/v1/imports{query}",
            file,
            token=node.token,
            media="application/x-ndjson",
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
