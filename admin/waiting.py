"""Waiting that has an end, and pauses that grow while something keeps failing."""

from __future__ import annotations

import asyncio
import contextlib


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, for so long at most; return whether it is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


class Backoff:
    """Pauses before another try: each twice the one before, up to the longest."""

    def __init__(self, *, first: float, longest: float) -> None:
        """Take the first pause and the longest one, in seconds.

        What went well for longer than the longest pause starts over with the first one.
        """
        self.first = first
        self.longest = longest
        self._pause = first

    def next(self, went_well: float) -> float:
        """Return the pause after a try that went well for so many seconds before it failed."""
        if went_well > self.longest:
            self._pause = self.first
        pause, self._pause = self._pause, min(2 * self._pause, self.longest)
        return pause
