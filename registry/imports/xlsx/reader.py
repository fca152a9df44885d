"""From the pieces of an uploaded workbook to the rows of one of its sheets."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from typing import IO, TypeVar

from registry.imports.progress import Meter
from registry.imports.readers import Block, Unreadable
from registry.imports.xlsx.archive import Archive
from registry.imports.xlsx.book import read_book
from registry.imports.xlsx.sheet import Row, read_rows, read_strings

MAX_BYTES = 256 << 20
"""Of an uploaded workbook."""

T = TypeVar("T")


async def read_xlsx(
    chunks: AsyncIterator[bytes], meter: Meter, sheet: str | None = None
) -> AsyncGenerator[Block[Row], None]:
    """Yield the rows of a sheet, each counted as the spreadsheet counts it.

    The workbook is put into a temporary file of the machine, because its table of contents stands
    at its end. meter: counts the bytes of the sheet from then on. sheet: its name; the first one
    otherwise. Raises Unreadable.
    """
    with tempfile.TemporaryFile() as file:
        await _spool(chunks, file)
        blocks = _blocks(file, meter, sheet)
        try:
            while (some := await _in_thread(lambda: next(blocks, None))) is not None:
                for block in some:
                    yield block
        finally:
            blocks.close()


async def _spool(chunks: AsyncIterator[bytes], file: IO[bytes]) -> None:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > MAX_BYTES:
            raise Unreadable(f"a workbook has at most {MAX_BYTES} bytes")
        file.write(chunk)


def _blocks(
    file: IO[bytes], meter: Meter, sheet: str | None
) -> Generator[list[Block[Row]], None, None]:
    with contextlib.closing(Archive(file)) as archive:
        book = read_book(archive, sheet)
        strings = read_strings(archive, book)
        meter.size, meter.taken = archive.size(book.sheet) or 0, 0
        for blocks, taken in read_rows(archive, book, strings):
            yield blocks
            meter.taken += taken


async def _in_thread(step: Callable[[], T]) -> T:
    """Do a step while the event loop goes on; it is done when this ends, also if cancelled."""
    doing = asyncio.ensure_future(asyncio.to_thread(step))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise
