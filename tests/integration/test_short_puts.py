"""A plain PUT of an identifier takes the short way through a running front, and nobody can tell."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from registry.api.app import make_app
from registry.metrics import slot
from registry.schema import audit_log
from registry.services import Registry
from resolver.lookup import Resolver
from resolver.transports.http import add_routes
from resolver.transports.server import HttpServer, start_http
from tests.integration.registry_client import URL_VALUE, Node

Works = tuple[str, str]
"""An enterprise's key and its prefix."""

BODY = msgspec.json.encode({"values": [URL_VALUE]})


@dataclass
class Front:
    """A front on a real socket, beside the node's own application, on the same database."""

    server: HttpServer

    @property
    def taken(self) -> int:
        """PUTs that have taken the short way."""
        puts = self.server._front.puts
        assert puts is not None
        return puts.taken


@pytest.fixture
async def front(node: Node) -> AsyncIterator[Front]:
    resolver = Resolver(node.database, row=node.row, cache_bytes=1 << 20, node_prefix="88.118")
    registry = Registry(node.database, "88.118", resolver.forget, node.row)
    app = make_app(registry)
    add_routes(app, resolver)
    server = await start_http(app, resolver, row=node.row, host="127.0.0.1", port=0)
    yield Front(server)
    await server.stop(0)


class Wire:
    """A connection on which bytes are sent, and answers read one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and JSON of the next answer."""
        async with asyncio.timeout(20):
            raw = await self._reader.readuntil(b"\r\n\r\n")
            lines = raw.decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:-2])
            body = await self._reader.readexactly(int(headers["Content-Length"]))
        return int(lines[0].split()[1]), headers, msgspec.json.decode(body)

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], Any]:
        """Send a request and return what is answered."""
        self.writer.write(request)
        return await self.answer()


