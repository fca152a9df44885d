"""Sending files to a running registry and looking at what became of them, for tests."""

from __future__ import annotations

import asyncio
import csv
import io
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from registry.imports.job import import_once
from registry.metrics import private_row
from registry.services import Registry
from tests.integration.registry_client import Node

DEADLINE = 60.0


def registry_of(node: Node) -> Registry:
    return Registry(node.database, "88.118", lambda _prefix, _keys: None, private_row())


async def send(
    node: Node, key: str, data: bytes, query: str = "?format=csv", **headers: str
) -> tuple[int, Any]:
    status, body, _ = await node.call("POST", f"/imports{query}", key, data, **headers)
    return status, body


async def imported(node: Node, key: str, data: bytes, query: str = "?format=csv") -> dict[str, Any]:
    """Send a file, work on it, and return what the API says of it then."""
    status, body = await send(node, key, data, query)
    assert status == 202, body
    return await worked_on(node, key, body["id"])


async def worked_on(node: Node, key: str, import_id: str) -> dict[str, Any]:
    """Work on an import, and return what the API says of it then."""
    await import_once(registry_of(node), uuid.UUID(import_id))
    status, body, _ = await node.call("GET", f"/imports/{import_id}", key)
    assert status == 200
    return dict(body)


async def error_rows(node: Node, key: str, import_id: str) -> list[list[str]]:
    async with node.client.get(
        node.url(f"/imports/{import_id}/errors"), headers={"Authorization": f"Bearer {key}"}
    ) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/csv")
        return list(csv.reader(io.StringIO(await response.text(), newline="")))


async def owner(node: Node, prefix: str) -> str:
    (row,) = await query(node, "SELECT enterprise_id FROM prefixes WHERE prefix = $1", prefix)
    return str(row[0])


async def query(node: Node, sql: str, *arguments: object) -> list[asyncpg.Record]:
    pool = await node.database.pool()
    return list(await pool.fetch(sql, *arguments))


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < deadline, f"in {DEADLINE} s never: {what}"
        await asyncio.sleep(0.02)


def csv_file(prefix: str, rows: int, url: str = "https://pumps.example.cn/") -> bytes:
    lines = [f"{prefix}/sn-{n:06d},{url}{n},离心泵 {n}\r\n" for n in range(rows)]
    return ("identifier,URL,NAME\r\n" + "".join(lines)).encode()


def value(index: int, type_: str, text: str) -> dict[str, Any]:
    return {"index": index, "type": type_, "data": {"format": "string", "value": text}}
