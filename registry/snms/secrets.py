"""Passwords that come hashed with the day, and how what checks them is kept.

The SNMS API lets a client send ``sha256hex(sha256hex(password) + "yyyy-MM-dd")``. Whoever checks
that must have ``sha256hex(password)`` itself, which opens the door like the password does: no slow
hash can take its place. It is kept only for users that were made with it, encrypted (AES-256-GCM)
under a key that stands in a file of the node and not in the database; see docs/snms.md.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import hmac
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32

ZONE = datetime.timezone(datetime.timedelta(hours=8))
"""The day in a hashed password is that of China."""

LEEWAY = datetime.timedelta(minutes=10)
"""How far the clock of a client may be off at midnight."""

_NONCE_BYTES = 12  # NIST SP 800-38D section 8.2


def ensure_key(path: Path) -> None:
    """Make the key, readable by its owner alone, if it is not there. Raises OSError."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    temporary.replace(path)


def load_key(path: Path) -> bytes:
    """Read the key. Raises OSError, and ValueError for what is not 32 bytes in base64."""
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} does not hold {KEY_BYTES} bytes in base64")
    return key


def digest(password: str) -> str:
    """Return what a client hashes with the day: SHA-256 of the password in hexadecimal."""
    return hashlib.sha256(password.encode()).hexdigest()


def hashed(digest: str, day: datetime.date) -> str:
    """Return the password of `day` that a client sends."""
    return hashlib.sha256(f"{digest}{day.isoformat()}".encode()).hexdigest()


def seal(key: bytes, name: str, password: str) -> bytes:
    """Return the digest of a password, encrypted for the user `name`."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, digest(password).encode(), name.encode())


def _open(key: bytes, name: str, sealed: bytes) -> str | None:
    """Return what was sealed; None if it was with another key, for another user, or changed."""
    nonce, encrypted = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, encrypted, name.encode()).decode()
    except InvalidTag:
        return None


def matches(
    key: bytes, name: str, sealed: bytes, given: str, now: datetime.datetime
) -> bool | None:
    """Whether `given` is the hashed password of today; None if `sealed` cannot be opened."""
    digest = _open(key, name, sealed)
    if digest is None:
        return None
    # Both are looked at whatever the first says; around midnight they are two days.
    found = [
        hmac.compare_digest(
            hashed(digest, (now + leeway).astimezone(ZONE).date()).encode(),
            given.lower().encode("utf-8", "surrogateescape"),
        )
        for leeway in (-LEEWAY, LEEWAY)
    ]
    return any(found)
