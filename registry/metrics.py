"""Counters that many processes share.

Every process of the node writes its own row of one memory-mapped file of doubles; whoever
exposes the metrics adds the rows up. There is one writer to a row and no lock, and a count costs
one addition. A process that is started again goes on in the row of its predecessor, so counters
never run backwards.

The table METRICS is the whole list: what is not in it cannot be counted.
"""

from __future__ import annotations

import bisect
import mmap
from dataclasses import dataclass
from itertools import product
from pathlib import Path

LATENCY_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
"""Upper bounds in seconds; above the last is infinity."""


@dataclass(frozen=True)
class Metric:
    """One metric family.

    kind: counter and histogram are added up over processes, gauge likewise, gauge_max is the
    largest of the rows.
    labels: each label's name with all the values it may have.
    """

    name: str
    help: str
    kind: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def series(self) -> list[tuple[str, ...]]:
        """All combinations of label values, in the order in which they are stored."""
        return list(product(*(values for _, values in self.labels)))

    @property
    def width(self) -> int:
        """Doubles that one series takes: a histogram has its buckets, infinity and the sum."""
        return len(LATENCY_BUCKETS) + 2 if self.kind == "histogram" else 1


TRANSPORTS = ("http", "udp", "tcp", "dns")
RESULTS = ("found", "not_found", "no_values", "invalid", "referral", "unavailable", "error")

_BY_TRANSPORT = (("transport", TRANSPORTS), ("result", RESULTS))

_RECURSION_FAILURES = (
    "loop",
    "questions",
    "depth",
    "place",
    "refused",
    "servers",
    "deadline",
    "busy",
    "client",
)
_RECURSION_DROPS = ("source", "request_id", "question", "oversized", "malformed", "referral")

METRICS = (
    Metric("idnode_resolutions", "Resolution requests answered.", "counter", _BY_TRANSPORT),
    Metric(
        "idnode_resolution_duration_seconds",
        "Time from the request read to the answer written.",
        "histogram",
        _BY_TRANSPORT,
    ),
    Metric(
        "idnode_handle_operations",
        "Other requests of the Handle protocol answered, resolutions challenged or refused too.",
        "counter",
        (
            (
                "operation",
                ("resolution", "site", "identifiers", "prefixes", "session", "proof", "other"),
            ),
            ("result", ("done", "challenged", "refused", "failed")),
        ),
    ),
    Metric(
        "idnode_api_requests",
        "Registry API requests answered, by class of HTTP status.",
        "counter",
        (("status", ("2xx", "3xx", "4xx", "5xx")),),
    ),
    Metric(
        "idnode_api_duration_seconds",
        "Time that a registry API request took.",
        "histogram",
        (("status", ("2xx", "3xx", "4xx", "5xx")),),
    ),
    Metric(
        "idnode_cache_requests",
        "Questions to the cache.",
        "counter",
        (("outcome", ("hit", "negative_hit", "miss", "stale")),),
    ),
    Metric(
        "idnode_udp_dropped",
        "Datagrams and answers over UDP that were dropped.",
        "counter",
        (("reason", ("rate", "bytes", "size", "busy", "malformed")),),
    ),
    Metric(
        "idnode_tcp_refused",
        "Handle connections closed for want of room: too many, or they hold too much.",
        "counter",
        (("reason", ("connections", "idle", "source", "memory")),),
    ),
    Metric(
        "idnode_dns_responses",
        "Responses over DNS, by response code.",
        "counter",
        (
            (
                "rcode",
                (
                    "noerror",
                    "formerr",
                    "servfail",
                    "nxdomain",
                    "notimp",
                    "refused",
                    "badvers",
                    "badcookie",
                ),
            ),
        ),
    ),
    Metric(
        "idnode_dns_bad_queries",
        "Queries over DNS that were answered with their header alone, by what is wrong with them.",
        "counter",
        (
            (
                "reason",
                (
                    "opcode",
                    "questions",
                    "records",
                    "compressed",
                    "label",
                    "name",
                    "additional",
                    "options",
                    "cookie",
                    "short",
                    "rest",
                ),
            ),
        ),
    ),
    Metric(
        "idnode_dns_dropped",
        "Messages, responses and connections over DNS that were dropped or cut short.",
        "counter",
        (
            (
                "reason",
                (
                    "rate",
                    "slip",
                    "bytes",
                    "busy",
                    "malformed",
                    "response",
                    "connections",
                    "source",
                    "memory",
                ),
            ),
        ),
    ),
    Metric(
        "idnode_http_refused",
        "Connections over HTTP closed for want of room: too many, or of one source.",
        "counter",
        (("reason", ("connections", "idle", "source")),),
    ),
    Metric(
        "idnode_secrets_refused",
        "Proofs of identity by a secret that were wrong, or not looked at after too many such.",
        "counter",
        (("reason", ("wrong", "limit")),),
    ),
    Metric(
        "idnode_recursion_queries",
        "Questions for what other nodes have, by where the answer came from.",
        "counter",
        (("outcome", ("cached", "asked", "stale", "failed")),),
    ),
    Metric(
        "idnode_recursion_sent",
        "Questions sent to other nodes.",
        "counter",
        (("transport", ("udp", "tcp")),),
    ),
    Metric(
        "idnode_recursion_prefetched",
        "Answers of other nodes that were renewed before their time was over.",
        "counter",
    ),
    Metric(
        "idnode_recursion_discovered",
        "Searches in the DNS for nodes, and servers named there that must not be asked.",
        "counter",
        (("outcome", ("found", "none", "untrusted", "failed", "refused")),),
    ),
    Metric(
        "idnode_recursion_failed",
        "Identifiers of other nodes for which no answer was found.",
        "counter",
        (("reason", _RECURSION_FAILURES),),
    ),
    Metric(
        "idnode_recursion_dropped",
        "What came from other nodes, or in their name, and was not believed.",
        "counter",
        (("reason", _RECURSION_DROPS),),
    ),
    Metric("idnode_cache_entries", "Identifiers in the cache.", "gauge"),
    Metric("idnode_cache_bytes", "Bytes that the cache holds.", "gauge"),
    Metric("idnode_cache_evictions", "Entries pushed out for want of room.", "counter"),
    Metric("idnode_feed_lag_seconds", "Age of the last look at the change log.", "gauge_max"),
    Metric("idnode_feed_changes", "Lines of the change log applied.", "counter"),
    Metric("idnode_database_up", "Processes that reach the database.", "gauge"),
    Metric("idnode_database_pool_in_use", "Database connections in use.", "gauge"),
    Metric("idnode_database_pool_open", "Database connections open.", "gauge"),
    Metric("idnode_database_reads", "Reads of the resolver in the database.", "counter"),
    Metric("idnode_outbox_depth", "Messages that wait for the top-level node.", "gauge"),
    Metric(
        "idnode_uplink_messages",
        "Messages to the top-level node.",
        "counter",
        (("outcome", ("delivered", "failed")),),
    ),
    Metric(
        "idnode_import_rows",
        "Rows of imports decided.",
        "counter",
        (("outcome", ("done", "failed")),),
    ),
    Metric("idnode_connections", "Open client connections.", "gauge", (("transport", TRANSPORTS),)),
)


