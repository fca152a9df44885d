"""Files of the escrow: compressed while they are written, checked while they are read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import zstandard

from registry.escrow.manifest import EscrowError, File

_LEVEL = 3
_PIECE = 32 * 1024
_MAX_WINDOW = 8 << 20
"""Bytes of memory that a file may ask for to be read; ours need 2 MiB."""


class Writer:
    """Writes one file; `write` is what asyncpg calls with each piece of a COPY."""

    def __init__(self, path: Path) -> None:
        """Make the file at `path`, readable by its owner alone. Raises OSError."""
        self._path = path
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._compressor = zstandard.ZstdCompressor(_LEVEL, write_checksum=True).compressobj()
        self._sha256 = hashlib.sha256()
        self._plain = 0
        self._bytes = 0
        self._rows = 0

    def __enter__(self) -> Self:
        """Return the writer; the file is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    async def write(self, piece: bytes) -> None:
        """Add a piece of text. Raises OSError."""
        self._plain += len(piece)
        # In COPY's text format a line feed within a value is escaped: each one ends a row.
        self._rows += piece.count(b"\n")
        self._put(self._compressor.compress(piece))

    def end(self) -> File:
        """Write what is left to the disk; return what the manifest says. Raises OSError."""
        self._put(self._compressor.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        return File(self._path.name, self._rows, self._bytes, self._plain, self._sha256.hexdigest())

    def _put(self, octets: bytes) -> None:
        self._file.write(octets)
        self._sha256.update(octets)
        self._bytes += len(octets)


def check(directory: Path, file: File) -> None:
    """See that a file is the one that its manifest names. Raises EscrowError."""
    path = directory / file.name
    try:
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise EscrowError(f"{directory.name}/{file.name}: {error.strerror}") from None
    if found != file.sha256:
        raise EscrowError(f"{directory.name}/{file.name}: not the file that was signed")


async def plain(directory: Path, file: File) -> AsyncIterator[bytes]:
    """Yield what is in a file, piece by piece.

    It is checked again while it is read: at the end, EscrowError is raised unless it was what the
    manifest says.
    """
    where = f"{directory.name}/{file.name}"
    sha256, length = hashlib.sha256(), 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
    try:
        with (directory / file.name).open("rb") as opened:
            while octets := opened.read(_PIECE):
                sha256.update(octets)
                piece = decompressor.decompress(octets)
                length += len(piece)
                if length > file.plain_bytes:
                    raise EscrowError(f"{where}: not the file that was signed")
                if piece:
                    yield piece
    except OSError as error:
        raise EscrowError(f"{where}: {error.strerror}") from None
    except zstandard.ZstdError as error:
        raise EscrowError(f"{where}: {error}") from None
    if sha256.hexdigest() != file.sha256 or length != file.plain_bytes:
        raise EscrowError(f"{where}: not the file that was signed")
