"""The HTTP server of a worker: an application behind the short way, on a shared port."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from aiohttp import web

from protocol import json_api
from registry.api.identifiers import GROUPS
from registry.metrics import LATENCY_BUCKETS, Row, slot
from resolver.lookup import Resolver
from resolver.transports.short import Front
from resolver.transports.short_put import Puts
from resolver.transports.short_server import KEEPALIVE_SECONDS, Room, ShortServer

SERVER_NAME = "idnode"
TICK_SECONDS = 0.25
_BACKLOG = 1024
_DRAIN_LOOK_SECONDS = 0.05
_CANCEL_SECONDS = 0.2

HEADERS = (
    ("Content-Type", json_api.CONTENT_TYPE),
    ("Access-Control-Allow-Origin", "*"),
    ("Vary", "Authorization"),
)
"""Headers of every Handle JSON answer, before Date, Server and the length."""

STALE = ("Cache-Status", f"{SERVER_NAME}; hit; detail=stale")
"""RFC 9211: the answer is from memory and the database could not be asked whether it holds."""


def found_headers(*, stale: bool) -> list[tuple[str, str]]:
    """Return the headers of a found answer up to its length, the same for both ways."""
    fixed = (("Date", formatdate(usegmt=True)), ("Server", SERVER_NAME))
    return [*HEADERS, *fixed, *((STALE,) if stale else ())]


class HttpServer:
    """A running server; `start_http` makes it."""

    def __init__(self, runner: web.AppRunner, front: Front, resolver: Resolver, row: Row) -> None:
        self._runner = runner
        self._front = front
        self._resolver = resolver
        self._row = row
        self._loop = asyncio.get_running_loop()
        self._evictions = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._runner.addresses[0][1]
        return port

    @property
    def https_port(self) -> int:
        """The port that it listens on for TLS; there must be one."""
        port: int = self._runner.addresses[1][1]
        return port

    async def stop(self, drain_seconds: float) -> None:
        """Take no more connections, finish what is under way for so long at most, end."""
        for site in list(self._runner.sites):
            await site.stop()
        await self._drain(drain_seconds)
        self._runner._shutdown_timeout = _CANCEL_SECONDS
        await self._runner.cleanup()
        if self._timer is not None:
            self._timer.cancel()
        self._publish()

    async def _drain(self, seconds: float) -> None:
        """Close connections that are idle, and others once they are.

        aiohttp's own way to end does not do: it waits for requests under way too, but no longer
        listens to the rest of their bodies.
        """
        server = self._runner.server
        deadline = self._loop.time() + seconds
        while server is not None and self._loop.time() < deadline:
            # First of all, what has been sent to us already gets a chance to be read.
            await asyncio.sleep(_DRAIN_LOOK_SECONDS)
            busy = False
            for connection in server.connections:
                if connection._request_in_progress:
                    busy = True
                else:
                    connection.close()
            if not busy:
                return

    def _tick(self) -> None:
        front = self._front
        headers = found_headers(stale=not self._resolver.feed.fresh)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        front.head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: ".encode()
        front.idle_until = self._loop.time() + KEEPALIVE_SECONDS
        self._publish()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def _publish(self) -> None:
        """Move what the short way counted into the metrics, and set the gauges."""
        front, row, resolver = self._front, self._row, self._resolver
        hits, seconds, slow = front.hits, front.seconds, front.slow
        front.hits, front.seconds, front.slow = 0, 0.0, []
        if hits:
            outcome = "hit" if resolver.feed.fresh else "stale"
            row.add("idnode_cache_requests", outcome, by=hits)
            row.add("idnode_resolutions", "http", "found", by=hits)
            start = slot("idnode_resolution_duration_seconds", "http", "found")
            row.cells[start] += hits - sum(count for _, count in slow)
            row.cells[start + len(LATENCY_BUCKETS) + 1] += seconds - sum(t * n for t, n in slow)
            for took, count in slow:
                row.observe(
                    "idnode_resolution_duration_seconds",
                    "http",
                    "found",
                    seconds=took,
                    times=count,
                )
        cache = resolver.cache
        row.set("idnode_cache_entries", value=cache.entries)
        row.set("idnode_cache_bytes", value=cache.held_bytes)
        row.add("idnode_cache_evictions", by=cache.evictions - self._evictions)
        self._evictions = cache.evictions
        age = resolver.feed.age
        row.set("idnode_feed_lag_seconds", value=min(age, time.monotonic()))
        row.set("idnode_database_up", value=float(resolver.feed.fresh))
        in_use, opened = resolver.database.connections
        row.set("idnode_database_pool_in_use", value=in_use)
        row.set("idnode_database_pool_open", value=opened)
        server = self._runner.server
        if server is not None:
            row.set("idnode_connections", "http", value=len(server.connections))


class _Runner(web.AppRunner):
    def __init__(self, app: web.Application, front: Front, room: Room, row: Row) -> None:
        super().__init__(app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS)
        self._front = front
        self._room = room
        self._row = row

    async def _make_server(self) -> web.Server:
        return ShortServer(await super()._make_server(), self._front, self._room, self._row)


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_NAME


@dataclass(frozen=True)
class Https:
    """Where HTTP goes over TLS. Port 0: any."""

    port: int
    context: ssl.SSLContext


async def start_http(
    app: web.Application,
    resolver: Resolver,
    *,
    row: Row,
    host: str,
    port: int,
    https: Https | None = None,
    room: Room | None = None,
) -> HttpServer:
    """Serve `app` on ports that other processes may share (SO_REUSEPORT). Port 0: any.

    room: for connections of one source. Raises OSError if an address can not be had.
    """
    loop = asyncio.get_running_loop()
    groups = app.get(GROUPS)
    puts = None if groups is None else Puts(groups, row, SERVER_NAME, loop)
    front = Front(resolver.cache.answers, loop, resolver.counter.found.names, puts)
    app.on_response_prepare.append(_sign)
    runner = _Runner(app, front, room or Room(), row)
    await runner.setup()
    shared: dict[str, Any] = {"reuse_port": True, "backlog": _BACKLOG}
    try:
        await web.TCPSite(runner, host, port, **shared).start()
        if https is not None:
            context = https.context
            await web.TCPSite(runner, host, https.port, ssl_context=context, **shared).start()
    except OSError:
        await runner.cleanup()
        raise
    return HttpServer(runner, front, resolver, row)
