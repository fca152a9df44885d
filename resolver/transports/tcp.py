"""The Handle protocol over TCP: whole messages one after the other (RFC 3652 section 2.3.2).

Requests may be pipelined and connections kept; answers come in the order of their requests. All
that a read brings is answered with one write. A connection that brings no whole request, or takes
no answer, for IDLE_SECONDS is closed, whether its client is slow or does nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from time import perf_counter

from protocol.errors import ProtocolError
from protocol.handle.envelope import SIZE, Envelope
from protocol.handle.message import read_frame
from resolver.handle.service import Login, Peer
from resolver.transports.handle_endpoint import HandleEndpoint, refusal
from resolver.transports.tally import Tally

IDLE_SECONDS = 60.0
MAX_CONNECTIONS = 10_000
MAX_PENDING = 64
"""Requests of one connection that wait for the long way; then nothing more is read from it."""

_WRITE_BYTES = 1 << 20
"""Answers of one read that are put together. What was asked after them goes the long way, which
waits until the client has taken these: a few bytes that ask for much shall not fill the memory."""

_BACKLOG = 1024


class TcpServer:
    """A worker's TCP socket and its connections."""

    def __init__(self, endpoint: HandleEndpoint) -> None:
        self.endpoint = endpoint
        self.connections: set[_Connection] = set()
        self.tally = Tally("tcp", endpoint.service.resolver.feed, endpoint.row)
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Listen on a bound socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), sock=sock, backlog=_BACKLOG
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None  # noqa: S101  (started)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self, drain_seconds: float) -> None:
        """Take no more connections, finish what is under way for so long at most, end."""
        if self._server is not None:
            self._server.close()
        busy = [connection.task for connection in self.connections if connection.task is not None]
        if busy:
            await asyncio.wait(busy, timeout=drain_seconds)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.gather(*busy, return_exceptions=True)


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._endpoint = server.endpoint
        self._answer = server.endpoint.front.answer
        self._count = server.tally.add
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._pending: deque[tuple[Envelope, bytes]] = deque()
        self._writable = asyncio.Event()
        self._writable.set()
        self._paused = False
        self._refusal = b""
        self._ended = False  # the client has sent all, or what it sends makes no sense
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        address = (transport.get_extra_info("peername") or ("",))[0]
        self._peer = Peer("tcp", address, login=Login())
        self._active_at = perf_counter()
        self._timer = self._loop.call_later(IDLE_SECONDS, self._look)
        self._server.connections.add(self)
        if len(self._server.connections) > MAX_CONNECTIONS:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._server.connections.discard(self)
        self._timer.cancel()
        if self.task is not None:
            self.task.cancel()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def _look(self) -> None:
        idle = perf_counter() - self._active_at
        waits_for_us = self.task is not None and self._writable.is_set()
        if idle >= IDLE_SECONDS and not waits_for_us:
            self.abort()
        else:
            self._timer = self._loop.call_later(max(1.0, IDLE_SECONDS - idle), self._look)

    def data_received(self, data: bytes) -> None:
        """Answer what is plain and cached; queue the rest behind it."""
        if self._ended:
            return
        started = perf_counter()
        if not self._buffer and self.task is None:
            reply = self._answer(data)
            if reply is not None:  # one whole request, as most clients send it
                self._transport.write(reply)
                self._active_at = started
                self._count(1, perf_counter() - started)
                return
        replies = self._read(self._buffer + data if self._buffer else data)
        if replies:
            self._transport.write(b"".join(replies))
            self._active_at = started
            self._count(len(replies), perf_counter() - started)
        if self._ended and self.task is None:
            self._finish()

    def _read(self, buffer: bytes) -> list[bytes]:
        """Take all whole requests; return the answers on the short way, keep what is not whole."""
        replies: list[bytes] = []
        at, end, room = 0, len(buffer), _WRITE_BYTES
        try:
            while end - at >= SIZE:
                stop = at + SIZE + int.from_bytes(buffer[at + 16 : at + SIZE], "big")
                reply = None
                if stop <= end and self.task is None and room > 0:
                    reply = self._answer(buffer[at:stop])
                if reply is not None:
                    replies.append(reply)
                    room -= len(reply)
                    at = stop
                    continue
                frame = read_frame(buffer, at)
                if frame is None:
                    break
                envelope, payload, at = frame
                self._queue(envelope, payload)
        except ProtocolError as error:
            self._ended = True
            self._refusal = refusal(error, self._endpoint.expiration).encode()
            at = end
        self._buffer = buffer[at:]
        return replies

    def eof_received(self) -> bool:
        """Answer what was asked before the client closed its side, then close ours."""
        self._ended = True
        if self.task is None:
            self._finish()
        return True

    def _finish(self) -> None:
        if self._refusal:
            self._transport.write(self._refusal)
        self._transport.close()

    def _queue(self, envelope: Envelope, payload: bytes) -> None:
        self._pending.append((envelope, payload))
        if len(self._pending) >= MAX_PENDING and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if self.task is None:
            self.task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        """Answer what is queued, in order, on the long way."""
        try:
            while self._pending:
                envelope, payload = self._pending.popleft()
                for message in await self._endpoint.answer(envelope, payload, self._peer):
                    await self._writable.wait()
                    self._transport.write(message.encode())
                    self._active_at = perf_counter()
                if self._paused and len(self._pending) <= MAX_PENDING // 2:
                    self._paused = False
                    if self._writable.is_set():
                        self._transport.resume_reading()
        finally:
            self.task = None
        if self._ended:
            self._finish()

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read, and wait before the next answer."""
        self._writable.clear()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()
        if not self._paused:
            self._transport.resume_reading()
