"""How much of a file has been read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """Counts what has been read. size, taken: in bytes."""

    size: int
    taken: int = 0

    def share(self) -> float:
        """Return the share of the file, 0 to 1."""
        return min(1.0, self.taken / self.size) if self.size else 1.0
