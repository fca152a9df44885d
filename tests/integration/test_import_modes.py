"""Dry runs say what an import would do and do nothing; insert leaves what is there alone."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.errors import StoreUnavailable
from registry.imports import batches, merge, modes
from registry.imports.batches import Batch
from tests.integration.import_support import csv_file, error_rows, imported, query, worked_on
from tests.integration.registry_client import Node
from tests.integration.template_support import item, published

_COUNTS = ("rows", "done", "failed")


def _counts(record: dict[str, Any]) -> list[int]:
    return [record[name] for name in _COUNTS]


async def _everything(node: Node) -> list[tuple[Any, ...]]:
    """Return what an import may change, beside its own progress."""
    tables = ("identifiers", "identifier_history", "change_log")
    counts = [(await query(node, f"SELECT count(*) FROM {table}"))[0][0] for table in tables]
    rows = await query(node, "SELECT suffix_key, version, values FROM identifiers ORDER BY 1")
    return [tuple(counts), *(tuple(row) for row in rows)]


@pytest.mark.parametrize("mode", ["upsert", "insert"])
async def test_a_dry_run_tells_what_the_import_then_does_and_changes_nothing(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 7)
    key, prefix = works
    await imported(node, key, csv_file(prefix, 5))
    data = (
        csv_file(prefix, 20) + f"{prefix}/sn-000019,x,again\n88.1/A,x,y\n{prefix}/,x,y\n".encode()
    )
    before = await _everything(node)
    dry = await imported(node, key, data, f"?format=csv&mode={mode}&dry_run=true")
    assert await _everything(node) == before
    assert (dry["state"], dry["dry_run"], dry["mode"]) == ("checked", True, mode)
    real = await imported(node, key, data, f"?format=csv&mode={mode}")
    assert (real["state"], real["dry_run"]) == ("done", False)
    assert _counts(dry) == _counts(real) == ([23, 21, 2] if mode == "upsert" else [23, 15, 8])
    assert await error_rows(node, key, dry["id"]) == await error_rows(node, key, real["id"])
    assert await _everything(node) != before


async def test_a_dry_run_knows_what_its_earlier_rows_would_have_registered(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 2)
    key, prefix = works
    await published(
        node,
        prefix,
        key,
        items=[item(2000, "PART_OF", "identifier", registered=True)],
    )
    data = (
        f"suffix,PART_OF\nA,\nB,\nC,{prefix}/A\nD,{prefix}/NONE\nE,{prefix}/D\nF,{prefix}/C\n"
    ).encode()
    at = f"?format=csv&prefix={prefix}&template=pump"
    dry = await imported(node, key, data, f"{at}&dry_run=true")
    told = await error_rows(node, key, dry["id"])
    assert [row[:2] for row in told[1:]] == [["5", "PART_OF"], ["6", "PART_OF"]]
    real = await imported(node, key, data, at)
    assert _counts(dry) == _counts(real) == [6, 4, 2]
    assert told == await error_rows(node, key, real["id"])


async def test_a_dry_run_that_was_broken_off_begins_anew_and_counts_each_row_once(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 5)
    key, prefix = works
    see, seen = modes.see, 0

    async def broken(connection: Any, batch: Batch) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise ConnectionError("cut off")
        await see(connection, batch)

    monkeypatch.setattr(modes, "see", broken)
    data = b"suffix\n" + b"".join(b"S%d\n" % n for n in range(20)) + b"s3\n"
    at = f"?format=csv&prefix={prefix}&mode=insert&dry_run=true"
    with pytest.raises(StoreUnavailable):
        await imported(node, key, data, at)
    (row,) = await query(node, "SELECT id, read FROM imports")
    assert row["read"] > 0, "something was done before"
    record = await worked_on(node, key, str(row["id"]))
    assert (record["state"], *_counts(record)) == ("checked", 21, 20, 1)
    assert (await error_rows(node, key, record["id"]))[1:] == [
        ["22", "identifier", f"{prefix}/S3 is registered already"]
    ]


async def test_insert_refuses_what_is_registered_and_what_stands_twice(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    at = f"?format=csv&prefix={prefix}"
    await imported(node, key, b"suffix,NAME\nold,first\n", at)
    body = {"prefix": prefix, "first": "R-1", "last": "R-5", "values": []}
    status, made, _ = await node.call("POST", "/ranges", key, body)
    assert status == 201, made
    data = b"suffix,NAME\nOLD,second\nnew,first\nNEW,second\nr-3,own\nR-6,own\n"
    record = await imported(node, key, data, f"{at}&mode=insert")
    assert _counts(record) == [5, 2, 3]
    assert (await error_rows(node, key, record["id"]))[1:] == [
        ["2", "identifier", f"{prefix}/OLD is registered already"],
        ["4", "identifier", "the identifier stands in row 3 already"],
        ["5", "identifier", f"{prefix}/R-3 is registered already"],
    ]
    rows = await query(
        node,
        "SELECT suffix, values->0->'data'->>'value' FROM identifiers WHERE prefix = $1 ORDER BY 1",
        prefix,
    )
    assert [tuple(row) for row in rows] == [("R-6", "own"), ("new", "first"), ("old", "first")]


async def test_insert_refuses_what_another_registers_while_the_batch_is_written(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, prefix = works
    copy = merge._insert
    tries = 0

    async def overtaken(connection: Any, batch: Batch) -> bool:
        nonlocal tries
        tries += 1
        if tries == 1:
            status, answer, _ = await node.call(
                "PUT", f"/identifiers/{prefix}/B", key, {"values": []}
            )
            assert status == 201, answer
        return await copy(connection, batch)

    monkeypatch.setattr(merge, "_insert", overtaken)
    at = f"?format=csv&prefix={prefix}&mode=insert"
    record = await imported(node, key, b"suffix,NAME\nA,a\nB,b\nC,c\n", at)
    assert _counts(record) == [3, 2, 1]
    assert (await error_rows(node, key, record["id"]))[1:] == [
        ["3", "identifier", f"{prefix}/B is registered already"]
    ]
    (row,) = await query(node, "SELECT values::text FROM identifiers WHERE suffix = 'B'")
    assert row[0] == "[]"
    assert tries == 2
