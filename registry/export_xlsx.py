"""Rows as an XLSX workbook (ISO/IEC 29500-1), sent while they are read, in flat memory.

All cells are texts. Where a spreadsheet program would take one for a formula as soon as somebody
edits it, the cell has the mark that people set with an apostrophe (quotePrefix): what it says
stays as it is.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import IO
from xml.sax.saxutils import escape

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How texts begin that spreadsheet programs take for formulas."""

MAX_ROWS = 1 << 20
"""Of a sheet; the next one goes on."""

MAX_SHEET_BYTES = 512 << 20
MAX_CELL_CHARACTERS = 32_767
"""What a cell takes."""

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

# What XML cannot hold is written _xHHHH_, and so is what would be read as that (ST_Xstring).
_ESCAPED = re.compile("[\0-\x08\x0b\x0c\x0d\x0e-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")

_QUOTED_STYLE = 1
_STYLES = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="49" xfId="0"/><xf numFmtId="49" xfId="0" quotePrefix="1"/>'
    '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)


class _Outlet:
    """A file that cannot be sought in: what is written waits until it is taken."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, octets: bytes) -> int:
        self._waiting += octets
        return len(octets)

    def flush(self) -> None:
        """Do nothing: `take` is what empties it."""

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


class _Book:
    """Writes sheets one after the other; each has the header."""

    def __init__(self, header: Sequence[str]) -> None:
        self.outlet = _Outlet()
        self._zip = zipfile.ZipFile(self.outlet, "w", zipfile.ZIP_DEFLATED)  # type: ignore[call-overload]
        self._header = header
        self._sheets = 0
        self._begin()

    def _begin(self) -> None:
        self._sheets += 1
        self._sheet: IO[bytes] = self._zip.open(f"xl/worksheets/sheet{self._sheets}.xml", "w")
        self._rows = self._bytes = 0
        self._write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>{_row(self._header)}')
        self._rows = 1

    def _end(self) -> None:
        self._write("</sheetData></worksheet>")
        self._sheet.close()

    def _write(self, text: str) -> None:
        octets = text.encode("utf-8", "replace")
        self._bytes += len(octets)
        self._sheet.write(octets)

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Write rows."""
        for row in rows:
            if self._rows == MAX_ROWS or self._bytes > MAX_SHEET_BYTES:
                self._end()
                self._begin()
            self._write(_row(row))
            self._rows += 1

    def close(self) -> None:
        """Write what tells where the sheets are."""
        self._end()
        for name, text in _parts(range(1, self._sheets + 1)):
            self._zip.writestr(name, text)
        self._zip.close()


async def xlsx(
    header: Sequence[str], pages: AsyncIterator[Sequence[Sequence[str]]]
) -> AsyncIterator[bytes]:
    """Yield a workbook in pieces. pages: its rows, many at once."""
    book = _Book(header)
    async for page in pages:
        book.add(page)
        piece = book.outlet.take()
        if piece:
            yield piece
    book.close()
    yield book.outlet.take()


def _row(cells: Sequence[str]) -> str:
    return f"<row>{''.join(map(_cell, cells))}</row>"


def _cell(text: str) -> str:
    if not text:
        return "<c/>"
    if len(text) > MAX_CELL_CHARACTERS:
        text = f"({len(text)} characters: more than a cell takes; they are in NDJSON and CSV)"
    style = f' s="{_QUOTED_STYLE}"' if text.startswith(FORMULA) else ""
    text = _ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    return f'<c{style} t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def _parts(sheets: range) -> Iterator[tuple[str, str]]:
    overrides = "".join(
        f'<Override PartName="/xl/{name}.xml" ContentType="{_TYPES}.{kind}+xml"/>'
        for name, kind in (
            ("workbook", "sheet.main"),
            ("styles", "styles"),
            *((f"worksheets/sheet{number}", "worksheet") for number in sheets),
        )
    )
    yield (
        "[Content_Types].xml",
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>',
    )
    yield "_rels/.rels", _relations([("rId1", "officeDocument", "xl/workbook.xml")])
    listed = "".join(
        f'<sheet name="{number}" sheetId="{number}" r:id="rId{number}"/>' for number in sheets
    )
    yield (
        "xl/workbook.xml",
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets>'
        "</workbook>",
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        _relations(
            [
                *((f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in sheets),
                (f"rId{len(sheets) + 1}", "styles", "styles.xml"),
            ]
        ),
    )
    yield "xl/styles.xml", _STYLES


def _relations(relations: Iterable[tuple[str, str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{id_}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for id_, kind, target in relations
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{listed}</Relationships>'
