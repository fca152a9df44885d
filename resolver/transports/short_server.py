"""The connections of a worker over HTTP: as many as there is room for, and each source its share.

aiohttp has no bound of its own: whoever opens connections and does nothing with them would take all
descriptors of the process for KEEPALIVE_SECONDS each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from aiohttp import web

from registry.api.identifiers import REFUSED
from registry.metrics import Row
from registry.networks import Networks, holds
from resolver.transports.limits import Places, source_of
from resolver.transports.short import Front, ShortRequestHandler

MAX_CONNECTIONS = 10_000
"""Of a worker. When there are so many, those go that have been idle longest, for SPARED_SECONDS at
least: whoever holds connections and does not use them keeps nobody out."""

SPARED_SECONDS = 1.0
KEEPALIVE_SECONDS = 75.0

_AT_ONCE = 64
"""Idle connections that are closed after one look at all of them."""


@dataclass(frozen=True)
class Room:
    """Connections that one source may have; 0: any number. trusted: proxies, which may have all."""

    per_source: int = 0
    trusted: Networks = ()


class ShortServer(web.Server):
    """Makes a ShortRequestHandler for each connection."""

    def __init__(self, server: web.Server, front: Front, room: Room, row: Row) -> None:
        """Take over what an application's own server would do."""
        super().__init__(
            server.request_handler,
            request_factory=_telling(server.request_factory),
            handler_cancellation=server.handler_cancellation,
            loop=server._loop,
            **server._kwargs,
        )
        self._front = front
        self._trusted = room.trusted
        self._row = row
        self._places = Places(room.per_source)
        self._sources: dict[ShortRequestHandler, str] = {}

    def __call__(self) -> ShortRequestHandler:
        """Make the protocol of a new connection."""
        return ShortRequestHandler(self, front=self._front, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Keep a new connection, or close it at once."""
        super().connection_made(handler, transport)
        peer = transport.get_extra_info("peername")
        host = peer[0] if peer else ""
        source = source_of(host)
        refused = self._refuses(source, trusted=bool(self._trusted) and holds(self._trusted, host))
        if refused is not None:
            self._row.add("idnode_http_refused", refused)
            handler.force_close()
            return
        self._sources[handler] = source
        self._places.take(source)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        self._leave(handler)

    def _leave(self, handler: ShortRequestHandler) -> None:
        source = self._sources.pop(handler, None)
        if source is not None:  # None: refused, or closed by us before
            self._places.leave(source)

    def _refuses(self, source: str, *, trusted: bool) -> str | None:
        """Return why no connection of this source is kept, None if it is."""
        if not trusted and not self._places.free_for(source):
            return "source"
        if self._places.taken >= MAX_CONNECTIONS:
            self._make_room()
        return "connections" if self._places.taken >= MAX_CONNECTIONS else None

    def _make_room(self) -> None:
        latest = self._loop.time() + KEEPALIVE_SECONDS - SPARED_SECONDS
        idle = (one for one in self._sources if one.idle and _closes_at(one) < latest)
        for handler in nsmallest(_AT_ONCE, idle, key=_closes_at):
            self._row.add("idnode_http_refused", "idle")
            self._leave(handler)
            handler.force_close()


def _telling(make: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """Return `make`, which makes requests of messages, so that they tell that they were refused."""

    def request_of(message: object, payload: Any, protocol: Any, *more: Any) -> web.BaseRequest:
        request = make(message, payload, protocol, *more)
        refused, protocol.refused = protocol.refused, None
        if refused is not None and refused[0] is message:
            request[REFUSED] = refused[1]
        return request

    return request_of


def _closes_at(handler: Any) -> float:
    """Return when it would be closed for being idle, on the clock of the loop."""
    closes_at: float = handler._next_keepalive_close_time
    return closes_at
