"""The ways to the key of a session, and that each ends in one that both sides have."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from protocol.errors import ResponseCode
from protocol.handle import key_transport
from protocol.handle import session as keys
from protocol.handle.header import OpCode
from protocol.handle.keys import encode_public_key
from protocol.handle.message import Message
from protocol.handle.requests import (
    ExchangeKeyRequest,
    HandleRequest,
    KeyExchange,
    SessionSetupRequest,
    ValuesRequest,
)
from protocol.handle.responses import EmptyResponse, SessionSetupResponse
from protocol.handle.version import Version
from registry.admins import Identity
from registry.database import Database
from registry.metrics import slot
from resolver.handle.service import Peer
from resolver.site import make_site
from tests.integration.handle_support import (
    OTHER_RSA,
    RSA,
    Actor,
    Node,
    Session,
    ask,
    owned,
    running,
    url,
)

FAILED = ResponseCode.SESSION_FAILED


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        for service in node.services:
            service.site = make_site("127.0.0.1", handle_port=2641, http_port=0, key=RSA)
        yield node


def setup_of(mode: KeyExchange, identity: Identity | None = None) -> SessionSetupRequest:
    setup = SessionSetupRequest(mode, 60)
    if identity is None:
        return setup
    return replace(setup, identity=identity.handle, identity_index=identity.index)


def encrypted_for(answer: Message, own: rsa.RSAPrivateKey) -> bytes:
    """Return the session key that the answer brings to who has the private key."""
    assert isinstance(answer.body, SessionSetupResponse), answer
    return key_transport.decrypt_key(own, answer.body.data, b"none")


def exchange(session_id: int, data: bytes) -> Message:
    message = ask(OpCode.SESSION_EXCHANGE_KEY, ExchangeKeyRequest(data))
    return replace(message, envelope=replace(message.envelope, session_id=session_id))


async def by_site_key(node: Node, setup: SessionSetupRequest) -> tuple[int, rsa.RSAPublicKey]:
    """Set up a session of mode 2; return its id and the key that the site answers with."""
    (answer,) = await node.send(ask(OpCode.SESSION_SETUP, setup))
    assert isinstance(answer.body, SessionSetupResponse), answer
    assert answer.body.mode is KeyExchange.SERVER_CIPHER
    return answer.envelope.session_id, key_transport.read_rsa_key(answer.body.data)


async def proves_itself_once(session: Session, actor: Actor, prefix: str) -> None:
    for worker in (0, 1):
        made = ValuesRequest(f"{prefix}/{session.id}-{worker}", (url(1),))
        message = session.message(OpCode.CREATE_HANDLE, made)
        if worker == 0:
            (done,) = await session.do(actor, OpCode.CREATE_HANDLE, made)
        else:
            (done,) = await session.send(message, worker=worker)
        assert done.header.response_code == ResponseCode.SUCCESS


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_key_encrypted_for_the_client(node: Node, encrypted: bool) -> None:
    prefix, _, actor = await owned(node)
    setup = replace(
        setup_of(KeyExchange.CLIENT_CIPHER, actor.identity),
        public_key=encode_public_key(OTHER_RSA.public_key()),
    )
    (answer,) = await node.send(ask(OpCode.SESSION_SETUP, setup))
    key = encrypted_for(answer, OTHER_RSA)
    await proves_itself_once(
        Session(node, answer.envelope.session_id, key, encrypted), actor, prefix
    )


async def test_a_key_encrypted_with_what_a_handle_names(node: Node) -> None:
    prefix, _, actor = await owned(node)
    setup = replace(
        setup_of(KeyExchange.HANDLE_CIPHER, actor.identity),
        key_handle=f"0.NA/{prefix}",
        key_index=300,
    )
    (answer,) = await node.send(ask(OpCode.SESSION_SETUP, setup))
    key = encrypted_for(answer, RSA)
    await proves_itself_once(Session(node, answer.envelope.session_id, key, True), actor, prefix)
    await node.sql("DELETE FROM handle_sessions")
    for change in (
        {"key_index": 7},  # nothing stands there
        {"key_index": 301},  # a secret
        {"key_handle": f"{prefix}/NOBODY"},
        {"key_handle": "20.500/elsewhere"},
    ):
        (refused,) = await node.send(ask(OpCode.SESSION_SETUP, replace(setup, **change)))
        assert refused.header.response_code == FAILED, change
    (refused,) = await node.send(ask(OpCode.SESSION_SETUP, replace(setup, key_index=302)))
    assert refused.header.response_code == ResponseCode.RSA_KEY_NEEDED, "it is a DSA key"
    assert await node.sql("SELECT count(*) FROM handle_sessions") == [(0,)]


@pytest.mark.parametrize("number", [b"\0\0\0\3", b""], ids=["number", "no-number"])
async def test_a_key_that_the_client_encrypts_for_the_site(node: Node, number: bytes) -> None:
    prefix, _, actor = await owned(node)
    session_id, public = await by_site_key(
        node, setup_of(KeyExchange.SERVER_CIPHER, actor.identity)
    )
    assert public == RSA.public_key()
    session = Session(node, session_id, secrets.token_bytes(16), True)
    sent = public.encrypt(number + session.key, padding.PKCS1v15())
    for worker in (1, 0):  # the answer may have been lost
        (done,) = await node.send(exchange(session_id, sent), worker=worker)
        assert (done.header.response_code, done.body) == (1, EmptyResponse())
    await proves_itself_once(session, actor, prefix)


async def test_nobody_speaks_in_a_session_that_waits_for_its_key(node: Node) -> None:
    _, _, actor = await owned(node)
    session_id, _ = await by_site_key(node, setup_of(KeyExchange.SERVER_CIPHER, actor.identity))
    for key in (b"", bytes(16)):
        session = Session(node, session_id, key, encrypted=False)
        message = session.message(OpCode.SESSION_TERMINATE, HandleRequest("/"))
        (refused,) = await node.send(message)
        assert refused.header.response_code == ResponseCode.INVALID_SESSION_KEY
    sealed = Session(node, session_id, bytes(16), encrypted=True)
    request = sealed.message(OpCode.DELETE_HANDLE, HandleRequest("88.118/x")).encode()
    envelope, payload = keys.encrypt_message(
        keys.Envelope(1, session_id=session_id), request[20:], bytes(16), bytes(16)
    )
    ((_, answer),) = await node.exchange(envelope.encode() + payload)
    assert int.from_bytes(answer[4:8], "big") == ResponseCode.INVALID_SESSION_KEY


async def test_a_session_takes_no_second_key(node: Node) -> None:
    session_id, public = await by_site_key(node, setup_of(KeyExchange.SERVER_CIPHER))
    first, second = (key_transport.encrypt_key(public, bytes(15) + b) for b in (b"A", b"B"))
    (done,) = await node.send(exchange(session_id, first))
    assert done.header.response_code == 1
    (refused,) = await node.send(exchange(session_id, second))
    assert refused.header.response_code == FAILED, "anybody could have sent it"
    agreed = await node.session(None)
    (refused,) = await node.send(exchange(agreed.id, second))
    assert refused.header.response_code == FAILED
    (refused,) = await node.send(exchange(12345, first))
    assert refused.header.response_code == ResponseCode.SESSION_TIMEOUT


async def test_no_answer_tells_whether_there_was_a_key(node: Node) -> None:
    session_id, _ = await by_site_key(node, setup_of(KeyExchange.SERVER_CIPHER))
    (done,) = await node.send(exchange(session_id, b"\1" * 256))
    assert done.header.response_code == 1, "else the site's key could be asked to decrypt"
    session = Session(node, session_id, b"\1" * 16, encrypted=False)
    message = session.message(OpCode.SESSION_TERMINATE, HandleRequest("/"))
    (refused,) = await node.send(message)
    assert refused.header.response_code == ResponseCode.INVALID_SESSION_KEY
    session_id, _ = await by_site_key(node, setup_of(KeyExchange.SERVER_CIPHER))
    (refused,) = await node.send(exchange(session_id, b"\1" * 255))
    assert refused.header.response_code == FAILED, "its length everybody knows"


async def test_ways_to_a_session_that_are_not_taken(node: Node) -> None:
    own = encode_public_key(keys.make_key_pair(bytes(range(32))).public)
    good = SessionSetupRequest(KeyExchange.DIFFIE_HELLMAN, 60, public_key=own)
    rsa_key = encode_public_key(RSA.public_key())
    client = KeyExchange.CLIENT_CIPHER
    for body, expected in (
        (replace(good, mode=client), ResponseCode.RSA_KEY_NEEDED),
        (replace(good, mode=client, public_key=b"nonsense"), FAILED),
        (replace(good, mode=KeyExchange.HANDLE_CIPHER), FAILED),
        (replace(good, public_key=b"nonsense"), FAILED),
        (replace(good, public_key=rsa_key), FAILED),
        (replace(good, identity="no identity/"), ResponseCode.INVALID_HANDLE),
    ):
        (answer,) = await node.send(ask(OpCode.SESSION_SETUP, body))
        assert answer.header.response_code == expected, body.mode
    for mode in KeyExchange:
        old = ask(OpCode.SESSION_SETUP, replace(good, mode=mode))
        old = replace(old, envelope=replace(old.envelope, version=Version(2, 3), suggested=None))
        (answer,) = await node.send(old)
        assert answer.header.response_code == FAILED, "DES is not offered"
    for service in node.services:
        service.site = make_site("127.0.0.1", handle_port=2641, http_port=0)
    (answer,) = await node.send(ask(OpCode.SESSION_SETUP, setup_of(KeyExchange.SERVER_CIPHER)))
    assert answer.header.response_code == FAILED, "the site has no key"
    assert await node.sql("SELECT count(*) FROM handle_sessions") == [(0,)]


async def test_datagrams_have_no_other_server_asked(node: Node) -> None:
    asked: list[Identity] = []

    async def find(identity: Identity, type_: str) -> None:
        asked.append(identity)

    service = node.services[0]
    service.find = find
    setup = replace(setup_of(KeyExchange.HANDLE_CIPHER), key_handle="20.500/x", key_index=1)
    message = ask(OpCode.SESSION_SETUP, setup)
    assert await service.answer(message, Peer("udp", "192.0.2.1")) == []
    assert not asked, "the source of a datagram may be forged"
    assert service.registry.row.cells[slot("idnode_udp_dropped", "busy")] == 1
    (refused,) = await service.answer(message, Peer("tcp", "192.0.2.1"))
    assert refused.header.response_code == FAILED
    assert asked == [Identity(1, "20.500/x")]
