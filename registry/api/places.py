"""Places for work that a process does only so much of at once, shared fairly between holders."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable

from protocol.errors import Busy

Tenant = uuid.UUID | None
"""The enterprise that a request is of; None: the node's own people, together."""

Holder = Tenant | str
"""Who holds places: a tenant, or one account by its actor where only the node's people may."""


class Places:
    """So many places in all, and so many of them for any one holder."""

    def __init__(self, total: int, *, each: int, full: Callable[[], Busy]) -> None:
        """Take what makes the error for who cannot come in."""
        self._total, self._each, self._full = total, each, full
        self._held: Counter[Holder] = Counter()
        self._freed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(self, holder: Holder, *, wait: float = 0.0) -> AsyncIterator[None]:
        """Hold a place while the block runs. wait: seconds until there is one. Raises Busy."""
        if not self._has_room(holder):
            try:
                async with asyncio.timeout(wait):
                    while not self._has_room(holder):
                        self._freed.clear()
                        await self._freed.wait()
            except TimeoutError:
                raise self._full() from None
        self._held[holder] += 1
        try:
            yield
        finally:
            self._held[holder] -= 1
            self._held += Counter()  # forget who holds none
            self._freed.set()

    def _has_room(self, holder: Holder) -> bool:
        return self._held.get(holder, 0) < self._each and self._held.total() < self._total
