"""Exposition: the shared rows of registry/metrics.py as Prometheus reads them.

All rows are added up, those of processes that are gone too: their counters stay, and their gauges
were set to zero when they ended (`clear_gauges`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from admin import __version__
from registry import metrics
from registry.metrics import LATENCY_BUCKETS, METRICS, Row

_BOUNDS = [*map(floatToGoString, LATENCY_BUCKETS), "+Inf"]


@dataclass(frozen=True)
class Node:
    """What only the supervisor knows of the node.

    workers: how many are ready to answer. restarts: how often each kind of process was started
    again after it died.
    """

    workers: Callable[[], int]
    restarts: Mapping[str, int] = field(default_factory=dict)


class RowsCollector(Collector):
    """All metrics of the node, read anew at each scrape."""

    def __init__(self, rows: Sequence[Row], node: Node) -> None:
        self.rows = rows
        self.node = node

    def collect(self) -> Iterator[Metric]:
        """Yield every family once."""
        for metric in METRICS:
            yield self._family(metric)
        build = GaugeMetricFamily("idnode_build_info", "The version that runs.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield GaugeMetricFamily(
            "idnode_workers", "Worker processes ready to answer.", self.node.workers()
        )
        restarts = CounterMetricFamily(
            "idnode_process_restarts", "Processes started again after a death.", labels=["process"]
        )
        for process, count in self.node.restarts.items():
            restarts.add_metric([process], count)
        yield restarts

    def _family(self, metric: metrics.Metric) -> Metric:
        labels = [name for name, _ in metric.labels]
        if metric.kind == "histogram":
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=labels)
            for values in metric.series:
                *counts, total = total_of(self.rows, metric, values)
                histogram.add_metric(values, _cumulative(counts), total)
            return histogram
        family: CounterMetricFamily | GaugeMetricFamily
        if metric.kind == "counter":
            family = CounterMetricFamily(metric.name, metric.help, labels=labels)
        else:
            family = GaugeMetricFamily(metric.name, metric.help, labels=labels)
        for values in metric.series:
            family.add_metric(values, total_of(self.rows, metric, values)[0])
        return family


def total_of(rows: Sequence[Row], metric: metrics.Metric, labels: tuple[str, ...]) -> list[float]:
    """Return the cells of one series, put together over all rows by the metric's kind."""
    start = metrics.slot(metric.name, *labels)
    put_together = max if metric.kind == "gauge_max" else sum
    return [
        put_together(row.cells[at] for row in rows) for at in range(start, start + metric.width)
    ]


def clear_gauges(row: Row) -> None:
    """Zero what a process said of its present state: it has ended. Its counters stay."""
    for metric in METRICS:
        if metric.kind.startswith("gauge"):
            for labels in metric.series:
                row.set(metric.name, *labels, value=0)


def expose(collector: RowsCollector, accept: str) -> tuple[bytes, str]:
    """Return the exposition and its content type, in the format that `accept` prefers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _cumulative(counts: Sequence[float]) -> list[tuple[str, float]]:
    result, so_far = [], 0.0
    for bound, count in zip(_BOUNDS, counts, strict=True):
        so_far += count
        result.append((bound, so_far))
    return result
