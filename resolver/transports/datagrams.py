"""A UDP socket of a worker that is read and answered by the batch: of the Handle protocol, of DNS.

What is plain and cached is answered at once; the rest becomes tasks. What may be sent to a source,
which may be forged, and how the long way goes, is the protocol's to say.
"""

from __future__ import annotations

import abc
import asyncio
import socket
from collections.abc import Coroutine
from time import perf_counter
from typing import Any

from structlog.typing import FilteringBoundLogger

from resolver.transports.batch import open_batches
from resolver.transports.endpoint import ShortWay
from resolver.transports.limits import ResponseLimit
from resolver.transports.tally import Tally

_BUFFER_BYTES = 4 << 20


class DatagramServer(abc.ABC):
    """A socket, the batches that are read from it, and the tasks of the long way."""

    def __init__(
        self,
        sock: socket.socket,
        front: ShortWay,
        tally: Tally,
        limit: ResponseLimit,
        log: FilteringBoundLogger,
        *,
        most_bytes: int,
    ) -> None:
        """Begin to read. most_bytes: of a request, and of an answer of the short way."""
        self.tally = tally
        self._socket = sock
        self._front = front
        self._limit = limit
        self._log = log
        self._most_bytes = most_bytes
        self._batches = open_batches(sock, most_read=most_bytes, most_sent=most_bytes)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        self._loop.add_reader(sock.fileno(), self._readable)

    async def stop(self, drain_seconds: float) -> None:
        """Read no more, finish what is under way for so long at most, end."""
        self._loop.remove_reader(self._socket.fileno())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=drain_seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()

    def _readable(self) -> None:
        batches, answer, limited = self._batches, self._front.answer, self._limit.on
        try:
            requests = batches.receive()
        except OSError as error:  # such as an ICMP error of an earlier answer
            self._log.debug("udp_socket", error=str(error))
            return
        started = perf_counter()
        replies: list[bytes] = []
        places: list[int] = []
        for place, request in enumerate(requests):
            reply = answer(request)
            if reply is None:
                self._long_way(request, batches.source(place))
            elif len(reply) > self._most_bytes:
                self._front.take_back(request)
                self._long_way(request, batches.source(place))
            elif not limited or self._may_send(request, reply, place):
                replies.append(reply)
                places.append(place)
        if replies:
            batches.send(replies, places)
            self.tally.add(len(replies), perf_counter() - started)

    @abc.abstractmethod
    def _may_send(self, request: bytes, reply: bytes, place: int) -> bool:
        """Whether an answer of the short way, which has been counted, is within the limits.

        If it is not, whatever the source gets in its place is sent here.
        """

    @abc.abstractmethod
    def _long_way(self, request: bytes, source: Any) -> None:
        """Take a datagram that the short way does not answer."""

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _send(self, datagram: bytes, source: Any) -> bool:
        """Send one; return False, after a word in the log, where that cannot be done."""
        try:
            self._socket.sendto(datagram, source)
        except OSError as error:  # a full buffer, or nobody there
            self._log.debug("udp_send", error=str(error))
            return False
        return True
