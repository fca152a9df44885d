"""Shares of the connections to the database: no holder of tokens takes them all.

Whose token it is, is known only once the database was asked, for which a connection is needed. So
it is remembered from one request to the next; tokens that were never good share one share.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from protocol.errors import StoreUnavailable

Holder = uuid.UUID | str
"""An enterprise, or an actor of the node itself."""

MAX_KNOWN = 10_000
"""Tokens of which it is remembered whose they are, each with some 200 octets."""

_NOBODY_KNOWN = ""


@dataclass(slots=True)
class _Share:
    free: asyncio.Semaphore
    users: int = 0


class Shares:
    """So many connections for each holder at a time."""

    def __init__(self, each: int) -> None:
        """Take how many a holder may have."""
        self._each = each
        self._known: dict[bytes, Holder] = {}
        self._shares: dict[Holder, _Share] = {}

    @contextlib.asynccontextmanager
    async def hold(self, token: str, *, wait: float) -> AsyncIterator[Callable[[Holder], None]]:
        """Hold a connection's worth of the share of a token's holder while the block runs.

        wait: seconds until there is one; those of one holder come in their order. Yields what to
        tell whose token it is. Raises StoreUnavailable.
        """
        name = hashlib.sha256(token.encode()).digest()[:16]
        holder = self._known.get(name, _NOBODY_KNOWN)
        share = self._shares.setdefault(holder, _Share(asyncio.Semaphore(self._each)))
        share.users += 1
        try:
            await _acquire(share.free, wait)
            try:
                yield lambda whose: self._note(name, whose)
            finally:
                share.free.release()
        finally:
            share.users -= 1
            if not share.users:
                del self._shares[holder]

    def _note(self, name: bytes, holder: Holder) -> None:
        if self._known.get(name) == holder:
            return
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[name] = holder


async def _acquire(free: asyncio.Semaphore, wait: float) -> None:
    if not free.locked():
        await free.acquire()
        return
    try:
        async with asyncio.timeout(wait):
            await free.acquire()
    except TimeoutError:
        raise StoreUnavailable("all database connections are busy") from None
