"""DNS over TCP (RFC 7766): each message behind its length in two octets.

Queries may be pipelined, and each is answered when its answer is there. A connection that brings no
whole query for IDLE_SECONDS is closed, whether its client is slow or does nothing; so is one that
sends what is no query, or leaves its answers.
"""

from __future__ import annotations

import asyncio
import socket
from time import perf_counter
from typing import cast

import structlog

from protocol.dns.query import HEADER_BYTES, MAX_TCP_BYTES, PAYLOAD, Query
from resolver.dns.service import DnsService
from resolver.transports.dns_short import DnsFront
from resolver.transports.limits import Places, source_of
from resolver.transports.tally import Tally

log = structlog.get_logger("idnode.dns")

IDLE_SECONDS = 10.0
MAX_CONNECTIONS = 2000
"""Of a worker. When there are so many, the one that has been idle longest goes."""

MAX_PENDING = 64
"""Queries of one connection under way on the long way; then nothing more is read from it."""

MAX_HELD_BYTES = 64 << 20
"""What all connections together may hold of answers that their clients do not take. Beyond it the
one that holds most is closed."""

_WRITE_BYTES = 1 << 16
"""Answers that are put together; the rest waits until the client has taken these."""

_BACKLOG = 512
_LENGTH_BYTES = 2


class DnsTcpServer:
    """A worker's TCP socket and its connections."""

    def __init__(self, service: DnsService, front: DnsFront, per_source: int) -> None:
        """Take what answers. per_source: connections that one source may have; 0: any number."""
        self.service = service
        self.front = front
        self.places = Places(per_source)
        self.tally = Tally("dns", service.resolver.feed, service.row)
        self.connections: dict[DnsConnection, None] = {}  # the one idle for longest first
        self._server: asyncio.Server | None = None
        self._held: dict[DnsConnection, int] = {}

    async def start(self, sock: socket.socket) -> None:
        """Listen on a bound socket. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: DnsConnection(self), sock=sock, backlog=_BACKLOG
        )

    async def stop(self, drain_seconds: float) -> None:
        """Take no more connections, finish what is under way for so long at most, end."""
        if self._server is not None:
            self._server.close()
        tasks = [task for connection in self.connections for task in connection.tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=drain_seconds)
        for connection in list(self.connections):
            connection.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    def admit(self, connection: DnsConnection) -> bool:
        """Take a new connection, if there is room for its source; make room for it."""
        if not self.places.free_for(connection.source):
            self.service.row.add("idnode_dns_dropped", "source")
            return False
        if len(self.connections) >= MAX_CONNECTIONS:
            self.service.row.add("idnode_dns_dropped", "connections")
            next(iter(self.connections)).close()
        self.connections[connection] = None
        self.places.take(connection.source)
        return True

    def used(self, connection: DnsConnection) -> None:
        """Put a connection that has brought a query behind all others."""
        if connection in self.connections:
            del self.connections[connection]
            self.connections[connection] = None

    def leave(self, connection: DnsConnection) -> None:
        """Take a connection off the list."""
        self._held.pop(connection, None)
        if self.connections.pop(connection, self) is None:
            self.places.leave(connection.source)

    def hold(self, connection: DnsConnection, octets: int) -> None:
        """Count bytes that a client has not taken. It may close this connection or another."""
        if connection not in self.connections:
            return
        self._held[connection] = octets
        if sum(self._held.values()) > MAX_HELD_BYTES:
            self.service.row.add("idnode_dns_dropped", "memory")
            max(self._held, key=self._held.__getitem__).close()

    def release(self, connection: DnsConnection) -> None:
        """Count no more bytes of a client: it has taken them."""
        self._held.pop(connection, None)


class DnsConnection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: DnsTcpServer) -> None:
        self._server = server
        self._service = server.service
        self._answer = server.front.answer
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = True
        self._ended = False  # the client has sent all
        self._active_at = perf_counter()
        self.host = self.source = ""
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # that of uvloop is no subclass
        self.host = transport.get_extra_info("peername")[0]
        self.source = source_of(self.host)
        if self._server.admit(self):
            self._timer = self._loop.call_later(IDLE_SECONDS, self._look)
        else:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        del exc
        self._server.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        for task in self.tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer the whole queries that have come, and keep what is not whole."""
        self._buffer += data
        self._read_on()

    def eof_received(self) -> bool:
        """Answer what has been asked, then close."""
        self._ended = True
        return bool(self.tasks)

    def pause_writing(self) -> None:
        """Read nothing while the client does not take what there is."""
        self._writable = False
        self._count_held()
        self._watch()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._server.release(self)
        self._resume()

    def close(self) -> None:
        """End the connection at once."""
        self._server.leave(self)
        if self._transport is not None:
            self._transport.abort()

    def _read_on(self) -> None:
        """Take whole queries while there is room for their answers, and keep the rest."""
        started = perf_counter()
        replies: list[bytes] = []
        at, size, count, buffer = 0, 0, 0, self._buffer
        while len(self.tasks) < MAX_PENDING and self._writable:
            start = at + _LENGTH_BYTES
            end = start + int.from_bytes(buffer[at:start], "big")
            if len(buffer) < start:
                break
            if not HEADER_BYTES <= end - start <= PAYLOAD:
                self._service.row.add("idnode_dns_dropped", "malformed")
                self.close()
                return
            if len(buffer) < end:
                break
            query, at = buffer[start:end], end
            reply = self._answer(query, MAX_TCP_BYTES)
            if reply is None:
                self._long_way(query)
                continue
            count += 1
            size += len(reply)
            replies += (len(reply).to_bytes(_LENGTH_BYTES, "big"), reply)
            if size >= _WRITE_BYTES:
                self._write(b"".join(replies))
                replies.clear()
                size = 0
        if replies:
            self._write(b"".join(replies))
        if at:
            self._active_at = perf_counter()
            self._server.used(self)
        if count:
            self._server.tally.add(count, perf_counter() - started)
        self._buffer = buffer[at:]
        self._watch()

    def _long_way(self, data: bytes) -> None:
        query = self._service.read(data)
        if isinstance(query, bytes):
            self._send(query)
        elif query is not None:
            task = self._loop.create_task(self._work(query))
            self.tasks.add(task)
            task.add_done_callback(self._done)

    async def _work(self, query: Query) -> None:
        cookie = self._service.judge(query, self.host)
        self._send(await self._service.answer(query, MAX_TCP_BYTES, cookie.answer))

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            self._resume()

    def _resume(self) -> None:
        """Go on with what waits in the buffer; close if all is answered that will be."""
        if self._transport is None or self._transport.is_closing():
            return
        self._read_on()
        if self._ended and not self.tasks:
            self._transport.close()

    def _send(self, response: bytes) -> None:
        self._write(len(response).to_bytes(_LENGTH_BYTES, "big") + response)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            if not self._writable:
                self._count_held()

    def _count_held(self) -> None:
        if self._transport is not None:
            self._server.hold(self, self._transport.get_write_buffer_size())

    def _watch(self) -> None:
        """Read as long as there is room for what comes."""
        if self._transport is None or self._transport.is_closing():
            return
        wanted = self._writable and len(self.tasks) < MAX_PENDING
        if wanted and not self._transport.is_reading():
            self._transport.resume_reading()
        elif not wanted and self._transport.is_reading():
            self._transport.pause_reading()

    def _look(self) -> None:
        idle = perf_counter() - self._active_at
        if idle >= IDLE_SECONDS and not (self.tasks and self._writable):
            self.close()
        else:
            self._timer = self._loop.call_later(max(0.1, IDLE_SECONDS - idle), self._look)
