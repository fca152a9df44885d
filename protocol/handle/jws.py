"""HS_CERT and HS_SIGNATURE: JSON Web Signatures in compact form (RFC 7515 section 7.1).

HS_CERT binds a key and permissions to an identifier; HS_SIGNATURE signs digests of the values of
its identifier. The claims are plain objects: ``iss``, ``sub``, ``exp``, ``nbf``, ``iat`` of RFC
7519, and ``perms``, ``chain``, ``publicKey``, ``digests``, ``content`` of the reference
implementation. Whom to believe is decided elsewhere: here only what was signed by which key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from protocol.errors import InvalidValue
from protocol.handle import signing
from protocol.handle.signing import SigningKey, VerifyingKey
from protocol.handle.sm2 import Sm2PublicKey
from protocol.handle.value import encode_value
from protocol.values import MAX_DATA_BYTES, HandleValue

CERTIFICATE = "HS_CERT"
SIGNATURE = "HS_SIGNATURE"

# RS* are RFC 7518; DS256 is the reference implementation's name, SM2256 the id-pointer SDK's.
_HASHES = {
    "RS256": (rsa.RSAPublicKey, signing.SHA256),
    "RS384": (rsa.RSAPublicKey, signing.SHA384),
    "RS512": (rsa.RSAPublicKey, signing.SHA512),
    "DS256": (dsa.DSAPublicKey, signing.SHA256),
    "SM2256": (Sm2PublicKey, signing.SM3),
}
_DIGESTS = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512", "SHA-1": "sha1"}
_UNSIGNED_BYTES = 8  # index and timestamp of a value change without a change of what it says


@dataclass(frozen=True, slots=True)
class Jws:
    """A signed object.

    algorithm: such as ``RS256``; claims: the payload, not to be believed before `verify`.
    signed: the bytes that were signed.
    """

    algorithm: str
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def encode(self) -> bytes:
        """Return the compact form, the data of HS_CERT and HS_SIGNATURE."""
        return self.signed + b"." + _base64url(self.signature)


def decode_jws(data: bytes) -> Jws:
    """Read the compact form. Raises InvalidValue."""
    if len(data) > MAX_DATA_BYTES:
        raise InvalidValue(f"data has at most {MAX_DATA_BYTES} bytes")
    parts = data.split(b".")
    if len(parts) != 3:
        raise InvalidValue("a compact JWS has three parts, separated by dots")
    header, claims = (_object(part) for part in parts[:2])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _HASHES:
        raise InvalidValue(f"not one of {', '.join(_HASHES)}", field="alg")
    # RFC 7515 section 4.1.11: who does not know what is critical must refuse.
    if "crit" in header:
        raise InvalidValue("a critical header is not known", field="crit")
    return Jws(algorithm, claims, parts[0] + b"." + parts[1], _from_base64url(parts[2]))


def sign_claims(claims: Mapping[str, Any], key: SigningKey) -> Jws:
    """Return `claims` signed: RS256, or DS256 with a DSA key."""
    algorithm = "DS256" if isinstance(key, dsa.DSAPrivateKey) else "RS256"
    header, payload = ({"alg": algorithm}, dict(claims))
    signed = b".".join(_base64url(msgspec.json.encode(part)) for part in (header, payload))
    return Jws(algorithm, payload, signed, signing.sign(key, signing.SHA256, signed))


def verify_jws(jws: Jws, key: VerifyingKey) -> bool:
    """Return whether it was signed with the other half of `key`."""
    kind, name = _HASHES[jws.algorithm]
    return isinstance(key, kind) and signing.verify(key, name, jws.signature, jws.signed)


def digest_values(values: Iterable[HandleValue], algorithm: str = "SHA-256") -> dict[str, Any]:
    """Return the claim ``digests`` of an HS_SIGNATURE. Raises InvalidValue for its algorithm."""
    return {
        "alg": algorithm,
        "digests": [
            {"index": value.index, "digest": _digest(value, algorithm)} for value in values
        ],
    }


def digest_matches(claim: object, value: HandleValue) -> bool | None:
    """Return whether the claim ``digests`` holds the digest of `value`; None if it has none.

    Raises InvalidValue where the claim cannot be read.
    """
    try:
        digests = msgspec.convert(claim, _Digests)
    except msgspec.ValidationError as error:
        raise InvalidValue(str(error), field="digests") from None
    for entry in digests.digests:
        if entry.index == value.index:
            return hmac.compare_digest(entry.digest.encode(), _digest(value, digests.alg).encode())
    return None


class _Digest(msgspec.Struct, frozen=True):
    index: int
    digest: str


class _Digests(msgspec.Struct, frozen=True):
    alg: str
    digests: list[_Digest]


def _digest(value: HandleValue, algorithm: str) -> str:
    name = _DIGESTS.get(algorithm)
    if name is None:
        raise InvalidValue(f"not one of {', '.join(_DIGESTS)}", field="digests.alg")
    octets = encode_value(value)[_UNSIGNED_BYTES:]
    digest = hashlib.new(name, octets, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _from_base64url(text: bytes) -> bytes:
    try:
        octets = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        octets = b""
    # One spelling for one signature: other bits at the end would make another text of it.
    if _base64url(octets) != text:
        raise InvalidValue("not base64url without padding")
    return octets


def _object(part: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(_from_base64url(part))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidValue("a part of the JWS is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidValue("a part of the JWS is not a JSON object")
    return value
