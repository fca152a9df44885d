"""From the pieces of an uploaded file to its rows, with memory flat in the file's size.

What comes out does not depend on how the file was cut into pieces. Rows are counted as a
spreadsheet counts them: the first record of the file is row 1, be it a header or not.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import AsyncIterator, Iterator
from typing import Generic, NamedTuple, TypeVar

LOOK_BYTES = 1 << 20
"""How much decides on the charset, from the first part that is not all ASCII on."""

MAX_ROW_LENGTH = 1 << 20
"""Longest row: characters of a CSV row, bytes of an NDJSON line."""

_STEP = 1 << 16
"""Bytes parsed at once, between two of which the event loop may do other things."""

_BOM = codecs.BOM_UTF8
_OTHER_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Unreadable(Exception):
    """The file as a whole cannot be read on; the message says why and names the row."""


Content = TypeVar("Content")


class Block(NamedTuple, Generic[Content]):
    """Consecutive rows; `first` is the number of the first one.

    A CSV row is a list of cells, empty for a blank row; an NDJSON row is the line's bytes; of XLSX
    see xlsx.sheet.
    """

    first: int
    rows: list[Content]


async def read_csv(chunks: AsyncIterator[bytes]) -> AsyncIterator[Block[list[str]]]:
    """Split a CSV file (RFC 4180; UTF-8, GBK or GB18030) into rows, the header among them.

    Quotes may hold separators and line breaks. Raises Unreadable for a charset that is none of
    these, a byte that does not fit the charset, a row over MAX_ROW_LENGTH, and quotes that break
    the rules: what stands after them could be taken for rows that nobody wrote.
    """
    splitter = _CsvSplitter()
    try:
        async for text in _decoded(chunks):
            for block in splitter.feed(text):
                yield block
    except UnicodeDecodeError as error:
        byte, charset = error.object[error.start], _CHARSET_NAMES[error.encoding]
        raise Unreadable(f"row {splitter.row}: the byte 0x{byte:02X} is not {charset}") from None
    for block in splitter.end():
        yield block


async def read_ndjson(chunks: AsyncIterator[bytes]) -> AsyncIterator[Block[bytes]]:
    """Split a file of one JSON text a line (UTF-8) into its lines.

    Raises Unreadable for UTF-16 and for a line over MAX_ROW_LENGTH.
    """
    first, rest = 1, b""
    async for piece in _without_bom(_steps(chunks)):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        _check_length(first + len(lines), len(rest), "bytes")
        if lines:
            for position, line in enumerate(lines):
                _check_length(first + position, len(line), "bytes")
            yield Block(first, lines)
            first += len(lines)
    if rest:
        yield Block(first, [rest])


def _check_length(row: int, length: int, unit: str) -> None:
    if length > MAX_ROW_LENGTH:
        raise Unreadable(f"row {row} is longer than {MAX_ROW_LENGTH} {unit}")


_CHARSET_NAMES = {"utf-8": "UTF-8", "gb18030": "GB18030"}


async def _steps(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut the file into pieces of exactly _STEP bytes (the last may be shorter)."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        whole = len(buffer) - len(buffer) % _STEP
        for start in range(0, whole, _STEP):
            yield bytes(buffer[start : start + _STEP])
        del buffer[:whole]
    if buffer:
        yield bytes(buffer)


async def _without_bom(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Drop the UTF-8 mark from the first piece. Raises Unreadable for a UTF-16 one."""
    first = True
    async for piece in pieces:
        if first and piece.startswith(_OTHER_BOMS):
            raise Unreadable("the file is UTF-16; save it as UTF-8")
        yield piece.removeprefix(_BOM) if first else piece
        first = False


async def _decoded(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Decode the file by the charset that the first LOOK_BYTES show that are not all ASCII.

    Raises Unreadable if it shows none, UnicodeDecodeError for a byte that does not fit later on.
    """
    pieces = _without_bom(_steps(chunks))
    head: list[bytes] = []
    size = 0
    async for piece in pieces:
        if not head and piece.isascii():  # which it is in each of the charsets
            yield _text(piece.decode())
            continue
        head.append(piece)
        size += len(piece)
        if size >= LOOK_BYTES:
            break
    charset = _charset(b"".join(head), final=size < LOOK_BYTES)
    decoder = codecs.getincrementaldecoder(charset)()
    try:
        for piece in head:
            yield _text(decoder.decode(piece))
        async for piece in pieces:
            yield _text(decoder.decode(piece))
        yield _text(decoder.decode(b"", final=True))
    except UnicodeDecodeError as error:
        yield _text(error.object[: error.start].decode(charset))
        raise


def _charset(head: bytes, *, final: bool) -> str:
    """Return the charset of `head`; a character cut at its end counts unless it is `final`."""
    for name in ("utf-8", "gb18030"):
        try:
            codecs.getincrementaldecoder(name)().decode(head, final)
        except UnicodeDecodeError:
            continue
        return name
    raise Unreadable("the file is neither UTF-8 nor GBK nor GB18030 text")


def _text(text: str) -> str:
    if "\0" in text:
        raise Unreadable("the file holds a NUL character: it is not a text file")
    return text


class _Starved(Exception):
    """Thrown into the csv module where the text received so far ends."""


class _CsvSplitter:
    """Feeds the csv module by whole lines; `row` is the number of the row that comes next."""

    def __init__(self) -> None:
        self.row = 1
        self._lines: list[str] = []
        self._rest: list[str] = []  # pieces of a line whose end has not come
        self._rest_length = 0
        self._open_length = 0  # of the lines before it that belong to the same row

    def feed(self, text: str) -> Iterator[Block[list[str]]]:
        """Take more text; yield the rows that are complete now."""
        head, newline, tail = text.rpartition("\n")
        if newline:
            joined = "".join((*self._rest, head, newline))
            self._rest, self._rest_length = [tail], len(tail)
            self._lines.extend(line + "\n" for line in joined.split("\n")[:-1])
            yield from self._split(final=False)
        else:
            self._rest.append(text)
            self._rest_length += len(text)
        open_length = self._open_length + self._rest_length
        _check_length(self.row, open_length, "characters")

    def end(self) -> Iterator[Block[list[str]]]:
        """Yield the rows that the end of the file completes."""
        last = "".join(self._rest)
        if last:
            self._lines.append(last)
        yield from self._split(final=True)

    def _split(self, *, final: bool) -> Iterator[Block[list[str]]]:
        lines, first, used = self._lines, self.row, 0
        rows: list[list[str]] = []
        broken: csv.Error | None = None
        reader = csv.reader(_until_end(lines, final=final), strict=True)
        try:
            for row in reader:
                rows.append(row)
                used = reader.line_num
        except _Starved:
            pass
        except csv.Error as error:
            broken = error
        self._lines = lines[used:]
        self._open_length = sum(map(len, self._lines))
        self.row += len(rows)
        if rows:
            yield Block(first, rows)
        if broken is not None:
            raise Unreadable(f"row {self.row} is not CSV: {broken}")


def _until_end(lines: list[str], *, final: bool) -> Iterator[str]:
    yield from lines
    if not final:
        raise _Starved
