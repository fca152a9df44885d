"""Imports are held to templates: columns by the names of items, rows that name one, withdrawal."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from registry.database import Database
from registry.imports import batches, merge
from registry.imports.batches import Batch
from registry.imports.job import import_once
from tests.integration.import_support import error_rows, imported, query, registry_of, send
from tests.integration.registry_client import Node, running
from tests.integration.template_support import item, published, value


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def works(node: Node) -> tuple[str, str]:
    """Key and active prefix of an enterprise."""
    enterprise, key = await node.enterprise(1)
    return key, await node.prefix(enterprise, key)


async def _stored(node: Node, prefix: str) -> dict[str, tuple[str | None, list[Any]]]:
    rows = await query(
        node,
        "SELECT suffix, template, values FROM identifiers"
        " WHERE prefix = $1 AND suffix NOT LIKE 'template/%'",
        prefix,
    )
    return {row["suffix"]: (row["template"], json.loads(row["values"])) for row in rows}


async def _told(node: Node, key: str, import_id: str) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in (await error_rows(node, key, import_id))[1:]}


async def test_columns_may_be_named_as_the_items_are_and_each_row_is_checked(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    items = [
        item(2000, "NAME", name="名称", required=True, max_length=5),
        item(2001, "POWER", "decimal", name="功率"),
        item(2002, "SUPPLIER", name="供应商", audience="private"),
    ]
    await published(node, prefix, key, items=items)
    data = (
        "suffix,名称,POWER,2002:SUPPLIER\n"
        "A,离心泵,5.5,我们\n"
        "B,,5.5,\n"
        "C,离心泵离心泵,1,\n"
        "D,泵,heavy,\n"
        "E,泵,,\n"
        "template/pump,泵,,\n"
    ).encode()
    record = await imported(node, key, data, f"?format=csv&prefix={prefix}&template=PUMP")
    assert (record["template"], record["done"], record["failed"]) == ("pump/1", 2, 4)
    told = await _told(node, key, record["id"])
    assert told["3"] == ["名称", "名称 (2000 NAME) is required, but missing"]
    assert told["4"] == ["名称", "名称 (2000 NAME) has more than 5 characters"]
    assert told["5"] == ["POWER", "功率 (2001 POWER) is not a decimal number such as 12.50"]
    assert told["7"][0] == "suffix"
    stored = await _stored(node, prefix)
    assert {suffix: template for suffix, (template, _) in stored.items()} == {
        "A": "pump/1",
        "E": "pump/1",
    }
    values = {each["type"]: each for each in stored["A"][1]}
    assert values["SUPPLIER"]["permissions"] == "1100", "a private value is not for everybody"
    assert "permissions" not in values["NAME"]


async def test_a_file_whose_columns_are_no_items_is_not_read(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    await published(node, prefix, key)
    data = b"suffix,NAME,COLOUR\nA,x,red\n"
    record = await imported(node, key, data, f"?format=csv&prefix={prefix}&template=pump")
    assert record["state"] == "failed"
    assert record["reason"] == "the column 'COLOUR' is no item of the template pump/1"


async def test_rows_name_their_templates_or_take_that_of_the_import(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    await published(node, prefix, key)
    await published(node, prefix, key, name="valve", items=[item(2000, "SIZE", "integer")])
    size = value(2000, "SIZE", "50")
    lines = [
        {"suffix": "A", "values": [value(2000, "NAME", "x")]},
        {"suffix": "B", "template": "valve", "values": [size]},
        {"suffix": "C", "template": "VALVE/1", "values": [{**size, "permissions": "1100"}]},
        {"suffix": "D", "values": [size]},
        {"suffix": "E", "template": "valve", "values": [value(2000, "SIZE", "large")]},
        {"suffix": "F", "template": "nothing", "values": []},
        {"suffix": "G", "template": "pump/2", "values": []},
        {"suffix": "H", "template": "a/b/c", "values": []},
    ]
    data = "\n".join(map(json.dumps, lines)).encode()
    record = await imported(node, key, data, f"?format=ndjson&prefix={prefix}&template=pump")
    assert (record["done"], record["failed"]) == (3, 5)
    told = await _told(node, key, record["id"])
    assert told["4"] == ["values[0]", "value 2000 has type SIZE, not NAME"]
    assert told["5"][0] == "values[0]"
    assert {told[row][0] for row in "678"} == {"template"}
    assert {
        suffix: template for suffix, (template, _) in (await _stored(node, prefix)).items()
    } == {
        "A": "pump/1",
        "B": "valve/1",
        "C": "valve/1",
    }


@pytest.mark.parametrize(
    ("query_", "field"),
    [
        ("template=pump", "prefix"),
        ("prefix={prefix}&template=none", "template"),
        ("prefix={prefix}&template=a/b/c", "template"),
        ("prefix={prefix}&template=pump/2", "template"),
    ],
)
async def test_an_import_by_a_template_that_cannot_be_used_is_refused_at_once(
    node: Node, works: tuple[str, str], query_: str, field: str
) -> None:
    key, prefix = works
    await published(node, prefix, key)
    target = f"?format=csv&{query_.format(prefix=prefix)}"
    status, problem = await send(node, key, b"suffix\nA\n", target)
    assert (status, problem["field"]) == (422, field), problem
    assert (await node.counts())["imports"] == 0


async def test_what_rows_name_must_be_registered_before_or_by_the_same_file(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, prefix = works
    items = [item(2000, "PART", "identifier", registered=True), item(2001, "NOTE")]
    await published(node, prefix, key, items=items)
    for suffix in ("OLD", "ROLD"):
        path = f"/identifiers/{prefix}/{suffix}"
        assert (await node.call("PUT", path, key, {"values": []}))[0] == 201
    rows = [
        ("A", "OLD"),  # there before
        ("B", "C"),  # a row further down
        ("C", "A"),
        ("D", "NONE"),  # nowhere
        ("E", "D"),  # by a row that is refused
        ("F", "E"),  # and again
        ("G", "G"),  # itself
        ("H", ""),  # nothing
        ("ROLD", "NONE"),  # refused, but what it was before stays
        ("I", "ROLD"),
        ("J", "K"),  # only a later batch would have it
        ("a", "H"),  # A once more
        *((f"FILL{number}", "") for number in range(8)),
        ("K", "J"),  # J was refused
        ("L", "A"),  # of an earlier batch
    ]
    monkeypatch.setattr(batches, "BATCH_ROWS", 15)
    data = "suffix,PART\n" + "".join(
        f"{suffix},{prefix + '/' + part if part else ''}\n" for suffix, part in rows
    )
    record = await imported(node, key, data.encode(), f"?format=csv&prefix={prefix}&template=pump")
    told = await _told(node, key, record["id"])
    refused = {rows[int(row) - 2][0]: reason for row, reason in told.items()}
    assert set(refused) == {"D", "E", "F", "ROLD", "J", "K"}, refused
    assert refused["D"] == [
        "PART",
        f"名称2000 (2000 PART): {prefix}/NONE is not registered at this node",
    ]
    assert (record["done"], record["failed"]) == (len(rows) - 6, 6)
    stored = await _stored(node, prefix)
    assert set(stored) == {suffix for suffix, _ in rows} - {"A", "D", "E", "F", "J", "K"} | {"OLD"}
    assert stored["ROLD"] == (None, [])
    assert stored["a"][1][0]["data"]["value"] == f"{prefix}/H", "the last row of an identifier wins"


async def test_a_version_that_is_withdrawn_on_the_way_takes_no_more_rows(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, prefix = works
    await published(node, prefix, key)
    monkeypatch.setattr(batches, "BATCH_ROWS", 10)
    written = 0
    write = merge.write

    async def withdrawn_after_two(
        connection: asyncpg.Connection, job: merge.Import, batch: Batch, *rest: Any, **more: Any
    ) -> None:
        nonlocal written
        if written == 2:
            path = f"/templates/{prefix}/pump/1/withdraw"
            status, answer, _ = await node.call("POST", path, key, {"reason": "x"})
            assert status in (200, 409), answer
        await write(connection, job, batch, *rest, **more)
        written += 1

    monkeypatch.setattr(merge, "write", withdrawn_after_two)
    lines = [
        {"suffix": f"N{n}", "template": "pump/1", "values": [value(2000, "NAME", "x")]}
        for n in range(50)
    ]
    data = "\n".join(map(json.dumps, lines)).encode()
    record = await imported(node, key, data, f"?format=ndjson&prefix={prefix}")
    assert (record["state"], record["done"], record["failed"]) == ("done", 20, 30)
    told = await _told(node, key, record["id"])
    assert told["21"][0] == "template"
    assert "withdrawn" in told["21"][1]


async def test_an_import_that_waits_for_a_withdrawn_template_fails_and_says_so(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    await published(node, prefix, key)
    query_ = f"?format=csv&prefix={prefix}&template=pump"
    status, made = await send(node, key, b"suffix,NAME\nA,x\n", query_)
    assert status == 202
    path = f"/templates/{prefix}/pump/1/withdraw"
    assert (await node.call("POST", path, key, {"reason": "x"}))[0] == 200
    await import_once(registry_of(node), uuid.UUID(made["id"]))
    _, record, _ = await node.call("GET", f"/imports/{made['id']}", key)
    assert record["state"] == "failed"
    assert "pump/1 is withdrawn" in record["reason"]
