"""Signed tree heads: what a log says of itself at a moment (RFC 9162 sections 4.9 and 4.10).

The signature, Ed25519 (RFC 8032), covers the TLS encoding of TreeHeadDataV2. A log is known by the
SHA-256 of its public key (SubjectPublicKeyInfo, DER), as in RFC 6962 section 3.2: it has no OID.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.merkle import HASH_BYTES, BadProof

_ENCODED = struct.Struct(f">QQB{HASH_BYTES}sH")
_NO_EXTENSIONS = 0


@dataclass(frozen=True)
class TreeHead:
    """A tree at a moment. timestamp: milliseconds since 1970. size: leaves."""

    timestamp: int
    size: int
    root: bytes

    def encode(self) -> bytes:
        """Return what is signed: TreeHeadDataV2 in the encoding of TLS (RFC 8446 section 3)."""
        return _ENCODED.pack(self.timestamp, self.size, HASH_BYTES, self.root, _NO_EXTENSIONS)


def sign(head: TreeHead, key: Ed25519PrivateKey) -> bytes:
    """Return the signature of a head."""
    return key.sign(head.encode())


def check(head: TreeHead, signature: bytes, key: Ed25519PublicKey) -> None:
    """See that the owner of `key` has signed the head. Raises BadProof."""
    try:
        key.verify(signature, head.encode())
    except (InvalidSignature, struct.error):
        raise BadProof("the tree head is not signed by this key") from None


def encode_key(key: Ed25519PublicKey) -> bytes:
    """Return the SubjectPublicKeyInfo of a key in DER."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def decode_key(octets: bytes) -> Ed25519PublicKey:
    """Read a SubjectPublicKeyInfo, in DER or PEM. Raises BadProof for what is no Ed25519 key."""
    pem = octets.lstrip().startswith(b"-----")
    try:
        key = (
            serialization.load_pem_public_key(octets)
            if pem
            else serialization.load_der_public_key(octets)
        )
    except ValueError:
        raise BadProof("that is not a public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadProof("that is not an Ed25519 key")
    return key


def pem(key: Ed25519PublicKey) -> str:
    """Return a key in PEM, as openssl reads it."""
    octets = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return octets.decode("ascii")


def log_id(key: Ed25519PublicKey) -> bytes:
    """Return how the log of this key is known."""
    return hashlib.sha256(encode_key(key)).digest()
