"""Workbooks that we write are what other programs, and our own imports, read."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Sequence

import openpyxl
import pytest

from registry import export_xlsx
from registry.export_xlsx import xlsx
from registry.imports.progress import Meter
from registry.imports.xlsx.reader import read_xlsx

Rows = Sequence[Sequence[str]]


async def _pages(*pages: Rows) -> AsyncIterator[Rows]:
    for page in pages:
        yield page


async def _book(header: Sequence[str], *pages: Rows) -> bytes:
    return b"".join([piece async for piece in xlsx(header, _pages(*pages))])


async def _read_back(data: bytes) -> list[list[str]]:
    async def file() -> AsyncIterator[bytes]:
        yield data

    return [row async for block in read_xlsx(file(), Meter(len(data))) for row in block.rows]


TEXTS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\ttab",
    " space ",
    "a\nb",
    "<&>\"'",
    "_x0041_",
    "_x005F_",
    "\x01\x08\x1f\x0b",
    "a\rb",
    "离心泵 🏭",
    "\ufffe",
    "007",
    "x" * 32_767,
]


async def test_all_texts_come_back_as_they_are() -> None:
    data = await _book(["a", "b"], [[text, "end"] for text in TEXTS])
    assert await _read_back(data) == [["a", "b"], *([text, "end"] for text in TEXTS)]


async def test_another_program_reads_texts_and_none_of_them_is_a_formula() -> None:
    plain = [text for text in TEXTS if text.isprintable() and "_x" not in text]
    data = await _book(["a"], [[text] for text in plain])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
    sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    cells = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert [cell.value for cell in cells] == plain
    for cell in cells:
        assert cell.data_type == "s"
        quoted = str(cell.value).startswith(export_xlsx.FORMULA)
        assert bool(cell.quotePrefix) == quoted, cell.value


async def test_a_text_that_no_cell_takes_is_told_instead_of_cut_short() -> None:
    (_, (told,)) = await _read_back(await _book(["a"], [["y" * 40_000]]))
    assert told == "(40000 characters: more than a cell takes; they are in NDJSON and CSV)"


@pytest.mark.parametrize(("limit", "value"), [("MAX_ROWS", 4), ("MAX_SHEET_BYTES", 200)])
async def test_the_next_sheet_goes_on_where_one_is_full(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(export_xlsx, limit, value)
    rows = [[f"SN-{number}"] for number in range(10)]
    book = openpyxl.load_workbook(io.BytesIO(await _book(["a"], rows[:5], rows[5:])))
    assert len(book.worksheets) > 2
    told = [[row[0] for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets]
    assert {each[0] for each in told} == {"a"}, "each sheet has the header"
    assert [text for each in told for text in each[1:]] == [row[0] for row in rows]


async def test_it_is_sent_while_it_is_read_in_flat_memory() -> None:
    async def pages() -> AsyncIterator[Rows]:
        for page in range(100):
            yield [[f"{page}-{row}-{row * 7919 % 10007}", "x" * 100] for row in range(500)]

    sizes = []
    tracemalloc.start()
    try:
        async for piece in xlsx(["a", "b"], pages()):
            sizes.append(len(piece))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(sizes) > 10
    assert peak < 2 << 20
