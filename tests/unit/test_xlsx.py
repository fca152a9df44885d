"""Workbooks are read as their makers see them; what is meant to break the reader is refused."""

from __future__ import annotations

import datetime
import io
import struct
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from registry.imports.batches import read_batches
from registry.imports.progress import Meter
from registry.imports.readers import Unreadable
from registry.imports.xlsx import archive, book, cells, markup, reader, sheet
from registry.imports.xlsx.cells import CellError, Fault, Faulty
from tests.xlsx_support import MAIN, Make, by_openpyxl, by_xlsxwriter, parts, row, zipped

WRITERS = pytest.mark.parametrize("make", [by_openpyxl, by_xlsxwriter])


async def _pieces(data: bytes, size: int = 1 << 20) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def rows_of(data: bytes, wanted: str | None = None) -> dict[int, Any]:
    found: dict[int, Any] = {}
    async for block in reader.read_xlsx(_pieces(data), Meter(len(data)), wanted):
        found.update(enumerate(block.rows, block.first))
    return found


async def only_row(cells_: str, strings: tuple[str, ...] = (), styles: str = "") -> Any:
    return (await rows_of(zipped(parts(f"<row>{cells_}</row>", strings, styles)))).get(1)


async def refusal(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        await rows_of(data)
    return str(caught.value)


@WRITERS
async def test_cells_are_what_people_see(make: Make) -> None:
    data = make(
        [
            ["suffix", "名称", "count", "when", "ok"],
            ["SN-1", "离心泵 🏭 & <b>", 12, datetime.datetime(2026, 1, 31), True],
            ["SN-2", " two\nlines ", 0.1, datetime.datetime(2026, 1, 31, 8, 30, 15), False],
            [],
            ["SN-3", None, 1234567.5, None, None],
            ["SN-4", "_x0041_", -3, None, ""],
        ]
    )
    assert await rows_of(data) == {
        1: ["suffix", "名称", "count", "when", "ok"],
        2: ["SN-1", "离心泵 🏭 & <b>", "12", "2026-01-31", "TRUE"],
        3: ["SN-2", " two\nlines ", "0.1", "2026-01-31T08:30:15", "FALSE"],
        5: ["SN-3", "", "1234567.5"],
        6: ["SN-4", "A" if make is by_openpyxl else "_x0041_", "-3"],
    }


async def test_the_first_sheet_is_read_or_the_one_that_is_named() -> None:
    import openpyxl

    made = openpyxl.Workbook()
    assert made.active is not None
    made.active.append(["first"])
    made.create_sheet("产品").append(["second"])
    out = io.BytesIO()
    made.save(out)
    assert await rows_of(out.getvalue()) == {1: ["first"]}
    assert await rows_of(out.getvalue(), "产品") == {1: ["second"]}
    with pytest.raises(Unreadable, match="no sheet 'none'"):
        await rows_of(out.getvalue(), "none")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0", "0"),
        ("-0.0", "0"),
        ("007", "7"),
        ("1.1000000000000001", "1.1"),
        ("0.30000000000000004", "0.3"),
        ("1E3", "1000"),
        ("2.5e-7", "0.00000025"),
        ("999999999999999", "999999999999999"),
        ("0.1234567890123456", "0.123456789012346"),
    ],
)
def test_a_number_is_shown_with_the_digits_that_a_spreadsheet_keeps(text: str, shown: str) -> None:
    assert cells.number(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "1000000000000000",
        "9223372036854775808",
        "1E15",
        "1e999",
        "1e9999999",
        "",
        "1,5",
        "NaN",
        "٣",
    ],
)
def test_a_number_that_a_spreadsheet_does_not_keep_is_refused(text: str) -> None:
    with pytest.raises(CellError):
        cells.number(text)


@pytest.mark.parametrize(
    ("text", "from_1904", "shown"),
    [
        ("1", False, "1900-01-01"),
        ("59", False, "1900-02-28"),
        ("61", False, "1900-03-01"),
        ("46053", False, "2026-01-31"),
        ("44591", True, "2026-01-31"),
        ("0.5", False, "12:00:00"),
        ("46053.999999999", False, "2026-02-01T00:00:00"),
        ("2958465", False, "9999-12-31"),
    ],
)
def test_days_are_counted_as_the_workbook_says(text: str, from_1904: bool, shown: str) -> None:
    assert cells.moment(text, from_1904=from_1904) == shown


@pytest.mark.parametrize("text", ["60", "-1", "2958466", "1e300", "x"])
def test_a_day_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(CellError):
        cells.moment(text, from_1904=False)


