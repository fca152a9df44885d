"""Whatever a workbook holds comes back; whatever is sent instead of one is read or refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.export_xlsx import xlsx
from registry.imports.progress import Meter
from registry.imports.readers import Unreadable
from registry.imports.xlsx.cells import Faulty
from registry.imports.xlsx.reader import read_xlsx
from registry.imports.xlsx.sheet import Row
from tests.xlsx_support import by_openpyxl, by_xlsxwriter, parts, row, zipped

_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
_TABLES = st.lists(st.lists(_TEXTS, min_size=1, max_size=6), min_size=1, max_size=8)
_WHOLE = [
    by_openpyxl([["suffix", "名称", 1], ["A", True, 2.5]]),
    by_xlsxwriter([["suffix", "名称", 1], ["A", True, 2.5]]),
    zipped(parts(row(1, "suffix") + '<row r="3"><c t="s"><v>0</v></c></row>', ["<t>x</t>"])),
]
_PARTS = parts(
    row(1, "suffix", "a") + '<row r="3"><c r="A3" t="s" s="1"><v>0</v></c>'
    '<c r="B3" s="0"><f>1+1</f><v>46053.5</v></c></row>',
    ["<t>x</t>", "<r><t>y</t></r>"],
    '<numFmts><numFmt numFmtId="170" formatCode="yyyy"/></numFmts>'
    '<cellXfs><xf numFmtId="170"/><xf numFmtId="14"/></cellXfs>',
)


def _read(data: bytes) -> list[Row]:
    async def pieces() -> AsyncIterator[bytes]:
        yield data

    async def rows() -> list[Row]:
        blocks = read_xlsx(pieces(), Meter(len(data)))
        return [each async for block in blocks for each in block.rows]

    return asyncio.run(rows())


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells


@given(_TABLES)
def test_texts_that_are_exported_are_imported_again(table: list[list[str]]) -> None:
    async def written() -> bytes:
        async def pages() -> AsyncIterator[list[list[str]]]:
            yield table

        return b"".join([piece async for piece in xlsx(["header"], pages())])

    expected = [trimmed for cells in table if (trimmed := _trimmed(cells))]
    assert _read(asyncio.run(written())) == [["header"], *expected]


_CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=8), st.integers(0, 8)),
    min_size=1,
    max_size=6,
)


def _changed(data: bytes, changes: list[tuple[float, bytes, int]]) -> bytes:
    octets = bytearray(data)
    for share, put_in, left_out in changes:
        at = int(share * len(octets))
        octets[at : at + left_out] = put_in
    return bytes(octets)


@settings(max_examples=300)
@given(st.sampled_from(_WHOLE), _CHANGES)
def test_a_damaged_workbook_is_read_or_refused(
    data: bytes, changes: list[tuple[float, bytes, int]]
) -> None:
    _read_or_refuse(_changed(data, changes))


@settings(max_examples=300)
@given(st.sampled_from(sorted(_PARTS)), _CHANGES)
def test_a_workbook_with_a_part_that_is_damaged_is_read_or_refused(
    name: str, changes: list[tuple[float, bytes, int]]
) -> None:
    _read_or_refuse(zipped(_PARTS | {name: _changed(_PARTS[name], changes)}))


_ATTRIBUTES = st.sampled_from(["r", "s", "t"])
_ODD = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "A0",
        "ZZZ1",
        "9" * 30,
        "1.5",
        "e",
        "b",
        "s",
        "str",
        "d",
        "n",
        "inlineStr",
        "é",
        "٣",
    ]
)


@settings(max_examples=300)
@given(st.lists(st.tuples(_ATTRIBUTES, _ODD, _ODD, st.booleans()), min_size=1, max_size=6))
def test_cells_of_any_kind_are_texts_or_cost_their_row(
    given_: list[tuple[str, str, str, bool]],
) -> None:
    cells = "".join(
        f'<c {name}="{value}">{"<f>1</f>" if computed else ""}<v>{text}</v></c>'
        for name, value, text, computed in given_
    )
    _read_or_refuse(zipped(_PARTS | parts(f"<row>{cells}</row>", ["<t>x</t>"])))


def _read_or_refuse(data: bytes) -> None:
    try:
        rows = _read(data)
    except Unreadable:
        return
    for each in rows:
        texts = each
        if isinstance(each, Faulty):
            assert each.faults
            texts = [*each.cells, *(fault.reason for fault in each.faults)]
        for text in texts:
            assert "\0" not in text
            text.encode()
