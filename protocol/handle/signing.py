"""Signatures and MACs by the names that the Handle protocol has for them.

Credentials, challenge answers and JWS are made of these. Keys are those of `cryptography`. MD5,
which the reference implementation still reads, is refused.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, padding, rsa

from protocol.handle import sm2
from protocol.handle.sm2 import Sm2PublicKey
from protocol.handle.version import Version

VerifyingKey: TypeAlias = rsa.RSAPublicKey | dsa.DSAPublicKey | Sm2PublicKey
SigningKey: TypeAlias = rsa.RSAPrivateKey | dsa.DSAPrivateKey

SHA1, SHA256, SHA384, SHA512 = "SHA1", "SHA-256", "SHA-384", "SHA-512"
SM3 = "SM3"

_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    SHA1: hashes.SHA1,
    "SHA-1": hashes.SHA1,
    "\x02": hashes.SHA1,
    SHA256: hashes.SHA256,
    "SHA256": hashes.SHA256,
    "\x03": hashes.SHA256,
    SHA384: hashes.SHA384,
    SHA512: hashes.SHA512,
}

# The id-pointer SDK signs with SM2 over SHA-256 too, depending on how it has read its key.
_SM2_HASHES: dict[str, sm2.Digest] = {
    SM3: sm2.sm3,
    SHA256: lambda data: hashlib.sha256(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def hash_for(version: Version, key: SigningKey) -> str:
    """Return the name of the hash with which `key` signs for a peer of `version`."""
    first = 11 if isinstance(key, dsa.DSAPrivateKey) else 7
    return SHA256 if version.at_least(first) else SHA1


def sign(key: SigningKey, name: str, data: bytes) -> bytes:
    """Return the signature of `data`: PKCS #1 version 1.5, or DSA in DER with a random part."""
    if isinstance(key, dsa.DSAPrivateKey):
        return key.sign(data, _HASHES[name]())
    return key.sign(data, padding.PKCS1v15(), _HASHES[name]())


def verify(key: VerifyingKey, name: str, signature: bytes, data: bytes) -> bool:
    """Return whether `signature` is one of `data`; False also for a hash that is not known."""
    if isinstance(key, Sm2PublicKey):
        digest = _SM2_HASHES.get(name)
        return digest is not None and sm2.verify(key, signature, data, digest=digest)
    make = _HASHES.get(name)
    if make is None:
        return False
    try:
        if isinstance(key, dsa.DSAPublicKey):
            key.verify(signature, data, make())
        else:
            key.verify(signature, data, padding.PKCS1v15(), make())
    except InvalidSignature:
        return False
    return True


class MacAlgorithm(IntEnum):
    """How a MAC is made with a secret; also the byte by which a challenge answer names it.

    SHA1 and SHA256 are hashes of secret, data and secret again. PBKDF2_HMAC_SHA1 is HMAC-SHA1
    with a key that is made of the secret by PBKDF2.
    """

    SHA1 = 0x02
    SHA256 = 0x03
    HMAC_SHA1 = 0x12
    HMAC_SHA256 = 0x13
    PBKDF2_HMAC_SHA1 = 0x22


_MAC_NAMES = {
    "\x02": MacAlgorithm.SHA1,
    "SHA1": MacAlgorithm.SHA1,
    "SHA256": MacAlgorithm.SHA256,
    "\x03": MacAlgorithm.SHA256,
    "HMACSHA1": MacAlgorithm.HMAC_SHA1,
    "HMACSHA256": MacAlgorithm.HMAC_SHA256,
}


def mac_named(name: str) -> MacAlgorithm | None:
    """Return the MAC of a name such as ``HMAC-SHA256``; case and hyphens do not matter."""
    return _MAC_NAMES.get(name.upper().replace("-", ""))


def mac(algorithm: MacAlgorithm, secret: bytes, data: bytes) -> bytes:
    """Return the MAC of `data`. PBKDF2_HMAC_SHA1 needs its key made before: see challenge.py."""
    if algorithm is MacAlgorithm.HMAC_SHA256:
        return hmac.digest(secret, data, "sha256")
    if algorithm is MacAlgorithm.SHA256:
        return hashlib.sha256(secret + data + secret).digest()
    if algorithm is MacAlgorithm.SHA1:
        return hashlib.sha1(secret + data + secret, usedforsecurity=False).digest()
    return hmac.digest(secret, data, "sha1")
