"""Places for work that a process does only so much of at once, shared fairly between tenants."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable

from protocol.errors import Busy

Tenant = uuid.UUID | None
"""The enterprise that a request is of; None: the node's own people, together."""


class Places:
    """So many places in all, and so many of them for any one tenant."""

    def __init__(self, total: int, *, each: int, full: Callable[[], Busy]) -> None:
        """Take what makes the error for who cannot come in."""
        self._total, self._each, self._full = total, each, full
        self._held: Counter[Tenant] = Counter()
        self._freed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(self, tenant: Tenant, *, wait: float = 0.0) -> AsyncIterator[None]:
        """Hold a place while the block runs. wait: seconds until there is one. Raises Busy."""
        if not self._has_room(tenant):
            try:
                async with asyncio.timeout(wait):
                    while not self._has_room(tenant):
                        self._freed.clear()
                        await self._freed.wait()
            except TimeoutError:
                raise self._full() from None
        self._held[tenant] += 1
        try:
            yield
        finally:
            self._held[tenant] -= 1
            self._held += Counter()  # forget who holds none
            self._freed.set()

    def _has_room(self, tenant: Tenant) -> bool:
        return self._held.get(tenant, 0) < self._each and self._held.total() < self._total
