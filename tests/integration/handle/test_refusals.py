"""Who may not do something over the Handle protocol is told why, and nothing is written."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from protocol.errors import ProtocolError, ResponseCode
from protocol.handle.admin import Permission
from protocol.handle.challenge import answer_with_key, answer_with_secret
from protocol.handle.digest import digest_request
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message
from protocol.handle.requests import (
    HandleRequest,
    RemoveRequest,
    Request,
    ResolutionRequest,
    ValuesRequest,
    VerifyRequest,
)
from protocol.handle.responses import Challenge, ResolutionResponse, VerifyResponse
from protocol.handle.version import Version
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry import handle_state, identities
from registry.admins import Identity, authorise
from registry.database import Database
from registry.housekeeping import clean_up
from resolver.handle import proofs
from resolver.handle.guesses import SOURCE_LIMIT, WINDOW_SECONDS
from resolver.handle.service import Peer
from tests.integration.handle_support import (
    NODE_ADMIN,
    OTHER_RSA,
    PLAIN,
    RSA,
    SECRET,
    Actor,
    Node,
    admin,
    answer_to,
    ask,
    nothing_written,
    owned,
    public_key,
    secret_key,
    url,
)


async def test_a_protected_request_is_challenged_and_not_done(node: Node) -> None:
    prefix, _, _ = await owned(node)
    body = ValuesRequest(f"{prefix}/X", (url(1),))
    async with nothing_written(node):
        for version, algorithm in ((Version(2, 11), 3), (Version(2, 1), 2)):
            message = ask(OpCode.CREATE_HANDLE, body)
            envelope = replace(message.envelope, version=version, suggested=version)
            message = replace(message, envelope=envelope)
            (answer,) = await node.send(message)
            assert answer.header.response_code == ResponseCode.AUTHENTICATION_NEEDED
            assert isinstance(answer.body, Challenge)
            assert len(answer.body.nonce) == 16
            assert answer.digest == digest_request(version, message.content)
            assert answer.digest.algorithm == algorithm


async def test_wrong_keys(node: Node) -> None:
    prefix, _, owner = await owned(node)
    secret_of = Identity(301, f"0.NA/{prefix}")
    body = ValuesRequest(f"{prefix}/X", (url(1),))
    async with nothing_written(node):
        for actor, expected in (
            (Actor(owner.identity, OTHER_RSA), ResponseCode.AUTHENTICATION_FAILED),
            (Actor(secret_of, b"guess"), ResponseCode.AUTHENTICATION_FAILED),
            # The public key is no secret, and a secret is no public key.
            (Actor(owner.identity, b"guess"), ResponseCode.INVALID_ADMIN),
            (Actor(secret_of, RSA), ResponseCode.INVALID_ADMIN),
            (Actor(Identity(7, f"0.NA/{prefix}"), RSA), ResponseCode.INVALID_ADMIN),
            (Actor(Identity(300, f"{prefix}/NOBODY"), RSA), ResponseCode.INVALID_ADMIN),
            (Actor(Identity(300, "no identity/"), RSA), ResponseCode.INVALID_ADMIN),
            (Actor(Identity(300, "20.500/elsewhere"), RSA), ResponseCode.UNABLE_TO_AUTHENTICATE),
        ):
            assert await node.code(actor, OpCode.CREATE_HANDLE, body) == expected, actor.identity


async def test_secrets_are_not_guessed(node: Node) -> None:
    prefix, _, owner = await owned(node)
    identity = Identity(301, f"0.NA/{prefix}")
    body = ValuesRequest(f"{prefix}/X", (url(1),))
    async with nothing_written(node):
        for number in range(SOURCE_LIMIT):
            guess = Actor(identity, b"guess %d" % number)
            code = await node.code(guess, OpCode.CREATE_HANDLE, body)
            assert code == ResponseCode.AUTHENTICATION_FAILED
        for secret in (b"another", SECRET):
            code = await node.code(Actor(identity, secret), OpCode.CREATE_HANDLE, body)
            assert code == ResponseCode.SERVER_BUSY
    node.clock.offset += WINDOW_SECONDS
    assert await node.code(Actor(identity, SECRET), OpCode.CREATE_HANDLE, body) == 1
    assert await node.code(owner, OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/X")) == 1


async def test_proofs_that_cannot_be_read(node: Node) -> None:
    prefix, _, owner = await owned(node)
    body = ValuesRequest(f"{prefix}/X", (url(1),))
    for change, expected in (
        ({"type": "HS_CERT"}, ResponseCode.INVALID_CREDENTIAL),
        ({"answer": b""}, ResponseCode.AUTHENTICATION_FAILED),
        ({"answer": b"\0\0\0\7SHA-256\xff\xff\xff\xff"}, ResponseCode.AUTHENTICATION_FAILED),
        (
            {"type": "HS_SECKEY", "index": 301, "answer": b"\x22" + b"\xff" * 40},
            ResponseCode.AUTHENTICATION_FAILED,
        ),
    ):
        async with nothing_written(node):
            challenge = await node.challenged(OpCode.CREATE_HANDLE, body)
            message = answer_to(challenge, owner)
            message = replace(message, body=replace(message.body, **change))
            (answer,) = await node.send(message)
            assert answer.header.response_code == expected, change
            assert answer.header.op_code == OpCode.CREATE_HANDLE


async def test_an_answer_works_once(node: Node) -> None:
    prefix, _, owner = await owned(node)
    name = f"{prefix}/X"
    challenge = await node.challenged(OpCode.CREATE_HANDLE, ValuesRequest(name, (url(1),)))
    answer = answer_to(challenge, owner)
    (made,) = await node.send(answer, worker=1)
    assert made.header.response_code == ResponseCode.SUCCESS
    assert await node.code(owner, OpCode.DELETE_HANDLE, HandleRequest(name)) == 1
    async with nothing_written(node):
        for worker in (0, 1):
            (again,) = await node.send(answer, worker=worker)
            assert again.header.response_code == ResponseCode.AUTHENTICATION_TIMEOUT


async def test_a_refused_request_cannot_be_had_later_by_replaying_its_answer(node: Node) -> None:
    prefix, _, owner = await owned(node)
    body = ValuesRequest(f"{prefix}/X", (url(1),))
    assert await node.code(owner, OpCode.CREATE_HANDLE, body) == ResponseCode.SUCCESS
    answer = answer_to(await node.challenged(OpCode.CREATE_HANDLE, body), owner)
    (refused,) = await node.send(answer)
    assert refused.header.response_code == ResponseCode.HANDLE_EXISTS
    assert await node.code(owner, OpCode.DELETE_HANDLE, HandleRequest(body.handle)) == 1
    (again,) = await node.send(answer)
    assert again.header.response_code == ResponseCode.AUTHENTICATION_TIMEOUT


async def test_answers_that_race_run_the_request_once(node: Node) -> None:
    prefix, _, owner = await owned(node)
    body = ValuesRequest(f"{prefix}/X", (url(1),))
    challenge = await node.challenged(OpCode.CREATE_HANDLE, body)
    answer = answer_to(challenge, owner)
    results = await asyncio.gather(*(node.send(answer, worker=n % 2) for n in range(8)))
    codes = sorted(answer.header.response_code for (answer,) in results)
    assert codes == [ResponseCode.SUCCESS] + [ResponseCode.AUTHENTICATION_TIMEOUT] * 7


async def test_one_wrong_answer_uses_the_challenge_up(node: Node) -> None:
    prefix, _, owner = await owned(node)
    body = ValuesRequest(f"{prefix}/X", (url(1),))
    challenge = await node.challenged(OpCode.CREATE_HANDLE, body)
    (wrong,) = await node.send(answer_to(challenge, Actor(owner.identity, OTHER_RSA)))
    assert wrong.header.response_code == ResponseCode.AUTHENTICATION_FAILED
    (right,) = await node.send(answer_to(challenge, owner))
    assert right.header.response_code == ResponseCode.AUTHENTICATION_TIMEOUT


async def test_an_answer_is_for_its_own_challenge(node: Node) -> None:
    prefix, _, owner = await owned(node)
    one = await node.challenged(OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/X", (url(1),)))
    other = await node.challenged(OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/X"))
    answer = answer_to(one, owner)
    moved = replace(answer, envelope=replace(answer.envelope, session_id=other.envelope.session_id))
    (refused,) = await node.send(moved)
    assert refused.header.response_code == ResponseCode.AUTHENTICATION_FAILED


async def test_challenges_expire_and_are_cleaned_up(node: Node, database: Database) -> None:
    prefix, _, owner = await owned(node)
    body = ValuesRequest(f"{prefix}/X", (url(1),))
    challenge = await node.challenged(OpCode.CREATE_HANDLE, body)
    node.clock.offset = handle_state.CHALLENGE_SECONDS - 1
    assert (await node.send(answer_to(challenge, owner)))[0].header.response_code == 1
    node.clock.offset = -handle_state.CHALLENGE_SECONDS - 1
    challenge = await node.challenged(OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/X"))
    node.clock.offset = 0
    (late,) = await node.send(answer_to(challenge, owner))
    assert late.header.response_code == ResponseCode.AUTHENTICATION_TIMEOUT
    await node.challenged(OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/X"))
    assert (await clean_up(database))["handle_challenges"] == 1
    assert await node.sql("SELECT count(*) FROM handle_challenges") == [(1,)]


async def test_nobody_fills_the_table_of_challenges(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, _, owner = await owned(node)
    monkeypatch.setattr(handle_state, "MAX_CHALLENGES_PER_ADDRESS", 3)
    monkeypatch.setattr(handle_state, "MAX_CHALLENGES", 7)
    service = node.services[0]
    message = ask(OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/X"))
    mine = await node.challenged(OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/X", (url(1),)))
    for number in range(10):
        await service.answer(message, Peer("tcp", "192.0.2.1"))
        counts = await node.sql("SELECT address, count(*) FROM handle_challenges GROUP BY address")
        assert dict(counts) == {"127.0.0.1": 1, "192.0.2.1": min(number + 1, 3)}
    assert (await node.send(answer_to(mine, owner)))[0].header.response_code == 1, (
        "a flood from one address does not push out another's challenge"
    )
    for number in range(20):
        await service.answer(message, Peer("tcp", f"198.51.100.{number}"))
    assert await node.sql("SELECT count(*) FROM handle_challenges") == [(7,)]
    newest = await node.sql(
        "SELECT address FROM handle_challenges ORDER BY created_at DESC LIMIT 1"
    )
    assert newest == [("198.51.100.19",)]
    monkeypatch.setattr(handle_state, "MAX_WAITING_BYTES", 2000)
    large = ValuesRequest(f"{prefix}/X", (HandleValue(1, "X", b"x" * 900),))
    for number in range(4):
        await service.answer(ask(OpCode.CREATE_HANDLE, large), Peer("tcp", f"203.0.113.{number}"))
    kept = await node.sql("SELECT address FROM handle_challenges ORDER BY created_at")
    assert kept == [("203.0.113.2",), ("203.0.113.3",)], "large requests are bounded by bytes"


async def test_owners_do_not_touch_each_other(node: Node) -> None:
    one, _token, owner = await owned(node, 1)
    _other, _, other_owner = await owned(node, 2)
    name = f"{one}/X"
    assert await node.code(owner, OpCode.CREATE_HANDLE, ValuesRequest(name, (url(1),))) == 1
    requests: list[tuple[int, Request]] = [
        (OpCode.CREATE_HANDLE, ValuesRequest(f"{one}/Y", (url(1),))),
        (OpCode.ADD_VALUE, ValuesRequest(name, (url(2),))),
        (OpCode.MODIFY_VALUE, ValuesRequest(name, (url(1, "x"),))),
        (OpCode.REMOVE_VALUE, RemoveRequest(name, (1,))),
        (OpCode.DELETE_HANDLE, HandleRequest(name)),
        (OpCode.LIST_HANDLES, HandleRequest(f"0.NA/{one}")),
        (OpCode.MODIFY_VALUE, ValuesRequest(f"0.NA/{one}", (HandleValue(300, "X", b""),))),
        (OpCode.DELETE_HANDLE, HandleRequest(f"0.NA/{one}")),
        (OpCode.ADD_VALUE, ValuesRequest(NODE_ADMIN.handle, (url(2),))),
    ]
    session = await node.session(other_owner.identity)
    async with nothing_written(node):
        for op_code, body in requests:
            assert await node.code(other_owner, op_code, body) == ResponseCode.INVALID_ADMIN
            (answer,) = await session.do(other_owner, op_code, body)
            assert answer.header.response_code == ResponseCode.INVALID_ADMIN
    # Whom the owner names may; in the name of the owner, and there alone.
    given = admin(100, Permission.ADD_VALUE, other_owner.identity)
    assert await node.code(owner, OpCode.ADD_VALUE, ValuesRequest(name, (given,))) == 1
    assert await node.code(other_owner, OpCode.ADD_VALUE, ValuesRequest(name, (url(2),))) == 1
    async with nothing_written(node):
        body = HandleRequest(name)
        code = await node.code(other_owner, OpCode.DELETE_HANDLE, body)
        assert code == ResponseCode.INSUFFICIENT_PERMISSION


async def test_a_suspended_prefix_is_not_written_and_proves_nothing(node: Node) -> None:
    prefix, _, owner = await owned(node)
    other, token, _other_owner = await owned(node, 2)
    given = {
        "index": 101,
        "type": "HS_ADMIN",
        "data": {
            "format": "admin",
            "value": {"handle": f"0.NA/{prefix}", "index": 300, "permissions": "1" * 12},
        },
    }
    path = f"/identifiers/0.NA/{other}"
    status, answer, _ = await node.http.call("PATCH", path, token, {"values": [given]})
    assert status == 200, answer
    assert await node.code(owner, OpCode.CREATE_HANDLE, ValuesRequest(f"{other}/X", ())) == 1
    status, answer, _ = await node.http.call(
        "POST", f"/prefixes/{prefix}/suspend", node.http.reviewer, {"reason": "late"}
    )
    assert status == 200, answer
    async with nothing_written(node):
        body = ValuesRequest(f"{other}/Y", ())
        assert await node.code(owner, OpCode.CREATE_HANDLE, body) == ResponseCode.INVALID_ADMIN
        body = ValuesRequest(f"{prefix}/Y", ())
        (refused,) = await node.send(ask(OpCode.CREATE_HANDLE, body))
        assert refused.header.response_code == ResponseCode.SERVER_NOT_RESPONSIBLE


async def test_values_that_may_not_be_written(node: Node) -> None:
    prefix, _, owner = await owned(node)
    name = f"{prefix}/R"
    fixed = replace(url(1), permissions=0b1010)
    made = ValuesRequest(name, (fixed, url(2)))
    assert await node.code(owner, OpCode.CREATE_HANDLE, made) == 1
    async with nothing_written(node):
        for op_code, body, flags in (
            (OpCode.MODIFY_VALUE, ValuesRequest(name, (url(1, "x"),)), PLAIN),
            (OpCode.REMOVE_VALUE, RemoveRequest(name, (1, 2)), PLAIN),
            (OpCode.ADD_VALUE, ValuesRequest(name, (url(1, "x"),)), PLAIN | OpFlag.OVERWRITE),
            (OpCode.CREATE_HANDLE, ValuesRequest(name, (url(2),)), PLAIN | OpFlag.OVERWRITE),
        ):
            code = await node.code(owner, op_code, body, flags)
            assert code == ResponseCode.INSUFFICIENT_PERMISSION, op_code


async def test_what_makes_no_sense(node: Node) -> None:
    prefix, _, owner = await owned(node)
    name = f"{prefix}/X"
    assert await node.code(owner, OpCode.CREATE_HANDLE, ValuesRequest(name, (url(1),))) == 1
    async with nothing_written(node):
        for op_code, body, expected in (
            (OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/N", (url(0),)), 202),
            (OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/N", (url(2**31),)), 202),
            (OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/N", (url(1), url(1))), 201),
            (OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/{'x' * 300}", (url(1),)), 102),
            (OpCode.ADD_VALUE, ValuesRequest(name, ()), 202),
            (OpCode.ADD_VALUE, ValuesRequest(name, (url(2), url(2))), 201),
            (OpCode.MODIFY_VALUE, ValuesRequest(name, ()), 202),
            (OpCode.REMOVE_VALUE, RemoveRequest(name, ()), 202),
            (OpCode.ADD_VALUE, ValuesRequest(f"{prefix}/N", (url(1),)), 100),
            (OpCode.MODIFY_VALUE, ValuesRequest(f"{prefix}/N", (url(1),)), 100),
            (OpCode.REMOVE_VALUE, RemoveRequest(f"{prefix}/N", (1,)), 100),
        ):
            assert await node.code(owner, op_code, body) == expected, (op_code, body)


async def test_what_needs_no_proof_to_be_refused(node: Node) -> None:
    prefix, _, _ = await owned(node)
    bad = b"\0"
    async with nothing_written(node):
        for op_code, body, expected in (
            (OpCode.CREATE_HANDLE, ValuesRequest("99.99/X", (url(1),)), 301),
            (OpCode.DELETE_HANDLE, HandleRequest("99.99/X"), 301),
            (OpCode.LIST_HANDLES, HandleRequest("0.NA/99.99"), 301),
            (OpCode.CREATE_HANDLE, ValuesRequest("0.NA/88.118.999", (url(1),)), 301),
            (OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/{bad.decode()}"), 102),
            (OpCode.ADD_VALUE, ValuesRequest(f"{prefix}/", (url(1),)), 102),
            (OpCode.GET_NEXT_TRANSACTION_ID, HandleRequest("/"), 5),
            (OpCode.BACKUP_SERVER, HandleRequest("/"), 5),
        ):
            (answer,) = await node.send(ask(op_code, body))
            assert answer.header.response_code == expected, op_code
        assert await node.sql("SELECT count(*) FROM handle_challenges") == [(0,)]
        message = ask(OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/X"))
        (answer,) = await node.services[0].answer(message, Peer("udp", "192.0.2.1"))
        assert answer.header.response_code == ResponseCode.PROTOCOL_ERROR, "as the reference server"


async def test_other_servers_ask_whether_a_secret_was_used(node: Node) -> None:
    prefix, _, _ = await owned(node)
    nonce, version = b"n" * 16, Version(2, 11)
    digest = digest_request(version, b"their request")
    right = answer_with_secret(version, nonce, digest, SECRET, b"s" * 16)
    wrong = answer_with_secret(version, nonce, digest, b"guess", b"s" * 16)
    handle = f"0.NA/{prefix}"

    async def asked(handle: str, index: int, answer: bytes) -> Message:
        body = VerifyRequest(handle, index, nonce, digest, answer)
        (reply,) = await node.send(ask(OpCode.VERIFY_CHALLENGE, body))
        return reply

    for index, answer, valid in (
        (301, right, True),
        (0, right, True),
        (301, wrong, False),
        (301, b"", False),
        (300, right, False),
        (7, right, False),
        (301, answer_with_key(version, nonce, digest, RSA), False),
    ):
        assert (await asked(handle, index, answer)).body == VerifyResponse(valid), index
    reply = await asked("20.500/elsewhere", 301, right)
    assert reply.header.response_code == ResponseCode.SERVER_NOT_RESPONSIBLE


async def test_an_empty_secret_proves_nothing(node: Node) -> None:
    prefix, token, _ = await owned(node)
    path = f"/identifiers/0.NA/{prefix}"
    empty = {"values": [secret_key(301, b"")]}
    status, answer, _ = await node.http.call("PATCH", path, token, empty)
    assert status == 200, answer
    actor = Actor(Identity(301, f"0.NA/{prefix}"), b"")
    code = await node.code(actor, OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/X", ()))
    assert code == ResponseCode.AUTHENTICATION_FAILED


async def test_proofs_are_checked_within_bounds(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, _, owner = await owned(node)
    monkeypatch.setattr(proofs.CHECKS, "most", 0)
    code = await node.code(owner, OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/X", ()))
    assert code == ResponseCode.SERVER_BUSY


async def test_an_administrator_that_nobody_can_read_names_nobody(node: Node) -> None:
    prefix, _, owner = await owned(node)
    # No longer can it be written.
    await node.sql(
        f"""UPDATE identifiers SET values = (
                SELECT jsonb_agg(CASE v ->> 'type' WHEN 'HS_ADMIN' THEN jsonb_set(v, '{{data}}',
                    jsonb_build_object('format', 'string', 'value', '?')) ELSE v END)
                FROM jsonb_array_elements(values) AS v)
            WHERE prefix = '0.NA' AND suffix = '{prefix}'"""
    )
    code = await node.code(owner, OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/X", ()))
    assert code == ResponseCode.INVALID_ADMIN


async def test_keys_of_identities(node: Node, database: Database) -> None:
    prefix, _token, _ = await owned(node)
    handle = f"0.NA/{prefix}"
    async with database.begin() as connection:
        assert await identities.key_of(connection, Identity(300, handle)) == RSA.public_key()
        assert await identities.key_of(connection, Identity(301, handle)) == SECRET
        assert await identities.key_of(connection, Identity(9, handle)) is None
        assert await identities.key_of(connection, Identity(300, "20.500/elsewhere")) is None
        principal = await authorise(
            connection,
            Identity(301, handle),
            Permission.ADD_HANDLE,
            Identifier.parse(f"{prefix}/X"),
        )
    assert principal.actor == f"handle:301:{handle}"
    elsewhere = Identity(300, "20.500/elsewhere")
    there = identities.IdentityKey(elsewhere, "HS_SECKEY", b"theirs")

    async def find(identity: Identity, type_: str) -> list[identities.IdentityKey]:
        return [there] if (identity, type_) == (elsewhere, "HS_SECKEY") else []

    assert await identities.find_keys(database, elsewhere, "HS_SECKEY", find) == [there]
    for missing in (find, None):
        with pytest.raises(ProtocolError) as refused:
            await identities.find_keys(database, elsewhere, "HS_PUBKEY", missing)
        assert refused.value.response_code == ResponseCode.UNABLE_TO_AUTHENTICATE
    assert "theirs" not in repr(there), "a secret is in no log"


async def test_restricted_values_are_for_administrators(node: Node) -> None:
    prefix, _, owner = await owned(node)
    name = f"{prefix}/R"
    hidden, nobodys = replace(url(2, "h"), permissions=0b1100), replace(url(3), permissions=0)
    made = ValuesRequest(name, (url(1), hidden, nobodys))
    assert await node.code(owner, OpCode.CREATE_HANDLE, made) == 1
    wanted = PLAIN & ~OpFlag.PUBLIC_ONLY
    (answer,) = await node.do(owner, OpCode.RESOLUTION, ResolutionRequest(name, (1, 2, 9)), wanted)
    assert isinstance(answer.body, ResolutionResponse), answer
    assert [value.index for value in answer.body.values] == [1, 2]
    stranger = Actor(NODE_ADMIN, OTHER_RSA)
    code = await node.code(stranger, OpCode.RESOLUTION, ResolutionRequest(name, (2,)), wanted)
    assert code == ResponseCode.AUTHENTICATION_FAILED
    (answer,) = await node.send(ask(OpCode.RESOLUTION, ResolutionRequest(name, (3,)), wanted))
    assert answer.header.response_code == ResponseCode.AUTHENTICATION_NEEDED
    code = await node.code(owner, OpCode.RESOLUTION, ResolutionRequest(name, (3,)), wanted)
    assert code == ResponseCode.VALUES_NOT_FOUND, "what nobody may read is not there"
    somebody = Actor(NODE_ADMIN, RSA)
    for actor in (owner, somebody):
        asked = ResolutionRequest(name, (1, 3))
        (answer,) = await node.do(actor, OpCode.RESOLUTION, asked, wanted)
        assert isinstance(answer.body, ResolutionResponse), answer
        shown = [value.index for value in answer.body.values]
        assert shown == [1], "what everybody sees is not withheld for what nobody sees"
    (answer,) = await node.send(ask(OpCode.RESOLUTION, ResolutionRequest(name, (1,)), wanted))
    assert answer.header.response_code == ResponseCode.SUCCESS, "what is public needs no proof"
    (answer,) = await node.send(ask(OpCode.RESOLUTION, ResolutionRequest(name)))
    assert isinstance(answer.body, ResolutionResponse), answer
    assert [value.index for value in answer.body.values] == [1]
    # Without a session nothing would hide the secret on its way.
    secret = ResolutionRequest(f"0.NA/{prefix}", (301,))
    (answer,) = await node.do(owner, OpCode.RESOLUTION, secret, wanted)
    assert answer.header.response_code == ResponseCode.VALUES_NOT_FOUND


async def test_a_public_key_may_be_hidden_and_still_prove(node: Node) -> None:
    prefix, token, owner = await owned(node)
    path = f"/identifiers/0.NA/{prefix}"
    hidden = {**public_key(300, RSA), "permissions": "1100"}
    status, answer, _ = await node.http.call("PATCH", path, token, {"values": [hidden]})
    assert status == 200, answer
    assert await node.code(owner, OpCode.CREATE_HANDLE, ValuesRequest(f"{prefix}/X", ())) == 1
