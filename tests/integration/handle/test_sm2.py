"""Identities with keys of SM2: challenges, logins, and the forms in which their keys are kept."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pytest

from protocol.errors import ResponseCode
from protocol.handle import sm2, wire
from protocol.handle.header import OpCode
from protocol.handle.jwk import key_to_json
from protocol.handle.keys import PUBLIC_KEY, encode_public_key
from protocol.handle.message import Message
from protocol.handle.requests import ChallengeAnswer, HandleRequest, ValuesRequest
from protocol.handle.responses import Challenge
from registry.admins import Identity
from tests.integration.handle.connection import connected
from tests.integration.handle_support import Actor, Node, url
from tests.sm2_signer import Sm2Key

KEY, OTHER_KEY = Sm2Key(1), Sm2Key(2)
FORMS = ["key", "DER", "PEM", "PEM alone"]


@dataclass(frozen=True)
class Sm2Actor(Actor):
    """Who proves to be `identity` with a key of SM2. signed_for: the handle that is signed too."""

    sm2_key: Sm2Key = KEY
    read_from_pem: bool = False
    signed_for: str = ""

    def answer(self, challenge: Message) -> ChallengeAnswer:
        assert isinstance(challenge.body, Challenge)
        assert challenge.digest is not None
        data = challenge.body.nonce + challenge.digest.value
        handle = self.identity.handle
        proof = self.sm2_key.answer(
            data, self.signed_for or handle, read_from_pem=self.read_from_pem
        )
        return ChallengeAnswer(PUBLIC_KEY, handle, self.identity.index, proof)


def pem() -> bytes:
    text = base64.encodebytes(sm2.encode_der(KEY.public)).decode().replace("\n", "\r\n")
    return f"-----BEGIN PUBLIC KEY-----\r\n{text}-----END PUBLIC KEY-----\r\n".encode()


def stored(form: str) -> dict[str, Any]:
    """Return the value with the public key, as whoever registers it may write it."""
    data: dict[str, Any] = {"format": "base64"}
    if form == "key":
        data = {"format": "key", "value": key_to_json(encode_public_key(KEY.public))}
    elif form == "PEM alone":
        data = {"format": "string", "value": pem().decode()}
    else:
        octets = sm2.encode_der(KEY.public) if form == "DER" else pem()
        named = wire.text("SM2_PUB_KEY") + b"\0\0" + wire.octets(octets)
        data["value"] = base64.b64encode(named).decode()
    return {"index": 300, "type": PUBLIC_KEY, "data": data}


async def owned(node: Node, form: str = "DER") -> str:
    """Return a prefix whose owner has given it a key in one of the forms."""
    prefix, token = await node.enterprise(1)
    status, answer, _ = await node.http.call(
        "PATCH", f"/identifiers/0.NA/{prefix}", token, {"values": [stored(form)]}
    )
    assert status == 200, answer
    return prefix


def actor(prefix: str, **more: Any) -> Sm2Actor:
    return Sm2Actor(Identity(300, f"0.NA/{prefix}"), b"", **more)


def create(prefix: str, suffix: str) -> ValuesRequest:
    return ValuesRequest(f"{prefix}/{suffix}", (url(1),))


@pytest.mark.parametrize("form", FORMS)
async def test_key_proves_its_identity_in_whatever_form_it_is_kept(node: Node, form: str) -> None:
    prefix = await owned(node, form)
    for suffix, read_from_pem in (("A", False), ("B", True)):
        who = actor(prefix, read_from_pem=read_from_pem)
        assert await node.code(who, OpCode.CREATE_HANDLE, create(prefix, suffix)) == 1
    done_by = await node.sql("SELECT actor FROM audit_log ORDER BY seq DESC LIMIT 1")
    assert done_by == [(f"handle:300:0.NA/{prefix}",)]


async def test_login_lasts_for_a_connection(node: Node) -> None:
    prefix = await owned(node)
    async with connected(node) as connection:
        assert (await connection.login(actor(prefix))).header.response_code == 1
        assert await connection.code(OpCode.CREATE_HANDLE, create(prefix, "A")) == 1
        assert await connection.code(OpCode.DELETE_HANDLE, HandleRequest(f"{prefix}/A")) == 1


async def test_who_answers_may_spell_its_handle_as_it_likes_and_signs_that(node: Node) -> None:
    prefix = await owned(node)
    spelled = Sm2Actor(Identity(300, f"0.na/{prefix}"), b"")
    assert await node.code(spelled, OpCode.CREATE_HANDLE, create(prefix, "A")) == 1
    other = Sm2Actor(Identity(300, f"0.na/{prefix}"), b"", signed_for=f"0.NA/{prefix}")
    code = await node.code(other, OpCode.CREATE_HANDLE, create(prefix, "B"))
    assert code == ResponseCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize("read_from_pem", [False, True])
async def test_another_key_proves_nothing(node: Node, read_from_pem: bool) -> None:
    prefix = await owned(node)
    before = await node.written()
    who = actor(prefix, sm2_key=OTHER_KEY, read_from_pem=read_from_pem)
    code = await node.code(who, OpCode.CREATE_HANDLE, create(prefix, "A"))
    assert code == ResponseCode.AUTHENTICATION_FAILED
    assert await node.written() == before
