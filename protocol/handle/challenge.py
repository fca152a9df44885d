"""Answers to a challenge: who asks proves it with a private key or a secret.

The server sends a nonce and the digest of the request it challenges (response code 402); the
answer signs both, so it is good for that one request. Sources: RFC 3652 section 3.5; reference
implementation for the algorithms.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NoReturn

from protocol.errors import ProtocolError, ResponseCode
from protocol.handle import sm2, wire
from protocol.handle.digest import Digest
from protocol.handle.signing import (
    SM3,
    MacAlgorithm,
    SigningKey,
    VerifyingKey,
    hash_for,
    mac,
    sign,
    verify,
)
from protocol.handle.sm2 import Sm2PublicKey
from protocol.handle.version import Version

SALT_BYTES = 16
ITERATIONS = 10_000
KEY_BITS = 160
"""PBKDF2 as the reference client does it."""

MAX_ITERATIONS = 100_000
"""The client chooses the iterations and the server does the work: about 50 ms at the most. Each
160 bits of the key cost as many iterations again."""

_MAX_SALT_BYTES = 64
_MAX_KEY_BITS = 512
_MAX_SIGNATURE_BYTES = 2048


def answer_with_key(version: Version, nonce: bytes, digest: Digest, key: SigningKey) -> bytes:
    """Return the answer of type HS_PUBKEY: name of the hash, signature of nonce and digest.

    version: in which the challenge is written.
    """
    name = hash_for(version, key)
    return wire.text(name) + wire.octets(sign(key, name, nonce + digest.value))


def verify_key_answer(
    answer: bytes, nonce: bytes, digest: Digest, key: VerifyingKey, handle: str = ""
) -> bool:
    """Return whether an answer of type HS_PUBKEY was made with the key's other half.

    handle: of the identity, as spelled by who answers; a part of what is signed with SM2. Raises
    ProtocolError, code 403, where the answer cannot be read.
    """
    reader = _Reader(answer)
    name, signature = reader.text(), reader.octets(_MAX_SIGNATURE_BYTES)
    data = nonce + digest.value
    if isinstance(key, Sm2PublicKey) and name == SM3:
        # The id-pointer SDK signs the hash of the data, which is then hashed once more.
        return sm2.verify(key, signature, sm2.sm3(data), user=handle.encode())
    return verify(key, name, signature, data)


def answer_with_secret(
    version: Version, nonce: bytes, digest: Digest, secret: bytes, salt: bytes
) -> bytes:
    """Return the answer of type HS_SECKEY: name of the MAC, MAC of nonce and digest.

    version: the older of the one in which the challenge is written and the one it suggests.
    salt: 16 random bytes; of no effect below version 2.7.
    """
    data = nonce + digest.value
    if not version.at_least(7):
        return bytes((MacAlgorithm.SHA1,)) + mac(MacAlgorithm.SHA1, secret, data)
    key = _derive(secret, salt, ITERATIONS, KEY_BITS)
    return b"".join(
        (
            bytes((MacAlgorithm.PBKDF2_HMAC_SHA1,)),
            wire.octets(salt),
            wire.number(ITERATIONS, 4),
            wire.number(KEY_BITS, 4),
            wire.octets(mac(MacAlgorithm.HMAC_SHA1, key, data)),
        )
    )


def verify_secret_answer(answer: bytes, nonce: bytes, digest: Digest, secret: bytes) -> bool:
    """Return whether an answer of type HS_SECKEY was made with the secret.

    All MACs of `signing.MacAlgorithm` are taken, whatever the version. Raises ProtocolError, code
    403, where the answer cannot be read or asks for more work than is done for a stranger.
    """
    reader = _Reader(answer)
    number = reader.number(1)
    try:
        algorithm = MacAlgorithm(number)
    except ValueError:
        reader.fail(f"MAC algorithm {number} is not known")
    data = nonce + digest.value
    if algorithm is MacAlgorithm.PBKDF2_HMAC_SHA1:
        return _verify_derived(reader, secret, data)
    return hmac.compare_digest(mac(algorithm, secret, data), reader.rest())


def _verify_derived(reader: _Reader, secret: bytes, data: bytes) -> bool:
    salt = reader.octets(_MAX_SALT_BYTES)
    iterations, bits = reader.number(4), reader.number(4)
    given = reader.octets()
    return verify_derived(secret, data, given, salt=salt, iterations=iterations, bits=bits)


def verify_derived(
    secret: bytes, data: bytes, given: bytes, *, salt: bytes, iterations: int, bits: int
) -> bool:
    """Return whether `given` is the HMAC-SHA1 of `data` with a key that PBKDF2 makes of the secret.

    bits: of that key. Raises ProtocolError, code 403, where that is more work than is done for a
    stranger.
    """
    if not 8 <= bits <= _MAX_KEY_BITS or bits % 8:
        _refuse(f"a key has whole bytes and at most {_MAX_KEY_BITS} bits")
    if not 1 <= iterations * -(-bits // KEY_BITS) <= MAX_ITERATIONS:
        _refuse(f"PBKDF2 is done with 1 to {MAX_ITERATIONS} iterations")
    key = _derive(secret, salt, iterations, bits)
    return hmac.compare_digest(mac(MacAlgorithm.HMAC_SHA1, key, data), given)


def _derive(secret: bytes, salt: bytes, iterations: int, bits: int) -> bytes:
    # The reference implementation takes each byte for a character and Java's PBKDF2 then writes
    # the characters in UTF-8: a secret that is not ASCII is encoded a second time.
    password = secret.decode("latin-1").encode()
    return hashlib.pbkdf2_hmac("sha1", password, salt, iterations, bits // 8)


class _Reader(wire.Reader):
    def fail(self, detail: str) -> NoReturn:
        _refuse(detail)


def _refuse(detail: str) -> NoReturn:
    raise ProtocolError(detail, code=ResponseCode.AUTHENTICATION_FAILED, field="answer")
