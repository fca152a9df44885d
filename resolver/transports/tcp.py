"""The Handle protocol over TCP: whole messages one after the other (RFC 3652 section 2.3.2).

Requests may be pipelined and connections kept; answers come in the order of their requests. All
that a read brings is answered with one write. A connection that brings no whole request, or takes
no answer, for IDLE_SECONDS is closed, whether its client is slow or does nothing.

The connections have an epoll of their own (Linux), and the event loop watches nothing but that
one: it wakes up once for all clients that have sent something, and a plain question costs one
read, one look into the cache, and one write. A transport and a protocol of asyncio for each
connection, and a turn of the loop for each read, cost a fifth more.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import ValuesView
from heapq import nsmallest
from select import EPOLLIN, EPOLLOUT, epoll
from time import perf_counter

import structlog

from protocol.errors import ProtocolError
from protocol.handle.envelope import SIZE, Envelope
from protocol.handle.message import read_frame
from resolver.handle.service import Login, Peer
from resolver.transports.endpoint import Endpoint
from resolver.transports.handle_endpoint import refusal
from resolver.transports.limits import Places, source_of
from resolver.transports.tally import Tally

log = structlog.get_logger("idnode.tcp")

IDLE_SECONDS = 60.0
MAX_CONNECTIONS = 10_000
"""Of a worker. When there are so many, those go that have been idle longest, for SPARED_SECONDS at
least: whoever holds connections and does not use them keeps nobody out."""

SPARED_SECONDS = 1.0
MAX_PENDING = 64
"""Requests of one connection that wait for the long way; then nothing more is read from it."""

_WRITE_BYTES = 1 << 20
"""Answers of one read that are put together. What was asked after them goes the long way, which
waits until the client has taken these: a few bytes that ask for much shall not fill the memory."""

MAX_HELD_BYTES = 64 << 20
"""What all connections together may hold: requests that are not whole or wait for their turn, and
answers that are not taken. Beyond it the connection that holds most is closed."""

_BACKLOG = 1024
_BATCH = 64
"""Connections a turn, so that other sockets get theirs."""

_READ_BYTES = 65_536

_RETRY_SECONDS = 1.0
"""How long no connection is taken after one could not be had, such as for want of a descriptor."""


class TcpServer:
    """A worker's TCP socket and its connections."""

    def __init__(self, endpoint: Endpoint, sock: socket.socket, per_source: int) -> None:
        """Listen on a bound, non-blocking socket. Raises OSError.

        per_source: connections that one source may have; 0: any number.
        """
        self.endpoint = endpoint
        self._places = Places(per_source)
        self.tally = Tally("tcp", endpoint.freshness, endpoint.row)
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._connections: dict[int, _Connection] = {}  # by file descriptor
        self._retry: asyncio.TimerHandle | None = None
        self._held = 0
        sock.listen(_BACKLOG)
        self.epoll = epoll()
        self._loop.add_reader(self.epoll.fileno(), self._ready)
        self._listen()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def connections(self) -> ValuesView[_Connection]:
        """Those that are open."""
        return self._connections.values()

    async def stop(self, drain_seconds: float) -> None:
        """Take no more connections, finish what is under way for so long at most, end."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        busy = [connection.task for connection in self.connections if connection.task is not None]
        if busy:
            await asyncio.wait(busy, timeout=drain_seconds)
        for connection in list(self.connections):
            connection.close()
        await asyncio.gather(*busy, return_exceptions=True)
        self._loop.remove_reader(self.epoll.fileno())
        self.epoll.close()

    def forget(self, fd: int) -> None:
        """Take a connection off the list, before its descriptor is closed."""
        self.epoll.unregister(fd)
        self._places.leave(self._connections.pop(fd).source)

    def hold(self, more: int) -> None:
        """Count bytes that a connection holds from now on; fewer if negative."""
        self._held += more
        while self._held > MAX_HELD_BYTES:
            self.endpoint.row.add("idnode_tcp_refused", "memory")
            max(self._connections.values(), key=lambda one: one.held).close()

    def _listen(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                sock, address = self._socket.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                source = source_of(address[0])
                refused = self._refuses(source)
                if refused is not None:
                    self.endpoint.row.add("idnode_tcp_refused", refused)
                    sock.close()
                    continue
                self.epoll.register(sock.fileno(), EPOLLIN)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # that client has gone already
            except OSError as error:
                log.warning("tcp_accept_failed", error=str(error))
                self._loop.remove_reader(self._socket.fileno())
                self._retry = self._loop.call_later(_RETRY_SECONDS, self._listen)
                return
            self._connections[sock.fileno()] = _Connection(self, sock, address[0], source)
            self._places.take(source)

    def _refuses(self, source: str) -> str | None:
        """Return why no connection of this source is taken, None if it is."""
        if not self._places.free_for(source):
            return "source"
        if len(self._connections) >= MAX_CONNECTIONS:
            self._make_room()
        return "connections" if len(self._connections) >= MAX_CONNECTIONS else None

    def _make_room(self) -> None:
        """Close connections that are idle, as many as may come in a turn: one look for all."""
        latest = perf_counter() - SPARED_SECONDS
        idle = (one for one in self.connections if one.active_at < latest and not one.waits_for_us)
        for connection in nsmallest(_BATCH, idle, key=lambda one: one.active_at):
            self.endpoint.row.add("idnode_tcp_refused", "idle")
            connection.close()

    def _ready(self) -> None:
        """Serve the connections that have something to read, or room again for what is unsent."""
        answer, connections, read = self.endpoint.front.answer, self._connections, os.read
        started = perf_counter()
        hits = 0
        for fd, events in self.epoll.poll(0, _BATCH):
            connection = connections.get(fd)
            if connection is None:
                continue  # closed, in this turn
            try:
                if events != EPOLLIN:
                    connection.changed(events)
                    continue
                data = read(fd, _READ_BYTES)
                reply = answer(data) if connection.is_plain else None
                if reply is None:
                    hits += connection.received(data)
                else:  # one whole request, as most clients send it
                    hits += 1
                    connection.active_at = started
                    connection.send(reply)
            except BlockingIOError:
                continue  # there was nothing after all
            except OSError:
                connection.close()  # by the client
            except Exception:
                log.exception("tcp_connection_failed")
                connection.close()
        if hits:
            self.tally.add(hits, perf_counter() - started)


class _Connection:
    """One client.

    is_plain: whether a request that comes now is a whole one, and next to be answered.
    source: whom it is counted for.
    held: bytes of requests and answers that are kept for it.
    active_at: when the last request came or the last answer went (perf_counter).
    """

    def __init__(self, server: TcpServer, sock: socket.socket, address: str, source: str) -> None:
        self._server = server
        self.source = source
        self._endpoint = server.endpoint
        self._answer = server.endpoint.front.answer
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._fd = sock.fileno()
        self._peer = Peer("tcp", address, login=Login())
        self._watched = EPOLLIN
        self._buffer = b""  # of what is not a whole request yet
        self._unsent = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._pending: deque[tuple[Envelope, bytes]] = deque()
        self._pending_bytes = 0
        self._paused = False  # until there are fewer pending
        self._refusal = b""
        self._ended = False  # the client has sent all, or what it sends makes no sense
        self.task: asyncio.Task[None] | None = None
        self.is_plain = True
        self.held = 0
        self.active_at = perf_counter()
        self._timer = self._loop.call_later(IDLE_SECONDS, self._look)

    @property
    def waits_for_us(self) -> bool:
        """Whether it is our turn: to answer, and not the client's to take what is answered."""
        return self.task is not None and self._writable.is_set()

    def received(self, data: bytes) -> int:
        """Answer what is plain and cached, and queue the rest behind it.

        data: what was read; nothing if the client has sent all. Returns how many were answered.
        """
        replies: list[bytes] = []
        if data:
            replies = self._read(self._buffer + data)
        else:
            self._ended = True
        if replies:
            self.send(b"".join(replies))
            self.active_at = perf_counter()
        self._settle()
        return len(replies)

    def changed(self, events: int) -> None:
        """Send more of what is unsent; close if the client has reset the connection."""
        if events & ~EPOLLOUT:  # EPOLLERR, EPOLLHUP
            self.close()
            return
        unsent, self._unsent = self._unsent, b""
        self.send(unsent)
        if not self._unsent:
            self._writable.set()
            self._settle()

    def send(self, data: bytes) -> None:
        """Write; keep what there is no room for, and read nothing until there is."""
        if self._fd < 0:
            return
        if not self._unsent:
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()  # by the client
                return
            if sent == len(data):
                return
            data = data[sent:]
        self._unsent += data
        self._writable.clear()
        self._watch()
        self._count_held()

    def close(self) -> None:
        """End the connection at once, and what is under way for it."""
        if self._fd < 0:
            return
        self._server.forget(self._fd)
        self._fd = -1
        self._server.hold(-self.held)
        self._socket.close()
        self._timer.cancel()
        if self.task is not None:
            self.task.cancel()

    def _settle(self) -> None:
        """Close when all is answered that will be; else wait for what comes next."""
        if self._ended and self.task is None:
            if self._refusal:
                refused, self._refusal = self._refusal, b""
                self.send(refused)
            if not self._unsent:
                self.close()
        self.is_plain = not self._buffer and self.task is None
        self._watch()
        self._count_held()

    def _count_held(self) -> None:
        """Tell the server how much is held here. It may close this connection for it."""
        held = len(self._buffer) + self._pending_bytes + len(self._unsent)
        if held != self.held and self._fd >= 0:
            more, self.held = held - self.held, held
            self._server.hold(more)

    def _watch(self) -> None:
        """Be told of room for what is unsent, before all else; then of requests, if wanted."""
        wanted = 0 if self._ended or self._paused else EPOLLIN
        if self._unsent:
            wanted = EPOLLOUT
        if wanted != self._watched and self._fd >= 0:
            self._watched = wanted
            self._server.epoll.modify(self._fd, wanted)

    def _look(self) -> None:
        idle = perf_counter() - self.active_at
        if idle >= IDLE_SECONDS and not self.waits_for_us:
            self.close()
        else:
            self._timer = self._loop.call_later(max(1.0, IDLE_SECONDS - idle), self._look)

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

    def _queue(self, envelope: Envelope, payload: bytes) -> None:
        self._pending.append((envelope, payload))
        self._pending_bytes += len(payload)
        self._paused = len(self._pending) >= MAX_PENDING
        if self.task is None:
            self.task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        """Answer what is queued, in order, on the long way."""
        try:
            while self._pending:
                envelope, payload = self._pending.popleft()
                self._pending_bytes -= len(payload)
                for message in await self._endpoint.answer(envelope, payload, self._peer):
                    self.send(message.encode())
                    self.active_at = perf_counter()
                    await self._writable.wait()
                if self._paused and len(self._pending) <= MAX_PENDING // 2:
                    self._paused = False
                    self._watch()
        finally:
            self.task = None
        self._settle()
