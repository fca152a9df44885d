"""The Handle protocol over UDP (RFC 3652 section 2.3).

Datagrams are read by the batch, and those that are plain, cached questions are answered by the
batch too. The others become tasks, of which there is a bounded number: what is over it is
dropped, and the client asks again.

An answer that is too long for its source, which may be forged, is not sent; a short error is. Code
2 (ERROR) is the one that makes the reference client ask over TCP at once: it takes 3 (SERVER_BUSY)
for the last word, and waits three seconds where there is no answer.
"""

from __future__ import annotations

import socket
from typing import Any

import structlog

from protocol.errors import ProtocolError
from protocol.handle import header
from protocol.handle.envelope import SIZE, Envelope, decode_envelope
from protocol.handle.fragment import MAX_DATAGRAM_BYTES, Reassembly, cut
from resolver.handle.service import Peer
from resolver.transports.datagrams import DatagramServer
from resolver.transports.endpoint import Endpoint
from resolver.transports.handle_endpoint import over_tcp
from resolver.transports.limits import ResponseLimit, source_of
from resolver.transports.tally import Tally

log = structlog.get_logger("idnode.udp")

MAX_TASKS = 1000
"""Questions under way on the long way at once."""

MAX_ANSWER_DATAGRAMS = 32
"""A longer answer is not sent over UDP, where its receiver may be forged."""


class UdpServer(DatagramServer):
    """A worker's UDP socket."""

    def __init__(self, endpoint: Endpoint, sock: socket.socket, limit: ResponseLimit) -> None:
        self._endpoint = endpoint
        self._reassembly = Reassembly()
        tally = Tally("udp", endpoint.freshness, endpoint.row)
        super().__init__(sock, endpoint.front, tally, limit, log, most_bytes=MAX_DATAGRAM_BYTES)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._socket.getsockname()[1]
        return port

    def _may_send(self, request: bytes, reply: bytes, place: int) -> bool:
        whom = source_of(self._batches.host(place))
        if not self._limit.allows(whom):
            self._endpoint.row.add("idnode_udp_dropped", "rate")
        elif not self._limit.affords(whom, len(request), len(reply)):
            self._endpoint.row.add("idnode_udp_dropped", "bytes")
            self._send(self._endpoint.too_long(request), self._batches.source(place))
        else:
            return True
        self._front.take_back(request)
        return False

    def _long_way(self, request: bytes, source: Any) -> None:
        """Put messages together, and answer whole ones. What is no message gets no answer."""
        try:
            envelope = decode_envelope(request)
            if envelope.message_length < header.SIZE:
                raise ProtocolError("shorter than any message")
            whole = self._reassembly.add(source, envelope, request[SIZE:], self._loop.time())
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
        self._begin(self._answer(*whole, source))

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
                self._send_all(datagrams, source)
                return
            self._endpoint.row.add("idnode_udp_dropped", reason)
            refused = over_tcp(message)
            self._send_all(cut(refused.envelope, refused.encode_payload()), source)

    def _send_all(self, datagrams: list[bytes], source: Any) -> None:
        """Send a message; without one of its datagrams the rest is for nothing."""
        for datagram in datagrams:
            if not self._send(datagram, source):
                return
