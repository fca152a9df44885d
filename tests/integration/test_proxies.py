"""Behind a proxy that is trusted, each client is itself; nobody else can say who he is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from registry.api import proxies
from registry.database import Database
from registry.networks import networks
from tests.integration.registry_client import running

Client = TestClient[web.Request, web.Application]


async def _client(trusted: str) -> Client:
    async def tell(request: web.Request) -> web.Response:
        body = await request.text()
        return web.json_response([request.remote, request.scheme, request.secure, body])

    app = web.Application(middlewares=[proxies.middleware(networks(trusted))])
    app.router.add_post("/", tell)
    client: Client = TestClient(TestServer(app))
    await client.start_server()
    return client


@pytest.fixture
async def behind() -> AsyncIterator[Client]:
    client = await _client("127.0.0.0/8, 10.0.0.0/8, ::1")
    yield client
    await client.close()


async def _told(client: Client, headers: list[tuple[str, str]]) -> list[object]:
    async with client.post("/", data=b"the body", headers=headers) as response:
        told: list[object] = await response.json()
        assert told.pop() == "the body"
        return told


@pytest.mark.parametrize(
    ("forwarded", "remote"),
    [
        (["198.51.100.7"], "198.51.100.7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        (["192.0.2.1, 198.51.100.7"], "198.51.100.7"),
        (["192.0.2.1", "198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, 10.1.2.3"], "198.51.100.7"),
        (["198.51.100.7, 10.1.2.3, 10.1.2.4"], "198.51.100.7"),
        (["10.1.2.3"], "10.1.2.3"),
        (["198.51.100.7, nobody, 10.1.2.3"], "10.1.2.3"),
        (["nobody"], "127.0.0.1"),
        (["198.51.100.7:1234"], "127.0.0.1"),
        ([""], "127.0.0.1"),
        ([], "127.0.0.1"),
        (["198.51.100.7" + ", 10.1.2.3" * 100], "10.1.2.3"),
    ],
)
async def test_the_last_address_that_is_no_trusted_proxy_is_whom_a_request_is_from(
    behind: Client, forwarded: list[str], remote: str
) -> None:
    told = await _told(behind, [("X-Forwarded-For", value) for value in forwarded])
    assert told == [remote, "http", False]


@pytest.mark.parametrize(
    ("scheme", "expected"), [("https", "https"), ("HTTPS", "https"), ("ftp", "http"), ("", "http")]
)
async def test_the_proxy_says_whether_tls_was_spoken(
    behind: Client, scheme: str, expected: str
) -> None:
    told = await _told(behind, [("X-Forwarded-Proto", scheme)])
    assert told == ["127.0.0.1", expected, expected == "https"]


async def test_who_is_no_trusted_proxy_is_not_believed() -> None:
    client = await _client("10.0.0.0/8")
    try:
        headers = [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https")]
        assert await _told(client, headers) == ["127.0.0.1", "http", False]
    finally:
        await client.close()


async def test_a_client_behind_a_proxy_is_held_back_for_its_own_guesses_alone(
    database: Database,
) -> None:
    async with running(database, trusted_proxies="127.0.0.1") as node:
        guess = {"name": "nobody", "password": "not the password"}

        async def tries(source: str) -> list[int]:
            send = partial(node.call, "POST", "/sessions", None, guess, X_Forwarded_For=source)
            return [(await send())[0] for _ in range(6)]

        assert await tries("198.51.100.7") == [401] * 5 + [429]
        assert await tries("198.51.100.8") == [401] * 5 + [429], (
            "one client's guesses are another's"
        )
