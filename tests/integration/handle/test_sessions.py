"""Sessions of the Handle protocol: shared by the workers, and good for one identity and key."""

from __future__ import annotations

import secrets
import threading
from dataclasses import replace
from typing import Any

import pytest

from protocol.errors import ResponseCode
from protocol.handle import session as keys
from protocol.handle.credential import mac_message
from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.keys import encode_public_key
from protocol.handle.message import Message, decode_payload
from protocol.handle.requests import (
    HandleRequest,
    KeyExchange,
    ResolutionRequest,
    SessionSetupRequest,
    ValuesRequest,
)
from protocol.handle.responses import EmptyResponse, ResolutionResponse
from registry import handle_state
from registry.admins import Identity
from registry.database import Database
from registry.housekeeping import clean_up
from registry.metrics import slot
from resolver.handle import session_setup
from resolver.handle.service import Peer
from tests.integration.handle_support import (
    OTHER_RSA,
    PLAIN,
    RSA,
    SECRET,
    Actor,
    Node,
    Session,
    answer_to,
    ask,
    nothing_written,
    owned,
    public_key,
    url,
)

NEEDED = ResponseCode.AUTHENTICATION_NEEDED


def to_make(name: str) -> tuple[int, ValuesRequest]:
    return OpCode.CREATE_HANDLE, ValuesRequest(name, (url(1),))


async def proved(node: Node, prefix: str, actor: Actor, *, encrypted: bool = False) -> Session:
    """Return a session in which `actor` has proved who they are."""
    session = await node.session(actor.identity, encrypted=encrypted)
    (made,) = await session.do(actor, *to_make(f"{prefix}/FIRST-{session.id}"))
    assert made.header.response_code == ResponseCode.SUCCESS
    return session


@pytest.mark.parametrize("kind", ["key", "secret"])
@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_session_is_challenged_once_whichever_worker(
    node: Node, kind: str, encrypted: bool
) -> None:
    prefix, _, actor = await owned(node)
    if kind == "secret":
        actor = Actor(Identity(301, f"0.NA/{prefix}"), SECRET)
    session = await node.session(actor.identity, encrypted=encrypted)
    op_code, body = to_make(f"{prefix}/X")
    (challenge,) = await session.send(session.message(op_code, body), worker=1)
    assert challenge.header.response_code == NEEDED
    assert challenge.envelope.session_id == session.id
    (made,) = await session.send(answer_to(challenge, actor), worker=0)
    assert made.header.response_code == ResponseCode.SUCCESS
    assert made.envelope.session_id == session.id
    for worker in (1, 0, 1):
        name = f"{prefix}/Y-{session.counter}"
        (made,) = await session.send(session.message(*to_make(name)), worker=worker)
        assert made.header.response_code == ResponseCode.SUCCESS
    actors = await node.sql(f"SELECT DISTINCT actor FROM audit_log WHERE subject LIKE '{prefix}/%'")
    assert actors == [(f"handle:{actor.identity}",)]


