"""Files are read the same however they are cut, and rows are stored as the API would store them."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import json_api
from protocol.errors import IdnodeError
from protocol.identifier import Identifier, check_registrable
from protocol.typed_check import check_typed
from protocol.values import check_values, is_overriding
from registry.imports import readers
from registry.imports.csv_rows import csv_parser
from registry.imports.ndjson_rows import ndjson_parser
from registry.imports.readers import Unreadable, read_csv, read_ndjson
from registry.imports.rows import RowError
from registry.imports.templates import Templates
from registry.templates.checker import Checker
from registry.templates.definition import Definition
from registry.templates.names import Reference, check_not_reserved

STAMP = "2026-01-01T00:00:00Z"


async def _stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def read(reader: Callable[[AsyncIterator[bytes]], Any], *pieces: bytes) -> tuple[list[Any], str]:
    """Return the rows, and why there are no more ("" at the end of the file)."""
    rows: list[Any] = []

    async def collect() -> str:
        try:
            async for block in reader(_stream(pieces)):
                assert block.first == len(rows) + 1
                rows.extend(block.rows)
        except Unreadable as error:
            return str(error)
        return ""

    return rows, asyncio.run(collect())


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


CELLS = st.text(
    st.one_of(
        st.sampled_from(',"\n\r;=离心泵é 0'),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=12,
)
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=8)
PLACES = st.lists(st.integers(0, 10_000), max_size=12)


@pytest.fixture(autouse=True, scope="module")
def _small_steps() -> Any:
    """Let files of a few bytes be cut as large ones are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "_STEP", 7)
        patch.setattr(readers, "LOOK_BYTES", 35)
        yield


@given(TABLES, PLACES, st.sampled_from(["utf-8", "utf-8-sig"]), st.booleans())
def test_a_csv_file_gives_back_what_was_written_however_it_is_cut(
    table: list[list[str]], places: list[int], charset: str, quote_all: bool
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL) if quote_all else csv.writer(text)
    writer.writerows(table)
    data = text.getvalue().encode(charset)
    if data.startswith((b"\xfe\xff", b"\xff\xfe")):
        return
    if charset == "utf-8" and data.startswith(b"\xef\xbb\xbf"):
        return  # a cell that starts with the mark is not to be told from the mark
    assert read(read_csv, *cut(data, places)) == (table, "")


@given(st.binary(max_size=120), PLACES)
def test_any_bytes_give_the_same_rows_or_refusal_however_they_are_cut(
    data: bytes, places: list[int]
) -> None:
    for reader in (read_csv, read_ndjson):
        assert read(reader, *cut(data, places)) == read(reader, data)


@given(
    st.lists(st.sampled_from(["离心泵", "阀门", "ASCII", "㐀"]), min_size=1, max_size=30), PLACES
)
def test_gbk_is_found_out(words: list[str], places: list[int]) -> None:
    data = ("\n".join(f"{word},x" for word in ["标识", *words]) + "\n").encode("gb18030")
    rows, reason = read(read_csv, *cut(data, places))
    assert reason == ""
    assert rows == [[word, "x"] for word in ["标识", *words]]


