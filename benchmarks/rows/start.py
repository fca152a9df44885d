"""How soon the node is ready when it is started a second time, database included."""

from __future__ import annotations

from pathlib import Path

from benchmarks.machine import Cores
from benchmarks.node import serve
from benchmarks.report import Limit, Row

_LIMIT = Limit("figure", "<=", 10.0, "s")


def measure(directory: Path, cores: Cores) -> list[Row]:
    """Start, stop and start again on one data directory with the embedded PostgreSQL."""
    with serve(directory, cores, workers=2) as node:
        first = node.seconds
    with serve(directory, cores, workers=2) as node:
        second = node.seconds
    detail = {"first_start_seconds": round(first, 2)}
    return [
        Row("second_start", "second start until ready", "s", second, limit=_LIMIT, detail=detail)
    ]