def _lay_out() -> tuple[dict[tuple[str, ...], int], int]:
    slots: dict[tuple[str, ...], int] = {}
    at = 0
    for metric in METRICS:
        for labels in metric.series:
            slots[(metric.name, *labels)] = at
            at += metric.width
    return slots, at


_SLOTS, ROW_LENGTH = _lay_out()


class Row:
    """One process's counters. `cells` is indexed by what `slot` returns."""

    def __init__(self, cells: memoryview[float]) -> None:
        self.cells = cells

    def add(self, name: str, *labels: str, by: float = 1) -> None:
        """Count `by` more."""
        self.cells[slot(name, *labels)] += by

    def set(self, name: str, *labels: str, value: float) -> None:
        """Set a gauge."""
        self.cells[slot(name, *labels)] = value

    def observe(self, name: str, *labels: str, seconds: float, times: int = 1) -> None:
        """Put `times` observations of `seconds` each into a histogram."""
        start = slot(name, *labels)
        self.cells[start + bisect.bisect_left(LATENCY_BUCKETS, seconds)] += times
        self.cells[start + len(LATENCY_BUCKETS) + 1] += seconds * times


def slot(name: str, *labels: str) -> int:
    """Return where a series starts in a row. KeyError for what METRICS does not list."""
    return _SLOTS[(name, *labels)]


def private_row() -> Row:
    """Return a row that nobody else sees, for a process that stands alone and for tests."""
    return Row(memoryview(bytearray(8 * ROW_LENGTH)).cast("d"))


def create(path: Path, rows: int) -> None:
    """Make the shared file, all zero, for `rows` processes."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(bytes(8 * ROW_LENGTH * rows))
    temporary.replace(path)


def open_rows(path: Path) -> list[Row]:
    """Map the shared file and return all its rows."""
    with path.open("r+b") as file:
        memory = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
    return [Row(memory[start : start + ROW_LENGTH]) for start in range(0, len(memory), ROW_LENGTH)]