@contextlib.asynccontextmanager
async def wire(front: Front) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.server.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def put(key: str, name: str, body: bytes = BODY, *headers: str) -> bytes:
    """Return a PUT as a client sends it."""
    lines = [
        f"PUT /api/v1/identifiers/{name} HTTP/1.1",
        "Host: node.example",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


@contextlib.asynccontextmanager
async def held_up(node: Node, prefix: str) -> AsyncIterator[None]:
    """Let no write under a prefix end before the block does."""
    async with node.database.begin() as connection:
        lock = sa.text("SELECT pg_advisory_xact_lock(hashtext('idnode prefix'), hashtext(:prefix))")
        await connection.execute(lock, {"prefix": prefix})
        yield


async def waiting(node: Node) -> None:
    """Return once somebody waits for a lock."""
    query = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(20):
        while True:
            async with node.database.begin() as connection:
                if await connection.scalar(query):
                    return
            await asyncio.sleep(0.01)


async def test_what_it_answers_is_registered_logged_and_counted(
    node: Node, front: Front, works: Works
) -> None:
    key, prefix = works
    before = node.row.cells[slot("idnode_api_requests", "2xx")]
    async with wire(front) as connection:
        status, headers, answer = await connection.ask(put(key, f"{prefix}/Pump-7"))
        assert (status, front.taken) == (201, 1)
        assert node.row.cells[slot("idnode_api_requests", "2xx")] == before + 1
        again, _, replaced = await connection.ask(put(key, f"{prefix}/pump-7"))
        assert (again, front.taken) == (200, 2)
    status, found, response = await node.call("GET", f"/identifiers/{prefix}/pump-7", key)
    assert (status, found) == (200, replaced)
    assert response.headers["ETag"] != headers["ETag"] == f'"{answer["version"]}"'
    async with node.database.begin() as sql:
        line = (
            await sql.execute(
                sa.select(audit_log).where(audit_log.c.request_id == headers["X-Request-Id"])
            )
        ).one()
    assert line.subject == f"{prefix}/Pump-7"
    assert line.detail["version"] == answer["version"]


async def test_both_ways_say_the_same(node: Node, front: Front, works: Works) -> None:
    """A request that names itself goes the long way."""
    key, prefix = works
    wrong = msgspec.json.encode({"values": [{**URL_VALUE, "index": 0}]})
    named = msgspec.json.encode({"values": [URL_VALUE], "template": "none"})
    asked = [
        (key, "NEW", BODY, []),
        (key, "THERE", BODY, []),
        (key, "THERE", BODY, ["If-None-Match: *"]),
        (key, "NEWER", BODY, ["If-None-Match: *"]),
        (key, "ABSENT", BODY, ['If-Match: "1"']),
        (key, "NEW", wrong, []),
        (key, "NEW", wrong, ["Accept-Language: zh-CN"]),
        (key, "NEW", named, []),
        ("not-a-token-of-anybody", "NEW", BODY, []),
        (node.reviewer, "NEW", BODY, []),
        (node.operator, "STAFF", BODY, []),
        (key, "NEW", b"{", []),
    ]
    answers = []
    for letter, more in (("s", []), ("l", ["X-Request-Id: 7"])):
        async with wire(front) as connection:
            assert (await connection.ask(put(key, f"{prefix}/{letter}-there")))[0] == 201
            for token, name, body, headers in asked:
                at = f"{prefix}/{letter}-{name}"
                status, found, answer = await connection.ask(put(token, at, body, *headers, *more))
                for varies in ("version", "created_at", "updated_at", "requestId"):
                    answer.pop(varies, None)
                text = msgspec.json.encode(answer).decode()
                text = re.sub("....-..-..T..:..:..Z", "-", text.replace(f"{letter}-{name}", name))
                varies = {"ETag": "", "X-Request-Id": "", "Date": "", "Content-Length": ""}
                answers.append((status, list(found), {**found, **varies}, text))
    half = len(asked)
    assert answers[:half] == answers[half:]
    assert [status for status, *_ in answers[:half]] == [
        *(201, 200, 412, 201, 412, 422, 422, 422, 401, 403, 201, 400)
    ]
    # Of the second half the first alone, which does not name itself.
    assert front.taken == 1 + 4 + 1


async def test_answers_keep_the_order_of_the_requests(
    node: Node, front: Front, works: Works
) -> None:
    key, prefix = works
    get = f"GET /api/v1/identifiers/{prefix}/A HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}"
    async with wire(front) as connection:
        async with held_up(node, prefix):
            connection.writer.write(put(key, f"{prefix}/A"))
            await waiting(node)
            connection.writer.write(f"{get}\r\n\r\n".encode())
            connection.writer.write(put(key, f"{prefix}/A", b"{}") + put(key, f"{prefix}/A"))
        answers = [await connection.answer() for _ in range(4)]
    assert [status for status, _, _ in answers] == [201, 200, 422, 200]
    assert answers[1][2] == answers[0][2], "the GET was answered before the PUT was done"


async def test_who_goes_away_has_registered_all_the_same(
    node: Node, front: Front, works: Works
) -> None:
    key, prefix = works
    async with held_up(node, prefix), wire(front) as connection:
        connection.writer.write(put(key, f"{prefix}/A"))
        await waiting(node)
    async with asyncio.timeout(20):
        while (await node.call("GET", f"/identifiers/{prefix}/A", key))[0] != 200:
            await asyncio.sleep(0.01)
    async with wire(front) as connection:
        assert (await connection.ask(put(key, f"{prefix}/A")))[0] == 200


@pytest.mark.parametrize(("body", "status"), [(BODY, 201), (b'{"values":[{}]}', 422)])
async def test_a_server_that_ends_answers_what_is_under_way(
    node: Node, front: Front, works: Works, body: bytes, status: int
) -> None:
    key, prefix = works
    async with wire(front) as connection, asyncio.TaskGroup() as tasks:
        async with held_up(node, prefix):
            connection.writer.write(put(key, f"{prefix}/A", body))
            if status == 201:
                await waiting(node)
            tasks.create_task(front.server.stop(20))
        assert (await connection.answer())[0] == status


async def test_a_connection_that_waits_for_its_registration_is_not_idle(
    node: Node, front: Front, works: Works
) -> None:
    key, prefix = works
    server: Any = front.server._runner.server
    async with wire(front) as connection:
        async with held_up(node, prefix):
            connection.writer.write(put(key, f"{prefix}/A"))
            await waiting(node)
            (handler,) = server.connections
            assert not handler.idle
        assert (await connection.answer())[0] == 201
        assert handler.idle
