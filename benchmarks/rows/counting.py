"""What the counters of the statistics cost an answer out of the cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.plan import KNOWN, Plan
from benchmarks.report import Limit, Row, unmeasured
from registry.statistics.cells import FOUND, CountFile
from registry.statistics.counter import SAMPLE, Sample
from resolver.cache import Prefix

_NAME = "Counting an answer for the statistics"
_UNIT = "ns"
_PEER = "server CPU of a cached answer over HTTP"
_AT_MOST = Limit("ratio", "<=", 0.02)
_TIMES = 1_000_000


def measure(plan: Plan, directory: Path, http: list[Row]) -> Row:
    """Time the counting alone, beside the whole answer as it was measured in this run.

    directory: for a file of counts. http: the rows of cached resolution.
    """
    whole = next((row.figure for row in http if row.key == "cached_uniform_nginx"), None)
    if whole is None:
        return not_measured("cached resolution was not measured")
    file = CountFile.create(directory, 0)
    prefix, sample = Prefix(None, file.cells(KNOWN)), Sample[bytes]()
    nothing, counting = _rounds(prefix, sample)
    times = [counting() - nothing() for _ in range(plan.rounds)]
    file.remove()
    cost = median(times) / _TIMES * 1e9
    answer = 1e9 / whole
    return Row("counting", _NAME, _UNIT, cost, _PEER, answer, cost / answer, _AT_MOST)


def not_measured(why: str) -> Row:
    """Return the row without a figure."""
    return unmeasured("counting", _NAME, _UNIT, why, _AT_MOST)


def _rounds(
    prefix: Prefix, sample: Sample[bytes]
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what times a loop with nothing in it, and one with what the short way does to count.

    Once the sample is full, as it is all the time under load.
    """
    names = sample.names
    names.extend([b"88.118.1/SN-1"] * SAMPLE)

    def nothing() -> float:
        started = time.process_time()
        for _ in range(_TIMES):
            pass
        return time.process_time() - started

    def counting() -> float:
        started = time.process_time()
        for _ in range(_TIMES):
            prefix.cells[FOUND] += 1
            if len(names) < SAMPLE:
                names.append(b"")
        return time.process_time() - started

    return nothing, counting