def test_gbk_is_found_out_behind_a_long_beginning_of_ascii() -> None:
    table = [["identifier", "NAME"], *([f"SN-{n}", "pump"] for n in range(50)), ["SN-51", "离心泵"]]
    data = "".join(f"{name},{value}\n" for name, value in table).encode("gbk")
    assert read(read_csv, data) == (table, "")


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=9), PLACES)
def test_ndjson_lines_come_as_they_are(lines: list[bytes], places: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    if data.startswith((b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")):
        return
    assert read(read_ndjson, *cut(data, places)) == (lines, "")


def stored(line: str) -> tuple[str, str, str, Any, str | None]:
    """Read a line of COPY text as PostgreSQL does."""
    assert line.endswith("\n")
    assert line.count("\n") == 1
    fields = line[:-1].split("\t")
    prefix, key, suffix, values, template = (
        None if field == "\\N" else field.replace("\\\\", "\\") for field in fields
    )
    assert prefix is not None and key is not None and suffix is not None  # noqa: PT018
    return prefix, key, suffix, json.loads(values or ""), template


ITEMS = [
    ("NAME", "名称", {"kind": "string", "max_length": 9}, "public", True),
    ("SUPPLIER", "供应商", {"kind": "enum", "values": ["我们", "他们"]}, "private", False),
    ("PART", "部件", {"kind": "identifier", "registered": True}, "partners", False),
]
CHECKER = Checker(
    Reference("t\\1", 7),
    msgspec.convert(
        {
            "items": [
                {
                    "index": 2000 + n,
                    "type": type_,
                    "name": name,
                    "data": data,
                    "audience": audience,
                    "required": required,
                }
                for n, (type_, name, data, audience, required) in enumerate(ITEMS)
            ]
        },
        Definition,
    ),
)


async def _find(prefix: str, text: str) -> Checker:
    return CHECKER


TEMPLATES = Templates(_find)
asyncio.run(TEMPLATES.read("88.118.35", "t\\1"))


def by_the_api(
    identifier: Identifier, values: list[Any], template: str | None
) -> tuple[str, str, str, Any, str | None]:
    """Return what a PUT would store. Raises IdnodeError."""
    check_registrable(identifier)
    check_not_reserved(identifier.suffix_key)
    decoded = json_api.decode_values(values, timestamp=0)
    check_values(decoded)
    check_typed(decoded)
    if template is not None:
        checker = TEMPLATES.checker(identifier.prefix, template)
        assert checker is not None
        checker.check(decoded)
        decoded = tuple(checker.restrict(decoded))
        template = str(checker.reference)
    encoded = [json_api.encode_stored(value) | {"timestamp": STAMP} for value in decoded]
    return identifier.prefix, identifier.suffix_key, identifier.suffix, encoded, template


TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]), st.sampled_from("\u202a\u202e\u2066\u2069")
    ),
    max_size=30,
)
# The reader refuses a file with a NUL.
CELL_TEXTS = st.one_of(TEXTS.filter(lambda text: "\0" not in text), st.just("0.SERV/x"))
SUFFIXES = st.one_of(st.from_regex(r"[A-Za-z0-9\\/-]{1,20}", fullmatch=True), TEXTS)
TYPES = st.sampled_from(["URL", "NAME", "hs_admin", "HS_SITE", "hs_serv", "类型", "a b", "", "X\t"])
DATA = st.one_of(
    st.fixed_dictionaries({"format": st.just("string"), "value": CELL_TEXTS}),
    st.fixed_dictionaries({"format": st.just("string"), "value": TEXTS}),
    st.fixed_dictionaries({"format": st.just("base64"), "value": st.sampled_from(["AA==", "!"])}),
    TEXTS,
    st.just({"format": "string", "value": "x", "colour": "red"}),
)
VALUES = st.fixed_dictionaries(
    {"index": st.sampled_from([1, 2, 3, 2**31 - 1, 0, 2**31, 1.0, True, "1"]), "type": TYPES},
    optional={
        "data": DATA,
        "ttl": st.sampled_from([0, 60, 2**31 - 1, 2**31, -1, 1.0, "2027-01-01T00:00:00Z", None]),
        "permissions": st.sampled_from(["1110", "1100", "2"]),
        "timestamp": st.sampled_from([STAMP, "2020-05-05T00:00:00Z", "never"]),
        "references": st.sampled_from([[], [{"handle": "88.118/A", "index": 1}]]),
        "colour": st.just("red"),
    },
)
PLAIN = st.builds(
    lambda index, type_, text: {
        "index": index,
        "type": type_,
        "data": {"format": "string", "value": text},
    },
    st.integers(1, 9),
    st.sampled_from(["URL", "NAME"]),
    TEXTS,
)


