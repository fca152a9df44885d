"""What occurs most often in a stream, in bounded memory.

The Space-Saving algorithm (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and
Top-k Elements in Data Streams, ICDT 2005), which takes its stream in batches as summaries are
merged (Agarwal et al.: Mergeable Summaries, PODS 2012).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Estimate:
    """How often something occurred: at least ``hits - error`` times, and `hits` times at most."""

    hits: int
    error: int


class Sketch(Generic[Item]):
    """Counts at most `size` items of a stream.

    total: occurrences in the stream. floor: what is not counted occurred so often at most; it is
    never more than ``total / size``, because the counts together are never more than the total.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.total = 0
        self.floor = 0
        self._counts: dict[Item, tuple[int, int]] = {}

    def add(self, batch: Mapping[Item, int]) -> None:
        """Take the next part of the stream: how often each item occurs in it."""
        counts, floor = self._counts, self.floor
        for item, times in batch.items():
            self.total += times
            # What is new may have occurred `floor` times before without being counted.
            hits, error = counts.get(item) or (floor, floor)
            counts[item] = hits + times, error
        over = len(counts) - self.size
        if over > 0:
            dropped = heapq.nsmallest(over, counts.items(), key=itemgetter(1))
            for item, (hits, _) in dropped:
                del counts[item]
                self.floor = max(self.floor, hits)

    def estimates(self) -> dict[Item, Estimate]:
        """Return what is counted."""
        return {item: Estimate(hits, error) for item, (hits, error) in self._counts.items()}
