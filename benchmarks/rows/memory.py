"""What the cache costs: memory of the worker for each identifier it holds."""

from __future__ import annotations

from benchmarks import ask, sample
from benchmarks.machine import resident_bytes
from benchmarks.node import Node
from benchmarks.plan import KNOWN, Plan
from benchmarks.report import Limit, Row

_LIMIT = Limit("ratio", "<=", 3.0)
_UNIT = "bytes per identifier"


class NotHeld(Exception):
    """The cache did not keep all that was asked for, so a figure would mean nothing."""


async def measure(plan: Plan, node: Node) -> list[Row]:
    """Fill the cache of a fresh worker by asking for each identifier once, checking each answer.

    The first thousand are asked for before the measure begins, so that what a worker needs for
    its first requests (connections, buffers, code) is not put to the account of the cache.
    """
    (worker,) = node.workers
    first = min(1000, plan.identifiers // 10)
    await ask.check_all(node.server.port, KNOWN, range(first))
    held, counted, entries = _state(node, worker)
    size = await ask.check_all(node.server.port, KNOWN, range(first, plan.identifiers))
    held_after, counted_after, entries_after = _state(node, worker)
    kept = entries_after - entries
    if kept != plan.identifiers - first:
        raise NotHeld(f"of {plan.identifiers - first} identifiers the cache kept {kept:.0f}")
    answer = len(sample.body(KNOWN, 0))
    detail = {"body_bytes": answer, "answer_bytes_with_head": size, "identifiers": kept}
    return [
        _row(
            "memory_resident",
            "cache memory, growth of the process",
            (held_after - held) / kept,
            answer,
            detail,
        ),
        _row(
            "memory_counted",
            "cache memory, as the cache counts it",
            (counted_after - counted) / kept,
            answer,
            detail,
        ),
    ]


def _state(node: Node, worker: int) -> tuple[int, float, float]:
    entries = node.metric("idnode_cache_entries")
    return resident_bytes(worker), node.metric("idnode_cache_bytes"), entries


def _row(key: str, name: str, figure: float, answer: int, detail: dict[str, float]) -> Row:
    peer = "bytes of the answer's body"
    return Row(key, name, _UNIT, figure, peer, answer, figure / answer, _LIMIT, detail=detail)
