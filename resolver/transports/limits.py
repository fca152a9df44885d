"""How many answers one source may have over UDP, where the source may be forged.

Whoever sends requests with the address of a victim makes us send the victim more than it cost
him. So answers are counted by source, in windows of a tenth of a second, and what is over the
limit is not sent: a client that is real asks again, at last over TCP.
"""

from __future__ import annotations

from collections.abc import Callable

WINDOW_SECONDS = 0.1
_MOST_SOURCES = 100_000


class ResponseLimit:
    """Answers by source in the present window. The caller counts for itself on the hot path."""

    def __init__(self, per_second: int, clock: Callable[[], float]) -> None:
        """Take the answers that one address may have a second (0: any number), and a clock."""
        self.in_window = max(1, int(per_second * WINDOW_SECONDS)) if per_second else 0
        self._clock = clock
        self._until = 0.0
        self._counts: dict[str, int] = {}

    def allows(self, source: str, answers: int = 1) -> bool:
        """Count answers to a source; return whether they may be sent."""
        if not self.in_window:
            return True
        now = self._clock()
        if now >= self._until:
            self._until = now + WINDOW_SECONDS
            self._counts.clear()
        counts = self._counts
        count = counts.get(source, 0) + answers
        if count > self.in_window:
            return False
        if source not in counts and len(counts) >= _MOST_SOURCES:
            return False  # a flood from everywhere: none of them is told apart any more
        counts[source] = count
        return True