async def test_formats_tell_days_from_numbers() -> None:
    codes = {
        "yyyy-mm-dd": "2026-01-31",
        "[$-804]yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;": "2026-01-31",
        "[h]:mm": "46053",
        "General &quot;days&quot;": "46053",
        "0.00": "46053",
        "[Red]#,##0;[Blue]yyyy": "46053",
    }
    formats = "".join(
        f'<numFmt numFmtId="{170 + n}" formatCode="{code}"/>' for n, code in enumerate(codes)
    )
    used = "".join(f'<xf numFmtId="{170 + n}"/>' for n in range(len(codes)))
    styles = (
        f'<numFmts>{formats}</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        f'<cellXfs>{used}<xf numFmtId="14"/><xf numFmtId="0"/></cellXfs>'
    )
    given = "".join(f'<c s="{n}"><v>46053</v></c>' for n in range(len(codes) + 2))
    assert await only_row(given, styles=styles) == [*codes.values(), "2026-01-31", "46053"]


async def test_texts_in_runs_are_whole_and_how_they_are_read_aloud_is_left_out() -> None:
    aloud = '<r><t>离心</t></r><r><t xml:space="preserve"> 泵</t></r><rPh><t>LI XIN</t></rPh>'
    given = '<c t="s"><v>0</v></c><c t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r></is></c>'
    assert await only_row(given, (aloud,)) == ["离心 泵", "ab"]


async def test_the_stored_result_of_a_formula_is_taken_and_one_without_is_refused() -> None:
    assert await only_row('<c t="str"><f>A1&amp;"-1"</f><v>SN-1</v></c>') == ["SN-1"]
    assert await only_row("<c><f>1+1</f><v>2</v></c>") == ["2"]
    assert await only_row('<c t="str"><f>A1</f><v></v></c><c><v>1</v></c>') == ["", "1"]
    assert await only_row("<c/><c><f>1+1</f><v/></c>") == await only_row("<c/><c><f>1+1</f></c>")
    why = (
        "the cell is a formula whose result the workbook does not have: open it in the spreadsheet"
        " program, save it, and send it again"
    )
    given = '<c/><c><f>1+1</f></c><c t="str"><v>x</v></c><c><f>2</f></c>'
    assert await only_row(given) == Faulty(["", "", "x"], [Fault(1, why), Fault(3, why)])


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ('<c t="e"><v>#N/A</v></c>', "shows the error #N/A"),
        ('<c t="s"><v>7</v></c>', "names a text"),
        ('<c t="s"><v>-1</v></c>', "names a text"),
        ("<c><v>12345678901234567890</v></c>", "more than 15 digits"),
        ('<c t="inlineStr"><is><t>a_x0000_b</t></is></c>', "U+0000"),
        ('<c t="inlineStr"><is><t>a_xD800_b</t></is></c>', "half a character"),
    ],
)
async def test_a_cell_that_cannot_be_taken_costs_its_row_alone(cell: str, reason: str) -> None:
    data = zipped(parts(f"{row(1, 'suffix')}<row>{cell}</row>{row(3, 'A')}"))
    found = await rows_of(data)
    assert reason in found[2].faults[0].reason
    assert found[3] == ["A"]
    (batch,) = [
        each
        async for each in read_batches(
            "xlsx", _pieces(data), prefix="88.118.1", after=0, clock=lambda: 0.0
        )
    ]
    (refused,) = batch.refusals
    assert (refused.row, refused.column) == (2, "suffix")
    assert batch.groups["88.118.1"].rows == {"A": 3}


async def test_short_rows_are_filled_up_and_long_ones_refused() -> None:
    data = zipped(parts(row(2, "suffix", "NAME", "URL") + row(4, "A") + row(5, "B", "1", "2", "3")))
    (batch,) = [
        each
        async for each in read_batches(
            "xlsx", _pieces(data), prefix="88.118.1", after=0, clock=lambda: 0.0
        )
    ]
    assert batch.groups["88.118.1"].rows == {"A": 4}
    assert [(each.row, each.reason) for each in batch.refusals] == [
        (5, "the row has 4 cells, the header 3")
    ]


def _bomb(name: str, octets: bytes) -> Callable[[], bytes]:
    return lambda: zipped(parts(row(1, "suffix")) | {name: octets})


