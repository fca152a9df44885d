"""HS_PUBKEY, HS_CERT and HS_SIGNATURE, and the codes with which messages are refused."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from protocol.errors import InvalidValue, ProtocolError, ResponseCode
from protocol.handle import jws
from protocol.handle.envelope import Envelope, decode_envelope
from protocol.handle.header import Header, OpCode
from protocol.handle.keys import (
    DhPublicKey,
    decode_public_key,
    decode_verifying_key,
    encode_public_key,
)
from protocol.handle.message import Message, decode_message
from protocol.handle.requests import HandleRequest, ResolutionRequest, ValuesRequest
from protocol.handle.session import GROUP_2
from protocol.handle.value import encode_value
from protocol.handle.version import LATEST, Version, code_from_wire, code_on_wire
from protocol.values import HandleValue, Reference

RSA_KEY = rsa.generate_private_key(65537, 2048)
DSA_KEY = dsa.generate_private_key(2048)
VALUE = HandleValue(1, "URL", b"http://example.org/", references=(Reference("0.NA/1", 2),))


def _field(octets: bytes) -> bytes:
    return struct.pack(">I", len(octets)) + octets


@pytest.mark.parametrize("key", [RSA_KEY.public_key(), DSA_KEY.public_key()], ids=["RSA", "DSA"])
def test_public_keys_read_back(key: rsa.RSAPublicKey | dsa.DSAPublicKey) -> None:
    data = encode_public_key(key)
    assert decode_verifying_key(data) == key
    assert encode_public_key(decode_public_key(data)) == data
    for end in range(len(data) - 4):
        with pytest.raises(InvalidValue):
            decode_public_key(data[:end])
    with pytest.raises(InvalidValue):
        decode_public_key(data + b"\1")


def test_an_rsa_key_without_the_bytes_behind_it_is_read() -> None:
    data = encode_public_key(RSA_KEY.public_key())
    assert data.endswith(bytes(4))
    assert decode_public_key(data[:-4]) == RSA_KEY.public_key()


def test_the_numbers_of_a_key_are_written_in_twos_complement() -> None:
    data = encode_public_key(DhPublicKey(0x80, GROUP_2[0], 0x7F))
    head = _field(b"DH_PUB_KEY") + b"\0\0" + _field(b"\0\x80")
    assert data.startswith(head + struct.pack(">I", 129) + b"\0\xff")
    assert data.endswith(_field(b"\x7f"))


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (b"EC_PUB_KEY", [b"\1"]),
        (b"RSA_PUB_KEY", [b"\1\0\1", b"\x0f" * 64]),
        (b"RSA_PUB_KEY", [b"\1\0\1", b"\x0f" * 1024 + b"\1"]),
        (b"RSA_PUB_KEY", [b"\1\0\1\0\1", b"\xff" * 256]),
        (b"RSA_PUB_KEY", [b"\2", b"\xff" * 256]),
        (b"DSA_PUB_KEY", [b"\3", b"\xff" * 256, b"\2", b"\3"]),
        (b"DH_PUB_KEY", [b"\3", b"\xff" * 1024, b"\2"]),
        (b"DH_PUB_KEY", [b"\3", b"\xfe" * 128, b"\2"]),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)
def test_numbers_that_make_no_key_are_refused(kind: bytes, numbers: list[bytes]) -> None:
    with pytest.raises(InvalidValue):
        decode_public_key(_field(kind) + b"\0\0" + b"".join(map(_field, numbers)))


def test_a_key_that_signs_nothing_is_not_one_to_verify_with() -> None:
    data = encode_public_key(DhPublicKey(5, *GROUP_2))
    assert decode_public_key(data) == DhPublicKey(5, *GROUP_2)
    with pytest.raises(InvalidValue):
        decode_verifying_key(data)


@pytest.mark.parametrize("key", [RSA_KEY, DSA_KEY], ids=["RS256", "DS256"])
def test_claims_hold_as_signed(key: rsa.RSAPrivateKey | dsa.DSAPrivateKey) -> None:
    claims = {"iss": "300:0.NA/88.118", "sub": "88.118.35/1", "exp": 2_000_000_000, "content": "钥"}
    data = jws.sign_claims(claims, key).encode()
    read = jws.decode_jws(data)
    assert read.claims == claims
    assert read.encode() == data
    assert jws.verify_jws(read, key.public_key())
    other = rsa.generate_private_key(65537, 2048).public_key()
    assert not jws.verify_jws(read, other)
    head, _, tail = data.split(b".")
    forged = b'{"iss":"300:0.NA/1"}'
    body = base64.urlsafe_b64encode(forged).rstrip(b"=")
    assert not jws.verify_jws(jws.decode_jws(b".".join((head, body, tail))), key.public_key())


def test_the_key_decides_with_the_algorithm() -> None:
    read = jws.decode_jws(jws.sign_claims({}, DSA_KEY).encode())
    assert not jws.verify_jws(replace(read, algorithm="RS256"), DSA_KEY.public_key())


def _compact(header: object, payload: object = {}, signature: bytes = b"AAAA") -> bytes:
    parts = [json.dumps(part).encode() for part in (header, payload)]
    return b".".join([*(base64.urlsafe_b64encode(p).rstrip(b"=") for p in parts), signature])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a.b",
        b"a.b.c.d",
        b"....",
        _compact({"alg": "none"}),
        _compact({"alg": "HS256"}),
        _compact({}),
        _compact([]),
        _compact({"alg": ["RS256"]}),
        _compact({"alg": "RS256"}, []),
        _compact({"alg": "RS256", "crit": ["exp"]}),
        _compact({"alg": "RS256"}, {}, b"AA=="),
        _compact({"alg": "RS256"}, {}, b"AB"),
        _compact({"alg": "RS256"}, {}, b"A/A+"),
        b"[" * 60_000,
    ],
)
def test_what_is_no_jws_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        jws.decode_jws(data)


def test_digests_leave_out_index_and_timestamp() -> None:
    claim = jws.digest_values([VALUE])
    expected = base64.b64encode(hashlib.sha256(encode_value(VALUE)[8:]).digest()).decode()
    assert claim == {"alg": "SHA-256", "digests": [{"index": 1, "digest": expected}]}
    assert jws.digest_matches(claim, VALUE) is True
    assert jws.digest_matches(claim, replace(VALUE, timestamp=5)) is True
    assert jws.digest_matches(claim, replace(VALUE, data=b"http://example.org/2")) is False
    assert jws.digest_matches(claim, replace(VALUE, index=2)) is None
    for broken in (None, {}, {"alg": "MD5", "digests": claim["digests"]}, {"alg": "SHA-256"}):
        with pytest.raises(InvalidValue):
            jws.digest_matches(broken, VALUE)


def _refusal(data: bytes) -> ResponseCode:
    with pytest.raises(ProtocolError) as refused:
        decode_message(data)
    return refused.value.response_code


def test_messages_are_refused_with_the_codes_of_the_reference_server() -> None:
    whole = Message(
        Envelope(1), Header(OpCode.RESOLUTION, 0), ResolutionRequest("88.118.35/1")
    ).encode()
    name = whole.index(b"88.118.35/1")
    create = Message(
        Envelope(1), Header(OpCode.CREATE_HANDLE, 0), ValuesRequest("88.118.35/1", ())
    ).encode()
    as_text, latin = b"88.118.35/1", b"88.118.35/\xe9"

    assert _refusal(whole[:19]) == ResponseCode.PROTOCOL_ERROR, "no envelope"
    assert _refusal(whole[:-1]) == ResponseCode.PROTOCOL_ERROR, "message cut short"
    assert _refusal(Envelope(1, message_length=23).encode() + bytes(23)) == 4, "no header"
    assert _refusal(whole[:20] + bytes(4) + whole[24:]) == 4, "op code 0"
    assert _refusal(whole[:20] + b"\0\0\0\7" + whole[24:]) == ResponseCode.ERROR, "op code 7"
    assert _refusal(whole[: name - 4] + b"\0\0\x08\1" + whole[name:]) == 2, "handle too long"
    long = Envelope(1, message_length=262_145).encode()
    assert _refusal(long) == ResponseCode.ERROR, "message too long"
    assert _refusal(whole.replace(as_text, latin)) == ResponseCode.HANDLE_NOT_FOUND
    assert _refusal(create.replace(as_text, latin)) == ResponseCode.INVALID_HANDLE


def test_a_request_without_the_length_of_its_credential_is_read() -> None:
    whole = Message(Envelope(1), Header(OpCode.GET_SITE_INFO, 0), HandleRequest()).encode()
    envelope = replace(decode_envelope(whole), message_length=len(whole) - 24)
    assert decode_message(envelope.encode() + whole[20:-4]).body == HandleRequest("/")


def test_bytes_behind_the_last_known_field_of_a_body_are_left_unread() -> None:
    body = HandleRequest("88.118/1").encode() + b"of a later version"
    header = Header(OpCode.DELETE_HANDLE, 0).encode(len(body))
    payload = header + body + bytes(4)
    read = decode_message(Envelope(1, message_length=len(payload)).encode() + payload)
    assert read.body == HandleRequest("88.118/1")
    assert read.content == header + body, "digests and signatures cover them"


def test_response_codes_have_other_numbers_in_old_versions() -> None:
    old, new = Version(2, 4), Version(2, 5)
    assert code_on_wire(old, ResponseCode.SERVER_DISABLED) == 303
    assert code_on_wire(old, ResponseCode.INVALID_VALUE) == 201
    assert code_from_wire(old, 303) == ResponseCode.SERVER_DISABLED
    for code in ResponseCode:
        assert code_from_wire(new, code_on_wire(new, code)) == code
        assert code_from_wire(LATEST, code) == code
