"""What the short ways of datagrams and frames have answered, counted at next to no cost."""

from __future__ import annotations

from registry.metrics import LATENCY_BUCKETS, Row, slot
from resolver.transports.endpoint import Freshness

_FAST = LATENCY_BUCKETS[0]
_DURATION = "idnode_resolution_duration_seconds"


class Tally:
    """Answers of one transport; `publish` moves them into the metrics, a few times a second.

    hits: answers since it did so last.
    """

    __slots__ = ("_fast", "_freshness", "_row", "_seconds", "_transport", "hits")

    def __init__(self, transport: str, freshness: Freshness, row: Row) -> None:
        self._transport = transport
        self._freshness = freshness
        self._row = row
        self.hits = self._fast = 0
        self._seconds = 0.0

    def add(self, hits: int, seconds: float) -> None:
        """Count answers that took so many seconds together."""
        self.hits += hits
        if seconds <= _FAST * hits:
            self._fast += hits
            self._seconds += seconds
        else:
            each = seconds / hits
            self._row.observe(_DURATION, self._transport, "found", seconds=each, times=hits)

    def publish(self) -> None:
        """Move what was counted into the metrics."""
        row = self._row
        if self.hits:
            row.add(
                "idnode_cache_requests", "hit" if self._freshness.fresh else "stale", by=self.hits
            )
            row.add("idnode_resolutions", self._transport, "found", by=self.hits)
        start = slot(_DURATION, self._transport, "found")
        row.cells[start] += self._fast
        row.cells[start + len(LATENCY_BUCKETS) + 1] += self._seconds
        self.hits = self._fast = 0
        self._seconds = 0.0
