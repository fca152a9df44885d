"""Sessions: both sides come to one key, and messages under it are read by nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocol.errors import InvalidValue, ProtocolError, ResponseCode
from protocol.handle import session
from protocol.handle.credential import mac_message, verify_mac
from protocol.handle.envelope import Envelope
from protocol.handle.header import Header, OpCode
from protocol.handle.keys import DhPublicKey, encode_public_key
from protocol.handle.message import Message, decode_message, decode_payload
from protocol.handle.requests import (
    NO_INDEX,
    HandleRequest,
    KeyExchange,
    SessionSetupRequest,
)
from protocol.handle.responses import SessionSetupResponse
from tests.handle_vectors import plain_messages

CLIENT, SERVER = bytes(range(1, 33)), bytes(range(101, 133))


def test_client_and_server_come_to_one_key_and_use_it() -> None:
    client = session.make_key_pair(CLIENT)
    setup = SessionSetupRequest(
        KeyExchange.DIFFIE_HELLMAN, 3600, public_key=encode_public_key(client.public)
    )
    asked = decode_message(Message(Envelope(1), Header(OpCode.SESSION_SETUP, 0), setup).encode())
    assert asked.body == setup
    assert setup.identity_index == NO_INDEX

    theirs = session.read_client_key(setup.public_key)
    server = session.make_key_pair(SERVER, theirs.prime, theirs.generator)
    answer = SessionSetupResponse(
        KeyExchange.DIFFIE_HELLMAN, session.encode_server_key(server.public)
    )
    key = session.agree(server, theirs)
    assert session.agree(client, session.read_server_key(answer.data)) == key
    assert len(key) == session.KEY_BYTES

    request = Message(
        Envelope(2, session_id=9), Header(OpCode.DELETE_HANDLE, 0), HandleRequest("88.118/1")
    )
    signed = replace(request, credential=mac_message(request.envelope, request.content, key, 1))
    envelope, sent = session.encrypt_message(
        signed.envelope, signed.encode_payload(), key, bytes(16)
    )
    assert envelope.encrypted
    with pytest.raises(ProtocolError, match="encrypted"):
        decode_payload(envelope, sent)
    received = decode_payload(*session.decrypt_message(envelope, sent, key))
    assert received.body == request.body
    assert received.credential is not None
    assert verify_mac(received.credential, received.envelope, received.content, key)


def test_the_key_is_the_beginning_of_the_shared_number_without_its_zeros() -> None:
    # In a group this small the exchange can be done by hand.
    prime = 2**255 + 95
    small = session.DhKeyPair(DhPublicKey(3, prime, 3), 1)
    assert session.agree(small, DhPublicKey(5, prime, 3)) == (5).to_bytes(32, "big")
    prime = session.GROUP_2[0]
    pair = session.DhKeyPair(DhPublicKey(2, prime, 2), 1)
    for shared in (2**1000 + 7, 2**255 + 1, 2**256 + 1, 3):
        raw = shared.to_bytes(128, "big")
        expected = raw.lstrip(b"\0")[:32] if shared >= 2**248 else raw[-32:]
        assert session.agree(pair, DhPublicKey(shared, prime, 2)) == expected


def test_keys_of_two_groups_do_not_agree() -> None:
    pair = session.make_key_pair(CLIENT)
    with pytest.raises(ProtocolError) as refused:
        session.agree(pair, DhPublicKey(5, session.GROUP_2[0] - 2, 2))
    assert refused.value.response_code == ResponseCode.SESSION_FAILED


@pytest.mark.parametrize("y", [0, 1, session.GROUP_2[0] - 1, session.GROUP_2[0]])
def test_keys_that_would_give_the_secret_away_are_refused(y: int) -> None:
    data = encode_public_key(DhPublicKey(y, *session.GROUP_2))
    with pytest.raises(ProtocolError) as refused:
        session.read_client_key(data)
    assert refused.value.response_code == ResponseCode.SESSION_FAILED


def test_ciphers_other_than_aes_are_refused() -> None:
    key = encode_public_key(session.make_key_pair(SERVER).public)
    for data in (b"\0\0\0\1" + key, b"\0\0\0\2" + key, key, b""):
        with pytest.raises(ProtocolError) as refused:
            session.read_server_key(data)
        assert refused.value.response_code == ResponseCode.SESSION_FAILED


def test_a_private_key_needs_enough_randomness() -> None:
    for secret in (b"", bytes(31), bytes(32)):
        with pytest.raises(InvalidValue):
            session.make_key_pair(secret)
    assert "secret" not in repr(session.make_key_pair(CLIENT))


def test_a_wrong_key_does_not_decrypt() -> None:
    sent = session.encrypt(bytes(32), bytes(16), b"header and body")
    with pytest.raises(ProtocolError) as refused:
        session.decrypt(b"\1" * 32, sent)
    assert refused.value.response_code == ResponseCode.SESSION_FAILED


def test_a_mac_of_the_capture_does_not_hold_under_a_key_of_ours() -> None:
    macs = [m for _, m in plain_messages() if m.credential and m.credential.type == "HS_MAC"]
    assert len(macs) > 20
    for message in macs:
        assert message.credential is not None
        key = bytes(32)
        arguments = message.credential, message.envelope, message.content
        assert not verify_mac(*arguments, key)
        own = mac_message(message.envelope, message.content, key, message.credential.counter)
        assert replace(own, signature=message.credential.signature) == message.credential


def test_a_counter_far_ahead_costs_no_memory() -> None:
    window = session.ReplayWindow().accept(1).accept(2**32 - 1)
    assert window.seen == 1
    with pytest.raises(ProtocolError) as refused:
        window.accept(2)
    assert refused.value.response_code == ResponseCode.MESSAGE_REJECTED


def test_counters_may_come_out_of_order_within_the_window() -> None:
    window = session.ReplayWindow().accept(200)
    assert window.accept(1).highest == 200
    with pytest.raises(ProtocolError):
        window.accept(201).accept(1)
    with pytest.raises(ProtocolError):
        session.ReplayWindow().accept(0)
