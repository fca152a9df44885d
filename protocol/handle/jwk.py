"""Public keys in JSON: the format ``key`` of Handle JSON, a JSON Web Key (RFC 7517, RFC 7518).

DSA has no place in the RFCs; its members are those that the reference implementation writes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from protocol.errors import InvalidValue
from protocol.handle.keys import (
    MAX_BITS,
    DhPublicKey,
    PublicKey,
    decode_public_key,
    encode_public_key,
)

_MAX_CHARACTERS = MAX_BITS // 6 + 4


def key_to_json(data: bytes) -> dict[str, Any]:
    """Return the data of HS_PUBKEY as a JSON object. Raises InvalidValue."""
    key = decode_public_key(data)
    if isinstance(key, DhPublicKey):
        raise InvalidValue("a Diffie-Hellman key has no form in JSON")
    if isinstance(key, rsa.RSAPublicKey):
        public = key.public_numbers()
        return {"kty": "RSA", "n": _text(public.n), "e": _text(public.e)}
    point = key.public_numbers()
    group = point.parameter_numbers
    numbers = {"y": point.y, "p": group.p, "q": group.q, "g": group.g}
    return {"kty": "DSA", **{name: _text(number) for name, number in numbers.items()}}


def key_from_json(value: object) -> bytes:
    """Return the data of HS_PUBKEY for a JSON object.

    Members that say nothing of the numbers are left out. Raises InvalidValue with the member.
    """
    if not isinstance(value, Mapping):
        raise InvalidValue("not a JSON object")
    kind = value.get("kty")
    try:
        if kind == "RSA":
            octets = encode_public_key(_rsa(value))
        elif kind == "DSA":
            octets = encode_public_key(_dsa(value))
        else:
            raise InvalidValue("not RSA or DSA", field="kty")
    except ValueError:
        raise InvalidValue("the numbers make no key") from None
    decode_public_key(octets)  # its size too must be one that is taken
    return octets


def _rsa(value: Mapping[str, Any]) -> PublicKey:
    return rsa.RSAPublicNumbers(_number(value, "e"), _number(value, "n")).public_key()


def _dsa(value: Mapping[str, Any]) -> PublicKey:
    y, p, q, g = (_number(value, name) for name in ("y", "p", "q", "g"))
    return dsa.DSAPublicNumbers(y, dsa.DSAParameterNumbers(p, q, g)).public_key()


def _text(number: int) -> str:
    octets = number.to_bytes(-(-number.bit_length() // 8), "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _number(value: Mapping[str, Any], name: str) -> int:
    text = value.get(name)
    if not isinstance(text, str):
        raise InvalidValue("missing, or not a string", field=name)
    if not 0 < len(text) <= _MAX_CHARACTERS or not text.isascii():
        raise InvalidValue("not a number of a key", field=name)
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return int.from_bytes(base64.b64decode(padded, altchars=b"-_", validate=True), "big")
    except binascii.Error:
        raise InvalidValue("not base64url", field=name) from None
