"""Single registration over HTTP, beside a bare INSERT with as many clients."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks import sample
from benchmarks.load import Generator, LoadError, Run
from benchmarks.node import Node
from benchmarks.plan import WRITE_CONNECTIONS, WRITTEN, Plan
from benchmarks.report import Row, unmeasured
from benchmarks.store import BARE, Store, checkpoint, connected, pgbench

_KEY, _NAME = "registration", f"single registration, {WRITE_CONNECTIONS} connections"
_UNIT = "registrations per s"
_ROUND = 10_000_000
"""Numbers that one round may use."""

# pgbench keeps the variable n of each client from one transaction to the next.
_INSERT = """\
\\set n :n + 1
INSERT INTO {table} (prefix, suffix_key, suffix, values) VALUES ('{prefix}',
    'R{round}-' || :client_id::text || '-' || :n::text,
    'R{round}-' || :client_id::text || '-' || :n::text, '{values}');
"""


async def measure(plan: Plan, node: Node, store: Store, url: str, directory: Path) -> list[Row]:
    """Load the node and PostgreSQL in turns, then count that what was acknowledged is there."""
    body = directory / "registration.json"
    body.write_bytes(sample.registration("item"))
    ours: list[Run] = []
    theirs: list[float] = []
    for number in range(1, plan.rounds + 1):
        await checkpoint(url)
        arguments = (WRITTEN, number * _ROUND, node.token, body)
        generator = Generator("put.lua", arguments, WRITE_CONNECTIONS, plan.seconds)
        ours.append(generator.against(node.server.port, node.server.pids))
        await checkpoint(url)
        theirs.append(_insert(plan, store, url, directory, number))
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
            detail={
                "registrations_per_second_of_worker_cpu": round(
                    median(run.per_cpu for run in ours)
                ),
                "p50_ms": median(run.p50 for run in ours),
                "p99_ms": median(run.p99 for run in ours),
            },
        )
    ]


def not_measured(why: str) -> list[Row]:
    """Return the row without a figure."""
    return [unmeasured(_KEY, _NAME, _UNIT, why)]


def _insert(plan: Plan, store: Store, url: str, directory: Path, number: int) -> float:
    script = directory / "insert.sql"
    values = sample.values_json()
    script.write_text(_INSERT.format(table=BARE, prefix=WRITTEN, round=number, values=values))
    return pgbench(store, url, script, WRITE_CONNECTIONS, plan.seconds, n=0)


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
