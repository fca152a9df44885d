"""SM2 signatures, verified: GB/T 32918.2, on the curve of GB/T 32918.5.

The id-pointer SDK signs with SM2. `cryptography` has SM3 and SM4 but not SM2, and no package for
Python that has it is as well kept; what is done with a public key alone is short, and is here, on
plain numbers. How long that takes tells only what everybody may know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from protocol.errors import InvalidValue

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
"""Prime of the field. The curve is y² = x³ + A·x + B."""

A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
"""Order of the base point G."""

G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)

DEFAULT_USER = b"1234567812345678"
"""Name of the signer where the two sides have agreed on none (GB/T 35276)."""

_BYTES = 32
_MAX_USER_BYTES = 0xFFFF // 8  # its length in bits is signed, in two bytes

DER_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
"""What stands before the two numbers of a point in SubjectPublicKeyInfo (RFC 5280)."""

Point: TypeAlias = tuple[int, int]
Digest: TypeAlias = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Sm2PublicKey:
    """A point of the curve. Raises InvalidValue for numbers that are none."""

    x: int
    y: int

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        if not (0 <= x < P and 0 <= y < P) or (y * y - x * x * x - A * x - B) % P:
            raise InvalidValue("not a point of the curve of SM2")


def encode_der(key: Sm2PublicKey) -> bytes:
    """Return the key as SubjectPublicKeyInfo, in DER."""
    return DER_HEAD + _octets(key.x) + _octets(key.y)


def decode_der(data: bytes) -> Sm2PublicKey:
    """Read a SubjectPublicKeyInfo, its point not compressed. Raises InvalidValue."""
    if len(data) != len(DER_HEAD) + 2 * _BYTES or not data.startswith(DER_HEAD):
        raise InvalidValue("not a public key of SM2")
    x, y = data[len(DER_HEAD) : -_BYTES], data[-_BYTES:]
    return Sm2PublicKey(int.from_bytes(x, "big"), int.from_bytes(y, "big"))


def sm3(data: bytes) -> bytes:
    """Return the SM3 hash, of 32 bytes (GB/T 32905)."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def verify(
    key: Sm2PublicKey,
    signature: bytes,
    data: bytes,
    *,
    user: bytes = DEFAULT_USER,
    digest: Digest = sm3,
) -> bool:
    """Return whether `user` has signed `data`.

    signature: in DER, as of DSA. user: the name of the signer, which is signed too. digest: the
    hash, of 32 bytes; the standard has none but SM3.
    """
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return False
    t = (r + s) % N
    if not (0 < r < N and 0 < s < N and t and len(user) <= _MAX_USER_BYTES):
        return False
    point = sum_of_multiples(s, G, t, (key.x, key.y))
    if point is None:
        return False
    return (signed_number(key, data, user, digest) + point[0]) % N == r


def signed_number(
    key: Sm2PublicKey, data: bytes, user: bytes = DEFAULT_USER, digest: Digest = sm3
) -> int:
    """Return what is signed: the hash of the signer's name, the curve, the key, and `data`."""
    named = (8 * len(user)).to_bytes(2, "big") + user
    numbers = b"".join(_octets(number) for number in (A, B, *G, key.x, key.y))
    return int.from_bytes(digest(digest(named + numbers) + data), "big")


def _octets(number: int) -> bytes:
    return number.to_bytes(_BYTES, "big")


def sum_of_multiples(a: int, p: Point, b: int, q: Point) -> Point | None:
    """Return a·p + b·q, in one pass over the bits of both; None for the point at infinity."""
    steps = (None, p, q, _affine(_add((*p, 1), q)))
    total = _INFINITY
    for bit in reversed(range(max(a.bit_length(), b.bit_length()))):
        total = _double(total)
        step = steps[(a >> bit & 1) + 2 * (b >> bit & 1)]
        if step is not None:
            total = _add(total, step)
    return _affine(total)


# A point (x, y, z) in Jacobian coordinates is (x / z², y / z³): nothing is divided before the end.
# Formulas: dbl-2001-b, and the usual addition of a point whose z is 1.
_Jacobian: TypeAlias = tuple[int, int, int]
_INFINITY: _Jacobian = (1, 1, 0)


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    zz, yy = z * z % P, y * y % P
    xyy = x * yy % P
    slope = 3 * (x - zz) * (x + zz) % P
    doubled = (slope * slope - 8 * xyy) % P
    return doubled, (slope * (4 * xyy - doubled) - 8 * yy * yy) % P, 2 * y * z % P


def _add(point: _Jacobian, other: Point) -> _Jacobian:
    x, y, z = point
    if not z:
        return (*other, 1)
    zz = z * z % P
    run, rise = (other[0] * zz - x) % P, (other[1] * zz * z - y) % P
    if not run:
        return _INFINITY if rise else _double(point)
    square = run * run % P
    cube, base = run * square % P, x * square % P
    added = (rise * rise - cube - 2 * base) % P
    return added, (rise * (base - added) - y * cube) % P, z * run % P


def _affine(point: _Jacobian) -> Point | None:
    x, y, z = point
    if not z:
        return None
    inverse = pow(z, -1, P)
    return x * inverse * inverse % P, y * inverse**3 % P
