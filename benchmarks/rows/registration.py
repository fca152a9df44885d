"""Single registration over HTTP, beside a bare INSERT with as many clients.

How many there are a second stands beside pgbench. How long one takes, at the 99th percentile,
stands beside a client as applications have it: asyncpg, as many connections, each INSERT committed.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median, quantiles

from benchmarks import sample
from benchmarks.load import Generator, LoadError, Run
from benchmarks.node import Node
from benchmarks.plan import WRITE_CONNECTIONS, WRITTEN, Plan
from benchmarks.report import Limit, Row, unmeasured
from benchmarks.store import BARE, Store, checkpoint, connected, pgbench

_KEY, _NAME = "registration", f"single registration, {WRITE_CONNECTIONS} connections"
_UNIT = "registrations per s"
_LIMIT = Limit("ratio", ">=", 0.7)
_P99, _P99_NAME = "registration_p99", f"{_NAME}, p99"
_P99_LIMIT = Limit("ratio", "<=", 2.5)
_ROUND = 10_000_000
"""Numbers that one round may use."""

# pgbench keeps the variable n of each client from one transaction to the next.
_INSERT = """\
\\set n :n + 1
INSERT INTO {table} (prefix, suffix_key, suffix, values) VALUES ('{prefix}',
    'R{round}-' || :client_id::text || '-' || :n::text,
    'R{round}-' || :client_id::text || '-' || :n::text, '{values}');
"""


_COMMITTED = f"""
INSERT INTO {BARE} (prefix, suffix_key, suffix, values) VALUES ($1, $2, $2, $3)
"""


async def measure(plan: Plan, node: Node, store: Store, url: str, directory: Path) -> list[Row]:
    """Load the node and PostgreSQL in turns, then count that what was acknowledged is there."""
    body = directory / "registration.json"
    body.write_bytes(sample.registration("item"))
    ours: list[Run] = []
    theirs: list[float] = []
    committed: list[float] = []
    for number in range(1, plan.rounds + 1):
        await checkpoint(url)
        arguments = (WRITTEN, number * _ROUND, node.token, body)
        generator = Generator("put.lua", arguments, WRITE_CONNECTIONS, plan.seconds)
        ours.append(generator.against(node.server.port, node.server.pids))
        await checkpoint(url)
        theirs.append(_insert(plan, store, url, directory, number))
        await checkpoint(url)
        committed.append(await _committed(plan, url, number))
    await _check(url, sum(run.requests for run in ours))
    return [
        Row(
            _KEY,
            _NAME,
            _UNIT,
            median(run.rate for run in ours),
            "bare INSERT (pgbench)",
            median(theirs),
            median(run.rate / peer for run, peer in zip(ours, theirs, strict=True)),
            _LIMIT,
            detail={
                "registrations_per_second_of_worker_cpu": round(
                    median(run.per_cpu for run in ours)
                ),
                "p50_ms": median(run.p50 for run in ours),
            },
        ),
        Row(
            _P99,
            _P99_NAME,
            "ms",
            median(run.p99 for run in ours),
            "bare INSERT and commit (asyncpg)",
            median(committed),
            median(run.p99 / peer for run, peer in zip(ours, committed, strict=True)),
            _P99_LIMIT,
        ),
    ]


def not_measured(why: str) -> list[Row]:
    """Return the row without a figure."""
    return [
        unmeasured(_KEY, _NAME, _UNIT, why, _LIMIT),
        unmeasured(_P99, _P99_NAME, "ms", why, _P99_LIMIT),
    ]


def _insert(plan: Plan, store: Store, url: str, directory: Path, number: int) -> float:
    script = directory / "insert.sql"
    values = sample.values_json()
    script.write_text(_INSERT.format(table=BARE, prefix=WRITTEN, round=number, values=values))
    return pgbench(store, url, script, WRITE_CONNECTIONS, plan.seconds, n=0)


async def _committed(plan: Plan, url: str, number: int) -> float:
    """Return the 99th percentile of what an INSERT takes, in ms."""
    values, end = sample.values_json(), time.perf_counter() + plan.seconds
    seconds: list[float] = []

    async def client(place: int) -> None:
        async with connected(url) as connection:
            statement = await connection.prepare(_COMMITTED)
            turn = 0
            while (started := time.perf_counter()) < end:
                turn += 1
                await statement.fetch(WRITTEN, f"C{number}-{place}-{turn}", values)
                seconds.append(time.perf_counter() - started)

    await asyncio.gather(*(client(place) for place in range(WRITE_CONNECTIONS)))
    return 1000 * quantiles(seconds, n=100)[98]


async def _check(url: str, acknowledged: int) -> None:
    async with connected(url) as connection:
        there = await connection.fetchval(
            "SELECT count(*) FROM identifiers WHERE prefix = $1 AND suffix_key >= $2"
            " AND suffix_key < 'SO'",
            WRITTEN,
            f"SN-{sample.number(_ROUND)}",
        )
    if there < acknowledged:
        raise LoadError(f"{acknowledged} registrations were acknowledged, {there} are there")
