"""What a step of the escrow says of itself, and the signature over it.

The signature is Ed25519 (RFC 8032) by the key of the audit log, over a context and the bytes of
the manifest, so that it is never mistaken for that of a tree head. A manifest names the digest of
the one before it; so the last one vouches for the whole chain.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"

MAX_MANIFEST_BYTES = 1 << 20
_CONTEXT = b"idnode escrow 1\n"

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]
Named = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,62}$")]


class EscrowError(Exception):
    """The escrow cannot be written or restored; the message is one line that says why."""


class File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One file of a step, compressed with Zstandard (RFC 8878).

    name: within the step. rows: of text in PostgreSQL's COPY format. bytes, sha256: of the file as
    it is. plain_bytes: of what is in it.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\.(rows|removed)\.zst$")]
    rows: Count
    bytes: Count
    plain_bytes: Count
    sha256: Digest


class Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a step tells of one table.

    whole: its rows replace all that were there. total: rows that the table has after the step.
    removed: keys of rows that are gone. since: the first of the days, or hours, that its rows
    replace whole. oldest: the least of the day or hour by which the table gives up its rows.
    """

    name: Named
    columns: Annotated[list[Named], Meta(min_length=1, max_length=100)]
    whole: bool
    total: Count
    rows: File
    removed: File | None = None
    since: Annotated[str, Meta(pattern="^[0-9: .+-]{10,40}$")] | None = None
    oldest: Annotated[str, Meta(pattern="^[0-9: .+-]{10,40}$")] | None = None


class Origin(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The database whose transaction ids a step counts by: increments go on within one alone."""

    system: str
    timeline: int
    database: int


class Sequence(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where a sequence stands: `value` was given out last."""

    name: Named
    value: int


class Manifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All about one step. Times are Unix seconds.

    series, number: the chain that it is part of, and its place, from 0, which is a snapshot.
    previous: digest of the manifest before it. schema: the migration of the tables. settled: all
    transactions before this id were over.
    """

    format: Literal["idnode-escrow-1"]
    series: uuid.UUID
    number: Count
    previous: Digest | None
    node: str
    version: str
    taken_at: Count
    schema: Annotated[str, Meta(pattern="^[0-9a-z_]{1,32}$")]
    origin: Origin
    settled: Count
    sequences: Annotated[list[Sequence], Meta(max_length=100)]
    tables: Annotated[list[Table], Meta(max_length=200)]


@dataclass(frozen=True)
class Step:
    """A step on the disk: its directory, its manifest, and the digest of that."""

    path: Path
    manifest: Manifest
    digest: str

    @property
    def bytes(self) -> int:
        """The length of its files, together."""
        return sum(
            file.bytes
            for table in self.manifest.tables
            for file in (table.rows, table.removed)
            if file is not None
        )


def digest(octets: bytes) -> str:
    """Return the SHA-256 of a manifest, by which the next one names it."""
    return hashlib.sha256(octets).hexdigest()


def encode(manifest: Manifest, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """Return the manifest as it is written, and the file of its signature."""
    octets = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    return octets, base64.b64encode(key.sign(_CONTEXT + octets)) + b"\n"


def read(path: Path, key: Ed25519PublicKey) -> Step:
    """Read the manifest of the step in directory `path`. Raises EscrowError.

    Nothing of it is looked at before its signature has been found good.
    """
    octets = _bounded(path / MANIFEST)
    try:
        signature = base64.b64decode(_bounded(path / SIGNATURE).strip(), validate=True)
        key.verify(signature, _CONTEXT + octets)
    except (ValueError, InvalidSignature):
        raise EscrowError(f"{path.name}: the signature is not that of the key given") from None
    try:
        manifest = msgspec.json.decode(octets, type=Manifest)
    except msgspec.MsgspecError as error:
        raise EscrowError(f"{path.name}: the manifest cannot be read: {error}") from None
    return Step(path, manifest, digest(octets))


def _bounded(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise EscrowError(f"{path.parent.name}/{path.name}: {error.strerror}") from None
    if len(octets) > MAX_MANIFEST_BYTES:
        raise EscrowError(f"{path.parent.name}/{path.name}: too long")
    return octets