async def test_no_message_of_a_session_works_twice(node: Node) -> None:
    prefix, _, actor = await owned(node)
    session = await node.session(actor.identity)
    first = session.message(*to_make(f"{prefix}/X"))
    (challenge,) = await session.send(first)
    answer = answer_to(challenge, actor)
    assert (await session.send(answer))[0].header.response_code == 1
    second = session.message(OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/X"))
    assert (await session.send(second))[0].header.response_code == 1
    async with nothing_written(node):
        for worker in (0, 1):
            for message in (first, second):
                (again,) = await session.send(message, worker=worker)
                assert again.header.response_code == ResponseCode.MESSAGE_REJECTED
            (again,) = await session.send(answer, worker=worker)
            assert again.header.response_code == ResponseCode.AUTHENTICATION_TIMEOUT


async def test_a_refused_message_does_not_work_later(node: Node) -> None:
    prefix, _, actor = await owned(node)
    session = await proved(node, prefix, actor)
    refused = session.message(*to_make(f"{prefix}/FIRST-{session.id}"))
    assert (await session.send(refused))[0].header.response_code == ResponseCode.HANDLE_EXISTS
    body = HandleRequest(f"{prefix}/FIRST-{session.id}")
    (deleted,) = await session.send(session.message(OpCode.DELETE_HANDLE, body))
    assert deleted.header.response_code == ResponseCode.SUCCESS
    (again,) = await session.send(refused)
    assert again.header.response_code == ResponseCode.MESSAGE_REJECTED


async def test_counters_may_come_out_of_order(node: Node) -> None:
    prefix, _, actor = await owned(node)
    session = await proved(node, prefix, actor)
    messages = [session.message(*to_make(f"{prefix}/O-{number}")) for number in range(4)]
    for position in (2, 0, 3, 1):
        assert (await session.send(messages[position]))[0].header.response_code == 1
    session.counter += 300
    far = session.message(*to_make(f"{prefix}/FAR"))
    assert (await session.send(far))[0].header.response_code == 1
    session.counter -= 299
    old = session.message(*to_make(f"{prefix}/OLD"))
    (answer,) = await session.send(old)
    assert answer.header.response_code == ResponseCode.MESSAGE_REJECTED


async def test_messages_that_are_not_of_the_session(node: Node) -> None:
    prefix, _, actor = await owned(node)
    session = await proved(node, prefix, actor)
    body = ValuesRequest(f"{prefix}/X", (url(1),))
    good = session.message(OpCode.CREATE_HANDLE, body)
    other = replace(session, key=secrets.token_bytes(32))
    changed = replace(good, body=replace(body, handle=f"{prefix}/Y"))
    assert good.credential is not None
    moved = replace(good, credential=replace(good.credential, counter=99))
    unknown = replace(good, envelope=replace(good.envelope, session_id=12345))
    of_challenge = await node.challenged(OpCode.CREATE_HANDLE, body)
    borrowed = replace(
        good, envelope=replace(good.envelope, session_id=of_challenge.envelope.session_id)
    )
    async with nothing_written(node):
        for message, expected in (
            (replace(good, credential=None), ResponseCode.INVALID_CREDENTIAL),
            (other.message(OpCode.CREATE_HANDLE, body), ResponseCode.INVALID_SESSION_KEY),
            (changed, ResponseCode.INVALID_SESSION_KEY),
            (moved, ResponseCode.INVALID_SESSION_KEY),
            (unknown, ResponseCode.SESSION_TIMEOUT),
            (borrowed, ResponseCode.SESSION_TIMEOUT),
        ):
            (answer,) = await node.send(message)
            assert answer.header.response_code == expected
    assert (await session.send(good))[0].header.response_code == 1, "no counter was lost by them"


async def test_a_session_of_nobody_or_another_is_challenged_each_time(node: Node) -> None:
    prefix, _, actor = await owned(node)
    for identity in (None, Identity(300, "0.NA/88.118"), Identity(301, actor.identity.handle)):
        session = await node.session(identity)
        for number in range(2):
            name = f"{prefix}/{session.id}-{number}"
            (challenge,) = await session.send(session.message(*to_make(name)))
            assert challenge.header.response_code == NEEDED
            (made,) = await session.send(answer_to(challenge, actor))
            assert made.header.response_code == ResponseCode.SUCCESS


async def test_a_wrong_proof_leaves_the_session_nobodys(node: Node) -> None:
    prefix, _, actor = await owned(node)
    session = await node.session(actor.identity)
    wrong = Actor(actor.identity, OTHER_RSA)
    async with nothing_written(node):
        for _ in range(2):
            (challenge,) = await session.send(session.message(*to_make(f"{prefix}/X")))
            assert challenge.header.response_code == NEEDED
            (refused,) = await session.send(answer_to(challenge, wrong))
            assert refused.header.response_code == ResponseCode.AUTHENTICATION_FAILED


async def test_a_proof_is_good_as_long_as_its_key_is_there(node: Node) -> None:
    prefix, token, actor = await owned(node)
    session = await proved(node, prefix, actor)
    path = f"/identifiers/0.NA/{prefix}"
    for change in ({"values": [public_key(300, OTHER_RSA)]}, {"values": [public_key(300, RSA)]}):
        status, answer, _ = await node.http.call("PATCH", path, token, change)
        assert status == 200, answer
        if change["values"] == [public_key(300, OTHER_RSA)]:
            async with nothing_written(node):
                (again,) = await session.send(session.message(*to_make(f"{prefix}/X")))
                assert again.header.response_code == NEEDED, "the key has been replaced"
    (made,) = await session.do(actor, *to_make(f"{prefix}/X"))
    assert made.header.response_code == ResponseCode.SUCCESS


async def test_the_same_request_gets_the_same_challenge(node: Node) -> None:
    prefix, _, actor = await owned(node)
    session = await node.session(actor.identity)
    message = session.message(*to_make(f"{prefix}/X"))
    (one,) = await session.send(message)
    (two,) = await session.send(message, worker=1)
    assert one.body == two.body, "its client may have lost the first"
    (other,) = await session.send(session.message(*to_make(f"{prefix}/Y")))
    assert other.body != one.body
    (made,) = await session.send(answer_to(other, actor))
    assert made.header.response_code == ResponseCode.SUCCESS


async def test_sessions_end(node: Node, database: Database) -> None:
    prefix, _, actor = await owned(node)
    session = await proved(node, prefix, actor)
    end = session.message(OpCode.SESSION_TERMINATE, HandleRequest("/"))
    (refused,) = await node.send(replace(end, credential=None))
    assert refused.header.response_code == ResponseCode.INVALID_CREDENTIAL
    (ended,) = await session.send(end, worker=1)
    assert (ended.header.response_code, ended.body) == (1, EmptyResponse())
    assert await node.sql("SELECT count(*) FROM handle_sessions") == [(0,)], "its key is gone"
    (after,) = await session.send(session.message(*to_make(f"{prefix}/X")))
    assert after.header.response_code == ResponseCode.SESSION_TIMEOUT

    session = await proved(node, prefix, actor)
    for _ in range(3):  # it goes on as long as it is used
        node.clock.offset += handle_state.SESSION_IDLE_SECONDS - 1
        (made,) = await session.send(session.message(*to_make(f"{prefix}/{session.counter}")))
        assert made.header.response_code == ResponseCode.SUCCESS
    node.clock.offset += handle_state.SESSION_IDLE_SECONDS + 1
    (after,) = await session.send(session.message(*to_make(f"{prefix}/X")))
    assert after.header.response_code == ResponseCode.SESSION_TIMEOUT

    node.clock.offset = 0
    session = await proved(node, prefix, actor)
    for _ in range(handle_state.SESSION_SECONDS // handle_state.SESSION_IDLE_SECONDS + 1):
        node.clock.offset += handle_state.SESSION_IDLE_SECONDS - 1
        (made,) = await session.send(session.message(*to_make(f"{prefix}/E-{session.counter}")))
    assert made.header.response_code == ResponseCode.SESSION_TIMEOUT, "no session lives for ever"

    await node.sql("UPDATE handle_sessions SET expires_at = now() - interval '1 second'")
    node.clock.offset = 0
    await node.session(None)
    left = (await node.sql("SELECT count(*) FROM handle_sessions"))[0][0]
    assert (await clean_up(database))["handle_sessions"] == left - 1
    assert await node.sql("SELECT count(*) FROM handle_sessions") == [(1,)]


async def test_nobody_fills_the_table_of_sessions(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, _, actor = await owned(node)
    session = await proved(node, prefix, actor)
    monkeypatch.setattr(handle_state, "MAX_SESSIONS_PER_ADDRESS", 3)
    for _ in range(6):
        await node.session(None)
    assert await node.sql("SELECT count(*) FROM handle_sessions") == [(4,)]
    (made,) = await session.send(session.message(*to_make(f"{prefix}/X")))
    assert made.header.response_code == ResponseCode.SUCCESS, "strangers push out strangers alone"


async def test_what_is_wrong_with_an_encrypted_message_is_not_told(node: Node) -> None:
    prefix, _, actor = await owned(node)
    session = await proved(node, prefix, actor, encrypted=True)
    message = session.message(*to_make(f"{prefix}/X"))
    request = message.encode()
    envelope, payload = keys.encrypt_message(
        decode_envelope(request), request[SIZE:], session.key, secrets.token_bytes(16)
    )
    unsigned = replace(message, credential=None)
    wrong_key = replace(
        message, credential=mac_message(message.envelope, message.content, bytes(32), 50)
    )
    sent = [payload[:-1] + bytes((payload[-1] ^ n,)) for n in (1, 2, 128)]  # padding
    sent += [payload[:40] + bytes((payload[40] ^ 1,)) + payload[41:]]  # header
    sent += [payload[:-32], payload[:33], b"", payload + bytes(16)]
    for one in (unsigned, wrong_key):
        octets = one.encode()
        sent.append(
            keys.encrypt_message(
                decode_envelope(octets), octets[SIZE:], session.key, secrets.token_bytes(16)
            )[1]
        )
    answers = set()
    async with nothing_written(node):
        for octets in sent:
            frame = replace(envelope, message_length=len(octets)).encode() + octets
            (answer,) = await node.exchange(frame)
            assert not answer[0].encrypted
            read = decode_payload(*answer)
            answers.add((read.header.response_code, read.body))
    assert len(answers) == 1, answers
    assert answers.pop()[0] == ResponseCode.SESSION_FAILED
    (made,) = await session.send(message)
    assert made.header.response_code == ResponseCode.SUCCESS


async def test_restricted_values_are_encrypted_on_their_way(node: Node) -> None:
    prefix, _, actor = await owned(node)
    session = await node.session(actor.identity)
    wanted = ResolutionRequest(f"0.NA/{prefix}", (300, 301))
    flags = PLAIN & ~OpFlag.PUBLIC_ONLY
    (challenge,) = await session.send(session.message(OpCode.RESOLUTION, wanted, flags))
    assert challenge.header.response_code == NEEDED
    for message in (
        answer_to(challenge, actor),
        session.message(OpCode.RESOLUTION, wanted, flags),
    ):
        ((envelope, payload),) = await node.exchange(message.encode())
        assert envelope.encrypted, "a request in clear text, and an answer with a secret"
        answer = decode_payload(*keys.decrypt_message(envelope, payload, session.key))
        assert isinstance(answer.body, ResolutionResponse)
        assert {value.index: value.data for value in answer.body.values} == {
            300: encode_public_key(RSA.public_key()),
            301: SECRET,
        }


def setup_message() -> Message:
    own = encode_public_key(keys.make_key_pair(secrets.token_bytes(32)).public)
    return ask(
        OpCode.SESSION_SETUP,
        SessionSetupRequest(KeyExchange.DIFFIE_HELLMAN, 60, public_key=own),
    )


async def test_keys_are_exchanged_off_the_event_loop_and_within_bounds(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    make_key_pair = keys.make_key_pair

    def recording(*group: Any) -> keys.DhKeyPair:
        threads.append(threading.get_ident())
        return make_key_pair(*group)

    setup = setup_message()
    monkeypatch.setattr(keys, "make_key_pair", recording)
    (answer,) = await node.send(setup)
    assert answer.header.response_code == ResponseCode.SUCCESS
    assert threads, "no key was made"
    assert threading.get_ident() not in threads, "the event loop stands still meanwhile"
    monkeypatch.setattr(session_setup.EXCHANGES, "most", 0)
    (answer,) = await node.send(setup)
    assert answer.header.response_code == ResponseCode.SERVER_BUSY
    assert len(threads) == 1


async def test_key_exchanges_over_udp_leave_room_for_those_whose_source_is_known(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, setup = node.services[0], setup_message()
    monkeypatch.setattr(session_setup.EXCHANGES, "taken", session_setup.MAX_EXCHANGES_OVER_UDP)
    assert await service.answer(setup, Peer("udp", "192.0.2.1")) == [], "a refusal is the last word"
    for transport in ("tcp", "http"):
        (answer,) = await service.answer(setup, Peer(transport, "192.0.2.1"))
        assert answer.header.response_code == ResponseCode.SUCCESS
    assert service.registry.row.cells[slot("idnode_udp_dropped", "busy")] == 1
