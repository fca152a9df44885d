"""The ZIP archive of a workbook: nothing is expanded that is not bounded before."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from registry.imports.readers import Unreadable

MAX_DIRECTORY_BYTES = 1 << 20
"""Of the table of contents, which is read whole."""

MAX_PARTS = 4096
MAX_EXPANDED_BYTES = 2 << 30
"""Of all parts together."""

MAX_RATIO = 250
"""Of expanded bytes to stored ones; sheets that people make have some 10 to 50."""

_RATIO_FROM = 1 << 20
"""Smaller parts may have any ratio."""

_STEP = 1 << 16
_END = struct.Struct("<4s4H2LH")  # end of central directory record (APPNOTE.TXT 4.3.16)
_END_MARK, _ZIP64_MARK = b"PK\x05\x06", b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20
_ENCRYPTED = 1
# What zipfile raises for archives that are not in order; OSError where an offset leads outside.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    ValueError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Archive:
    """An open archive whose parts are within the limits. file: stays the caller's."""

    def __init__(self, file: IO[bytes]) -> None:
        _check_directory(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except _DAMAGED as error:
            raise _not_a_workbook() from error
        parts = self._zip.infolist()
        self._parts = {part.filename: part for part in parts}
        if len(parts) > MAX_PARTS or len(self._parts) < len(parts):
            raise Unreadable(f"the workbook has more than {MAX_PARTS} parts, or one of them twice")
        if sum(part.file_size for part in parts) > MAX_EXPANDED_BYTES:
            raise Unreadable(f"the workbook expands to more than {MAX_EXPANDED_BYTES} bytes")
        for part in parts:
            _check_part(part)

    def size(self, name: str) -> int | None:
        """Return the expanded size of a part in bytes, None where it is not there."""
        part = self._parts.get(name)
        return None if part is None else part.file_size

    def stream(self, name: str, *, maximum: int) -> Iterator[bytes]:
        """Yield a part in pieces. maximum: in bytes. Raises Unreadable."""
        size = self.size(name)
        if size is None:
            raise Unreadable(f"the workbook lacks its part {name[:100]!r}")
        if size > maximum:
            raise Unreadable(f"the part {name[:100]!r} of the workbook has over {maximum} bytes")
        try:
            # zipfile reads no more of a part than the size that was checked
            with self._zip.open(name) as part:
                while piece := part.read(_STEP):
                    yield piece
        except _DAMAGED as error:
            raise Unreadable(f"the part {name[:100]!r} of the workbook is damaged") from error

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()


def _check_part(part: zipfile.ZipInfo) -> None:
    if part.flag_bits & _ENCRYPTED:
        raise Unreadable("the workbook is encrypted: save it without a password")
    if part.compress_type not in _METHODS:
        raise Unreadable("the workbook is compressed in a way that spreadsheets do not use")
    if part.file_size > max(_RATIO_FROM, MAX_RATIO * part.compress_size):
        raise Unreadable(f"a part of the workbook expands to over {MAX_RATIO} times its size")


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a table of contents that is too long, before zipfile reads it; it knows no limit."""
    length = file.seek(0, 2)
    file.seek(max(0, length - _END.size - 65_535 - _ZIP64_LOCATOR_BYTES))
    tail = file.read()
    # Where zipfile looks for it: at the very end, else the last mark.
    at = len(tail) - _END.size
    if at < 0 or not (tail.startswith(_END_MARK, at) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        raise _not_a_workbook()
    directory_bytes = _END.unpack_from(tail, at)[5]
    zip64 = tail[max(0, at - _ZIP64_LOCATOR_BYTES) : at].startswith(_ZIP64_MARK)
    if zip64 or directory_bytes > MAX_DIRECTORY_BYTES:
        raise Unreadable("the table of contents of the workbook is too long")


def _not_a_workbook() -> Unreadable:
    return Unreadable("the file is not an XLSX workbook; save it as .xlsx, or as CSV")
