"""Bodies of /api/v1/log and of the proof of an identifier; bytes are base64 (RFC 4648)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Number = Annotated[int, Meta(ge=0, le=2**62)]
Path = Annotated[
    list[bytes],
    Meta(description="Hashes from the leaf upwards (RFC 9162 sections 2.1.3 and 2.1.4)"),
]
LeafInput = Annotated[
    str,
    Meta(
        description="The line as it is in the tree: the hash of the leaf is SHA-256 of a zero byte"
        " and this text in UTF-8"
    ),
]


class Head(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A signed tree head (RFC 9162 section 4.10)."""

    log_id: Annotated[bytes, Meta(description="SHA-256 of the public key in DER")]
    timestamp: Annotated[int, Meta(description="Milliseconds since 1970", ge=0, le=2**63 - 1)]
    tree_size: Number
    root_hash: bytes
    signature: Annotated[bytes, Meta(description="Ed25519, of TreeHeadDataV2 in TLS encoding")]
    public_key: Annotated[str, Meta(description="PEM", max_length=1000)]


class Entry(msgspec.Struct, frozen=True):
    """A line of the audit log."""

    leaf_index: Number
    leaf_input: LeafInput


class Entries(msgspec.Struct, frozen=True):
    """Lines of the audit log in the order of the tree, and the head that covers them."""

    entries: list[Entry]
    head: Head


class Inclusion(msgspec.Struct, frozen=True):
    """That a leaf is in the tree of `tree_size` leaves."""

    leaf_index: Number
    tree_size: Number
    inclusion_path: Path


class Consistency(msgspec.Struct, frozen=True):
    """That the tree of `tree_size_1` leaves is the beginning of that of `tree_size_2`."""

    tree_size_1: Number
    tree_size_2: Number
    consistency_path: Path


class ProvedEntry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A line of the audit log, and that it is in the tree under the head."""

    leaf_index: Number
    leaf_input: LeafInput
    inclusion_path: Path


class IdentifierProof(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the audit log says of an identifier, proved. `idnode audit verify --proof` checks it."""

    handle: str
    head: Head
    items: list[ProvedEntry]
    waiting: Annotated[int, Meta(description="Further lines that no head covers yet", ge=0)]
    next: str | None


class EntriesAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which lines: both ends included (RFC 9162 section 5.6)."""

    start: Number
    end: Number


class InclusionAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which leaf, in which tree."""

    leaf_index: Number
    tree_size: Number | None = None


class ConsistencyAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which trees (RFC 9162 section 5.3)."""

    first: Number
    second: Number | None = None
