"""The codec against what the reference client library makes of known keys and messages.

What the capture does not hold: old versions, referrals, DSA, and everything that needs the secret.
tests/vectors/HandleClientVectors.java made the file.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from protocol.errors import ResponseCode
from protocol.handle import challenge, jws, session
from protocol.handle.credential import mac_message, sign_message, verify_mac, verify_message
from protocol.handle.digest import Digest, DigestAlgorithm, digest_request
from protocol.handle.envelope import Envelope
from protocol.handle.header import Header, OpCode
from protocol.handle.keys import decode_public_key, decode_verifying_key, encode_public_key
from protocol.handle.message import Message, decode_payload
from protocol.handle.requests import (
    ExchangeKeyRequest,
    HandleRequest,
    KeyExchange,
    ResolutionRequest,
    SessionSetupRequest,
    VerifyRequest,
)
from protocol.handle.responses import Challenge, ErrorResponse, ReferralResponse
from protocol.handle.signing import MacAlgorithm
from protocol.handle.value import read_value
from protocol.handle.version import LATEST, Version
from protocol.handle.wire import Reader
from protocol.values import HandleValue, Reference

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "handle-client-9.3.1.json").read_text("utf-8")
)
SECRET = bytes.fromhex(VECTORS["secret"])
SESSION_KEY = bytes.fromhex(VECTORS["session_key"])
KEYS = {key["kind"]: decode_verifying_key(bytes.fromhex(key["public"])) for key in VECTORS["keys"]}
PRIVATE = {
    key["kind"]: load_der_private_key(bytes.fromhex(key["private_pkcs8"]), None)
    for key in VECTORS["keys"]
}
NONCE, DIGEST = b"\7" * 16, b"\x09" * 32
REQUEST = ResolutionRequest("88.118.35/SN-1", (1, 2), ("URL",))


def _name(vector: dict[str, Any]) -> str:
    return f"{vector.get('name') or vector['kind']}-2.{vector['minor']}"


def _read(vector: dict[str, Any]) -> Message:
    payload = bytes.fromhex(vector["payload"])
    envelope = Envelope(
        request_id=0x01020304,
        session_id=0x05060708,
        version=Version(2, vector["minor"]),
        suggested=LATEST,
        message_length=len(payload),
    )
    return decode_payload(envelope, payload)


@pytest.mark.parametrize("vector", VECTORS["messages"] + VECTORS["credentials"], ids=_name)
def test_each_message_is_written_to_the_bytes_it_was_read_from(vector: dict[str, Any]) -> None:
    message = _read(vector)
    assert replace(message, received=b"").encode_payload().hex() == vector["payload"]


def test_messages_that_the_capture_does_not_hold() -> None:
    bodies = [
        (vector["name"], _read(vector).header.response_code, _read(vector).body)
        for vector in VECTORS["messages"]
        if vector["name"] not in ("challenge", "error-with-digest")
    ]
    value = HandleValue(
        1,
        "HS_SERV",
        b"88.118/service",
        ttl=1_800_000_000,
        ttl_absolute=True,
        timestamp=1_700_000_000,
        references=(Reference("0.NA/88.118", 3),),
    )
    identity = ("0.NA/88.118", 300)
    digest = Digest(DigestAlgorithm.UNNAMED, DIGEST)
    server, by_handle = KeyExchange.SERVER_CIPHER, KeyExchange.HANDLE_CIPHER
    timeout = 86_400
    assert bodies == [
        ("verify-request", 0, VerifyRequest("0.NA/88.118", 301, NONCE, digest, b"answer")),
        ("exchange-key", 0, ExchangeKeyRequest(b"encrypted key")),
        ("session-setup-server-cipher", 0, SessionSetupRequest(server, timeout, *identity)),
        (
            "session-setup-handle-cipher",
            0,
            SessionSetupRequest(
                by_handle, timeout, *identity, key_handle="88.118/key", key_index=5
            ),
        ),
        ("session-terminate", 0, HandleRequest("/")),
        ("referral-to-handle", 302, ReferralResponse("88.118/service")),
        ("referral-with-values", 302, ReferralResponse("", (value,))),
        ("referral-to-handle", 303, ReferralResponse("88.118/service")),
        ("referral-with-values", 303, ReferralResponse("", (value,))),
    ]


@pytest.mark.parametrize(
    "vector",
    [v for v in VECTORS["messages"] if v["name"] in ("challenge", "error-with-digest")],
    ids=_name,
)
def test_challenges_and_digests_of_old_versions(vector: dict[str, Any]) -> None:
    message, version = _read(vector), Version(2, vector["minor"])
    request = Message(Envelope(1), Header(OpCode.RESOLUTION, 1_700_000_000), REQUEST)
    assert message.digest == digest_request(version, request.content)
    if vector["name"] == "challenge":
        assert message.body == Challenge(NONCE)
    else:
        assert message.body == ErrorResponse("维护")
        assert message.header.response_code == ResponseCode.SERVER_DISABLED


@pytest.mark.parametrize("vector", VECTORS["credentials"], ids=_name)
def test_credentials_of_every_version_hold(vector: dict[str, Any]) -> None:
    message, kind = _read(vector), vector["kind"]
    assert message.credential is not None
    assert message.body == REQUEST
    envelope, content = message.envelope, message.content
    counted = replace(message.credential, counter=8)
    if kind == "MAC":
        assert verify_mac(message.credential, envelope, content, SESSION_KEY)
        assert not verify_mac(message.credential, envelope, content, bytes(32))
        assert mac_message(envelope, content, SESSION_KEY, 9) == message.credential
        if envelope.version.at_least(7):
            assert not verify_mac(counted, envelope, content, SESSION_KEY)
        return
    assert verify_message(message.credential, envelope, content, KEYS[kind])
    assert not verify_message(message.credential, envelope, content + b".", KEYS[kind])
    own = sign_message(envelope, content, PRIVATE[kind])
    assert own.algorithm == message.credential.algorithm
    assert verify_message(own, envelope, content, KEYS[kind])
    if envelope.version.at_least(6):
        assert not verify_message(counted, envelope, content, KEYS[kind])


@pytest.mark.parametrize("vector", VECTORS["answers"], ids=_name)
def test_challenge_answers_of_every_version_hold(vector: dict[str, Any]) -> None:
    nonce, answer = bytes.fromhex(vector["nonce"]), bytes.fromhex(vector["answer"])
    version, value = Version(2, vector["minor"]), bytes.fromhex(vector["digest"])
    request = Message(Envelope(1), Header(OpCode.RESOLUTION, 1_700_000_000), REQUEST)
    digest = digest_request(version, request.content)
    assert digest.value == value
    if vector["kind"] == "SECRET":
        assert challenge.verify_secret_answer(answer, nonce, digest, SECRET)
        assert not challenge.verify_secret_answer(answer, nonce, digest, SECRET + b".")
        own = challenge.answer_with_secret(version, nonce, digest, SECRET, answer[5:21])
        assert own == answer
    else:
        key, private = KEYS[vector["kind"]], PRIVATE[vector["kind"]]
        assert challenge.verify_key_answer(answer, nonce, digest, key)
        assert not challenge.verify_key_answer(answer, bytes(16), digest, key)
        own = challenge.answer_with_key(version, nonce, digest, private)
        assert own[: 4 + own[3]] == answer[: 4 + answer[3]], "the hash of this version"
        if isinstance(private, rsa.RSAPrivateKey):
            assert own == answer


@pytest.mark.parametrize("vector", VECTORS["macs"], ids=lambda v: hex(v["algorithm"]))
def test_macs_are_those_of_the_reference_library(vector: dict[str, Any]) -> None:
    answer = bytes((vector["algorithm"],)) + bytes.fromhex(vector["mac"])
    assert vector["algorithm"] in MacAlgorithm.__members__.values()
    nonce, digest = bytes.fromhex(vector["data"])[:5], bytes.fromhex(vector["data"])[5:]
    digest = Digest(DigestAlgorithm.SHA256, digest)
    assert challenge.verify_secret_answer(answer, nonce, digest, SECRET)
    assert not challenge.verify_secret_answer(answer, nonce, digest, SECRET[1:])


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda v: v["kind"])
def test_public_keys_are_those_of_the_reference_library(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["public"])
    assert encode_public_key(PRIVATE[vector["kind"]].public_key()) == data
    assert encode_public_key(decode_public_key(data)) == data


def test_a_session_is_that_of_the_reference_library() -> None:
    made = {name: bytes.fromhex(value) for name, value in VECTORS["session"].items()}
    own = session.make_key_pair(made["secret"])
    assert encode_public_key(own.public) == made["public"]
    peer = session.read_client_key(made["peer"])
    key = session.agree(own, peer)
    assert key == made["key"]
    assert session.decrypt(key, made["encrypted"]) == made["payload"]
    iv = made["encrypted"][:16]
    assert session.encrypt(key, iv, made["payload"]) == made["encrypted"]


def test_signed_claims_and_digests_are_those_of_the_reference_library() -> None:
    made = VECTORS["trust"]
    value = read_value(Reader(bytes.fromhex(made["value"])))
    assert jws.digest_values([value])["digests"] == [{"index": 1, "digest": made["digest"]}]
    for kind in ("RSA", "DSA"):
        read = jws.decode_jws(made[kind].encode())
        assert read.claims == json.loads(made["claims"])
        assert jws.verify_jws(read, KEYS[kind])
        own = jws.sign_claims(read.claims, PRIVATE[kind])
        assert own.signed == read.signed
        if kind == "RSA":
            assert own.encode() == made[kind].encode()
