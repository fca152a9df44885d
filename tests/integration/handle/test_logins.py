"""Logins of the Handle protocol (op code 2001): good for one identity, on one connection."""

from __future__ import annotations

import pytest

from protocol.errors import ResponseCode
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.requests import (
    HandleRequest,
    LoginRequest,
    ResolutionRequest,
    ValuesRequest,
)
from protocol.handle.responses import EmptyResponse, ResolutionResponse
from registry.admins import Identity
from resolver.handle.service import Peer
from tests.integration.handle.connection import CHOSEN, connected
from tests.integration.handle_support import (
    OTHER_RSA,
    PLAIN,
    RSA,
    SECRET,
    Actor,
    Node,
    answer_to,
    ask,
    public_key,
    url,
)


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    """A prefix with keys, and the token of its enterprise."""
    prefix, token = await node.enterprise(1)
    await node.give_keys(prefix, token)
    return prefix, token


def actor(prefix: str) -> Actor:
    return Actor(Identity(300, f"0.NA/{prefix}"), RSA)


def create(prefix: str, suffix: str) -> ValuesRequest:
    return ValuesRequest(f"{prefix}/{suffix}", (url(1),))


@pytest.mark.parametrize("index", [300, 301], ids=["key", "secret"])
async def test_one_challenge_is_enough_for_a_connection(
    node: Node, owner: tuple[str, str], index: int
) -> None:
    prefix, _ = owner
    who = Actor(Identity(index, f"0.NA/{prefix}"), RSA if index == 300 else SECRET)
    async with connected(node) as connection:
        done = await connection.login(who)
        assert (done.header.response_code, done.body) == (ResponseCode.SUCCESS, EmptyResponse())
        for suffix in ("A", "B"):
            answer = await connection.send(ask(OpCode.CREATE_HANDLE, create(prefix, suffix)))
            assert answer.header.response_code == ResponseCode.SUCCESS
            assert answer.envelope.session_id == CHOSEN, "the client finds its session again"
        assert await connection.code(OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/A")) == 1
        assert await connection.code(OpCode.RESOLUTION, ResolutionRequest(f"{prefix}/B")) == 1
    done_by = await node.sql("SELECT actor FROM audit_log ORDER BY seq DESC LIMIT 1")
    assert done_by == [(f"handle:{index}:0.NA/{prefix}",)]


async def test_session_id_of_a_login_is_worth_nothing_elsewhere(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, _ = owner
    async with connected(node) as connection, connected(node) as thief:
        assert (await connection.login(actor(prefix))).header.response_code == 1
        before = await node.written()
        code = await thief.code(OpCode.CREATE_HANDLE, create(prefix, "X"))
        assert code == ResponseCode.SESSION_TIMEOUT
        other_id = await connection.send(ask(OpCode.CREATE_HANDLE, create(prefix, "X")), CHOSEN + 1)
        assert other_id.header.response_code == ResponseCode.SESSION_TIMEOUT
        no_id = await connection.send(ask(OpCode.CREATE_HANDLE, create(prefix, "X")), 0)
        assert no_id.header.response_code == ResponseCode.AUTHENTICATION_NEEDED
        assert await node.written() == before


async def test_answer_on_another_connection_logs_nobody_in(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, _ = owner
    wanted = LoginRequest(f"0.NA/{prefix}", 300)
    async with connected(node) as asking, connected(node, worker=1) as answering:
        challenge = await asking.send(ask(OpCode.LOGIN, wanted))
        answer = answer_to(challenge, actor(prefix))
        got = await answering.send(answer, answer.envelope.session_id)
        assert got.header.response_code == ResponseCode.AUTHENTICATION_FAILED
        for connection in (asking, answering):
            code = await connection.code(OpCode.CREATE_HANDLE, create(prefix, "X"))
            assert code == ResponseCode.SESSION_TIMEOUT


async def test_wrong_key_and_another_identity_do_not_log_in(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, _ = owner
    other_prefix, other_token = await node.enterprise(2)
    await node.give_keys(other_prefix, other_token)
    async with connected(node) as connection:
        wrong = await connection.login(Actor(Identity(300, f"0.NA/{prefix}"), OTHER_RSA))
        assert wrong.header.response_code == ResponseCode.AUTHENTICATION_FAILED
        challenge = await connection.send(ask(OpCode.LOGIN, LoginRequest(f"0.NA/{prefix}", 300)))
        answer = answer_to(challenge, actor(other_prefix))
        other = await connection.send(answer, answer.envelope.session_id)
        assert other.header.response_code == ResponseCode.AUTHENTICATION_FAILED
        code = await connection.code(OpCode.CREATE_HANDLE, create(prefix, "X"))
        assert code == ResponseCode.SESSION_TIMEOUT
        assert (await connection.login(actor(prefix))).header.response_code == 1
        code = await connection.code(OpCode.CREATE_HANDLE, create(other_prefix, "X"))
        assert code == ResponseCode.INVALID_ADMIN, "a login reaches no further than its identity"


async def test_login_ends_with_its_key(node: Node, owner: tuple[str, str]) -> None:
    prefix, token = owner
    async with connected(node) as connection:
        assert (await connection.login(actor(prefix))).header.response_code == 1
        assert await connection.code(OpCode.CREATE_HANDLE, create(prefix, "A")) == 1
        changed = {"values": [public_key(300, OTHER_RSA)]}
        path = f"/identifiers/0.NA/{prefix}"
        status, answer, _ = await node.http.call("PATCH", path, token, changed)
        assert status == 200, answer
        code = await connection.code(OpCode.CREATE_HANDLE, create(prefix, "B"))
        assert code == ResponseCode.SESSION_TIMEOUT


async def test_secret_key_does_not_leave_on_a_login(node: Node, owner: tuple[str, str]) -> None:
    prefix, _ = owner
    wanted = ResolutionRequest(f"0.NA/{prefix}", indexes=(300, 301))
    async with connected(node) as connection:
        assert (await connection.login(actor(prefix))).header.response_code == 1
        answer = await connection.send(ask(OpCode.RESOLUTION, wanted, PLAIN & ~OpFlag.PUBLIC_ONLY))
        assert isinstance(answer.body, ResolutionResponse), answer
        assert [value.index for value in answer.body.values] == [300]
        assert SECRET not in answer.encode()


async def test_login_needs_a_connection_and_a_session_id(
    node: Node, owner: tuple[str, str]
) -> None:
    wanted = ask(OpCode.LOGIN, LoginRequest(f"0.NA/{owner[0]}", 300))
    async with connected(node) as connection:
        answer = await connection.send(wanted, 0)
        assert answer.header.response_code == ResponseCode.SESSION_FAILED
    for transport in ("udp", "http"):
        (refused,) = await node.services[0].answer(wanted, Peer(transport, "127.0.0.1"))
        assert refused.header.response_code == ResponseCode.OPERATION_DENIED
