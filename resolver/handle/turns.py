"""Costly work that anybody may ask for, off the event loop and bounded in number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from protocol.errors import ProtocolError, ResponseCode

Result = TypeVar("Result")


class Turns:
    """One thread for one kind of work; who asks takes turns. One for each kind in a process."""

    def __init__(self, kind: str, most: int) -> None:
        """Take the name of the work, and how many may be under way or wait at once."""
        self.kind = kind
        self.most = most
        self.taken = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=kind)

    async def take(self, work: Callable[[], Result]) -> Result:
        """Return what `work` does in the thread. ProtocolError, code 3, where too many wait."""
        if self.taken >= self.most:
            raise ProtocolError(f"too many wait for {self.kind}", code=ResponseCode.SERVER_BUSY)
        self.taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self.taken -= 1
