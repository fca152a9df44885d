"""Answers whose body is sent while it is made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import web

from protocol.errors import IdnodeError
from registry.api.requests import REQUEST_ID

log = structlog.get_logger("idnode.api")

WINDOW_SECONDS = 30.0
"""Time over which the rate is looked at at which a client takes an answer."""

LEAST_BYTES = 1 << 20
"""What a client must take, before compression, for each window in which it was waited for."""


@dataclass
class Pace:
    """Sends one answer, and gives up on a client that takes it too slowly.

    Only the time counts in which the client is waited for, not that in which the answer is made.
    seconds: the window. least: bytes of the body in each. clock: seconds, from any start.
    """

    seconds: float = WINDOW_SECONDS
    least: int = LEAST_BYTES
    clock: Callable[[], float] = time.monotonic
    _waited: float = 0.0
    _taken: int = 0

    async def write(self, response: web.StreamResponse, part: bytes) -> None:
        """Send a part of the body. Raises TimeoutError for a client that is too slow."""
        begun = self.clock()
        async with asyncio.timeout(self.seconds):
            await response.write(part)
        self._waited += self.clock() - begun
        self._taken += len(part)
        if self._waited < self.seconds:
            return
        if self._taken < self.least * self._waited / self.seconds:
            raise TimeoutError(f"took {self._taken} bytes in {self._waited:.0f} s")
        self._waited, self._taken = 0.0, 0

    async def end(self, response: web.StreamResponse) -> None:
        """Send what is left. Raises TimeoutError where that is not taken within the window."""
        async with asyncio.timeout(self.seconds):
            await response.write_eof()


def cut_off(request: web.Request, error: Exception) -> None:
    """End the connection within the body: its status said success, which it no longer is."""
    log.warning(
        "answer_cut_off",
        request_id=request.get(REQUEST_ID),
        error=repr(error),
        cause=repr(error.__cause__),
        exc_info=not isinstance(error, IdnodeError | ConnectionError | TimeoutError),
    )
    if request.transport is not None:
        request.transport.abort()
