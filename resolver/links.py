"""Relations of what is resolved, for link sets and for the page that people see.

They are read from PostgreSQL each time: few ask, and the answers that are asked for most, which are
cached, must not grow by them. A worker reads few at once, so that who asks for many takes nothing
from resolution.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from protocol.errors import StoreUnavailable
from protocol.identifier import Identifier
from registry.relations import links
from registry.relations.links import Link
from registry.relations.model import key
from resolver.lookup import Resolver

MAX_READS = 2
"""Reads that one worker makes at once."""

MAX_WAITING = 100
"""Requests that may wait for a read; one more is told to come again later."""


class Links:
    """Reads relations, a bounded number at once."""

    def __init__(self, resolver: Resolver) -> None:
        """Take the resolver whose database they are in."""
        self._resolver = resolver
        self._free = asyncio.Semaphore(MAX_READS)
        self._waiting = 0

    async def of(self, identifier: Identifier, limit: int) -> Sequence[Link]:
        """Return at most `limit` public relations of an identifier. Raises StoreUnavailable."""
        if self._waiting >= MAX_WAITING:
            raise StoreUnavailable("too many queries wait for the database")
        self._waiting += 1
        try:
            async with self._free:
                if not self._resolver.ready:
                    raise StoreUnavailable()
                at = key(identifier)
                return await self._resolver.read(lambda pool: links.public(pool, at, limit))
        finally:
            self._waiting -= 1
