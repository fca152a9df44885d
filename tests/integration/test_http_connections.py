"""No source holds all connections over HTTP, and idle ones make room for those who come."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.database import Database
from registry.metrics import Row, private_row, slot
from registry.networks import networks
from resolver.cache import Prefix
from resolver.lookup import Resolver, encode
from resolver.transports import short_server
from resolver.transports.http import add_routes
from resolver.transports.server import HttpServer, start_http
from resolver.transports.short_server import SPARED_SECONDS, Room, ShortServer
from tests.integration.test_resolver import until

REQUEST = b"GET /api/handles/88.118.35/A HTTP/1.1\r\nHost: node\r\n\r\n"


class Front:
    """A running front with one answer in memory, and those who are connected to it."""

    def __init__(self, server: HttpServer, row: Row) -> None:
        self.port = server.port
        self.row = row
        kept = server._runner.server
        assert isinstance(kept, ShortServer)
        self.kept = kept
        self.clients: list[socket.socket] = []

    def refused(self, reason: str) -> float:
        return self.row.cells[slot("idnode_http_refused", reason)]

    async def connect(self, count: int, host: str = "127.0.0.1") -> list[socket.socket]:
        """Connect from an address of this machine, one after the other."""
        made = []
        for _ in range(count):
            before = self.seen
            client = socket.socket()
            client.setblocking(False)
            client.bind((host, 0))
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self.port))
            made.append(client)
            self.clients.append(client)
            await until(lambda before=before: self.seen > before)  # type: ignore[misc]
        return made

    @property
    def seen(self) -> float:
        """How many connections have been kept or refused, as long as nobody goes by itself."""
        refused = map(self.refused, ("source", "idle", "connections"))
        return self.kept._places.taken + sum(refused)


async def is_served(client: socket.socket) -> bool:
    """Whether a request on a connection is answered, rather than the connection closed."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        try:
            await loop.sock_sendall(client, REQUEST)
            return (await loop.sock_recv(client, 65_536)).startswith(b"HTTP/1.1 200 ")
        except ConnectionError:
            return False


@contextlib.asynccontextmanager
async def running(room: Room) -> AsyncIterator[Front]:
    database, row = Database("postgresql://nobody@/nothing?host=/nonexistent"), private_row()
    resolver = Resolver(database, row=row, cache_bytes=1 << 20, node_prefix="88.118")
    name = Identifier.parse("88.118.35/A")
    values = (HandleValue(1, "URL", b"https://pumps.example/A"),)
    answer = encode(str(name), name.key.encode(), values, Prefix(None))
    resolver.cache.put(name.key.encode(), answer)
    app = web.Application()
    add_routes(app, resolver)
    server = await start_http(app, resolver, row=row, host="127.0.0.1", port=0, room=room)
    front = Front(server, row)
    try:
        yield front
    finally:
        for client in front.clients:
            client.close()
        await server.stop(0)
        await database.close()


async def test_a_source_that_has_its_connections_gets_no_more_and_others_do() -> None:
    async with running(Room(3)) as front:
        first, *others = await front.connect(3)
        (fourth,) = await front.connect(1)
        assert not await is_served(fourth), "more connections than a source may have"
        assert front.refused("source") == 1
        others += await front.connect(1, host="127.0.0.2")
        assert all([await is_served(client) for client in (first, *others)])
        first.close()
        await until(lambda: front.kept._places.taken == 3)
        (again,) = await front.connect(1)
        assert await is_served(again), "one of its own was closed"
        for client in front.clients:
            client.close()
        await until(lambda: not front.kept.connections)
        assert not front.kept._places._taken, "nothing is kept of who has gone"
        assert not front.kept._sources


async def test_a_proxy_that_speaks_for_others_may_have_all() -> None:
    async with running(Room(1, networks("127.0.0.2"))) as front:
        proxied = await front.connect(3, host="127.0.0.2")
        assert all([await is_served(client) for client in proxied])
        assert front.refused("source") == 0
        one, other = await front.connect(2)
        assert [await is_served(client) for client in (one, other)] == [True, False]


async def test_when_there_are_too_many_connections_the_idle_ones_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(short_server, "MAX_CONNECTIONS", 4)
    async with running(Room()) as front:
        idle = await front.connect(2)
        for handler in front.kept.connections:
            handler._next_keepalive_close_time -= 2 * SPARED_SECONDS
        busy = await front.connect(2)
        assert all([await is_served(client) for client in busy])
        (new,) = await front.connect(1)
        assert await is_served(new)
        assert all([await is_served(client) for client in busy]), "they were in use"
        assert not any([await is_served(client) for client in idle])
        assert front.refused("idle") == 2


async def test_where_nobody_is_idle_who_comes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_server, "MAX_CONNECTIONS", 2)
    async with running(Room()) as front:
        held = await front.connect(2)
        (third,) = await front.connect(1)
        assert not await is_served(third)
        assert front.refused("connections") == 1
        assert all([await is_served(client) for client in held])
