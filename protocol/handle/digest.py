"""The request digest: a server proves with it which request it answers (RFC 3652 section 2.2.3)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

from protocol.handle import wire
from protocol.handle.version import Version


class DigestAlgorithm(IntEnum):
    """How a digest was made; also the first byte in which it is written.

    UNNAMED is what peers before 2.1 send, and what the op code 201 carries: octets with their
    length, whose first byte is 0.
    """

    UNNAMED = 0
    MD5 = 1
    SHA1 = 2
    SHA256 = 3


_SIZES = {DigestAlgorithm.MD5: 16, DigestAlgorithm.SHA1: 20, DigestAlgorithm.SHA256: 32}
_MAX_BYTES = 64


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest and how it was made."""

    algorithm: DigestAlgorithm
    value: bytes

    def encode(self) -> bytes:
        """Return it as it stands in a message."""
        if self.algorithm is DigestAlgorithm.UNNAMED:
            return wire.octets(self.value)
        return bytes((self.algorithm,)) + self.value


def read_digest(reader: wire.Reader) -> Digest:
    """Read a digest. Raises ProtocolError."""
    number = reader.number(1)
    try:
        algorithm = DigestAlgorithm(number)
    except ValueError:
        reader.fail(f"{number} is not a digest algorithm")
    if algorithm is DigestAlgorithm.UNNAMED:
        # The byte just read was the first of a length of four.
        size = reader.number(3)
        if size > _MAX_BYTES:
            reader.fail(f"a digest is longer than {_MAX_BYTES} bytes")
        return Digest(algorithm, reader.take(size))
    return Digest(algorithm, reader.take(_SIZES[algorithm]))


def digest_request(version: Version, content: bytes) -> Digest:
    """Return the digest of a request's header and body as `version` makes it."""
    if version.at_least(7):
        return Digest(DigestAlgorithm.SHA256, hashlib.sha256(content).digest())
    if version.at_least(1):
        return Digest(DigestAlgorithm.SHA1, hashlib.sha1(content, usedforsecurity=False).digest())
    return Digest(DigestAlgorithm.UNNAMED, hashlib.md5(content, usedforsecurity=False).digest())
