"""Whoever takes an answer slowly loses it, and what was held for it is free for others."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
from aiohttp import web

from registry.api import attachments, exports
from registry.api.streams import LEAST_BYTES, WINDOW_SECONDS, Pace
from registry.enterprises.attachments import MAX_BYTES
from tests.integration.enterprise_support import file
from tests.integration.registry_client import Node


@dataclass
class Client:
    """An answer that takes so many seconds for each part, on a clock of its own."""

    seconds: float
    now: float = 100.0
    taken: list[bytes] = field(default_factory=list)

    async def write(self, part: bytes) -> None:
        self.now += self.seconds
        self.taken.append(part)


async def send(client: Client, part: bytes, count: int) -> None:
    pace = Pace(clock=lambda: client.now)
    for _ in range(count):
        await pace.write(cast("web.StreamResponse", client), part)


async def test_a_little_every_now_and_then_is_not_enough() -> None:
    client = Client(seconds=1.0)
    with pytest.raises(TimeoutError, match="in 30 s"):
        await send(client, b"x" * 1000, 1000)
    assert client.now == 100 + WINDOW_SECONDS, "it was held no longer than for one window"


async def test_each_window_counts_for_itself() -> None:
    client, pace = Client(seconds=0.0), Pace(clock=lambda: client.now)
    response = cast("web.StreamResponse", client)
    for _ in range(100):
        await pace.write(response, b"x" * LEAST_BYTES)
    client.seconds = WINDOW_SECONDS
    await pace.write(response, b"x")
    with pytest.raises(TimeoutError):
        await pace.write(response, b"x")


async def test_who_keeps_the_pace_may_take_as_long_as_it_takes() -> None:
    client = Client(seconds=1.0)
    await send(client, b"x" * (LEAST_BYTES // 30 + 1), 3600)
    assert len(client.taken) == 3600


@contextlib.asynccontextmanager
async def reading(node: Node, path: str, token: str) -> AsyncIterator[socket.socket]:
    """Ask for an answer, with as little room for it as the system lets a socket have."""
    with socket.socket() as client:
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, (node.client.host, node.client.port))
        head = f"GET /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        await loop.sock_sendall(client, head.encode())
        yield client


async def taken_slowly(node: Node, client: socket.socket) -> bytes:
    """Read a little at a time until the node has given up, then what is under way; return it."""
    loop, came = asyncio.get_running_loop(), b""
    async with asyncio.timeout(30):
        while not came or held(node):
            came += await loop.sock_recv(client, 512)
            await asyncio.sleep(0.01)
        with contextlib.suppress(ConnectionResetError):
            while piece := await loop.sock_recv(client, 1 << 20):
                came += piece
    return came


def held(node: Node) -> int:
    """Return how many places are held."""
    app = node.client.app
    assert isinstance(app, web.Application)
    return app[exports.PLACES]._held.total() + app[attachments.PLACES]._held.total()


@pytest.fixture
async def large(node: Node) -> tuple[str, str]:
    """A prefix with 24 MB, which no buffer of a socket takes in, and the key of its enterprise."""
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    text = random.Random(1).randbytes(30_000).hex()
    data = {"format": "string", "value": text}
    values = [{"index": index, "type": "NOTE", "data": data} for index in range(1, 11)]
    for number in range(40):
        path = f"/identifiers/{prefix}/{number}"
        assert (await node.call("PUT", path, key, {"values": values}))[0] == 201
    return prefix, key


@pytest.mark.parametrize(
    ("bound", "value"), [("Pace", partial(Pace, seconds=0.5)), ("SECONDS", 1.0)]
)
async def test_an_export_that_is_taken_slowly_is_broken_off_and_its_place_is_free(
    node: Node, large: tuple[str, str], monkeypatch: pytest.MonkeyPatch, bound: str, value: Any
) -> None:
    prefix, key = large
    monkeypatch.setattr(exports, bound, value)
    path = f"/exports/identifiers?prefix={prefix}"
    async with reading(node, path, key) as client:
        came = await taken_slowly(node, client)
    assert came.startswith(b"HTTP/1.1 200"), came[:200]
    assert b"0\r\n\r\n" not in came[-5:], "what was broken off does not look like all of it"
    assert b"HTTP/1.1 503" not in came, "no other answer stands within it"
    monkeypatch.undo()
    status, _, _ = await whole(node, path, key)
    assert status == 200


async def whole(node: Node, path: str, token: str) -> tuple[int, bytes, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with node.client.get(node.url(path), headers=headers) as response:
        return response.status, await response.read(), response.headers


async def test_an_attachment_keeps_its_place_until_it_is_taken_and_no_longer(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    enterprise, session = await file(node, 1)
    other, theirs = await file(node, 2)
    data = b"%PDF-1.7" + b"7" * (MAX_BYTES - 14) + b"%%EOF\n"
    paths = []
    for owner, token in ((enterprise, session), (other, theirs)):
        at = f"/enterprises/{owner}/attachments"
        sent = {"Content_Type": "application/pdf"}
        status, made, _ = await node.call("POST", f"{at}?name=a.pdf", token, data, **sent)
        assert status == 201, made
        paths.append(f"{at}/{made['id']}")
    async with reading(node, paths[0], session), reading(node, paths[0], session):
        async with asyncio.timeout(20):
            while held(node) < 2:
                await asyncio.sleep(0.01)
        status, problem, _ = await whole(node, paths[0], session)
        assert (status, b"busy" in problem) == (503, True), "a tenant has two places"
        assert (await whole(node, paths[1], theirs))[:2] == (200, data), "others have theirs"
    monkeypatch.setattr(attachments, "Pace", partial(Pace, seconds=0.5))
    async with reading(node, paths[0], session) as client:
        came = await taken_slowly(node, client)
    assert len(came) < MAX_BYTES, "who takes it slowly does not get it all"
