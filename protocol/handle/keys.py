"""HS_PUBKEY: public keys of RSA, DSA, SM2 and Diffie-Hellman as bytes, and HS_SECKEY.

Source: what the reference implementation writes: the name of the kind, two bytes 0, then the
numbers of the key, each with its length, in two's complement: a leading 0 byte where the first
bit would be set. Four bytes 0 follow an RSA key, for a field that was never written.

The id-pointer SDK has one field for an SM2 key: SubjectPublicKeyInfo (RFC 5280), which it writes
in PEM and reads in DER. It also writes keys of all kinds as PEM and nothing else. All of that is
read; DER is written.

The data of HS_SECKEY are the bytes of the secret, those of HS_ALIAS an identifier in UTF-8: they
have no other encoding.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from protocol.errors import InvalidValue
from protocol.handle import sm2, wire
from protocol.handle.signing import VerifyingKey
from protocol.handle.sm2 import Sm2PublicKey

PUBLIC_KEY = "HS_PUBKEY"
SECRET_KEY = "HS_SECKEY"  # noqa: S105  the name of a type

RSA, DSA, DH, SM2 = "RSA_PUB_KEY", "DSA_PUB_KEY", "DH_PUB_KEY", "SM2_PUB_KEY"

MIN_BITS, MAX_BITS = 1024, 8192
"""Sizes of keys that are taken; the upper bound also bounds the work of one check."""

MAX_DH_BITS = 2048
"""An exchange costs more than a check, and nobody has authenticated yet."""


@dataclass(frozen=True, slots=True)
class DhPublicKey:
    """A Diffie-Hellman key: `y` is `generator` to some power, modulo `prime`.

    Numbers of our own, because `cryptography` is about to drop the exchange over finite fields,
    which the Handle protocol has no other for.
    """

    y: int
    prime: int
    generator: int


PublicKey: TypeAlias = VerifyingKey | DhPublicKey

_MAX_NUMBER_BYTES = MAX_BITS // 8 + 1
_MAX_EXPONENT_BITS = 32
_RSA_PADDING = bytes(4)
_PEM_BEGIN, _PEM_END = b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----"
_MAX_PEM_BYTES = 8192


class _Reader(wire.ValueReader):
    def integer(self) -> int:
        return int.from_bytes(self.octets(_MAX_NUMBER_BYTES), "big")


def encode_public_key(key: PublicKey) -> bytes:
    """Return the data of HS_PUBKEY. Also the key in HS_SITE and in a session setup."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return _encode(RSA, (numbers.e, numbers.n)) + _RSA_PADDING
    if isinstance(key, dsa.DSAPublicKey):
        point = key.public_numbers()
        group = point.parameter_numbers
        return _encode(DSA, (group.q, group.p, group.g, point.y))
    if isinstance(key, Sm2PublicKey):
        return _head(SM2) + wire.octets(sm2.encode_der(key))
    return _encode(DH, (key.y, key.prime, key.generator))


def decode_public_key(data: bytes) -> PublicKey:
    """Read the data of HS_PUBKEY.

    Raises InvalidValue where they are cut short, go on behind the key, are of another kind, or
    make a key that is too small, too large or not one at all.
    """
    if data.startswith(_PEM_BEGIN):
        return _from_subject_info(_from_pem(data))
    reader = _Reader(data)
    kind = reader.text()
    reader.take(2)
    read = _READERS.get(kind)
    if read is None:
        reader.fail("the kind of key is not known")
    try:
        key = read(reader)
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidValue("the numbers make no key") from None
    if reader.rest() not in (b"", _RSA_PADDING):
        reader.fail("bytes follow the key")
    return key


def decode_verifying_key(data: bytes) -> VerifyingKey:
    """Read the data of HS_PUBKEY, of a kind that signs. Raises InvalidValue."""
    key = decode_public_key(data)
    if isinstance(key, DhPublicKey):
        raise InvalidValue("a Diffie-Hellman key signs nothing")
    return key


def _encode(kind: str, numbers: Sequence[int]) -> bytes:
    return _head(kind) + b"".join(wire.octets(_integer(n)) for n in numbers)


def _head(kind: str) -> bytes:
    return wire.text(kind) + bytes(2)


def _integer(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _check_size(reader: _Reader, number: int, maximum: int = MAX_BITS) -> None:
    if not MIN_BITS <= number.bit_length() <= maximum:
        reader.fail(f"a key of {number.bit_length()} bits is not taken")


def _read_rsa(reader: _Reader) -> rsa.RSAPublicKey:
    exponent, modulus = reader.integer(), reader.integer()
    _check_size(reader, modulus)
    if exponent.bit_length() > _MAX_EXPONENT_BITS:
        reader.fail("the exponent is too large")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _read_dsa(reader: _Reader) -> dsa.DSAPublicKey:
    q, p, g, y = (reader.integer() for _ in range(4))
    _check_size(reader, p)
    return dsa.DSAPublicNumbers(y, dsa.DSAParameterNumbers(p, q, g)).public_key()


def _read_dh(reader: _Reader) -> DhPublicKey:
    y, p, g = (reader.integer() for _ in range(3))
    _check_size(reader, p, MAX_DH_BITS)
    # 0, 1 and p - 1 would make the shared secret known to all.
    if not (p % 2 and 1 < y < p - 1 and 1 < g < p - 1):
        reader.fail("the numbers make no key")
    return DhPublicKey(y, p, g)


def _read_sm2(reader: _Reader) -> Sm2PublicKey:
    octets = reader.octets(_MAX_PEM_BYTES)
    return sm2.decode_der(_from_pem(octets) if octets.startswith(_PEM_BEGIN) else octets)


def _from_pem(data: bytes) -> bytes:
    """Return the DER in a PEM (RFC 7468)."""
    text = data.strip()
    if len(text) > _MAX_PEM_BYTES or not text.endswith(_PEM_END):
        raise InvalidValue("not a public key in PEM")
    lines = text[len(_PEM_BEGIN) : -len(_PEM_END)].split()
    try:
        return base64.b64decode(b"".join(lines), validate=True)
    except binascii.Error:
        raise InvalidValue("not a public key in PEM") from None


def _from_subject_info(der: bytes) -> PublicKey:
    if der.startswith(sm2.DER_HEAD):
        return sm2.decode_der(der)
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidValue("the PEM holds no key") from None
    if not isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        raise InvalidValue("the kind of key is not known")
    return decode_public_key(encode_public_key(key))  # its size too must be one that is taken


_READERS: dict[str, Callable[[_Reader], PublicKey]] = {
    RSA: _read_rsa,
    DSA: _read_dsa,
    DH: _read_dh,
    SM2: _read_sm2,
}
