"""Prefix handles: who may delete them, and what the node itself says there."""

from __future__ import annotations

from protocol import json_api
from protocol.errors import ResponseCode
from protocol.handle.admin import ALL_PERMISSIONS, AdminRecord, Permission
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.requests import HandleRequest, ResolutionRequest, ValuesRequest
from protocol.handle.responses import ResolutionResponse
from protocol.values import HandleValue, Reference
from registry import prefix_handles
from tests.integration.handle_support import (
    NODE_ADMIN,
    PLAIN,
    RSA,
    Actor,
    Node,
    ask,
    nothing_written,
    owned,
    resolved,
    url,
)

OVERWRITING = PLAIN | OpFlag.OVERWRITE


async def test_an_owner_cannot_delete_the_prefix_handle_that_lets_it_in(node: Node) -> None:
    prefix, _, owner = await owned(node)
    body = HandleRequest(f"0.NA/{prefix}")
    async with nothing_written(node):
        assert await node.code(owner, OpCode.DELETE_HANDLE, body) == ResponseCode.INVALID_ADMIN
    assert isinstance(await resolved(node, f"0.NA/{prefix}"), dict)
    runs_the_node = Actor(NODE_ADMIN, RSA)
    assert await node.code(runs_the_node, OpCode.DELETE_HANDLE, body) == 1


async def test_who_may_delete_derived_prefixes_says_the_handle_of_the_prefix_above(
    node: Node,
) -> None:
    prefix, _, owner = await owned(node)
    body = HandleRequest(f"0.NA/{prefix}")
    expected = {
        ALL_PERMISSIONS & ~Permission.DELETE_DERIVED_PREFIX: ResponseCode.INSUFFICIENT_PERMISSION,
        Permission.DELETE_DERIVED_PREFIX: ResponseCode.SUCCESS,
    }
    for permissions, code in expected.items():
        await _write_above(node, owner, permissions)
        assert await node.code(owner, OpCode.DELETE_HANDLE, body) == code, permissions


async def _write_above(node: Node, who: Actor, permissions: Permission) -> None:
    """Say in the handle of the node's own prefix what `who` may do."""
    record = AdminRecord(Reference(who.identity.handle, who.identity.index), permissions)
    value = HandleValue(prefix_handles.ADMIN_INDEX, "HS_ADMIN", record.encode())
    body = {"values": [json_api.encode_value(value)]}
    path = "/identifiers/0.NA/88.118"
    status, answer, _ = await node.http.call("PUT", path, node.http.operator, body)
    assert status in (200, 201), answer


async def test_the_index_of_the_site_is_the_nodes_in_every_prefix_handle(node: Node) -> None:
    prefix, token, owner = await owned(node)
    name = f"0.NA/{prefix}"
    body = {"values": [json_api.encode_value(url(2)), json_api.encode_value(url(1))]}
    async with nothing_written(node):
        for method in ("PUT", "PATCH"):
            status, answer, _ = await node.http.call(method, f"/identifiers/{name}", token, body)
            assert status == 422, answer
            assert answer["field"] == "values[1].index", answer
            assert "index 1 of a prefix handle is the node's" in answer["detail"]
        batch = {"operations": [{"op": "put", "identifier": name, **body}]}
        status, answer, _ = await node.http.call("POST", "/identifiers:batch", token, batch)
        assert "index 1 of a prefix handle" in str(answer), answer
        for op_code in (OpCode.ADD_VALUE, OpCode.CREATE_HANDLE):
            code = await node.code(owner, op_code, ValuesRequest(name, (url(1),)), OVERWRITING)
            assert code == ResponseCode.INVALID_VALUE, op_code
    assert await node.code(owner, OpCode.ADD_VALUE, ValuesRequest(name, (url(2),))) == 1
    under = ValuesRequest(f"{prefix}/X", (url(1),))
    assert await node.code(owner, OpCode.CREATE_HANDLE, under) == 1, "elsewhere it is as any other"


async def test_a_prefix_handle_has_no_two_values_of_one_index(node: Node) -> None:
    prefix, _, _ = await owned(node)
    await node.sql(
        f"""UPDATE identifiers SET values = values || jsonb_build_array(jsonb_build_object(
                'index', 1, 'type', 'URL', 'data', jsonb_build_object(
                    'format', 'string', 'value', 'from before the rule')))
            WHERE prefix = '0.NA' AND suffix = '{prefix}'"""
    )
    (answer,) = await node.send(ask(OpCode.RESOLUTION, ResolutionRequest(f"0.NA/{prefix}")))
    assert isinstance(answer.body, ResolutionResponse), answer
    found = [(value.index, value.type) for value in answer.body.values]
    assert [one for one in found if one[0] == 1] == [(1, "HS_SITE")]
