"""Connections over HTTP are kept for who uses them, however the answers come about."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.database import Database
from registry.metrics import private_row
from resolver.cache import Prefix
from resolver.lookup import Resolver, encode
from resolver.transports.http import add_routes
from resolver.transports.server import KEEPALIVE_SECONDS, HttpServer, start_http

SHORT, LONG = "/api/handles/88.118.35/A", "/api/handles/88.118.35/A?pretty"


@dataclass
class Time:
    """The time of the event loop, which a test moves on."""

    loop: asyncio.AbstractEventLoop
    real: Callable[[], float]
    ahead: float = 0.0

    def __call__(self) -> float:
        return self.real() + self.ahead

    async def pass_by(self, seconds: float) -> None:
        """Let time pass, and let what was to happen until then happen."""
        self.ahead += seconds
        done = asyncio.Event()
        self.loop.call_later(0, done.set)
        await done.wait()


@pytest.fixture
async def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    loop = asyncio.get_running_loop()
    time = Time(loop, loop.time)
    monkeypatch.setattr(loop, "time", time)
    return time


@pytest.fixture
async def server(time: Time) -> AsyncIterator[HttpServer]:
    """A front that has one answer in memory and no database."""
    database, row = Database("postgresql://nobody@/nothing?host=/nonexistent"), private_row()
    resolver = Resolver(database, row=row, cache_bytes=1 << 20, node_prefix="88.118")
    name = Identifier.parse("88.118.35/A")
    values = (HandleValue(1, "URL", b"https://pumps.example/A"),)
    answer = encode(str(name), name.key.encode(), values, Prefix(None))
    resolver.cache.put(name.key.encode(), answer)
    app = web.Application()
    add_routes(app, resolver)
    server = await start_http(app, resolver, row=row, host="127.0.0.1", port=0)
    yield server
    await server.stop(0)
    await database.close()


@contextlib.asynccontextmanager
async def connected(server: HttpServer) -> AsyncIterator[Any]:
    """Yield what sends a request on one connection and returns its status, None once it is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    async def ask(path: str) -> int | None:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: node\r\n\r\n".encode())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        await reader.readexactly(int(length))
        return int(head.split()[1])

    try:
        yield ask
    finally:
        writer.close()


def hits(server: HttpServer) -> int:
    """How many answers went the short way since the last look."""
    return server._front.hits


@pytest.mark.parametrize("path", [SHORT, LONG])
async def test_a_connection_in_use_is_kept(server: HttpServer, time: Time, path: str) -> None:
    async with connected(server) as ask:
        for _ in range(5):
            assert await ask(path) == 200
            assert bool(hits(server)) is (path == SHORT), "another way than the one meant"
            await time.pass_by(KEEPALIVE_SECONDS * 0.8)


@pytest.mark.parametrize(
    "paths", [[], [SHORT], [LONG], [SHORT, LONG], [LONG, SHORT], [SHORT, SHORT]], ids=str
)
async def test_a_connection_that_is_idle_is_closed(
    server: HttpServer, time: Time, paths: list[str]
) -> None:
    async with connected(server) as ask:
        for path in paths:
            assert await ask(path) == 200
        for _ in range(3):  # a timer that fires too early sets a later one
            await time.pass_by(KEEPALIVE_SECONDS + 2)
        assert await ask(SHORT) is None, "who goes away without a word keeps a place for ever"