OF_ITEMS = st.builds(
    lambda index, type_, data, more: {"index": index, "type": type_, "data": data, **more},
    st.sampled_from([2000, 2001, 2002, 301, 1001, 9]),
    st.sampled_from(["NAME", "supplier", "SUPPLIER", "PART", "HS_SECKEY", "TEMPLATE", "X"]),
    st.one_of(
        st.sampled_from(["我们", "88.118.35/A", "t\\1", "T\\1/7", "/"]),
        st.text(max_size=10),
        st.just({"format": "base64", "value": "/w=="}),
    ).map(lambda data: data if isinstance(data, dict) else {"format": "string", "value": data}),
    st.sampled_from([{}, {}, {"ttl": 60}, {"permissions": "1110"}, {"permissions": "0111"}]),
)
RIGHT = st.fixed_dictionaries(
    {},
    optional={
        2000: st.text(min_size=1, max_size=9).filter(
            lambda text: "\0" not in text and not is_overriding(text)
        ),
        2001: st.sampled_from(["我们", "他们"]),
        2002: st.sampled_from(["88.118.35/A", "1.2/b/c"]),
    },
).map(
    lambda texts: [
        {
            "index": index,
            "type": ITEMS[index - 2000][0],
            "data": {"format": "string", "value": text},
        }
        for index, text in texts.items()
    ]
)


@settings(max_examples=400)
@given(
    SUFFIXES,
    st.one_of(
        RIGHT, st.lists(OF_ITEMS, max_size=4), st.lists(st.one_of(PLAIN, VALUES), max_size=3)
    ),
    st.sampled_from([None, "t\\1"]),
)
def test_an_ndjson_row_is_stored_as_the_api_would_store_it(
    suffix: str, values: list[Any], template: str | None
) -> None:
    row = {"suffix": suffix, "values": values, "template": template}
    try:
        expected = by_the_api(Identifier.of("88.118.35", suffix), values, template)
    except IdnodeError:
        with pytest.raises(RowError):
            ndjson_parser("88.118.35", TEMPLATES)(json.dumps(row).encode(), STAMP)
        return
    line = ndjson_parser("88.118.35", TEMPLATES)(json.dumps(row).encode(), STAMP)
    assert line is not None
    assert stored(line.text) == expected


@settings(max_examples=200)
@given(
    SUFFIXES, st.lists(CELL_TEXTS, min_size=3, max_size=3), st.sampled_from(["", "60", "1e3", "-1"])
)
def test_a_csv_row_is_stored_as_the_api_would_store_it(
    suffix: str, cells: list[str], ttl: str
) -> None:
    parse = csv_parser(["URL", "identifier", "2000:NAME", "ttl", "HS_SERV"], None)
    row = [cells[0], f"88.118.35/{suffix}", cells[1], ttl, cells[2]]
    columns = zip((1, 2000, 3), ("URL", "NAME", "HS_SERV"), cells, strict=True)
    seconds = {"": 86_400, "60": 60}.get(ttl, -1)
    values = [
        {"index": index, "type": type_, "data": cell, "ttl": seconds}
        for index, type_, cell in columns
        if cell
    ]
    try:
        if seconds < 0:
            raise IdnodeError("a bad ttl is refused even where no value has it")
        expected = by_the_api(Identifier.of("88.118.35", suffix), values, None)
    except IdnodeError:
        with pytest.raises(RowError):
            parse(row, STAMP)
        return
    line = parse(row, STAMP)
    assert line is not None
    assert stored(line.text) == expected


@settings(max_examples=300)
@given(
    st.tuples(
        CELL_TEXTS, st.sampled_from(["", "我们", "x"]), st.sampled_from(["", "88.118.35/A", "b"])
    )
)
def test_a_csv_row_is_checked_and_stored_as_the_api_would_by_the_template(
    cells: tuple[str, str, str],
) -> None:
    parse = csv_parser(["suffix", "名称", "SUPPLIER", "2002:part"], "88.118.35", CHECKER)
    columns = zip(range(2000, 2003), ("NAME", "SUPPLIER", "part"), cells, strict=True)
    values = [
        {"index": index, "type": type_, "data": cell} for index, type_, cell in columns if cell
    ]
    row = ["A", *cells]
    try:
        expected = by_the_api(Identifier.of("88.118.35", "A"), values, "t\\1")
    except IdnodeError:
        with pytest.raises(RowError):
            parse(row, STAMP)
        return
    line = parse(row, STAMP)
    assert line is not None
    assert stored(line.text) == expected
    assert [str(target.identifier) for target in line.named] == [cell for cell in cells[2:] if cell]
