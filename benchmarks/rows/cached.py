"""Cached resolution beside nginx and stock aiohttp, all asked for the same identifiers."""

from __future__ import annotations

from statistics import median

from benchmarks.load import Generator, Run
from benchmarks.node import Node
from benchmarks.plan import KNOWN, READ_CONNECTIONS, Plan
from benchmarks.report import Limit, Row, unmeasured
from benchmarks.servers import Server, wait_until

UNIT = "requests per s of server CPU"
AT_LEAST = {
    "nginx": Limit("ratio", ">=", 0.8),
    "aiohttp": Limit("ratio", ">=", 3.5),
}
_CHOICES = {
    "uniform": "cached resolution, uniform choice",
    "zipf": "cached resolution, Zipf 0.99",
}
_PEERS = {
    "nginx": "nginx, static file",
    "nginx_memory": "nginx, body in its configuration",
    "aiohttp": "stock aiohttp handler",
    "aiohttp_uvloop": "stock aiohttp handler on uvloop",
}
_LEAST_HITS = 0.999


_METRICS_SECONDS = 10.0


def measure(plan: Plan, node: Node, peers: dict[str, Server], absent: dict[str, str]) -> list[Row]:
    """Load the peers and the node in turns; every identifier of the plan is in the cache.

    absent: why a peer does not run, by its name.
    """
    turns: dict[str, Server] = {**peers, **dict.fromkeys(_CHOICES, node.server)}
    runs: dict[str, list[Run]] = {name: [] for name in turns}
    before, asked = node.metric("idnode_cache_requests", outcome="hit"), 0
    for seed in range(plan.rounds):
        for name, server in turns.items():
            run = _generator(plan, name, seed, plan.seconds).against(server.port, server.pids)
            runs[name].append(run)
            asked += run.requests if name in _CHOICES else 0
    check_hits(node, before, asked)
    rows = [
        _peer(name, runs[name]) if name in peers else _absent_peer(name, absent[name])
        for name in _PEERS
    ]
    for choice in _CHOICES:
        rows += [_compared(choice, runs[choice], name, runs.get(name)) for name in _PEERS]
    return rows


def check_hits(node: Node, before: float, asked: int) -> None:
    """Raise ServerError unless the cache has given the answers, all but a trace of them."""
    wait_until(
        lambda: node.metric("idnode_cache_requests", outcome="hit") - before >= _LEAST_HITS * asked,
        f"{asked} answers counted as given by the cache",
        _METRICS_SECONDS,
    )


def not_measured(why: str) -> list[Row]:
    """Return the rows without figures."""
    ratios = [
        unmeasured(f"cached_{choice}_{peer}", _CHOICES[choice], UNIT, why, AT_LEAST.get(peer))
        for choice in _CHOICES
        for peer in _PEERS
    ]
    return [*(_absent_peer(name, why) for name in _PEERS), *ratios]


def _absent_peer(name: str, why: str) -> Row:
    return unmeasured(name, _PEERS[name], UNIT, why)


def _generator(plan: Plan, name: str, seed: int, seconds: int) -> Generator:
    choice = name if name in _CHOICES else "uniform"
    arguments = (choice, KNOWN, 0, plan.identifiers, seed)
    return Generator("get.lua", arguments, READ_CONNECTIONS, seconds)


def _peer(name: str, runs: list[Run]) -> Row:
    per_cpu = median(run.per_cpu for run in runs)
    return Row(name, _PEERS[name], UNIT, per_cpu, detail=detail_of(runs))


def _compared(choice: str, ours: list[Run], peer: str, theirs: list[Run] | None) -> Row:
    figure = median(run.per_cpu for run in ours)
    key, limit = f"cached_{choice}_{peer}", AT_LEAST.get(peer)
    if theirs is None:
        why = f"{peer} is not there to compare with"
        return Row(key, _CHOICES[choice], UNIT, figure, peer, limit=limit, note=why)
    return Row(
        key,
        _CHOICES[choice],
        UNIT,
        figure,
        peer,
        median(run.per_cpu for run in theirs),
        median(a.per_cpu / b.per_cpu for a, b in zip(ours, theirs, strict=True)),
        limit,
        detail=detail_of(ours),
    )


def detail_of(runs: list[Run]) -> dict[str, float]:
    """Return what else is told of runs against one server."""
    return {
        "requests_per_second": round(median(run.rate for run in runs)),
        "server_cpu_share": round(median(run.cpu / run.seconds for run in runs), 3),
        "bytes_per_answer": round(sum(run.bytes for run in runs) / sum(r.requests for r in runs)),
        "p50_ms": median(run.p50 for run in runs),
        "p99_ms": median(run.p99 for run in runs),
    }
