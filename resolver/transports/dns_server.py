"""The DNS server of a worker: UDP and TCP on one port that all workers share."""

from __future__ import annotations

import asyncio
import socket

from resolver.dns.service import DnsService
from resolver.transports.dns_short import DnsFront
from resolver.transports.dns_tcp import DnsTcpServer
from resolver.transports.dns_udp import DnsUdpServer
from resolver.transports.handle_server import shared_socket
from resolver.transports.limits import Limits, ResponseLimit

TICK_SECONDS = 0.5


class DnsServer:
    """A running server; `start_dns` makes it."""

    def __init__(
        self, service: DnsService, udp: DnsUdpServer, tcp: DnsTcpServer, port: int
    ) -> None:
        self.port = port
        self._service = service
        self._udp = udp
        self._tcp = tcp
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    async def stop(self, drain_seconds: float) -> None:
        """Take no more queries, finish what is under way for so long at most, end."""
        await asyncio.gather(self._udp.stop(drain_seconds), self._tcp.stop(drain_seconds))
        self._timer.cancel()
        self._publish()

    def _tick(self) -> None:
        self._publish()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def _publish(self) -> None:
        for tally in (self._udp.tally, self._tcp.tally):
            if tally.hits:
                self._service.row.add("idnode_dns_responses", "noerror", by=tally.hits)
            tally.publish()
        self._service.row.set("idnode_connections", "dns", value=len(self._tcp.connections))


async def start_dns(
    service: DnsService, *, host: str, port: int, limits: Limits, names_bytes: int
) -> DnsServer:
    """Serve UDP and TCP on a port that other processes may share (SO_REUSEPORT). Port 0: any.

    limits: of what one source may have; a network of IPv4 addresses (/24) counts as one for UDP.
    names_bytes: budget for the names that the short way knows. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    front = DnsFront(service.resolver.cache, service.resolver.counter.found, names_bytes)
    service.learned = front.learn
    listening = shared_socket(socket.SOCK_STREAM, host, port)
    try:
        taken: int = listening.getsockname()[1]
        datagrams = shared_socket(socket.SOCK_DGRAM, host, taken)
    except OSError:
        listening.close()
        raise
    tcp = DnsTcpServer(service, front, limits.tcp_connections)
    try:
        await tcp.start(listening)
    except OSError:
        datagrams.close()
        raise
    udp = DnsUdpServer(service, front, datagrams, ResponseLimit(limits, loop.time))
    return DnsServer(service, udp, tcp, taken)
