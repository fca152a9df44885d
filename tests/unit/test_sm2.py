"""SM2: signatures after GB/T 32918, and keys and answers as the id-pointer SDK makes them."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from protocol.errors import InvalidValue
from protocol.handle import jwk, jws, signing, sm2
from protocol.handle.challenge import verify_key_answer
from protocol.handle.digest import Digest, DigestAlgorithm
from protocol.handle.envelope import Envelope
from protocol.handle.keys import decode_public_key, decode_verifying_key, encode_public_key
from protocol.handle.message import decode_payload
from protocol.handle.requests import LoginRequest
from protocol.handle.sm2 import Sm2PublicKey
from tests.sm2_signer import Sm2Key, add, times

# GB/T 32918.5-2017, annex A.2: an example of a signature on the recommended curve.
KEY = Sm2PublicKey(
    0x09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020,
    0xCCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13,
)
TEXT = b"message digest"
SIGNED = 0xF0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640
R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "id-pointer-sdk-2.3.1.json").read_text("utf-8")
)
SDK_KEY = sm2.decode_der(bytes.fromhex(VECTORS["keys"][0]["der"]))


def test_example_of_the_standard_holds() -> None:
    # GB/T 32905, annex A.1: the example for SM3.
    assert sm2.sm3(b"abc").hex() == (
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    )
    assert sm2.signed_number(KEY, TEXT) == SIGNED
    assert sm2.verify(KEY, encode_dss_signature(R, S), TEXT)


def test_signature_is_good_for_one_text_one_signer_and_one_key() -> None:
    signature = encode_dss_signature(R, S)
    assert not sm2.verify(KEY, signature, TEXT + b".")
    assert not sm2.verify(KEY, signature, TEXT, user=b"ALICE123@YAHOO.COM")
    assert not sm2.verify(KEY, signature, TEXT, user=bytes(8192))
    assert not sm2.verify(SDK_KEY, signature, TEXT)
    assert not sm2.verify(Sm2PublicKey(KEY.x, sm2.P - KEY.y), signature, TEXT)


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (0, S),
        (R, 0),
        (sm2.N, S),
        (R, sm2.N),
        (R + sm2.N, S),
        (R, S + sm2.N),
        (R, sm2.N - R),
        (S, R),
        (R ^ 1, S),
        (R, S ^ 1),
        (1 << 4096, S),
    ],
)
def test_numbers_that_are_no_signature_are_refused(r: int, s: int) -> None:
    assert not sm2.verify(KEY, encode_dss_signature(r, s), TEXT)


def test_bytes_that_are_no_signature_are_refused() -> None:
    signature = encode_dss_signature(R, S)
    for end in range(len(signature)):
        assert not sm2.verify(KEY, signature[:end], TEXT)
    assert not sm2.verify(KEY, signature + b"\0", TEXT)
    assert not sm2.verify(KEY, R.to_bytes(32, "big") + S.to_bytes(32, "big"), TEXT)


def test_key_and_signature_of_openssl_hold() -> None:
    # OpenSSL 3.0.19: genpkey on curve SM2; pkeyutl -sign -rawin -digest sm3 -pkeyopt distid:...
    pem = (
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAEqJHUT+AtNZpE8QmibQyDsqXPF0T+\n"
        "oCNuZ2rPHTRLjD6Z9CmAKpfl4ff2txwvPehysrFV8zUHUbyWckBa7iZUFA==\n"
        "-----END PUBLIC KEY-----\n"
    )
    signature = base64.b64decode(
        "MEQCIELac11rC9sJl17ZSHsvby0ECrpaoQOxm5Zr1GFN2K2nAiBZ3n0bzOScGdheBCIyRdPGfgqa6IugBKYLos30NlR+eA=="
    )
    key = decode_public_key(pem.encode())
    assert isinstance(key, Sm2PublicKey)
    assert sm2.verify(key, signature, b"hello pump", user=b"0.NA/88.118.35")
    assert not sm2.verify(key, signature, b"hello pump")


@pytest.mark.parametrize("name", ["SM3", "SHA-256", "SHA256"])
def test_signatures_are_known_by_the_names_of_their_hashes(name: str) -> None:
    key = Sm2Key(7)
    digest = sm2.sm3 if name == "SM3" else lambda data: hashlib.sha256(data).digest()
    signature = key.sign(b"nonce and cnonce", digest=digest)
    for other in ("SM3", "SHA-256", "SHA256", "SHA1", "SHA-512", "HMAC-SHA256", ""):
        same = other.replace("-", "") == name.replace("-", "")
        assert signing.verify(key.public, other, signature, b"nonce and cnonce") is same


MINUS_G = (sm2.G[0], sm2.P - sm2.G[1])
TWICE = times(2, sm2.G)
assert TWICE is not None


@pytest.mark.parametrize("q", [sm2.G, MINUS_G, TWICE, (KEY.x, KEY.y)], ids=["G", "-G", "2G", "Q"])
@pytest.mark.parametrize("b", [0, 1, 2, 3, R, sm2.N - 1, sm2.N])
@pytest.mark.parametrize("a", [0, 1, 2, 4, S, sm2.N - 1, sm2.N])
def test_points_are_added_as_on_the_curve(a: int, b: int, q: sm2.Point) -> None:
    assert sm2.sum_of_multiples(a, sm2.G, b, q) == add(times(a, sm2.G), times(b, q))


def test_what_is_signed_by_anybody_holds() -> None:
    for seed in range(20):
        key = Sm2Key(seed)
        data, user = bytes(seed), f"{seed}".encode()
        signature = key.sign(data, user)
        assert sm2.verify(key.public, signature, data, user=user)
        assert not sm2.verify(key.public, signature, data + b".", user=user)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (1, 1), (KEY.x, KEY.y + sm2.P), (-1, 5)])
def test_numbers_that_are_no_point_make_no_key(x: int, y: int) -> None:
    with pytest.raises(InvalidValue):
        Sm2PublicKey(x, y)


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda vector: vector["kind"])
def test_keys_are_read_as_the_sdk_writes_them(vector: dict[str, Any]) -> None:
    named = decode_verifying_key(bytes.fromhex(vector["encoded"]))
    assert decode_verifying_key(bytes.fromhex(vector["plain"])) == named
    assert decode_verifying_key(encode_public_key(named)) == named
    if vector["kind"] == "SM2":
        der = bytes.fromhex(vector["der"])
        assert named == SDK_KEY
        assert encode_public_key(named).endswith(der), "which the SDK reads, unlike its own PEM"
    else:
        assert encode_public_key(named).hex() == vector["encoded"]


def test_keys_that_are_broken_are_refused() -> None:
    plain, named = (bytes.fromhex(VECTORS["keys"][0][form]) for form in ("plain", "encoded"))
    own = encode_public_key(SDK_KEY)
    broken = [
        plain[:-30],
        plain.replace(b"MFkw", b"MFk\xff"),
        plain.replace(b"MFkw", b""),
        plain.replace(b"\r\n", b"\r\n" * 5000),
        plain + b"more",
        named[:-1],
        named + b"\1",
        own[:-1] + bytes((own[-1] ^ 1,)),
        *(own[:end] for end in range(len(own))),
    ]
    for data in broken:
        with pytest.raises(InvalidValue):
            decode_public_key(data)


@pytest.mark.parametrize("bits", ["ed25519", "rsa-512"])
def test_keys_of_another_kind_or_size_in_pem_are_refused(bits: str) -> None:
    der = {
        # RFC 8410 section 10.1, and a modulus of 512 bits.
        "ed25519": "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb"
        "0c5c38ad703166e1",
        "rsa-512": "305c300d06092a864886f70d0101010500034b003048024100" + "f1" * 64 + "0203010001",
    }[bits]
    text = base64.b64encode(bytes.fromhex(der)).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"
    with pytest.raises(InvalidValue):
        decode_public_key(pem.encode())


def test_key_in_json_is_that_of_the_sdk() -> None:
    data = encode_public_key(SDK_KEY)
    assert jwk.key_to_json(data) == VECTORS["jwk"]
    assert jwk.key_from_json(VECTORS["jwk"]) == data
    for member in (None, "", "AAAA", VECTORS["jwk"]["d"][:-4], VECTORS["jwk"]["d"][:-2] + "AA"):
        with pytest.raises(InvalidValue):
            jwk.key_from_json({"kty": "SM2", "d": member})


@pytest.mark.parametrize(
    "vector", VECTORS["answers"], ids=lambda vector: f"{vector['algorithm']}-{vector['user']}"
)
def test_answers_of_the_sdk_to_a_challenge_hold(vector: dict[str, Any]) -> None:
    content, nonce, answer = (bytes.fromhex(vector[name]) for name in ("login", "nonce", "answer"))
    login = decode_payload(Envelope(1, message_length=len(content)), content)
    assert login.body == LoginRequest(vector["user"], 300)
    digest = Digest(DigestAlgorithm.SHA256, bytes.fromhex(vector["digest"]))
    user = vector["user"]
    assert verify_key_answer(answer, nonce, digest, SDK_KEY, user)
    assert not verify_key_answer(answer, bytes(16), digest, SDK_KEY, user)
    assert not verify_key_answer(answer, nonce, digest, KEY, user)
    other = Digest(DigestAlgorithm.SHA256, bytes(32))
    assert not verify_key_answer(answer, nonce, other, SDK_KEY, user)
    if vector["algorithm"] == "EC":  # the way in which the identity is signed too
        assert not verify_key_answer(answer, nonce, digest, SDK_KEY, user + "1")
    r, s = decode_dss_signature(answer[8 + answer[3] :])
    forged = answer[: 8 + answer[3]] + encode_dss_signature(s, r)
    assert not verify_key_answer(forged, nonce, digest, SDK_KEY, user)


def test_hash_that_sm2_is_not_used_with_is_refused() -> None:
    vector = VECTORS["answers"][-1]
    answer = bytes.fromhex(vector["answer"])
    nonce, value = bytes.fromhex(vector["nonce"]), bytes.fromhex(vector["digest"])
    digest = Digest(DigestAlgorithm.SHA256, value)
    for name in (b"SHA-512", b"SHA1", b"MD5", b"SM3", b""):
        head = len(name).to_bytes(4, "big") + name
        assert not verify_key_answer(head + answer[11:], nonce, digest, SDK_KEY, vector["user"])


def test_claims_signed_by_the_sdk_hold() -> None:
    read = jws.decode_jws(VECTORS["jws"].encode())
    assert read.algorithm == "SM2256"
    assert read.claims == json.loads(VECTORS["claims"])
    assert jws.verify_jws(read, SDK_KEY)
    assert not jws.verify_jws(read, KEY)
