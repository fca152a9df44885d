"""Who runs the node says over the Handle protocol which prefixes it serves."""

from __future__ import annotations

from protocol.errors import ResponseCode
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.requests import HandleRequest
from protocol.handle.responses import NamesResponse
from tests.integration.handle_support import (
    NODE_ADMIN,
    OTHER_RSA,
    RSA,
    Actor,
    Node,
    nothing_written,
    owned,
)
from tests.integration.registry_client import SITE

ADMIN = Actor(NODE_ADMIN, RSA)
OPERATIONS = (OpCode.HOME_PREFIX, OpCode.UNHOME_PREFIX, OpCode.LIST_HOMED_PREFIXES)


async def applied(node: Node, number: int, **more: object) -> str:
    id_, key = await node.http.enterprise(number)
    body = {"enterprise_id": id_, "hosting": "hosted", **more}
    status, made, _ = await node.http.call("POST", "/prefixes", key, body)
    assert status == 201, made
    prefix: str = made["prefix"]
    return prefix


async def state(node: Node, prefix: str) -> tuple[str, str | None]:
    ((status, reason),) = await node.sql(
        f"SELECT status, reason FROM prefixes WHERE prefix = '{prefix}'"
    )
    return status, reason


async def homed(node: Node) -> list[str]:
    parts = await node.do(ADMIN, OpCode.LIST_HOMED_PREFIXES, HandleRequest("/"))
    names: list[str] = []
    for part in parts:
        assert isinstance(part.body, NamesResponse), part
        names += part.body.names
    return names


async def test_a_prefix_is_approved_suspended_and_resumed(node: Node) -> None:
    prefix = await applied(node, 1)
    body = HandleRequest(f"0.NA/{prefix}")
    assert await homed(node) == ["0.NA/88.118"]
    for _ in range(2):  # what is as wished stays
        assert await node.code(ADMIN, OpCode.HOME_PREFIX, body) == 1
        assert await state(node, prefix) == ("active", None)
    assert await homed(node) == ["0.NA/88.118", f"0.NA/{prefix}"]
    for _ in range(2):
        assert await node.code(ADMIN, OpCode.UNHOME_PREFIX, body) == 1
        reason = f"unhomed over the Handle protocol by {NODE_ADMIN}"
        assert await state(node, prefix) == ("suspended", reason)
    assert await homed(node) == ["0.NA/88.118"]
    assert await node.code(ADMIN, OpCode.HOME_PREFIX, HandleRequest(prefix)) == 1
    assert await state(node, prefix) == ("active", None)
    lines = await node.sql("SELECT actor, action FROM audit_log WHERE action LIKE 'prefix.%'")
    steps = [action for actor, action in lines if actor == f"handle:{NODE_ADMIN}"]
    assert steps == ["prefix.approve", "prefix.suspend", "prefix.resume"]
    filed = await node.sql(f"SELECT count(*) FROM outbox WHERE subject = '{prefix}'")
    assert filed == [(3,)], "the top-level node learns of it, as over HTTP"
    handle = await node.sql(
        f"SELECT 1 FROM identifiers WHERE prefix = '0.NA' AND suffix = '{prefix}'"
    )
    assert handle == [(1,)], "approval makes the prefix handle, as over HTTP"


async def test_what_is_not_done_over_this_protocol(node: Node) -> None:
    pending, rejected = await applied(node, 1), await applied(node, 2)
    delegated = await applied(node, 3, hosting="delegated", site=SITE)
    status, answer, _ = await node.http.call(
        "POST", f"/prefixes/{rejected}/reject", node.http.reviewer, {"reason": "no"}
    )
    assert status == 200, answer
    async with nothing_written(node):
        for op_code, name, expected in (
            (OpCode.UNHOME_PREFIX, f"0.NA/{pending}", ResponseCode.OPERATION_DENIED),
            (OpCode.HOME_PREFIX, f"0.NA/{rejected}", ResponseCode.OPERATION_DENIED),
            (OpCode.UNHOME_PREFIX, f"0.NA/{rejected}", ResponseCode.OPERATION_DENIED),
            (OpCode.HOME_PREFIX, f"0.NA/{delegated}", ResponseCode.OPERATION_DENIED),
            (OpCode.HOME_PREFIX, "0.NA/88.118.999", ResponseCode.OPERATION_DENIED),
            (OpCode.HOME_PREFIX, "0.NA/10.1000", ResponseCode.OPERATION_DENIED),
            (OpCode.HOME_PREFIX, f"{pending}/X", ResponseCode.INVALID_HANDLE),
        ):
            assert await node.code(ADMIN, op_code, HandleRequest(name)) == expected, name


async def test_only_those_who_run_the_node(node: Node) -> None:
    prefix, _, owner = await owned(node)
    body = HandleRequest(f"0.NA/{prefix}")
    session = await node.session(owner.identity)
    async with nothing_written(node):
        for op_code in OPERATIONS:
            assert await node.code(owner, op_code, body) == ResponseCode.INVALID_ADMIN
            (answer,) = await session.do(owner, op_code, body)
            assert answer.header.response_code == ResponseCode.INVALID_ADMIN
            wrong = Actor(NODE_ADMIN, OTHER_RSA)
            assert await node.code(wrong, op_code, body) == ResponseCode.AUTHENTICATION_FAILED


async def test_a_long_list_comes_in_parts(node: Node) -> None:
    prefix, _, _ = await owned(node)
    await node.sql(
        "INSERT INTO prefixes (prefix, enterprise_id, hosting, status)"
        " SELECT '88.118.' || n, enterprise_id, 'hosted', 'active'"
        f" FROM prefixes, generate_series(100, 219) AS n WHERE prefix = '{prefix}'"
    )
    parts = await node.do(ADMIN, OpCode.LIST_HOMED_PREFIXES, HandleRequest("/"))
    assert [bool(part.header.flags & OpFlag.CONTINUOUS) for part in parts] == [True, True, False]
    assert len(await homed(node)) == 122
