"""DNS over UDP (RFC 1035 section 4.2.1), by the batch like the Handle protocol.

What is plain and cached is answered at once; the rest becomes tasks, of which there is a bounded
number. A source may be forged, so what its network gets is limited: over the rate, every SLIP-th
response is sent without records and with TC, so that a client that is real asks over TCP, and the
others are dropped. A client that shows our cookie (RFC 7873) is not forged, and is not limited.
"""

from __future__ import annotations

import socket
from time import perf_counter
from typing import Any

import structlog

from protocol.dns.cookies import Judged
from protocol.dns.query import PAYLOAD, Query, Rcode
from resolver.dns.responses import Outcome, build
from resolver.dns.service import DnsService
from resolver.transports.datagrams import DatagramServer
from resolver.transports.dns_short import DnsFront
from resolver.transports.limits import ResponseLimit, network_of
from resolver.transports.tally import Tally

log = structlog.get_logger("idnode.dns")

MAX_TASKS = 1000
"""Queries under way on the long way at once."""

SLIP = 2
"""Of the responses over the rate, one in so many is sent, cut short."""

_CUT = Outcome(Rcode.NOERROR, authoritative=False)
_BAD_COOKIE = Outcome(Rcode.BADCOOKIE, authoritative=False)


class DnsUdpServer(DatagramServer):
    """A worker's UDP socket."""

    _front: DnsFront

    def __init__(
        self, service: DnsService, front: DnsFront, sock: socket.socket, limit: ResponseLimit
    ) -> None:
        self._service = service
        self._over = 0
        tally = Tally("dns", service.resolver.feed, service.row)
        super().__init__(sock, front, tally, limit, log, most_bytes=PAYLOAD)

    def _may_send(self, request: bytes, reply: bytes, place: int) -> bool:
        network = network_of(self._batches.host(place))
        within = self._limit.allows(network)
        if within and self._limit.affords(network, len(request), len(reply)):
            return True
        self._front.take_back(request)
        query = self._service.read(request)
        if isinstance(query, Query):
            self._refuse(query, self._batches.source(place), Judged(), within_rate=within)
        return False

    def _long_way(self, request: bytes, source: Any) -> None:
        query = self._service.read(request)
        if query is None:
            return
        network = network_of(source[0])
        if isinstance(query, bytes):
            if self._limit.allows(network):
                self._send(query, source)
            else:
                self._service.row.add("idnode_dns_dropped", "rate")
            return
        cookie = self._service.judge(query, source[0])
        if not cookie.proved and not self._limit.allows(network):
            self._refuse(query, source, cookie, within_rate=False)
        elif self._from_memory(query, len(request), source, cookie):
            return
        elif len(self._tasks) >= MAX_TASKS:
            self._service.row.add("idnode_dns_dropped", "busy")
        else:
            self._begin(self._answer(query, len(request), source, cookie))

    def _from_memory(self, query: Query, asked: int, source: Any, cookie: Judged) -> bool:
        """Answer what is cached and was not plain, such as for its cookie."""
        started = perf_counter()
        reply = self._front.answer_query(query, query.udp_limit, cookie.answer)
        if reply is None:
            return False
        if cookie.proved or self._limit.affords(network_of(source[0]), asked, len(reply)):
            self._send(reply, source)
            self.tally.add(1, perf_counter() - started)
        else:
            self._front.uncount(query.wire)
            self._refuse(query, source, cookie, within_rate=True)
        return True

    async def _answer(self, query: Query, asked: int, source: Any, cookie: Judged) -> None:
        response = await self._service.answer(query, query.udp_limit, cookie.answer)
        network = network_of(source[0])
        if cookie.proved or self._limit.affords(network, asked, len(response)):
            self._send(response, source)
        else:
            self._refuse(query, source, cookie, within_rate=True)

    def _refuse(self, query: Query, source: Any, cookie: Judged, *, within_rate: bool) -> None:
        """Send no records: TC if the answer would be too long for its source, else now and then."""
        row = self._service.row
        if within_rate:
            row.add("idnode_dns_dropped", "bytes")
            self._send(build(query, _CUT, PAYLOAD, cookie.answer, truncated=True), source)
            return
        self._over += 1
        if self._over % SLIP:
            row.add("idnode_dns_dropped", "rate")
            return
        row.add("idnode_dns_dropped", "slip")
        if cookie.answer:  # with what it gets here, it is known the next time
            self._send(build(query, _BAD_COOKIE, PAYLOAD, cookie.answer), source)
        else:
            self._send(build(query, _CUT, PAYLOAD, truncated=True), source)
