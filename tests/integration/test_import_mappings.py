"""Columns of files become values of a template by a mapping, given or kept, or by their titles."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from registry.imports import mappings
from tests.integration.import_support import error_rows, imported, query, send, worked_on
from tests.integration.registry_client import Node
from tests.integration.template_support import item, published
from tests.xlsx_support import by_openpyxl

ITEMS = [
    item(2000, "NAME", name="名称", required=True, max_length=5),
    item(2001, "POWER", "decimal", name="功率"),
    item(2002, "MAKER", name="厂家", audience="private"),
    item(2003, "GRADE", "enum", name="等级", values=["A", "B"]),
]
CSV = "编号,品名,kW,备注\nSN-1,离心泵,7.5,x\nSN-2,水泵水泵水泵,1,\nSN-3,水泵,,\n".encode()
ERP: dict[str, Any] = {
    "suffix": "编号",
    "columns": {"品名": "名称", "kW": "power", "备注": None},
    "constants": {"MAKER": "东方泵业", "等级": "A"},
    "ttl": 600,
}


@pytest.fixture
async def works(node: Node) -> tuple[str, str]:
    """An enterprise's key and its prefix, with a template."""
    enterprise_id, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise_id, key)
    await published(node, prefix, key, items=ITEMS)
    return key, prefix


async def _stored(node: Node, prefix: str) -> dict[str, dict[int, tuple[Any, ...]]]:
    rows = await query(
        node,
        "SELECT suffix, values FROM identifiers WHERE prefix = $1 AND suffix NOT LIKE 'template/%'",
        prefix,
    )
    return {
        row["suffix"]: {
            value["index"]: (value["type"], value["data"]["value"], value["ttl"])
            for value in json.loads(row["values"])
        }
        for row in rows
    }


def _at(prefix: str, mapping: Any, form: str = "csv") -> str:
    text = mapping if isinstance(mapping, str) else json.dumps(mapping, ensure_ascii=False)
    return f"?format={form}&prefix={prefix}&template=pump&mapping={quote(text)}"


