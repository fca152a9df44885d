"""Values of predefined types that nobody can read are refused at every door, and leave nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import ResponseCode
from protocol.handle.header import OpCode
from protocol.handle.requests import ValuesRequest
from protocol.typed_check import CHECKS
from protocol.values import HandleValue
from registry.database import Database
from tests.integration import handle_support, rest_support
from tests.integration.handle_support import nothing_written, owned
from tests.integration.import_support import error_rows, imported
from tests.integration.rest_support import PREFIX, Front, basic


@pytest.fixture
async def node(database: Database) -> AsyncIterator[handle_support.Node]:
    async with handle_support.running(database) as node:
        yield node


@pytest.fixture
async def front(database_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with rest_support.running(database_url, tmp_path) as front:
        yield front


def values(type_: str) -> list[dict[str, Any]]:
    return [
        {"index": 1, "type": "URL", "data": {"format": "string", "value": "https://a.example"}},
        {"index": 2, "type": type_, "data": {"format": "string", "value": "zzz"}},
    ]


async def test_the_registry_refuses_them_one_by_one_and_in_batches(
    node: handle_support.Node,
) -> None:
    prefix, token, _ = await owned(node)
    async with nothing_written(node):
        for type_ in CHECKS:
            body = {"values": values(type_)}
            status, said, _ = await node.http.call("PUT", f"/identifiers/{prefix}/X", token, body)
            assert (status, said["field"]) == (422, "values[1].data"), (type_, said)
            assert f"no data of {type_}: " in said["detail"]
            one = {"values": values(type_)[1:]}
            path = f"/identifiers/0.NA/{prefix}"
            status, said, _ = await node.http.call("PATCH", path, token, one)
            assert (status, said["field"]) == (422, "values[0].data"), (type_, said)
        batch = {"operations": [{"op": "put", "identifier": f"{prefix}/X", **one}]}
        _, said, _ = await node.http.call("POST", "/identifiers:batch", token, batch)
        assert "no data of" in json.dumps(said), said


async def test_the_handle_protocol_refuses_them(node: handle_support.Node) -> None:
    prefix, _, owner = await owned(node)
    async with nothing_written(node):
        for type_ in CHECKS:
            body = ValuesRequest(f"{prefix}/X", (HandleValue(2, type_, b"zzz"),))
            code = await node.code(owner, OpCode.CREATE_HANDLE, body)
            assert code == ResponseCode.INVALID_VALUE, type_
        body = ValuesRequest(f"0.NA/{prefix}", (HandleValue(300, "HS_PUBKEY", b"zzz"),))
        code = await node.code(owner, OpCode.MODIFY_VALUE, body)
        assert code == ResponseCode.INVALID_VALUE, "the key that is there stays"


async def test_handle_json_refuses_them(front: Front) -> None:
    for type_ in CHECKS:
        answer = await front.ask("PUT", f"/api/handles/{PREFIX}/X", values(type_), basic())
        assert (answer.status, answer.code) == (400, 202), (type_, answer.body)
        assert answer.json["message"].startswith("values[1].data: no data of"), answer.body
    assert await front.sql.fetchval("SELECT count(*) FROM identifiers WHERE prefix <> '0.NA'") == 0


async def test_imports_refuse_the_rows(node: handle_support.Node) -> None:
    prefix, token, _ = await owned(node)
    rows = [{"suffix": f"R-{type_}", "values": values(type_)} for type_ in CHECKS]
    good = {"suffix": "GOOD", "values": values("HS_ALIAS")}
    data = "".join(json.dumps(row) + "\n" for row in (*rows, good)).encode()
    record = await imported(node.http, token, data, f"?format=ndjson&prefix={prefix}")
    assert (record["done"], record["failed"]) == (1, len(CHECKS)), record
    told = await error_rows(node.http, token, record["id"])
    assert all("no data of" in reason for _, _, reason in told[1:]), told
    table = f"identifier,URL,HS_SERV,HS_NAMESPACE\n{prefix}/A,https://a.example,zzz,\n".encode()
    table += f"{prefix}/B,https://a.example,0.SERV/X,<namespace/>\n".encode()
    table += f"{prefix}/C,https://a.example,,<name\n".encode()
    record = await imported(node.http, token, table)
    assert (record["done"], record["failed"]) == (1, 2), record
    columns = [(row, column) for row, column, _ in await error_rows(node.http, token, record["id"])]
    assert columns[1:] == [("2", "HS_SERV"), ("4", "HS_NAMESPACE")]
