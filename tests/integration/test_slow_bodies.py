"""Nobody holds a request for ever by not sending the rest of its body, whatever API it is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from registry.api import requests
from registry.api.app import make_app
from registry.database import Database
from registry.metrics import private_row
from registry.services import Registry
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.handle.service import HandleService
from resolver.lookup import Resolver
from resolver.site import make_site
from resolver.transports.handle_endpoint import HandleEndpoint
from resolver.transports.http import add_routes
from resolver.transports.tunnel import MEDIA_TYPE, add_tunnel

JSON = "application/json"


def worker_app(database: Database) -> web.Application:
    row, site = private_row(), make_site("127.0.0.1", handle_port=2641, http_port=8000)
    resolver = Resolver(
        database, row=row, cache_bytes=1 << 20, node_prefix="88.118", site=site.record
    )
    registry = Registry(database, "88.118", resolver.forget, row)
    app = make_app(registry)
    add_routes(app, resolver)
    add_tunnel(app, HandleEndpoint(HandleService(resolver, registry, site, handlers={}), row))
    return app


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """One that is away: nothing is asked of it before the body is there."""
    database = Database("postgresql://nobody@/nothing?host=/nonexistent")
    yield database
    await database.close()


async def unfinished(app: web.Application, path: str, content_type: str) -> bytes:
    """Return the head of the answer to a request of which the body ends too soon."""
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {'a' * 43}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: 500\r\n\r\n"
        )
        writer.write(head.encode() + b"{")
        async with asyncio.timeout(20):
            answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return answer


@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/api/v1/enterprises", JSON), ("/api/handles/88.118.1/A", JSON), ("/", MEDIA_TYPE)],
)
async def test_a_body_that_does_not_come_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch, path: str, content_type: str
) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.1)
    answer = await unfinished(worker_app(database), path, content_type)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b"\r\nConnection: close\r\n" in answer, "the rest of the body would be the next request"


async def test_the_top_level_node_gives_up_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.1)
    answer = await unfinished(make_toplevel_app(database, token=None), "/filings", JSON)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
