"""A batch of 1 000 over HTTP, beside the same rows by one bare INSERT and its commit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median

import asyncpg
import msgspec

from benchmarks import sample
from benchmarks.ask import Connection, WrongAnswer, check_registered
from benchmarks.node import Node
from benchmarks.plan import WRITTEN, Plan
from benchmarks.report import Row
from benchmarks.store import BARE, checkpoint, connected

OPERATIONS = 1000
_TURNS = 20
"""Batches in each turn of a round."""
_FIRST = 90_000_000
"""The first number that is registered here, beyond those of imports and single registrations."""

# One statement, its rows as arrays, as clients do who want it fast.
_INSERT = f"""
INSERT INTO {BARE} (prefix, suffix_key, suffix, values)
SELECT $1, k, k, v::jsonb FROM unnest($2::text[], $3::text[]) AS q (k, v)
"""


@dataclass
class _Turns:
    """Rows per second of the batches and of the INSERTs, a figure a round."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)


async def measure(plan: Plan, node: Node, url: str) -> list[Row]:
    """Send batches and INSERT the same rows, in turns, without a template and with.

    The template is published already, see rows.imports. Rows that the two sides send are made
    before the clock starts.
    """
    plain, checked = _Turns(), _Turns()
    number = _FIRST
    for _ in range(plan.rounds):
        for turns in (plain, checked):
            numbers = [
                range(start, start + OPERATIONS)
                for start in range(number, number + _TURNS * OPERATIONS, OPERATIONS)
            ]
            number += _TURNS * OPERATIONS
            await checkpoint(url)
            turns.ours.append(await _batches(node, numbers, checked=turns is checked))
            await checkpoint(url)
            turns.theirs.append(await _inserts(url, numbers))
    name = f"batch of {OPERATIONS:,} in one transaction"
    return [
        _row("batch", name, plain),
        _row("batch_checked", f"{name}, each checked by a template", checked),
    ]


def _row(key: str, name: str, turns: _Turns) -> Row:
    return Row(
        key,
        name,
        "rows per s",
        median(turns.ours),
        f"bare INSERT of {OPERATIONS:,} rows",
        median(turns.theirs),
        median(mine / peer for mine, peer in zip(turns.ours, turns.theirs, strict=True)),
        detail={"batch_ms": round(1000 * OPERATIONS / median(turns.ours), 1)},
    )


async def _batches(node: Node, batches: list[range], *, checked: bool) -> float:
    """Return the rows a second that the node takes, on one connection."""
    bodies = [_body(numbers, checked=checked) for numbers in batches]
    connection = await Connection.open(node.server.port)
    try:
        started = time.monotonic()
        for body in bodies:
            path = "/api/v1/identifiers:batch"
            reply = await connection.send("POST", path, body, token=node.token)
            if reply.status != 200 or f'"created":{OPERATIONS},'.encode() not in reply.body:
                raise WrongAnswer(f"POST {path}: {reply.status} {reply.body[:400]!r}")
        seconds = time.monotonic() - started
    finally:
        await connection.close()
    await check_registered(node.server.port, WRITTEN, batches[-1][::100])
    return len(batches) * OPERATIONS / seconds


def _body(numbers: range, *, checked: bool) -> bytes:
    first = sample.FIRST_ITEM if checked else 1
    (lines,) = sample.ndjson(WRITTEN, numbers, first=first)
    more = {"op": "put"} | ({"template": sample.TEMPLATE} if checked else {})
    operations = [more | msgspec.json.decode(line) for line in lines.splitlines()]
    return msgspec.json.encode({"operations": operations})


async def _inserts(url: str, batches: list[range]) -> float:
    """Return the rows a second that PostgreSQL takes, on one connection."""
    columns = [_columns(numbers) for numbers in batches]
    async with connected(url) as connection:
        statement: asyncpg.prepared_stmt.PreparedStatement = await connection.prepare(_INSERT)
        started = time.monotonic()
        for keys, values in columns:
            await statement.fetch(WRITTEN, keys, values)
        seconds = time.monotonic() - started
    return len(batches) * OPERATIONS / seconds


def _columns(numbers: range) -> tuple[list[str], list[str]]:
    texts = [sample.number(n) for n in numbers]
    return [f"SN-{text}" for text in texts], [sample.values_json(text) for text in texts]
