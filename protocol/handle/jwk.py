"""Public keys in JSON: the format ``key`` of Handle JSON, a JSON Web Key (RFC 7517, RFC 7518).

DSA and SM2 have no place in the RFCs; their members are those that the reference implementation
and the id-pointer SDK write.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from protocol.errors import InvalidValue
from protocol.handle import sm2
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
    if isinstance(key, sm2.Sm2PublicKey):
        return {"kty": "SM2", "d": _base64url(sm2.encode_der(key))}
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
        elif kind == "SM2":
            octets = encode_public_key(sm2.decode_der(_octets(value, "d")))
        else:
            raise InvalidValue("not RSA, DSA or SM2", field="kty")
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
    return _base64url(number.to_bytes(-(-number.bit_length() // 8), "big"))


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _number(value: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(_octets(value, name), "big")


def _octets(value: Mapping[str, Any], name: str) -> bytes:
    text = value.get(name)
    if not isinstance(text, str):
        raise InvalidValue("missing, or not a string", field=name)
    if not 0 < len(text) <= _MAX_CHARACTERS or not text.isascii():
        raise InvalidValue("not a number of a key", field=name)
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except binascii.Error:
        raise InvalidValue("not base64url", field=name) from None
