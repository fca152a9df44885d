"""The Handle server of a worker: UDP and TCP on one port that all workers share."""

from __future__ import annotations

import asyncio
import socket

from registry.metrics import Row
from resolver.handle.service import HandleService
from resolver.transports.endpoint import Endpoint
from resolver.transports.handle_endpoint import HandleEndpoint
from resolver.transports.limits import Limits, ResponseLimit
from resolver.transports.tcp import TcpServer
from resolver.transports.udp import UdpServer

TICK_SECONDS = 0.5


class HandleServer:
    """A running server; `start_handle` makes it."""

    def __init__(self, endpoint: Endpoint, udp: UdpServer, tcp: TcpServer, row: Row) -> None:
        self._endpoint = endpoint
        self._udp = udp
        self._tcp = tcp
        self._row = row
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._tcp.port

    async def stop(self, drain_seconds: float) -> None:
        """Take no more requests, finish what is under way for so long at most, end."""
        await asyncio.gather(self._udp.stop(drain_seconds), self._tcp.stop(drain_seconds))
        self._timer.cancel()
        self._udp.tally.publish()
        self._tcp.tally.publish()
        self._row.set("idnode_connections", "tcp", value=0)

    def _tick(self) -> None:
        self._endpoint.front.renew()
        self._udp.tally.publish()
        self._tcp.tally.publish()
        self._row.set("idnode_connections", "tcp", value=len(self._tcp.connections))
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)


async def start_handle(
    service: HandleService, *, row: Row, host: str, port: int, limits: Limits
) -> HandleServer:
    """Serve a node; see `serve_endpoint`. Raises OSError if the address can not be had."""
    return await serve_endpoint(HandleEndpoint(service, row), host=host, port=port, limits=limits)


async def serve_endpoint(
    endpoint: Endpoint, *, host: str, port: int, limits: Limits
) -> HandleServer:
    """Serve UDP and TCP on a port that other processes may share (SO_REUSEPORT). Port 0: any.

    limits: of what one source may have.
    Raises OSError if the address can not be had.
    """
    loop = asyncio.get_running_loop()
    listening = shared_socket(socket.SOCK_STREAM, host, port)
    tcp = TcpServer(endpoint, listening, limits.tcp_connections)
    try:
        sock = shared_socket(socket.SOCK_DGRAM, host, tcp.port)
    except OSError:
        await tcp.stop(0)
        raise
    udp = UdpServer(endpoint, sock, ResponseLimit(limits, loop.time))
    return HandleServer(endpoint, udp, tcp, endpoint.row)


def shared_socket(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """Open a socket on a port that other processes of the node share. Raises OSError."""
    family, type_, protocol, _, address = socket.getaddrinfo(
        host, port, type=kind, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, type_, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setblocking(False)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened
