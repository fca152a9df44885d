"""Every version of the protocol from 2.1 to 2.11 is spoken as its clients speak it.

What is expected at which version stands here in numbers, apart from protocol/handle/version.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from protocol.errors import ResponseCode
from protocol.handle.credential import verify_message
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message, decode_payload
from protocol.handle.requests import Request, ResolutionRequest, ValuesRequest
from protocol.handle.responses import ErrorResponse, ResolutionResponse
from protocol.handle.version import Version
from registry.admins import Identity
from registry.database import Database
from resolver.site import make_site
from tests.integration.handle.datagrams import over_udp
from tests.integration.handle_support import (
    PLAIN,
    RSA,
    SECRET,
    Actor,
    Node,
    answer_to,
    ask,
    owned,
    running,
    url,
)

MINORS = range(1, 12)
# As clients write: in the version that they suggest; in one and suggesting none, as the RFC has it;
# in 2.3 as long as they know nothing of the server, suggesting their own.
FORMS = {
    "suggested": lambda minor: (Version(2, minor), Version(2, minor)),
    "alone": lambda minor: (Version(2, minor), None),
    "first": lambda minor: (Version(2, 3), Version(2, minor)),
}


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        node.services[0].site = make_site("127.0.0.1", handle_port=2641, http_port=0, key=RSA)
        yield node


def written(message: Message, form: str, minor: int) -> Message:
    version, suggested = FORMS[form](minor)
    envelope = replace(message.envelope, version=version, suggested=suggested)
    return replace(message, envelope=envelope)


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("form", FORMS)
async def test_a_client_of_any_version_is_answered_in_it(node: Node, form: str, minor: int) -> None:
    prefix, _, owner = await owned(node)
    name = f"{prefix}/V"
    version = Version(2, minor)
    sha = hashlib.sha256 if minor >= 7 else hashlib.sha1

    def request(op_code: int, body: Request, flags: int = PLAIN) -> Message:
        return written(ask(op_code, body, flags), form, minor)

    for actor in (owner, Actor(Identity(301, owner.identity.handle), SECRET)):
        values = ValuesRequest(f"{name}-{actor.identity.index}", (url(1), url(2, "x" * 600)))
        (challenge,) = await node.send(request(OpCode.CREATE_HANDLE, values))
        assert challenge.envelope.version == version
        answer = written(answer_to(challenge, actor), form, minor)
        (made,) = await node.send(answer)
        assert made.header.response_code == ResponseCode.SUCCESS, f"{actor.identity} proves itself"
    question = ResolutionRequest(f"{name}-300")
    asked = request(OpCode.RESOLUTION, question, PLAIN | OpFlag.REQUEST_DIGEST | OpFlag.CERTIFY)
    for answer in (await over_udp(node.servers[0].port, asked), *await node.send(asked)):
        assert answer.envelope.version == version
        assert isinstance(answer.body, ResolutionResponse)
        assert [value.index for value in answer.body.values] == [1, 2]
        assert answer.digest is not None
        assert answer.digest.value == sha(asked.content).digest()
        assert answer.credential is not None
        assert answer.credential.algorithm == ("SHA-256" if minor >= 7 else "SHA1")
        assert verify_message(answer.credential, answer.envelope, answer.content, RSA.public_key())
    for _ in range(2):  # from the database, then from memory
        for answer in (
            await over_udp(node.servers[0].port, request(OpCode.RESOLUTION, question)),
            *await node.send(request(OpCode.RESOLUTION, question)),
        ):
            assert answer.envelope.version == version
            assert isinstance(answer.body, ResolutionResponse)
    missing = request(OpCode.RESOLUTION, ResolutionRequest(f"{prefix}/MISSING"))
    for answer in (await over_udp(node.servers[0].port, missing), *await node.send(missing)):
        assert answer.envelope.version == version
        assert answer.header.response_code == ResponseCode.HANDLE_NOT_FOUND
        assert isinstance(answer.body, ErrorResponse)


@pytest.mark.parametrize("minor", MINORS)
async def test_a_code_is_the_number_that_the_version_has_for_it(node: Node, minor: int) -> None:
    prefix, _, owner = await owned(node)
    values = ValuesRequest(f"0.NA/{prefix}", (url(1),))  # that index is the node's
    asked = written(ask(OpCode.ADD_VALUE, values), "suggested", minor)
    (challenge,) = await node.send(asked)
    answer = written(answer_to(challenge, owner), "suggested", minor)
    ((envelope, payload),) = await node.exchange(answer.encode())
    number = int.from_bytes(payload[4:8], "big")
    assert number == (202 if minor >= 5 else 201), "invalid value"
    assert decode_payload(envelope, payload).envelope.version == Version(2, minor)
