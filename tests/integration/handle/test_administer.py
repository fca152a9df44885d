"""Identifiers over the Handle protocol: by whom HS_ADMIN allows, and just as over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from protocol.errors import ResponseCode
from protocol.handle.admin import Permission
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message
from protocol.handle.requests import (
    HandleRequest,
    RemoveRequest,
    Request,
    ValuesRequest,
)
from protocol.handle.responses import (
    CreateResponse,
    EmptyResponse,
    NamesResponse,
)
from registry.admins import Identity
from tests.integration.handle_support import (
    DSA,
    NODE_ADMIN,
    PLAIN,
    RSA,
    SECRET,
    Actor,
    Node,
    admin,
    ask,
    owned,
    public_key,
    resolved,
    url,
)
from tests.integration.template_support import item, published

OK = ResponseCode.SUCCESS
Do = Callable[..., Awaitable[list[Message]]]


@pytest.mark.parametrize("way", ["rsa", "secret", "session", "encrypted session", "node admin"])
async def test_whole_life(node: Node, way: str) -> None:
    prefix, _, actor = await owned(node)
    if way == "secret":
        actor = Actor(Identity(301, f"0.NA/{prefix}"), SECRET)
    if way == "node admin":
        actor = Actor(NODE_ADMIN, RSA)
    do: Do = node.do
    if "session" in way:
        do = (await node.session(actor.identity, encrypted="encrypted" in way)).do
    name = f"{prefix}/Pump-1"

    async def code(op_code: int, body: Request, flags: int = PLAIN) -> int:
        (answer,) = await do(actor, op_code, body, flags)
        assert answer.header.op_code == op_code, "the answer is one to the original request"
        return answer.header.response_code

    (made,) = await do(actor, OpCode.CREATE_HANDLE, ValuesRequest(name, (url(1), url(2))))
    assert (made.header.response_code, made.body) == (OK, CreateResponse(name))
    assert await resolved(node, name) == {1: url(1).data, 2: url(2).data}
    again = ValuesRequest(name, (url(1, "a"),))
    assert await code(OpCode.CREATE_HANDLE, again) == ResponseCode.HANDLE_EXISTS
    assert await code(OpCode.CREATE_HANDLE, again, PLAIN | OpFlag.OVERWRITE) == OK
    assert await resolved(node, name) == {1: b"a"}

    assert await code(OpCode.ADD_VALUE, ValuesRequest(name, (url(2, "b"),))) == OK
    added = ValuesRequest(name, (url(2, "c"), url(3, "d")))
    assert await code(OpCode.ADD_VALUE, added) == ResponseCode.VALUE_EXISTS
    assert await code(OpCode.ADD_VALUE, added, PLAIN | OpFlag.OVERWRITE) == OK
    assert await resolved(node, name) == {1: b"a", 2: b"c", 3: b"d"}

    assert await code(OpCode.MODIFY_VALUE, ValuesRequest(name, (url(2, "e"),))) == OK
    missing = ValuesRequest(name, (url(9, "f"),))
    assert await code(OpCode.MODIFY_VALUE, missing) == ResponseCode.VALUES_NOT_FOUND

    assert await code(OpCode.REMOVE_VALUE, RemoveRequest(name, (1, 3))) == OK
    assert await code(OpCode.REMOVE_VALUE, RemoveRequest(name, (3,))) == (
        ResponseCode.VALUES_NOT_FOUND
    )
    assert await resolved(node, name) == {2: b"e"}

    (deleted,) = await do(actor, OpCode.DELETE_HANDLE, HandleRequest(name))
    assert (deleted.header.response_code, deleted.body) == (OK, EmptyResponse())
    assert await code(OpCode.DELETE_HANDLE, HandleRequest(name)) == ResponseCode.HANDLE_NOT_FOUND
    assert await resolved(node, name) == ResponseCode.HANDLE_NOT_FOUND


async def test_a_dsa_key_and_any_key_of_a_handle_prove_who_asks(node: Node) -> None:
    prefix, token, _ = await owned(node)
    members = [{"handle": f"0.NA/{prefix}", "index": index} for index in (300, 302)]
    group = {"index": 200, "type": "HS_VLIST", "data": {"format": "vlist", "value": members}}
    status, answer, _ = await node.http.call(
        "PATCH", f"/identifiers/0.NA/{prefix}", token, {"values": [group]}
    )
    assert status == 200, answer
    for number, index in enumerate((302, 0)):
        actor = Actor(Identity(index, f"0.na/{prefix}"), DSA)
        body = ValuesRequest(f"{prefix}/D-{number}", (url(1),))
        assert await node.code(actor, OpCode.CREATE_HANDLE, body) == OK
    actors = await node.sql("SELECT actor FROM audit_log ORDER BY seq DESC LIMIT 2")
    assert {actor for (actor,) in actors} == {f"handle:302:0.na/{prefix}"}, (
        "the log says which of the keys it was"
    )


async def test_another_worker_takes_the_answer_and_forgets_what_it_had(node: Node) -> None:
    prefix, _, actor = await owned(node)
    name = f"{prefix}/X"
    assert await resolved(node, name, worker=1) == ResponseCode.HANDLE_NOT_FOUND
    body = ValuesRequest(name, (url(1),))
    (made,) = await node.do(actor, OpCode.CREATE_HANDLE, body, workers=(0, 1))
    assert made.header.response_code == OK
    assert (prefix, ["X"]) in node.forgotten[1], "the worker that wrote forgets at once"
    assert await resolved(node, name, worker=1) == {1: url(1).data}


async def test_the_same_lines_are_written_as_over_http(node: Node) -> None:
    prefix, token, actor = await owned(node)
    before = {"index": 1, "type": "URL", "data": "https://pumps.example/1"}
    after = {"index": 1, "type": "URL", "data": "b"}
    for method, body in (
        ("PUT", {"values": [before]}),
        ("PATCH", {"values": [after]}),
        ("PATCH", {"remove": [1]}),
        ("DELETE", None),
    ):
        status, answer, _ = await node.http.call(method, f"/identifiers/{prefix}/HTTP", token, body)
        assert status < 300, answer
    name = f"{prefix}/WIRE"
    for op_code, request in (
        (OpCode.CREATE_HANDLE, ValuesRequest(name, (url(1),))),
        (OpCode.MODIFY_VALUE, ValuesRequest(name, (url(1, "b"),))),
        (OpCode.REMOVE_VALUE, RemoveRequest(name, (1,))),
        (OpCode.DELETE_HANDLE, HandleRequest(name)),
    ):
        assert await node.code(actor, op_code, request) == OK

    async def lines(query: str) -> list[Any]:
        return [await node.sql(query.format(name)) for name in ("HTTP", "WIRE")]

    http, wire = await lines(
        "SELECT action, (SELECT array_agg(k) FROM jsonb_object_keys(detail) AS k) FROM audit_log"
        f" WHERE subject = '{prefix}/{{}}' ORDER BY seq"
    )
    assert http == wire
    assert len(http) == 4
    http, wire = await lines(
        "SELECT suffix, deleted, jsonb_path_query_array(values, '$[*].data') FROM"
        " identifier_history WHERE suffix = '{}' ORDER BY version"
    )
    assert [row[1:] for row in http] == [row[1:] for row in wire]
    assert len(http) == 3
    http, wire = await lines(
        "SELECT count(*) FROM change_log WHERE suffix_keys = ARRAY['{}' COLLATE \"C\"]"
    )
    assert http == wire
    actors = await node.sql(f"SELECT DISTINCT actor FROM audit_log WHERE subject = '{name}'")
    assert actors == [(f"handle:300:0.NA/{prefix}",)]
    ids = await node.sql(f"SELECT request_id FROM audit_log WHERE subject = '{name}'")
    assert all(id_ for (id_,) in ids), "a line can be found by the request that made it"


async def test_the_node_makes_names_that_are_free(node: Node) -> None:
    prefix, _, actor = await owned(node)
    flags = PLAIN | OpFlag.MINT_SUFFIX
    for start in (f"{prefix}/Pump-", f"{prefix}/", prefix):
        names = set()
        for _ in range(2):
            body = ValuesRequest(start, (url(1),))
            (made,) = await node.do(actor, OpCode.CREATE_HANDLE, body, flags)
            assert isinstance(made.body, CreateResponse), made
            assert made.body.handle is not None
            names.add(made.body.handle)
            assert made.body.handle.startswith(start)
            uuid.UUID(made.body.handle[-36:])
            assert await resolved(node, made.body.handle) == {1: url(1).data}
        assert len(names) == 2, "a name is not given twice"


async def test_the_answer_says_whether_something_was_overwritten(node: Node) -> None:
    prefix, _, actor = await owned(node)
    body = ValuesRequest(f"{prefix}/O", (url(1),))
    for op_code, expected in (
        (OpCode.CREATE_HANDLE, False),
        (OpCode.CREATE_HANDLE, True),
        (OpCode.ADD_VALUE, True),
    ):
        (made,) = await node.do(actor, op_code, body, PLAIN | OpFlag.OVERWRITE)
        assert made.header.response_code == OK
        assert bool(made.header.flags & OpFlag.OVERWRITE) is expected
    other = ValuesRequest(f"{prefix}/O", (url(2),))
    (made,) = await node.do(actor, OpCode.ADD_VALUE, other, PLAIN | OpFlag.OVERWRITE)
    assert not made.header.flags & OpFlag.OVERWRITE


async def test_overwriting_keeps_the_template(node: Node) -> None:
    prefix, token, actor = await owned(node)
    await published(node.http, prefix, token, items=[item(2000, "URL", max_length=9)])
    value = {"index": 2000, "type": "URL", "data": "a"}
    status, answer, _ = await node.http.call(
        "PUT", f"/identifiers/{prefix}/T", token, {"values": [value], "template": "pump"}
    )
    assert status == 201, answer
    overwrite = PLAIN | OpFlag.OVERWRITE
    body = ValuesRequest(f"{prefix}/T", (url(2000, "b"),))
    assert await node.code(actor, OpCode.CREATE_HANDLE, body, overwrite) == OK
    assert await node.sql("SELECT template FROM identifiers WHERE suffix = 'T'") == [("pump/1",)]
    for op_code in (OpCode.CREATE_HANDLE, OpCode.MODIFY_VALUE):
        body = ValuesRequest(f"{prefix}/T", (url(2000, "longer than nine"),))
        assert await node.code(actor, op_code, body, overwrite) == ResponseCode.INVALID_VALUE


async def test_identifiers_are_listed_fifty_in_a_message(node: Node) -> None:
    prefix, _, actor = await owned(node)
    await node.sql(
        "INSERT INTO identifiers (prefix, suffix_key, suffix, values) SELECT"
        f" '{prefix}', 'N-' || n, 'n-' || n, '[]' FROM generate_series(100, 220) AS n"
    )
    for name in (f"0.NA/{prefix}", prefix):
        parts = await node.do(actor, OpCode.LIST_HANDLES, HandleRequest(name))
        names = []
        for part in parts:
            assert isinstance(part.body, NamesResponse), part
            names += part.body.names
        assert names == [f"{prefix}/n-{number}" for number in range(100, 221)]
        assert [len(part.body.names) for part in parts] == [50, 50, 21]  # type: ignore[union-attr]
        more = [bool(part.header.flags & OpFlag.CONTINUOUS) for part in parts]
        assert more == [True, True, False], "only the last message is the last"
    body = HandleRequest(f"{prefix}/n-100")
    (answer,) = await node.send(ask(OpCode.LIST_HANDLES, body))
    assert answer.header.response_code == ResponseCode.INVALID_HANDLE


async def test_a_prefix_without_identifiers_has_an_empty_list(node: Node) -> None:
    prefix, _, actor = await owned(node)
    (answer,) = await node.do(actor, OpCode.LIST_HANDLES, HandleRequest(f"0.NA/{prefix}"))
    assert answer.body == NamesResponse(())


async def test_each_permission_lets_do_one_thing(node: Node) -> None:
    prefix, token, owner = await owned(node)
    member = Actor(Identity(300, f"{prefix}/MEMBER"), RSA)
    status, answer, _ = await node.http.call(
        "PUT", f"/identifiers/{member.identity.handle}", token, {"values": [public_key(300, RSA)]}
    )
    assert status == 201, answer
    name = f"{prefix}/P"
    of_admin = admin(101, Permission(0), owner.identity)
    steps: list[tuple[Permission, int, Request]] = [
        (Permission.ADD_VALUE, OpCode.ADD_VALUE, ValuesRequest(name, (url(2),))),
        (Permission.MODIFY_VALUE, OpCode.MODIFY_VALUE, ValuesRequest(name, (url(1, "m"),))),
        (Permission.REMOVE_VALUE, OpCode.REMOVE_VALUE, RemoveRequest(name, (1,))),
        (
            Permission.ADD_ADMIN,
            OpCode.ADD_VALUE,
            ValuesRequest(name, (replace(of_admin, index=9),)),
        ),
        (Permission.MODIFY_ADMIN, OpCode.MODIFY_VALUE, ValuesRequest(name, (of_admin,))),
        (Permission.REMOVE_ADMIN, OpCode.REMOVE_VALUE, RemoveRequest(name, (101,))),
        (
            Permission.REMOVE_ADMIN | Permission.ADD_VALUE,
            OpCode.MODIFY_VALUE,
            ValuesRequest(name, (url(101),)),
        ),
        (
            Permission.REMOVE_VALUE | Permission.ADD_ADMIN,
            OpCode.MODIFY_VALUE,
            ValuesRequest(name, (replace(of_admin, index=1),)),
        ),
        (Permission.DELETE_HANDLE, OpCode.DELETE_HANDLE, HandleRequest(name)),
    ]
    everything = Permission(0xFFF)
    for permission, op_code, body in steps:
        for allowed in (permission, everything & ~permission):
            given = (
                url(1),
                admin(100, allowed, member.identity),
                admin(101, Permission.READ_VALUE, owner.identity),
            )
            flags = PLAIN | OpFlag.OVERWRITE
            made = ValuesRequest(name, given)
            assert await node.code(owner, OpCode.CREATE_HANDLE, made, flags) == OK
            code = await node.code(member, op_code, body)
            expected = OK if allowed == permission else ResponseCode.INSUFFICIENT_PERMISSION
            assert code == expected, f"{allowed!r} for {op_code.name}"
    # What it takes at the prefix handle is nothing that an identifier can give.
    for op_code, body in (
        (OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/NEW", (url(1),))),
        (OpCode.LIST_HANDLES, HandleRequest(f"0.NA/{prefix}")),
    ):
        assert await node.code(member, op_code, body) == ResponseCode.INVALID_ADMIN


async def test_groups_are_followed_and_end(node: Node) -> None:
    prefix, token, owner = await owned(node)

    async def group(name: str, *members: tuple[int, str]) -> None:
        entries = [{"handle": f"{prefix}/{handle}", "index": index} for index, handle in members]
        value = {"index": 1, "type": "HS_VLIST", "data": {"format": "vlist", "value": entries}}
        status, answer, _ = await node.http.call(
            "PUT", f"/identifiers/{prefix}/{name}", token, {"values": [value]}
        )
        assert status == 201, answer

    status, answer, _ = await node.http.call(
        "PUT", f"/identifiers/{prefix}/MEMBER", token, {"values": [public_key(300, RSA)]}
    )
    assert status == 201, answer
    member = Actor(Identity(300, f"{prefix}/member"), RSA)
    await group("G1", (1, "G2"), (1, "G1"), (1, "NOBODY"))
    await group("G2", (1, "g3"), (1, "G1"))
    await group("G3", (300, "MEMBER"))
    for depth in range(20):
        members = [(1, f"D{depth + 1}")] if depth < 19 else [(300, "MEMBER")]
        await group(f"D{depth}", *members)
    for name, expected in (
        ("G1", OK),
        ("G3", OK),
        ("D15", OK),
        ("D0", ResponseCode.INVALID_ADMIN),
        ("NOBODY", ResponseCode.INVALID_ADMIN),
    ):
        given = (url(1), admin(100, Permission(0xFFF), Identity(1, f"{prefix}/{name}")))
        made = ValuesRequest(f"{prefix}/OF-{name}", given)
        assert await node.code(owner, OpCode.CREATE_HANDLE, made) == OK
        body = ValuesRequest(f"{prefix}/OF-{name}", (url(2),))
        assert await node.code(member, OpCode.ADD_VALUE, body) == expected, name