async def test_a_mapping_says_what_columns_are_and_what_all_rows_have(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    record = await imported(node, key, CSV, _at(prefix, ERP))
    assert (record["state"], record["done"], record["failed"]) == ("done", 2, 1)
    assert record["mapping"]["constants"] == ERP["constants"]
    assert [row[:2] for row in (await error_rows(node, key, record["id"]))[1:]] == [["3", "品名"]]
    assert await _stored(node, prefix) == {
        "SN-1": {
            2000: ("NAME", "离心泵", 600),
            2001: ("POWER", "7.5", 600),
            2002: ("MAKER", "东方泵业", 600),
            2003: ("GRADE", "A", 600),
        },
        "SN-3": {
            2000: ("NAME", "水泵", 600),
            2002: ("MAKER", "东方泵业", 600),
            2003: ("GRADE", "A", 600),
        },
    }
    _, body, _ = await node.call("GET", f"/identifiers/{prefix}/SN-1", key)
    permissions = {value["index"]: value.get("permissions") for value in body["values"]}
    assert permissions[2002] == "1100", "an item that is private stays so"
    assert permissions[2000] != "1100"


async def test_a_mapping_that_is_kept_is_named_and_an_import_takes_a_copy(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    path = f"/mappings/{prefix}/pump/{quote('ERP 导出')}"
    status, kept, _ = await node.call("PUT", path, key, ERP)
    assert (status, kept["name"], kept["template"]) == (201, "ERP 导出", "pump")
    assert kept["mapping"] == kept["mapping"] | ERP
    status, made = await send(node, key, CSV, _at(prefix, "erp 导出"))
    assert status == 202, made
    changed = ERP | {"constants": {"MAKER": "other", "GRADE": "B"}}
    assert (await node.call("PUT", path, key, changed))[0] == 200
    record = await worked_on(node, key, made["id"])
    assert record["done"] == 2
    assert (await _stored(node, prefix))["SN-1"][2003][1] == "A"
    status, listed, _ = await node.call("GET", f"/mappings?prefix={prefix}", key)
    assert [each["mapping"]["constants"] for each in listed["items"]] == [changed["constants"]]
    assert (await node.call("DELETE", path, key))[0] == 204
    for method in ("GET", "DELETE"):
        assert (await node.call(method, path, key))[0] == 404
    status, body = await send(node, key, CSV, _at(prefix, "ERP 导出"))
    assert (status, body["field"]) == (422, "mapping")


async def test_a_sheet_is_mapped_and_its_other_columns_are_ignored(
    node: Node, works: tuple[str, str]
) -> None:
    import io

    import openpyxl

    key, prefix = works
    book = openpyxl.load_workbook(io.BytesIO(by_openpyxl([["not this"]])))
    sheet = book.create_sheet("产品")
    for row in (
        ["标识", "品名", "", "x", "x", "有效期"],
        [f"{prefix}/SN-9", "水泵", "", 1, 2, 60],
    ):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    mapping = {
        "sheet": "产品",
        "identifier": "标识",
        "columns": {"品名": 2000},
        "ttl_column": "有效期",
        "others": "ignore",
    }
    record = await imported(node, key, out.getvalue(), _at(prefix, mapping, "xlsx"))
    assert (record["state"], record["done"], record["reason"]) == ("done", 1, None)
    assert await _stored(node, prefix) == {"SN-9": {2000: ("NAME", "水泵", 60)}}


async def test_titles_that_are_names_of_items_need_no_mapping(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    data = "标识后缀,名称,power,TTL\nA,水泵,2,9\n".replace("TTL", "ttl").encode()
    record = await imported(node, key, data, f"?format=csv&prefix={prefix}&template=pump")
    assert (record["state"], record["done"]) == ("done", 1), record
    assert await _stored(node, prefix) == {
        "A": {2000: ("NAME", "水泵", 9), 2001: ("POWER", "2", 9)}
    }


@pytest.mark.parametrize(
    ("mapping", "field", "told"),
    [
        ({"columns": {"品名": "NONE"}}, "mapping.columns", "NONE is no item"),
        ({"columns": {"品名": 2009}}, "mapping.columns", "2009 is no item"),
        ({"columns": {"a": "NAME", "b": 2000}}, "mapping.columns", "given twice"),
        ({"columns": {"a": "NAME"}, "constants": {"名称": "x"}}, "mapping.constants", "twice"),
        ({"columns": {"编号": "NAME"}, "suffix": "编号"}, "mapping.columns", "two things"),
        ({"identifier": "a", "suffix": "b"}, "mapping.suffix", "not both"),
        ({"constants": {"GRADE": "C"}}, "mapping.constants", "等级"),
        ({"constants": {"NONE": "C"}}, "mapping.constants", "NONE is no item"),
        ({"ttl": 2**31}, "mapping.ttl", ""),
        ({"ttl": 2**63}, "mapping.ttl", ""),
        ({"columns": {"": "NAME"}}, "mapping.columns", ""),
        ({"prefix": "88.1"}, "mapping.prefix", "unknown member"),
        ("none", "mapping", "has no mapping none"),
        ('{"columns":', "mapping", "neither the name of a mapping nor one in JSON"),
        ("a\0b", "mapping", ""),
        ("a\u202eb", "mapping", ""),
        ("x" * 129, "mapping", ""),
        ({"columns": {"a\0": "NAME"}}, "mapping", ""),
        ({"columns": {"a": "NA\0ME"}}, "mapping", ""),
    ],
)
async def test_a_mapping_that_does_not_fit_is_refused_before_the_file_is_stored(
    node: Node, works: tuple[str, str], mapping: Any, field: str, told: str
) -> None:
    key, prefix = works
    status, body = await send(node, key, CSV, _at(prefix, mapping))
    assert status in (400, 422), body
    assert body["field"].startswith(field), body
    assert told in body["detail"]
    assert await query(node, "SELECT FROM imports") == []


async def test_where_a_mapping_has_no_place_it_is_refused(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    for at, field in (
        (f"?format=csv&prefix={prefix}&mapping=x", "template"),
        (_at(prefix, {}, "ndjson"), "mapping"),
    ):
        status, body = await send(node, key, CSV, at)
        assert (status, body["field"]) == (422, field)
    status, body = await send(node, key, CSV, _at(prefix, "{broken"))
    assert status == 400


@pytest.mark.parametrize(
    ("header", "mapping", "reason"),
    [
        ("编号,品名", {"suffix": "No."}, "the column 'No.' of the mapping is not in the header"),
        ("编号,品名", {"columns": {"品名": "NAME"}}, "the header needs one column named"),
        ("suffix,品名", {}, "the column '品名' is no item of the template pump/1"),
        ("suffix,NAME,名称", {}, "the column '名称' has index 2000, as 'NAME' has already"),
        ("suffix,品名,品名", {"columns": {"品名": "NAME"}}, "stands twice"),
        ("suffix,,NAME", {}, "column 2 has no name"),
        ("编号,suffix,NAME", {"suffix": "编号"}, "the column 'suffix' is no item"),
    ],
)
async def test_a_header_that_does_not_fit_fails_the_file_and_names_the_column(
    node: Node, works: tuple[str, str], header: str, mapping: Any, reason: str
) -> None:
    key, prefix = works
    record = await imported(node, key, f"{header}\na,b\n".encode(), _at(prefix, mapping))
    assert (record["state"], record["done"]) == ("failed", 0)
    assert reason in record["reason"]


async def test_mappings_are_paged_bounded_and_held_to_their_template(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, prefix = works
    await published(node, prefix, key, name="motor", items=ITEMS)
    for template in ("pump", "motor"):
        for name in ("b", "A"):
            path = f"/mappings/{prefix}/{template}/{name}"
            assert (await node.call("PUT", path, key, {}))[0] == 201
    seen: list[tuple[str, str]] = []
    path = f"/mappings?prefix={prefix}&limit=1"
    while path:
        _, body, _ = await node.call("GET", path, key)
        seen += [(each["template"], each["name"]) for each in body["items"]]
        more = body["next"]
        path = f"/mappings?prefix={prefix}&limit=1&cursor={more}" if more else ""
    assert seen == [("motor", "A"), ("motor", "b"), ("pump", "A"), ("pump", "b")]
    monkeypatch.setattr(mappings, "MAX_MAPPINGS", 2)
    at = f"/mappings/{prefix}/pump"
    assert (await node.call("PUT", f"{at}/c", key, {}))[0] == 409
    assert (await node.call("PUT", f"{at}/a", key, {}))[0] == 200, "it is there already"
    for body, status in (
        ({"columns": {"x": "NONE"}}, 422),
        ({"others": "guess"}, 422),
        ({"owner": "me"}, 422),
    ):
        assert (await node.call("PUT", f"{at}/a", key, body))[0] == status
    assert (await node.call("PUT", f"/mappings/{prefix}/none/a", key, {}))[0] == 422
    assert (await node.call("PUT", f"/mappings/{prefix}/pump/a%E2%80%AEb", key, {}))[0] == 404
    assert (await node.call("PUT", f"{at}/a", node.reviewer, {}))[0] == 403
    assert (await node.call("GET", f"{at}/a", node.reviewer))[0] == 200
