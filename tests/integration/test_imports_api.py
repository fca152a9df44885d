"""Imports over HTTP: who may, what is refused, and that nothing half-uploaded stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import uuid
from typing import Any

import pytest

from protocol.errors import BodyTimeout, StoreUnavailable, TooLarge
from registry.imports import records, uploads
from tests.integration.import_support import (
    csv_file,
    error_rows,
    imported,
    query,
    send,
    until,
    value,
)
from tests.integration.registry_client import Node


async def test_errors_are_no_formulas_for_a_spreadsheet(node: Node, works: tuple[str, str]) -> None:
    key, prefix = works
    data = json.dumps({"suffix": "A", "values": [value(1, "URL", "x") | {"=1+1": 1}]}).encode()
    record = await imported(node, key, data, f"?format=ndjson&prefix={prefix}")
    await query(
        node,
        "UPDATE import_errors SET \"column\" = '=1+1', reason = '@SUM(A1)' WHERE import_id = $1",
        uuid.UUID(record["id"]),
    )
    rows = await error_rows(node, key, record["id"])
    assert rows[1] == ["1", "'=1+1", "'@SUM(A1)"]


async def test_a_list_of_errors_that_cannot_be_ended_is_visibly_cut_off(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, prefix = works
    data = b"{\n" * 5
    record = await imported(node, key, data, f"?format=ndjson&prefix={prefix}")
    assert record["failed"] == 5
    pages = records.errors

    async def away(*args: Any, after: int, limit: int) -> Any:
        if after:
            raise StoreUnavailable
        return await pages(*args, after=after, limit=limit)

    monkeypatch.setattr(records, "errors", away)
    reader, writer = await asyncio.open_connection("127.0.0.1", node.client.port)
    path = node.url(f"/imports/{record['id']}/errors")
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    answer = b""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionResetError):
            while octets := await reader.read(65_536):
                answer += octets
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert b"row,column,reason" in answer
    assert answer.count(b"HTTP/1.1") == 1, "a second answer stands in the body of the first"
    assert not answer.endswith(b"0\r\n\r\n"), "half a list looks like a whole one"


async def test_an_upload_cut_short_leaves_no_trace(node: Node, works: tuple[str, str]) -> None:
    key, _ = works
    url = node.url("/imports?format=csv")
    head = (
        f"POST {url} HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Length: {3 * uploads.CHUNK_BYTES}\r\n\r\n"
    )
    server = node.client.server
    with socket.create_connection((server.host, server.port)) as client:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, head.encode() + b"x" * (uploads.CHUNK_BYTES + 10))

        async def begun() -> bool:
            return bool(await query(node, "SELECT FROM import_chunks"))

        await until(begun, "the first chunk stored")

    async def gone() -> bool:
        return not await query(node, "SELECT FROM imports")

    await until(gone, "the upload deleted")
    assert await query(node, "SELECT FROM import_chunks") == []


async def test_bad_uploads_are_refused_and_leave_nothing(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = works
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 1000)
    for token, data, path, expected in (
        (key, b"", "?format=csv", 400),
        (key, b"x" * 1001, "?format=csv", 413),
        (key, b"x", "?format=xls", 422),
        (key, b"x", "?format=csv&mode=replace", 422),
        (key, b"x", "?format=csv&dry_run=perhaps", 422),
        (key, b"x", "?format=csv&state=done", 422),
        (key, b"x", "", 415),
        (key, b"x", "?format=csv&prefix=88", 400),
        (key, b"x", "?format=csv&prefix=88.118.9999", 409),
        (node.reviewer, b"x", "?format=csv", 403),
        (None, b"x", "?format=csv", 401),
    ):
        status, body, _ = await node.call("POST", f"/imports{path}", token, data)
        assert status == expected, (path, body)
    assert await query(node, "SELECT FROM imports") == []


async def test_a_body_without_an_end_or_a_sign_of_life_is_given_up(
    node: Node, works: tuple[str, str]
) -> None:
    key, _ = works
    _, body = await send(node, key, b"identifier\n")
    import_id = uuid.UUID(body["id"])
    await query(node, "UPDATE imports SET state = 'uploading'")
    await query(node, "DELETE FROM import_chunks")

    async def silence() -> bytes:
        await asyncio.Event().wait()
        return b""

    async def flood() -> bytes:
        return b"x" * 65_536

    with pytest.raises(BodyTimeout, match="did not go on"):
        await uploads.store(node.database, import_id, silence, maximum=1, silence=0.01)
    with pytest.raises(TooLarge):
        await uploads.store(node.database, import_id, flood, maximum=2 << 20)


async def test_an_import_is_seen_by_its_enterprise_and_operators_alone(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    _, other_key = await node.enterprise(2)
    record = await imported(node, key, csv_file(prefix, 3))
    for path in (f"/imports/{record['id']}", f"/imports/{record['id']}/errors"):
        for token in (other_key, node.reviewer):
            status, _, _ = await node.call("GET", path, token)
            assert status == 404
    status, seen, _ = await node.call("GET", f"/imports/{record['id']}", node.operator)
    assert (status, seen) == (200, record)
    for token, count in ((key, 1), (node.operator, 1), (other_key, 0)):
        _, listed, _ = await node.call("GET", "/imports", token)
        assert len(listed["items"]) == count


async def test_the_list_is_paged_the_newest_first(node: Node, works: tuple[str, str]) -> None:
    key, _ = works
    made = [(await send(node, key, b"identifier\n"))[1]["id"] for _ in range(5)]
    seen: list[str] = []
    path = "/imports?limit=2"
    while path:
        _, body, _ = await node.call("GET", path, key)
        seen += [item["id"] for item in body["items"]]
        path = f"/imports?limit=2&cursor={body['next']}" if body["next"] else ""
    assert seen == made[::-1]


async def test_an_operator_may_import_under_any_prefix(node: Node, works: tuple[str, str]) -> None:
    key, prefix = works
    record = await imported(node, node.operator, csv_file(prefix, 5))
    assert record["done"] == 5
    for token in (key, node.reviewer):
        status, _, _ = await node.call("GET", f"/imports/{record['id']}", token)
        assert status == 404, "an operator's import is seen by operators alone"
        _, listed, _ = await node.call("GET", "/imports", token)
        assert listed["items"] == []


async def test_the_same_upload_with_one_idempotency_key_is_one_import(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    data = csv_file(prefix, 10)
    first = await send(node, key, data, Idempotency_Key="k1")
    assert first[0] == 202
    assert await send(node, key, data, Idempotency_Key="k1") == first
    status, _ = await send(node, key, csv_file(prefix, 11), Idempotency_Key="k1")
    assert status == 422
    assert len(await query(node, "SELECT FROM imports")) == 1
    assert len(await query(node, "SELECT DISTINCT import_id FROM import_chunks")) == 1
