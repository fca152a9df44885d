"""The miss path: identifiers that nobody has asked for, beside a bare SELECT by key."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.load import Generator, Run
from benchmarks.node import Node
from benchmarks.plan import READ_CONNECTIONS, UNASKED, Plan
from benchmarks.report import Row, unmeasured
from benchmarks.sample import DIGITS
from benchmarks.servers import wait_until
from benchmarks.store import Store, pgbench

_KEY, _NAME = "miss", "miss path, each identifier asked for once"
_UNIT = "requests per s"
_LEAST_MISSES = 0.99
_METRICS_SECONDS = 10.0

_SELECT = """\
\\set n random(0, {last})
SELECT p.status, i.suffix, i.values FROM identifiers AS i JOIN prefixes AS p USING (prefix)
WHERE i.prefix = '{prefix}' AND i.suffix_key = 'SN-' || lpad(:n::text, {digits}, '0');
"""


def measure(plan: Plan, node: Node, store: Store, url: str, directory: Path) -> list[Row]:
    """Load the node and PostgreSQL in turns."""
    script = directory / "select.sql"
    script.write_text(_SELECT.format(last=plan.unasked - 1, prefix=UNASKED, digits=DIGITS))
    ours: list[Run] = []
    theirs: list[float] = []
    at = 0
    before = node.metric("idnode_cache_requests", outcome="miss")
    for _ in range(plan.rounds):
        arguments = ("sequence", UNASKED, at, plan.unasked - at, 0)
        generator = Generator("get.lua", arguments, READ_CONNECTIONS, plan.seconds)
        ours.append(generator.against(node.server.port, node.server.pids))
        at += ours[-1].requests + READ_CONNECTIONS  # those under way at the end were asked too
        theirs.append(pgbench(store, url, script, READ_CONNECTIONS, plan.seconds))
        if at + ours[-1].requests * 2 > plan.unasked:
            break
    asked = sum(run.requests for run in ours)
    wait_until(
        lambda: (
            node.metric("idnode_cache_requests", outcome="miss") - before >= _LEAST_MISSES * asked
        ),
        f"{asked} requests counted as misses",
        _METRICS_SECONDS,
    )
    return [
        Row(
            _KEY,
            _NAME,
            _UNIT,
            median(run.rate for run in ours),
            "bare SELECT by key (pgbench)",
            median(theirs),
            median(run.rate / peer for run, peer in zip(ours, theirs, strict=True)),
            detail={
                "rounds": len(ours),
                "requests_per_second_of_worker_cpu": round(median(run.per_cpu for run in ours)),
                "p50_ms": median(run.p50 for run in ours),
                "p99_ms": median(run.p99 for run in ours),
            },
        )
    ]


def not_measured(why: str) -> list[Row]:
    """Return the row without a figure."""
    return [unmeasured(_KEY, _NAME, _UNIT, why)]
