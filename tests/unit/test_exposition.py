"""The rows of all processes are added up as Prometheus expects it."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from admin.metrics import Node, RowsCollector, clear_gauges, expose
from registry import metrics


def _samples(collector: RowsCollector) -> dict[tuple[str, frozenset[str]], float]:
    """Value by name and label values; the exposition sorts labels as it likes."""
    body, content_type = expose(collector, "text/plain")
    assert content_type.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def _rows(tmp_path: Path, count: int) -> list[metrics.Row]:
    path = tmp_path / "metrics"
    metrics.create(path, count)
    return metrics.open_rows(path)


def test_counters_and_gauges_add_up_and_a_maximum_does_not(tmp_path: Path) -> None:
    first, second = _rows(tmp_path, 2)
    for row, times in ((first, 2), (second, 5)):
        row.add("idnode_resolutions", "http", "found", by=times)
        row.set("idnode_cache_entries", value=10 * times)
        row.set("idnode_feed_lag_seconds", value=times)
    samples = _samples(RowsCollector([first, second], Node(lambda: 2, {"worker": 1})))
    assert samples["idnode_resolutions_total", frozenset({"http", "found"})] == 7
    assert samples["idnode_resolutions_total", frozenset({"udp", "found"})] == 0
    assert samples["idnode_cache_entries", frozenset()] == 70
    assert samples["idnode_feed_lag_seconds", frozenset()] == 5
    assert samples["idnode_workers", frozenset()] == 2
    assert samples["idnode_process_restarts_total", frozenset({"worker"})] == 1


def test_histogram_is_cumulative_up_to_infinity(tmp_path: Path) -> None:
    first, second = _rows(tmp_path, 2)
    first.observe("idnode_api_duration_seconds", "2xx", seconds=0.0003)
    second.observe("idnode_api_duration_seconds", "2xx", seconds=0.0003, times=2)
    second.observe("idnode_api_duration_seconds", "2xx", seconds=60)
    samples = _samples(RowsCollector([first, second], Node(lambda: 0)))
    name = "idnode_api_duration_seconds"
    assert samples[f"{name}_bucket", frozenset({"2xx", "0.0001"})] == 0
    assert samples[f"{name}_bucket", frozenset({"2xx", "0.0005"})] == 3
    assert samples[f"{name}_bucket", frozenset({"2xx", "5.0"})] == 3
    assert samples[f"{name}_bucket", frozenset({"2xx", "+Inf"})] == 4
    assert samples[f"{name}_count", frozenset({"2xx"})] == 4
    assert samples[f"{name}_sum", frozenset({"2xx"})] == 0.0009 + 60


def test_an_ended_process_keeps_its_counters_and_loses_its_gauges(tmp_path: Path) -> None:
    (row,) = _rows(tmp_path, 1)
    row.add("idnode_resolutions", "http", "found", by=3)
    row.set("idnode_cache_bytes", value=1000)
    row.set("idnode_feed_lag_seconds", value=9)
    clear_gauges(row)
    samples = _samples(RowsCollector([row], Node(lambda: 0)))
    assert samples["idnode_resolutions_total", frozenset({"http", "found"})] == 3
    assert samples["idnode_cache_bytes", frozenset()] == 0
    assert samples["idnode_feed_lag_seconds", frozenset()] == 0


def test_open_metrics_is_served_to_who_asks_for_it(tmp_path: Path) -> None:
    collector = RowsCollector(_rows(tmp_path, 1), Node(lambda: 0))
    body, content_type = expose(collector, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
