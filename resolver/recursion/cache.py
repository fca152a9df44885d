"""What other nodes have said, for as long as it holds and a while longer; bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

OVERHEAD_BYTES = 400
"""What an entry takes beside what is said in it, measured with CPython 3.11, rounded up."""

_LARGEST = 8
"""No entry may have more than this part of the room: one that is longer is not kept."""


@dataclass(slots=True)
class Entry(Generic[T]):
    """since, until: seconds of the cache's clock, from when to when it is fresh; kept_until: stale.

    hits: how often it was asked for. rest_until: its renewal failed, and is not tried before.
    """

    value: T
    since: float
    until: float
    kept_until: float
    size: int
    hits: int = 0
    rest_until: float = 0.0


class TimedCache(Generic[T]):
    """Entries by key; those that were not asked for longest go first when there is no room."""

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        """Take the room, and a clock in seconds that does not go back."""
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, Entry[T]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        """How many entries there are, stale ones too."""
        return len(self._entries)

    def get(self, key: str) -> Entry[T] | None:
        """Return an entry, fresh or stale, and count that it was asked for."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.kept_until <= self._clock():
            self.forget(key)
            return None
        self._entries.move_to_end(key)
        entry.hits += 1
        return entry

    def fresh(self, key: str) -> T | None:
        """Return what an entry says if its time is not over."""
        entry = self.get(key)
        return entry.value if entry is not None and entry.until > self._clock() else None

    def put(self, key: str, value: T, size: int, seconds: float, stale_seconds: float = 0) -> None:
        """Keep a value in place of the one before. size: bytes of what it says, beside its key."""
        self.forget(key)
        size += len(key) + OVERHEAD_BYTES
        if size * _LARGEST > self._max_bytes:
            return
        now = self._clock()
        until = now + seconds
        self._entries[key] = Entry(value, now, until, until + stale_seconds, size)
        self.bytes += size
        while self.bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= oldest.size

    def forget(self, key: str) -> None:
        """Forget an entry, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
