"""The Handle protocol over UDP (RFC 3652 section 2.3).

Datagrams are read by the batch, and those that are plain, cached questions are answered by the
batch too. The others become tasks, of which there is a bounded number: what is over it is
dropped, and the client asks again.

An answer that is too long for its source, which may be forged, is not sent; a short error is. Code
2 (ERROR) is the one that makes the reference client ask over TCP at once: it takes 3 (SERVER_BUSY)
for the last word, and waits three seconds where there is no answer.
"""

from __future__ import annotations

import asyncio
import socket
from time import perf_counter
from typing import Any

import structlog

from protocol.errors import ProtocolError
from protocol.handle import header
from protocol.handle.envelope import SIZE, Envelope, decode_envelope
from protocol.handle.fragment import MAX_DATAGRAM_BYTES, Reassembly, cut
from resolver.handle.service import Peer
from resolver.transports.batch import open_batches
from resolver.transports.endpoint import Endpoint
from resolver.transports.handle_endpoint import over_tcp
from resolver.transports.limits import ResponseLimit, source_of
from resolver.transports.tally import Tally

log = structlog.get_logger("idnode.udp")

MAX_TASKS = 1000
"""Questions under way on the long way at once."""

MAX_ANSWER_DATAGRAMS = 32
"""A longer answer is not sent over UDP, where its receiver may be forged."""

_BUFFER_BYTES = 4 << 20


class UdpServer:
    """A worker's UDP socket."""

    def __init__(self, endpoint: Endpoint, sock: socket.socket, limit: ResponseLimit) -> None:
        self._endpoint = endpoint
        self._socket = sock
        self._batches = open_batches(sock)
        self._limit = limit
        self.tally = Tally("udp", endpoint.freshness, endpoint.row)
        self._loop = asyncio.get_running_loop()
        self._reassembly = Reassembly()
        self._tasks: set[asyncio.Task[None]] = set()
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        self._loop.add_reader(sock.fileno(), self._readable)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._socket.getsockname()[1]
        return port

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
        batches, answer, limited = self._batches, self._endpoint.front.answer, self._limit.on
        try:
            requests = batches.receive()
        except OSError as error:  # such as an ICMP error of an earlier answer
            log.debug("udp_socket", error=str(error))
            return
        started = perf_counter()
        replies: list[bytes] = []
        places: list[int] = []
        for place, request in enumerate(requests):
            reply = answer(request)
            if reply is None:
                self._long_way(request, batches.source(place))
            elif len(reply) > MAX_DATAGRAM_BYTES:
                self._endpoint.front.take_back(request)
                self._long_way(request, batches.source(place))
            elif not limited or self._may_send(request, reply, place):
                replies.append(reply)
                places.append(place)
        if replies:
            batches.send(replies, places)
            self.tally.add(len(replies), perf_counter() - started)

    def _may_send(self, request: bytes, reply: bytes, place: int) -> bool:
        """Whether an answer of one datagram, which has been counted, is within the limits."""
        whom = source_of(self._batches.host(place))
        if not self._limit.allows(whom):
            self._endpoint.row.add("idnode_udp_dropped", "rate")
        elif not self._limit.affords(whom, len(request), len(reply)):
            self._endpoint.row.add("idnode_udp_dropped", "bytes")
            self._send([self._endpoint.too_long(request)], self._batches.source(place))
        else:
            return True
        self._endpoint.front.take_back(request)
        return False

    def _long_way(self, datagram: bytes, source: Any) -> None:
        """Put messages together, and answer whole ones. What is no message gets no answer."""
        try:
            envelope = decode_envelope(datagram)
            if envelope.message_length < header.SIZE:
                raise ProtocolError("shorter than any message")
            whole = self._reassembly.add(source, envelope, datagram[SIZE:], self._loop.time())
        except ProtocolError:
            self._endpoint.row.add("idnode_udp_dropped", "malformed")
            return
        if whole is None:
            return
        if len(self._tasks) >= MAX_TASKS:
            self._endpoint.row.add("idnode_udp_dropped", "busy")
            return
        # Before the work, not only before the answer.
        if not self._limit.allows(source_of(source[0])):
            self._endpoint.row.add("idnode_udp_dropped", "rate")
            return
        task = self._loop.create_task(self._answer(*whole, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, envelope: Envelope, payload: bytes, source: Any) -> None:
        peer, whom = Peer("udp", source[0]), source_of(source[0])
        for message in (await self._endpoint.answer(envelope, payload, peer))[:1]:
            datagrams = cut(message.envelope, message.encode_payload())
            if len(datagrams) > MAX_ANSWER_DATAGRAMS:
                reason = "size"
            elif not self._limit.affords(whom, SIZE + len(payload), sum(map(len, datagrams))):
                reason = "bytes"
            elif not self._limit.allows(whom, len(datagrams) - 1):
                self._endpoint.row.add("idnode_udp_dropped", "rate")
                return
            else:
                self._send(datagrams, source)
                return
            self._endpoint.row.add("idnode_udp_dropped", reason)
            refused = over_tcp(message)
            self._send(cut(refused.envelope, refused.encode_payload()), source)

    def _send(self, datagrams: list[bytes], source: Any) -> None:
        try:
            for datagram in datagrams:
                self._socket.sendto(datagram, source)
        except OSError as error:  # a full buffer, or nobody there
            log.debug("udp_send", error=str(error))
