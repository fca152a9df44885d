"""Cursors of pages: opaque, and good for the list they came from alone.

The check sum is no secret. A made-up cursor could only start a page somewhere else in what the
caller may read anyway; the sum is there so that a damaged one is told, not guessed at.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from protocol.errors import MalformedRequest

_SUM_BYTES = 6
_MAX_CHARACTERS = 2048


def encode(kind: str, position: str) -> str:
    """Return the cursor for what follows `position` in the list `kind`."""
    octets = position.encode()
    return base64.urlsafe_b64encode(_sum(kind, octets) + octets).rstrip(b"=").decode()


def decode(kind: str, cursor: str) -> str:
    """Return the position. Raises MalformedRequest if `encode` did not make the cursor."""
    try:
        if len(cursor) > _MAX_CHARACTERS:
            raise ValueError
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        position = raw[_SUM_BYTES:].decode()
    except (ValueError, binascii.Error):
        raise _bad() from None
    # Encoded again, because base64 has several spellings of the same bytes.
    if not hmac.compare_digest(encode(kind, position), cursor):
        raise _bad()
    return position


def _sum(kind: str, octets: bytes) -> bytes:
    key = hashlib.blake2s(kind.encode()).digest()  # a key has at most 32 bytes, a kind has more
    return hashlib.blake2s(octets, digest_size=_SUM_BYTES, key=key).digest()


def _bad() -> MalformedRequest:
    return MalformedRequest("not a cursor of this list", field="cursor")
