"""Workbooks are imported over HTTP as CSV is."""

from __future__ import annotations

import datetime
import json
from urllib.parse import quote

import pytest

from registry.imports import batches
from registry.imports.xlsx import reader
from tests.integration.import_support import error_rows, imported, query, send, worked_on
from tests.integration.registry_client import Node
from tests.integration.template_support import item, published
from tests.xlsx_support import Make, by_openpyxl, by_xlsxwriter

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.mark.parametrize("make", [by_openpyxl, by_xlsxwriter])
async def test_a_workbook_is_held_to_a_template_row_by_row(
    node: Node, works: tuple[str, str], make: Make
) -> None:
    key, prefix = works
    items = [
        item(2000, "NAME", name="名称", required=True, max_length=5),
        item(2001, "POWER", "decimal", name="功率"),
        item(2002, "MADE", "date", name="出厂日期"),
    ]
    await published(node, prefix, key, items=items)
    day = datetime.datetime(2026, 1, 31)
    data = make(
        [
            ["suffix", "名称", "功率", "出厂日期"],
            ["SN-1", "离心泵", 7.5, day],
            ["SN-2", "水泵水泵水泵", 7.5, day],
            ["SN-3", "水泵", "much", None],
            ["SN-4", "水泵", 1234567890123456789, None],
            ["SN-5", None, None, None],
        ]
    )
    status, made = await send(node, key, data, f"?prefix={prefix}&template=pump", Content_Type=XLSX)
    assert (status, made["format"]) == (202, "xlsx")
    record = await worked_on(node, key, made["id"])
    assert (record["state"], record["done"], record["failed"]) == ("done", 1, 4)
    told = (await error_rows(node, key, record["id"]))[1:]
    assert [row[:2] for row in told] == [
        ["3", "名称"],
        ["4", "功率"],
        ["5", "功率"],
        ["6", "名称"],
    ]
    (stored,) = await query(
        node,
        "SELECT values FROM identifiers WHERE prefix = $1 AND suffix NOT LIKE 'template/%'",
        prefix,
    )
    values = {each["type"]: each["data"]["value"] for each in json.loads(stored[0])}
    assert values == {"NAME": "离心泵", "POWER": "7.5", "MADE": "2026-01-31"}


async def test_what_is_wrong_in_a_column_that_the_mapping_ignores_refuses_no_row(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    await published(node, prefix, key, items=[item(2000, "NAME", name="名称")])
    data = by_openpyxl(
        [
            ["suffix", "NOTE", "名称"],
            ["SN-1", "=1+1", "离心泵"],
            ["SN-2", 1234567890123456789, "水泵"],
            [None, "=A3", None],
            ["SN-4", "=1+1", "=B2"],
        ]
    )
    mapping = quote(json.dumps({"columns": {"NOTE": None}}))
    at = f"?prefix={prefix}&template=pump&mapping={mapping}"
    _, made = await send(node, key, data, at, Content_Type=XLSX)
    record = await worked_on(node, key, made["id"])
    assert (record["state"], record["done"], record["failed"]) == ("done", 2, 1)
    (told,) = (await error_rows(node, key, record["id"]))[1:]
    assert told[:2] == ["5", "名称"]


async def test_a_workbook_that_is_cut_off_goes_on_at_the_row_where_it_was(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)
    key, prefix = works
    data = by_xlsxwriter([["suffix"], *([f"SN-{n}"] for n in range(1000))])
    at = f"?format=xlsx&prefix={prefix}&mode=insert"
    _, made = await send(node, key, data, at)
    await query(
        node,
        "INSERT INTO identifiers (prefix, suffix_key, suffix, values)"
        " SELECT $1, 'SN-' || n, 'SN-' || n, '[]' FROM generate_series(0, 498) AS n",
        prefix,
    )
    await query(node, "UPDATE imports SET state = 'running', read = 500, done = 499")
    record = await worked_on(node, key, made["id"])
    assert (record["done"], record["failed"], record["progress"]) == (1000, 0, 1)


async def test_a_file_that_is_no_workbook_fails_with_the_reason(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    record = await imported(node, key, b"suffix\nA\n", f"?format=xlsx&prefix={prefix}")
    assert (record["state"], record["done"]) == ("failed", 0)
    assert record["reason"] == "the file is not an XLSX workbook; save it as .xlsx, or as CSV"


async def test_a_workbook_over_the_limit_is_refused_at_once(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.imports.uploads.MAX_BYTES", 1000)
    key, _ = works
    status, body = await send(node, key, b"x" * 1001, "?format=xlsx")
    assert (status, body["detail"]) == (413, "a file has at most 1000 bytes")
    assert (await send(node, key, b"x" * 1001, "?format=csv"))[0] == 202
    assert reader.MAX_BYTES < 4 << 30
