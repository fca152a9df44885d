"""What is not served here: code 301, and 300 for who came by older site information."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from protocol.errors import ResponseCode
from protocol.handle.header import SERIAL_UNKNOWN, OpCode
from protocol.handle.requests import HandleRequest, Request, ResolutionRequest, ValuesRequest
from resolver.handle.service import Peer
from resolver.site import make_site
from tests.integration import rest_support
from tests.integration.handle_support import (
    NODE_ADMIN,
    RSA,
    Actor,
    Node,
    ask,
    nothing_written,
    owned,
    resolved,
    url,
)

NOT_HERE = ResponseCode.SERVER_NOT_RESPONSIBLE


async def suspended(node: Node, prefix: str, step: str = "suspend") -> None:
    status, answer, _ = await node.http.call(
        "POST", f"/prefixes/{prefix}/{step}", node.http.reviewer, {"reason": "late"}
    )
    assert status == 200, answer
    for service in node.services:
        service.resolver.forget(prefix, None)


async def code(node: Node, op_code: int, body: Request, serial: int = SERIAL_UNKNOWN) -> int:
    message = ask(op_code, body)
    header = replace(message.header, site_serial=serial)
    (answer,) = await node.send(replace(message, header=header))
    assert answer.header.site_serial == node.services[0].site.serial
    return answer.header.response_code


async def test_a_suspended_prefix_is_not_served_until_it_is_resumed(node: Node) -> None:
    prefix, _, owner = await owned(node)
    made = ValuesRequest(f"{prefix}/X", (url(1),))
    assert await node.code(owner, OpCode.CREATE_HANDLE, made) == 1
    session = await node.session(owner.identity)
    (first,) = await session.do(owner, OpCode.ADD_VALUE, ValuesRequest(f"{prefix}/X", (url(2),)))
    assert first.header.response_code == 1
    await suspended(node, prefix)
    for _ in range(2):  # what is not found is remembered
        for name in (f"{prefix}/X", f"{prefix}/none"):
            assert await resolved(node, name) == NOT_HERE
    assert await resolved(node, f"0.NA/{prefix}") == ResponseCode.HANDLE_NOT_FOUND, "it is ours"
    async with nothing_written(node):
        for op_code, body in (
            (OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/Y", (url(1),))),
            (OpCode.MODIFY_VALUE, made),
            (OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/X")),
            (OpCode.LIST_HANDLES, HandleRequest(f"0.NA/{prefix}")),
        ):
            assert await code(node, op_code, body) == NOT_HERE, "nobody needs to prove anything"
            (refused,) = await session.send(session.message(op_code, body))
            assert refused.header.response_code == NOT_HERE
    await suspended(node, prefix, "resume")
    assert isinstance(await resolved(node, f"{prefix}/X"), dict)
    assert await resolved(node, f"{prefix}/none") == ResponseCode.HANDLE_NOT_FOUND


async def test_administrators_of_the_node_do_not_write_there_either(node: Node) -> None:
    prefix, _, _ = await owned(node)
    admin = Actor(NODE_ADMIN, RSA)
    session = await node.session(admin.identity)
    made = ValuesRequest(f"{prefix}/X", (url(1),))
    (first,) = await session.do(admin, OpCode.CREATE_HANDLE, made)
    assert first.header.response_code == 1
    await suspended(node, prefix)
    message = session.message(OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/X"))
    async with nothing_written(node):
        (refused,) = await session.send(message)
        assert refused.header.response_code == NOT_HERE
    await suspended(node, prefix, "resume")
    async with nothing_written(node):
        (again,) = await session.send(message)
        assert again.header.response_code == ResponseCode.MESSAGE_REJECTED, "it was used up"


async def test_over_http_a_suspended_prefix_has_no_such_identifier(
    database_url: str, tmp_path: Path
) -> None:
    async with rest_support.running(database_url, tmp_path) as front:
        prefix = rest_support.PREFIX
        await front.sql.execute(
            "UPDATE prefixes SET status = 'suspended' WHERE prefix = $1", prefix
        )
        for _ in range(2):
            answer = await front.ask("GET", f"/api/handles/{prefix}/X")
            assert (answer.status, answer.code) == (404, ResponseCode.HANDLE_NOT_FOUND)
        wanted = ask(OpCode.RESOLUTION, ResolutionRequest(f"{prefix}/X"))
        (told,) = await front.service.answer(wanted, Peer("tcp", "127.0.0.1"))
        assert told.header.response_code == NOT_HERE


@pytest.mark.parametrize(
    ("serial", "expected"),
    [
        (1, ResponseCode.SITE_INFO_OUT_OF_DATE),
        (6, ResponseCode.SITE_INFO_OUT_OF_DATE),
        (7, NOT_HERE),
        (8, NOT_HERE),
        (0, NOT_HERE),
        (SERIAL_UNKNOWN, NOT_HERE),
    ],
)
async def test_older_site_information_is_the_reason_where_it_may_be(
    node: Node, serial: int, expected: int
) -> None:
    prefix, _, _ = await owned(node)
    for service in node.services:
        service.site = make_site("127.0.0.1", handle_port=2641, http_port=0, serial=7)
    foreign = ValuesRequest("10.1000/1", (url(1),))
    assert await code(node, OpCode.RESOLUTION, ResolutionRequest("10.1000/1"), serial) == expected
    assert await code(node, OpCode.CREATE_HANDLE, foreign, serial) == expected
    name = ResolutionRequest(f"0.NA/{prefix}")
    assert await code(node, OpCode.RESOLUTION, name, serial) == 1, "what can be done is done"
    ours = ValuesRequest(f"{prefix}/X", (url(1),))
    needed = ResponseCode.AUTHENTICATION_NEEDED
    assert await code(node, OpCode.CREATE_HANDLE, ours, serial) == needed
