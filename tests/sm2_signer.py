"""SM2 signatures for tests, made as the id-pointer SDK makes them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from protocol.handle import sm2, wire
from protocol.handle.sm2 import Sm2PublicKey


@dataclass(frozen=True)
class Sm2Key:
    """A private key of nobody. seed: the same one makes the same key and signatures."""

    seed: int

    @property
    def secret(self) -> int:
        return random.Random(self.seed).randrange(1, sm2.N - 1)

    @property
    def public(self) -> Sm2PublicKey:
        return Sm2PublicKey(*_times(self.secret, sm2.G))

    def sign(
        self, data: bytes, user: bytes = sm2.DEFAULT_USER, digest: sm2.Digest = sm2.sm3
    ) -> bytes:
        number = sm2.signed_number(self.public, data, user, digest)
        once = random.Random(self.seed + number).randrange(1, sm2.N)
        r = (number + _times(once, sm2.G)[0]) % sm2.N
        s = pow(1 + self.secret, -1, sm2.N) * (once - r * self.secret) % sm2.N
        return encode_dss_signature(r, s)

    def answer(self, data: bytes, handle: str, *, read_from_pem: bool = False) -> bytes:
        """Return the answer to a challenge of which `data` are nonce and digest.

        The SDK signs in another way with a key that was read from PEM.
        """
        if read_from_pem:
            signature = self.sign(data, digest=lambda octets: hashlib.sha256(octets).digest())
            return wire.text("SHA-256") + wire.octets(signature)
        return wire.text("SM3") + wire.octets(self.sign(sm2.sm3(data), handle.encode()))


def _times(factor: int, point: sm2.Point) -> sm2.Point:
    total = times(factor, point)
    assert total is not None
    return total


def times(factor: int, point: sm2.Point) -> sm2.Point | None:
    """Return a multiple of a point as the definition has it; None is the point at infinity."""
    total: sm2.Point | None = None
    for bit in bin(factor)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def add(p: sm2.Point | None, q: sm2.Point | None) -> sm2.Point | None:
    if p is None or q is None:
        return p or q
    (x1, y1), (x2, y2) = p, q
    if x1 == x2 and (y1 + y2) % sm2.P == 0:
        return None
    rise, run = (3 * x1 * x1 + sm2.A, 2 * y1) if p == q else (y2 - y1, x2 - x1)
    slope = rise * pow(run, -1, sm2.P)
    x = (slope * slope - x1 - x2) % sm2.P
    return x, (slope * (x1 - x) - y1) % sm2.P
