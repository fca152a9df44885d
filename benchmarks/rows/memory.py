"""What the cache costs: memory of the worker for each identifier it holds."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import ask, sample
from benchmarks.machine import resident_bytes
from benchmarks.node import Node
from benchmarks.plan import KNOWN, Plan
from benchmarks.report import Limit, Row
from benchmarks.servers import wait_until

_LIMIT = Limit("ratio", "<=", 3.0)
_UNIT = "bytes per identifier"


_METRICS_SECONDS = 10.0


@dataclass(frozen=True)
class _Held:
    """Bytes that the worker holds, and that its cache says it holds."""

    resident: int
    counted: float


async def measure(plan: Plan, node: Node) -> list[Row]:
    """Fill the cache of a fresh worker by asking for each identifier once, checking each answer.

    The first thousand are asked for before the measure begins, so that what a worker needs for
    its first requests (connections, buffers, code) is not put to the account of the cache.
    Raises ServerError where the cache does not keep all that was asked for.
    """
    first = min(1000, plan.identifiers // 10)
    await ask.check_all(node.server.port, KNOWN, range(first))
    before = _held(node, first)
    size = await ask.check_all(node.server.port, KNOWN, range(first, plan.identifiers))
    after = _held(node, plan.identifiers)
    kept = plan.identifiers - first
    answer = len(sample.body(KNOWN, 0))
    detail: dict[str, float] = {
        "body_bytes": answer,
        "answer_bytes_with_head": size,
        "identifiers": kept,
    }
    return [
        _row(
            "memory_resident",
            "cache memory, growth of the process",
            (after.resident - before.resident) / kept,
            answer,
            detail,
        ),
        _row(
            "memory_counted",
            "cache memory, as the cache counts it",
            (after.counted - before.counted) / kept,
            answer,
            detail,
        ),
    ]


def _held(node: Node, entries: int) -> _Held:
    """Return what is held once the metrics, which lag behind, tell of so many entries."""
    (worker,) = node.workers
    wait_until(
        lambda: node.metric("idnode_cache_entries") == entries,
        f"{entries} identifiers in the cache",
        _METRICS_SECONDS,
    )
    return _Held(resident_bytes(worker), node.metric("idnode_cache_bytes"))


def _row(key: str, name: str, figure: float, answer: int, detail: dict[str, float]) -> Row:
    peer = "bytes of the answer's body"
    return Row(key, name, _UNIT, figure, peer, answer, figure / answer, _LIMIT, detail=detail)