_DOCTYPE = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
_OUTSIDE = b'<!DOCTYPE x SYSTEM "file:///etc/passwd">'
_SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"", "not an XLSX workbook"),
        (lambda: b"suffix,NAME\nA,b\n" * 100, "not an XLSX workbook"),
        (lambda: zipped({"a.txt": b"x"}), "not an XLSX workbook"),
        (lambda: zipped(parts(""))[:-30], "not an XLSX workbook"),
        (_bomb(_SHEET, b" " * (64 << 20)), "250 times its size"),
        (_bomb("docProps/app.xml", b"\0" * (64 << 20)), "250 times its size"),
        (_bomb(_SHEET, _DOCTYPE + b"<x>&b;</x>"), "document type"),
        (_bomb("xl/sharedStrings.xml", _OUTSIDE + b"<x/>"), "document type"),
        (_bomb("xl/workbook.xml", _DOCTYPE + b"<x/>"), "document type"),
        (_bomb(_SHEET, b"<a>" * 100), "nested too deeply"),
        (_bomb(_SHEET, b"<worksheet>"), "is not XML"),
        (_bomb(_SHEET, f'<w xmlns="{MAIN}"><row r="2"/><row r="2"/></w>'.encode()), "not in order"),
        (_bomb(_SHEET, f'<w xmlns="{MAIN}"><row r="2000000"/></w>'.encode()), "at most 1048576"),
        (
            _bomb(_SHEET, f'<w xmlns="{MAIN}"><row><c r="XFD1"><v>1</v></c></row></w>'.encode()),
            "more than 2048 columns",
        ),
        (
            _bomb(_SHEET, f'<w xmlns="{MAIN}"><row><c r="B1"/><c r="A1"/></row></w>'.encode()),
            "not in order",
        ),
        (_bomb(_SHEET, f'<w xmlns="{MAIN}"><row><c r="ABCDE1"/></row></w>'.encode()), "'ABCDE1'"),
        (
            lambda: zipped(parts(row(1, "suffix")), method=zipfile.ZIP_LZMA),
            "compressed in a way",
        ),
    ],
)
async def test_what_is_meant_to_break_the_reader_is_refused(
    make: Callable[[], bytes], reason: str
) -> None:
    assert reason in await refusal(make())


async def test_a_tag_a_row_and_a_text_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_RATIO", 10_000)
    tag = f'<w xmlns="{MAIN}"><row spans="{"1" * (1 << 20)}"/></w>'.encode()
    assert "a tag that is too long" in await refusal(zipped(parts("") | {_SHEET: tag}))
    long = "<row>" + "<c/>" * (2 << 20) + "</row>"
    assert "bytes of XML" in await refusal(zipped(parts(long)))
    text = "x" * (2 << 20)
    assert "row 1 is longer than" in await refusal(zipped(parts(row(1, text))))
    shared = "<row>" + '<c t="s"><v>0</v></c>' * 2000 + "</row>"
    assert "row 1 is longer than" in await refusal(
        zipped(parts(shared, ("<t>" + "y" * 10_000 + "</t>",)))
    )
    assert "a text is longer" in await refusal(zipped(parts(shared, (f"<t>{text}</t>",))))


async def test_parts_sheets_strings_and_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = by_xlsxwriter([["suffix", "NAME"], ["A", "a"]])
    for module, limit, value, reason in (
        (archive, "MAX_PARTS", 3, "more than 3 parts"),
        (archive, "MAX_EXPANDED_BYTES", 1000, "expands to more than 1000"),
        (archive, "MAX_DIRECTORY_BYTES", 100, "table of contents"),
        (book, "MAX_SHEETS", 0, "more than 0 sheets"),
        (book, "MAX_STYLES", 0, "too many styles"),
        (cells, "MAX_STRINGS", 2, "over 2 different texts"),
        (sheet, "MAX_STRINGS_BYTES", 20, "has over 20 bytes"),
        (sheet, "MAX_SHEET_BYTES", 20, "has over 20 bytes"),
        (reader, "MAX_BYTES", 1000, "at most 1000 bytes"),
        (markup, "MAX_DEPTH", 2, "nested too deeply"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, limit, value)
            assert reason in await refusal(data), limit


async def test_a_part_that_lies_about_its_size_gives_no_more_than_it_says() -> None:
    """The size that is checked is the one in the table of contents, which anybody can write."""
    content = parts("".join(row(n, "x" * 100) for n in range(1, 5000)))
    data = bytearray(zipped(content))
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(_SHEET)] != _SHEET.encode():
        at = data.index(b"PK\x01\x02", at + 1)
    data[at + 24 : at + 28] = struct.pack("<L", 1000)
    assert "damaged" in await refusal(bytes(data)) or "not XML" in await refusal(bytes(data))


async def test_two_parts_of_one_name_are_refused() -> None:
    out = io.BytesIO(zipped(parts(row(1, "suffix"))))
    with zipfile.ZipFile(out, "a") as made, pytest.warns(UserWarning, match="Duplicate"):
        made.writestr(_SHEET, b"<other/>")
    assert "one of them twice" in await refusal(out.getvalue())


async def test_an_encrypted_part_is_refused() -> None:
    data = bytearray(zipped(parts(row(1, "suffix"))))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    assert "encrypted" in await refusal(bytes(data))


async def test_memory_stays_flat_while_200_000_rows_are_read() -> None:
    count = 200_000
    data = zipped(parts("".join(row(n, f"SN-{n}", "离心泵") for n in range(1, count + 1))))
    found = 0
    tracemalloc.start()
    try:
        async for block in reader.read_xlsx(_pieces(data), Meter(len(data))):
            found += len(block.rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < 8 << 20, "a piece of the sheet is held, not the sheet"


async def test_the_meter_tells_of_the_sheet() -> None:
    data = zipped(parts("".join(row(n, f"SN-{n}", "x" * 50) for n in range(1, 5000))))
    meter = Meter(len(data))
    shares = [meter.share() async for _ in reader.read_xlsx(_pieces(data, 1000), meter)]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert meter.share() == 1
