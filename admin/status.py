"""The state of a running node, as the supervisor fills it and the operator port shows it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from admin import metrics
from admin.console.visitors import Visitors
from admin.fleet import Fleet
from admin.settings import Settings
from admin.watch import Watch
from registry.metrics import METRICS, Row


@dataclass(eq=False)
class Status:
    """One node. `fleet` and `visitors` are None until the database is prepared."""

    settings: Settings
    rows: Sequence[Row]
    restarts: Counter[str] = field(default_factory=lambda: Counter({"worker": 0, "jobs": 0}))
    watch: Watch = field(default_factory=Watch)
    fleet: Fleet | None = None
    visitors: Visitors | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def ready_workers(self) -> int:
        """How many workers are ready to answer."""
        return 0 if self.fleet is None else self.fleet.ready_workers

    def reasons(self) -> list[str]:
        """Return why the node is not ready; empty if it is."""
        found = []
        if self.fleet is None:
            found.append("the node is starting")
        elif not self.fleet.ready_workers:
            found.append("no worker is ready")
        if self.watch.error is not None:
            found.append(f"database: {self.watch.error}")
        return found

    def totals(self, name: str) -> dict[tuple[str, ...], float]:
        """Return each series of a counter or gauge by its label values, over all processes."""
        metric = next(metric for metric in METRICS if metric.name == name)
        return {labels: metrics.total_of(self.rows, metric, labels)[0] for labels in metric.series}
