"""Headers, limits and charsets of imported files, and memory that stays flat."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Iterable

import pytest

from registry.imports import readers
from registry.imports.batches import BATCH_CHARACTERS, Batch, read_batches
from registry.imports.csv_rows import csv_parser
from registry.imports.readers import Unreadable
from registry.imports.rows import RowError

STAMP = "2026-01-01T00:00:00Z"


async def _stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def batches_of(format_: str, *pieces: bytes, after: int = 0) -> list[Batch]:
    read = read_batches(format_, _stream(pieces), prefix="88.118.1", after=after, clock=lambda: 0.0)
    return [batch async for batch in read]


async def test_memory_stays_flat_while_a_file_of_64_mib_is_read() -> None:
    def file() -> Iterable[bytes]:
        yield b"suffix,TEXT\n"
        for chunk in range(64):
            yield b"".join(b"%d-%d,%s\n" % (chunk, row, b"x" * 1010) for row in range(1024))

    rows = 0
    tracemalloc.start()
    try:
        async for batch in read_batches(
            "csv", _stream(file()), prefix="88.118.1", after=0, clock=lambda: 0.0
        ):
            rows += batch.accepted
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == 64 * 1024
    assert peak < 4 * BATCH_CHARACTERS, "reading holds a batch at most, not the file"


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (["identifier", "URL", "URL"], "'URL'"),
        (["identifier", "identifier"], "'identifier'"),
        (["identifier", "suffix"], "'identifier'"),
        (["URL"], "'identifier'"),
        (["identifier", ""], "column 2"),
        (["identifier", "a b"], "'a b'"),
        (["identifier", "x:URL"], "'x:URL'"),
        (["identifier", "0:URL"], "'0:URL'"),
        (["identifier", "2147483648:URL"], "'2147483648:URL'"),
        (["identifier", "2:URL", "NAME"], "'NAME' has index 2, as '2:URL'"),
        ([], "'identifier'"),
    ],
)
def test_a_bad_header_names_the_column(header: list[str], named: str) -> None:
    with pytest.raises(Unreadable) as caught:
        csv_parser(header, None)
    assert named in str(caught.value)


def test_a_prefix_for_bare_suffixes_binds_full_identifiers_too() -> None:
    parse = csv_parser(["identifier", "URL"], "88.118.1")
    assert parse(["88.118.1/A", "x"], STAMP) is not None
    with pytest.raises(RowError, match=r"88\.118\.1"):
        parse(["88.118.2/A", "x"], STAMP)


def test_a_cell_over_the_limit_of_data_is_refused_and_the_longest_is_not() -> None:
    parse = csv_parser(["suffix", "TEXT"], "88.118.1")
    assert parse(["A", "x" * 65_536], STAMP) is not None
    for cell in ("x" * 65_537, "离" * 21_846):
        with pytest.raises(RowError) as caught:
            parse(["A", cell], STAMP)
        assert caught.value.column == "TEXT"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        ("suffix\nA\n".encode("utf-16"), "UTF-16"),
        (b"suffix\n\xff\xff\xff\n", "neither UTF-8 nor GBK"),
        (b"suffix\nA\0B\n", "NUL"),
        (b'suffix,URL\nA,"x"y\n', "row 2 is not CSV"),
        (b'suffix,URL\nA,x\nB,"x\n', "row 3 is not CSV"),
        (b'suffix,URL\nA,"' + b"x\n" * 600_000, "row 2 is not CSV: field larger"),
        (b"suffix,URL\nA" + b",x" * 600_000, "row 2 is longer"),
    ],
)
async def test_an_unreadable_csv_file_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        await batches_of("csv", data)


async def test_an_ndjson_line_over_the_limit_is_named() -> None:
    data = b"{}\n" + b"x" * (readers.MAX_ROW_LENGTH + 1) + b"\n"
    with pytest.raises(Unreadable, match="row 2 is longer"):
        await batches_of("ndjson", data)


async def test_reading_goes_on_after_the_rows_that_are_decided() -> None:
    data = b"suffix\n" + b"".join(b"S%d\n" % n for n in range(10))
    (batch,) = await batches_of("csv", data, after=6)
    assert (batch.after, batch.last) == (6, 11)
    assert batch.groups["88.118.1"].rows == {f"S{n}": n + 2 for n in range(5, 10)}
    assert await batches_of("csv", data, after=11) == []


async def test_gbk_with_quotes_and_line_breaks_in_cells() -> None:
    data = 'suffix,NAME,2000:说明\r\nA,离心泵,"第一行\r\n第二""行"""\r\n'.encode("gbk")
    (batch,) = await batches_of("csv", data)
    (line,) = batch.groups["88.118.1"].lines.values()
    assert "离心泵" in line
    assert r'第一行\\r\\n第二\\"行\\"' in line
