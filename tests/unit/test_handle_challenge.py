"""Challenge answers, signatures and MACs: who has the key is let in, anybody else is not."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from protocol.errors import ProtocolError, ResponseCode
from protocol.handle import challenge, credential
from protocol.handle.digest import DigestAlgorithm, digest_request
from protocol.handle.envelope import Envelope
from protocol.handle.signing import MacAlgorithm, SigningKey, mac
from protocol.handle.version import Version, lower

NONCE = bytes(range(16))
SECRET = "密码 with words".encode()
VERSIONS = [Version(2, minor) for minor in range(1, 12)]
RSA_KEY = rsa.generate_private_key(65537, 2048)
DSA_KEY = dsa.generate_private_key(2048)
CONTENT = b"header and body"
ENVELOPE = Envelope(request_id=0x01020304, session_id=0x05060708)


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("key", [RSA_KEY, DSA_KEY], ids=["RSA", "DSA"])
def test_an_answer_holds_for_its_nonce_its_request_and_its_key(
    version: Version, key: SigningKey
) -> None:
    digest = digest_request(version, CONTENT)
    answer = challenge.answer_with_key(version, NONCE, digest, key)
    public = key.public_key()
    assert challenge.verify_key_answer(answer, NONCE, digest, public)
    other_request = digest_request(version, b"another")
    assert not challenge.verify_key_answer(answer, bytes(16), digest, public)
    assert not challenge.verify_key_answer(answer, NONCE, other_request, public)
    for stranger in (rsa.generate_private_key(65537, 2048), RSA_KEY, DSA_KEY):
        if stranger is not key:
            assert not challenge.verify_key_answer(answer, NONCE, digest, stranger.public_key())


def test_the_hash_of_an_answer_follows_the_version() -> None:
    def name(key: SigningKey, minor: int) -> bytes:
        version = Version(2, minor)
        digest = digest_request(version, CONTENT)
        answer = challenge.answer_with_key(version, NONCE, digest, key)
        return answer[4 : 4 + answer[3]]

    assert [name(RSA_KEY, minor) for minor in (6, 7, 11)] == [b"SHA1", b"SHA-256", b"SHA-256"]
    assert [name(DSA_KEY, minor) for minor in (6, 10, 11)] == [b"SHA1", b"SHA1", b"SHA-256"]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_secret_answer_holds_for_its_nonce_its_request_and_its_secret(version: Version) -> None:
    digest = digest_request(version, CONTENT)
    answer = challenge.answer_with_secret(version, NONCE, digest, SECRET, b"salt" * 4)
    assert challenge.verify_secret_answer(answer, NONCE, digest, SECRET)
    assert not challenge.verify_secret_answer(answer, bytes(16), digest, SECRET)
    assert not challenge.verify_secret_answer(answer, NONCE, digest, SECRET[:-1])
    other_request = digest_request(version, b"another")
    assert not challenge.verify_secret_answer(answer, NONCE, other_request, SECRET)
    assert answer[0] == (0x22 if version.at_least(7) else 0x02)


def test_a_secret_beyond_ascii_is_derived_as_java_does_it() -> None:
    # The key that Java 17 makes by PBKDF2WithHmacSHA1 of the characters with the values of the
    # bytes of SECRET, salt as below, 10 000 iterations, 160 bits.
    key = bytes.fromhex("e173b9af5b64c879b9ab4765e93550032cf453e5")
    digest = digest_request(Version(2, 11), CONTENT)
    answer = challenge.answer_with_secret(Version(2, 11), NONCE, digest, SECRET, b"salt" * 4)
    assert answer[-20:] == hmac.new(key, NONCE + digest.value, "sha1").digest()


@pytest.mark.parametrize(
    "algorithm", [a for a in MacAlgorithm if a is not MacAlgorithm.PBKDF2_HMAC_SHA1]
)
def test_every_mac_is_taken_as_an_answer(algorithm: MacAlgorithm) -> None:
    digest = digest_request(Version(2, 11), CONTENT)
    data = NONCE + digest.value
    by_hand = {
        MacAlgorithm.SHA1: hashlib.sha1(SECRET + data + SECRET).digest(),
        MacAlgorithm.SHA256: hashlib.sha256(SECRET + data + SECRET).digest(),
        MacAlgorithm.HMAC_SHA1: hmac.new(SECRET, data, "sha1").digest(),
        MacAlgorithm.HMAC_SHA256: hmac.new(SECRET, data, "sha256").digest(),
    }[algorithm]
    answer = bytes((algorithm,)) + by_hand
    assert challenge.verify_secret_answer(answer, NONCE, digest, SECRET)
    assert not challenge.verify_secret_answer(answer[:-1], NONCE, digest, SECRET)
    assert not challenge.verify_secret_answer(answer, NONCE, digest, b"another")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "empty"),
        (b"\x01" + bytes(16), "MD5"),
        (b"\x22\0\0\0\x10", "cut short"),
        (b"\x22\0\0\0\0" + b"\0\x01\x86\xa1" + b"\0\0\0\xa0" + b"\0\0\0\0", "100 001 iterations"),
        (b"\x22\0\0\0\0" + b"\0\0\xc3\x51" + b"\0\0\0\xa8" + b"\0\0\0\0", "50 001, twice"),
        (b"\x22\0\0\0\0" + b"\0\0\0\0" + b"\0\0\0\xa0" + b"\0\0\0\0", "no iterations"),
        (b"\x22\0\0\0\0" + b"\0\0\0\x01" + b"\0\0\x10\0" + b"\0\0\0\0", "a key of 4096 bits"),
        (b"\x22\0\0\0\0" + b"\0\0\0\x01" + b"\0\0\0\x0c" + b"\0\0\0\0", "a key of 12 bits"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers_that_cost_too_much_or_mean_nothing_are_refused(answer: bytes, why: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        challenge.verify_secret_answer(
            answer, NONCE, digest_request(Version(2, 11), CONTENT), SECRET
        )
    assert refused.value.response_code == ResponseCode.AUTHENTICATION_FAILED, why


def test_an_answer_with_an_unknown_hash_does_not_hold() -> None:
    digest = digest_request(Version(2, 11), CONTENT)
    for name in (b"MD5", b"\x01", b"NONE", b""):
        answer = bytes((0, 0, 0, len(name))) + name + b"\0\0\0\1\0"
        assert not challenge.verify_key_answer(answer, NONCE, digest, RSA_KEY.public_key())


def test_the_older_of_two_versions() -> None:
    assert lower(Version(2, 3), Version(2, 11)) == Version(2, 3)
    assert lower(Version(2, 11), Version(5, 0)) == Version(5, 0)
    assert lower(Version(3, 0), Version(2, 11)) == Version(2, 11)


def test_request_digests_follow_the_version() -> None:
    def algorithm(major: int, minor: int) -> DigestAlgorithm:
        return digest_request(Version(major, minor), CONTENT).algorithm

    assert algorithm(5, 0) == algorithm(2, 0) == DigestAlgorithm.UNNAMED
    assert algorithm(2, 1) == algorithm(2, 6) == DigestAlgorithm.SHA1
    assert algorithm(2, 7) == algorithm(2, 11) == DigestAlgorithm.SHA256


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("key", [RSA_KEY, DSA_KEY], ids=["RSA", "DSA"])
def test_a_signature_holds_for_its_message_only(version: Version, key: SigningKey) -> None:
    envelope = replace(ENVELOPE, version=version)
    signed = credential.sign_message(envelope, CONTENT, key)
    public = key.public_key()
    assert credential.verify_message(signed, envelope, CONTENT, public)
    assert not credential.verify_message(signed, envelope, CONTENT + b".", public)
    assert not credential.verify_message(replace(signed, type="HS_MAC"), envelope, CONTENT, public)
    other = rsa.generate_private_key(65537, 2048).public_key()
    assert not credential.verify_message(signed, envelope, CONTENT, other)
    moved = replace(envelope, session_id=1)
    assert credential.verify_message(signed, moved, CONTENT, public) != version.at_least(6)


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_mac_holds_for_its_message_its_key_and_its_counter(version: Version) -> None:
    envelope, key = replace(ENVELOPE, version=version), bytes(range(32))
    made = credential.mac_message(envelope, CONTENT, key, 7)
    assert made.counter == 7
    assert credential.verify_mac(made, envelope, CONTENT, key)
    assert not credential.verify_mac(made, envelope, CONTENT + b".", key)
    assert not credential.verify_mac(made, envelope, CONTENT, bytes(32))
    assert not credential.verify_mac(replace(made, type="HS_SIGNED"), envelope, CONTENT, key)
    assert not credential.verify_mac(replace(made, algorithm="NONE"), envelope, CONTENT, key)
    # Before 2.7 nothing holds the counter fast.
    again = credential.verify_mac(replace(made, counter=8), envelope, CONTENT, key)
    assert again != version.at_least(7)


def test_what_a_mac_covers_at_each_version() -> None:
    key = bytes(range(32))
    ids = bytes.fromhex("05060708 01020304 00000009")

    def expected(minor: int) -> tuple[str, bytes]:
        data = {8: b"\2\x08\2\x0b" + ids, 7: b"\2\x07" + ids}.get(minor, b"") + CONTENT
        if minor >= 7:
            return "HMAC-SHA256", hmac.new(key, data, "sha256").digest()
        if minor in (5, 6):
            # What the first implementations of these two covered by mistake.
            mistaken = key[:4] + CONTENT + key + bytes(42)
            return "\x02" if minor == 5 else "SHA1", hashlib.sha1(mistaken).digest()
        return "\x02", mac(MacAlgorithm.SHA1, key, data)

    for minor in (4, 5, 6, 7, 8):
        envelope = replace(ENVELOPE, version=Version(2, minor))
        made = credential.mac_message(envelope, CONTENT, key, 9)
        assert (made.algorithm, made.signature) == expected(minor), f"2.{minor}"


def test_a_peer_that_suggests_no_version_is_taken_to_suggest_its_own() -> None:
    silent = replace(ENVELOPE, suggested=None)
    made = credential.mac_message(silent, CONTENT, bytes(32), 1)
    assert credential.verify_mac(made, ENVELOPE, CONTENT, bytes(32))
