"""Exports: all that a prefix has, as it was at one moment, and an import takes it back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import openpyxl
import pytest

from registry import export as exporting
from registry.database import Database
from tests.integration import import_support
from tests.integration.registry_client import Node, running


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    """An active hosted prefix, and the key of its enterprise."""
    enterprise, key = await node.enterprise(1)
    return await node.prefix(enterprise, key), key


def value(index: int, type_: str, data: Any, form: str = "string", **more: Any) -> dict[str, Any]:
    return {"index": index, "type": type_, "data": {"format": form, "value": data}, **more}


async def fill(node: Node, owner: tuple[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Register some of every kind; return what each says."""
    prefix, key = owner
    written = {
        "A/1": [value(1, "URL", "https://a.example", ttl=60), value(7, "NOTE", "=1+1", ttl=60)],
        "泵-2": [value(1, "URL", 'a,"b"\nc'), value(9, "RAW", "AAEC", "base64")],
        "C3": [],
    }
    for suffix, values in written.items():
        path = f"/identifiers/{prefix}/{quote(suffix)}"
        status, made, _ = await node.call("PUT", path, key, {"values": values})
        assert status == 201, made
        written[suffix] = made["values"]
    body = {"prefix": prefix, "first": "R01", "last": "R20", "values": [value(1, "URL", "shared")]}
    status, made, _ = await node.call("POST", "/ranges", key, body)
    assert status == 201, made
    written |= {f"R{number:02d}": made["values"] for number in range(1, 21)}
    return written


async def export(node: Node, key: str, query: str, **headers: str) -> Any:
    """Send the request; a header's name is written with underscores."""
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    sent["Authorization"] = f"Bearer {key}"
    return await node.client.get(node.url(f"/exports/identifiers?{query}"), headers=sent)


async def test_ndjson_says_all_in_order(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    written = await fill(node, owner)
    response = await export(node, key, f"prefix={prefix}")
    assert (response.status, response.content_type) == (200, "application/x-ndjson")
    lines = [json.loads(line) for line in (await response.text()).splitlines()]
    assert {line["identifier"]: line["values"] for line in lines} == {
        f"{prefix}/{suffix}": values for suffix, values in written.items()
    }
    names = [line["identifier"] for line in lines]
    assert names == sorted(names, key=lambda name: name.upper().encode())
    response = await export(node, key, f"prefix={prefix}&members=false")
    assert len((await response.text()).splitlines()) == 3


async def test_csv_has_a_column_for_each_index_and_no_formula(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await fill(node, owner)
    response = await export(node, key, f"prefix={prefix}&format=csv")
    rows = list(csv.reader(io.StringIO(await response.text(), newline="")))
    assert rows[0] == ["identifier", "1:URL", "7:NOTE", "9:RAW", "ttl"]
    by_name = {row[0]: row[1:] for row in rows[1:]}
    assert by_name[f"{prefix}/A/1"] == ["https://a.example", "'=1+1", "", "60"]
    assert by_name[f"{prefix}/泵-2"][0] == 'a,"b"\nc'
    assert len(by_name) == 23


async def test_a_workbook_says_what_csv_does_and_an_import_takes_it_back(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    written = await fill(node, owner)
    response = await export(node, key, f"prefix={prefix}&format=xlsx")
    assert response.status == 200
    assert "Content-Encoding" not in response.headers
    octets = await response.read()
    book = openpyxl.load_workbook(io.BytesIO(octets))
    rows = list(book.worksheets[0].iter_rows(values_only=True))
    assert rows[0] == ("identifier", "1:URL", "7:NOTE", "9:RAW", "ttl")
    by_name = {row[0]: row[1:] for row in rows[1:]}
    assert len(by_name) == len(written)
    assert by_name[f"{prefix}/泵-2"][0] == 'a,"b"\nc'
    assert by_name[f"{prefix}/A/1"] == ("https://a.example", "=1+1", None, "60")
    cells = {cell.value: cell for row in book.worksheets[0].iter_rows() for cell in row}
    assert cells["=1+1"].data_type == "s", "a text, not a formula"
    assert cells["=1+1"].quotePrefix, "nor is it one once it is edited"
    again = await import_support.imported(node, key, octets, "?format=xlsx&mode=insert&dry_run=1")
    assert (again["failed"], again["reason"]) == (len(written), None), "all are there already"


async def test_it_is_compressed_for_who_takes_it(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    await fill(node, owner)
    response = await export(node, key, f"prefix={prefix}", Accept_Encoding="gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    assert len((await response.text()).splitlines()) == 23


async def test_what_is_written_meanwhile_is_not_in_it(
    node: Node, owner: tuple[str, str], database: Database
) -> None:
    prefix, key = owner
    await fill(node, owner)
    async with database.begin(snapshot=True) as connection:
        columns = await exporting.csv_columns(connection, prefix, members=True)
        path = f"/identifiers/{prefix}/LATE"
        assert (await node.call("PUT", path, key, {"values": []}))[0] == 201
        parts = exporting.csv_text(connection, prefix, columns, members=True)
        text = b"".join([part async for part in parts]).decode()
    assert f"{prefix}/LATE" not in text
    assert f"{prefix}/R20" in text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "prefix"),
        ("prefix=88.118.1&format=xml", "format"),
        ("prefix=88.118.1&members=maybe", "members"),
        ("prefix=88.118.1&all=true", "all"),
        ("prefix=88..1", "prefix"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused_by_its_field(
    node: Node, owner: tuple[str, str], query: str, field: str
) -> None:
    response = await export(node, owner[1], query)
    assert (response.status // 100, (await response.json())["field"]) == (4, field)
