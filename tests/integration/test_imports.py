"""Imports: everything in the file is registered once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import StoreUnavailable
from registry.database import Database, unavailable
from registry.imports import batches
from registry.imports.job import import_once, run_imports
from registry.metrics import slot
from tests.integration.import_support import (
    DEADLINE,
    csv_file,
    error_rows,
    imported,
    owner,
    query,
    registry_of,
    send,
    until,
    value,
)
from tests.integration.registry_client import Node

ROOT = Path(__file__).parents[2]


async def test_20_000_rows_are_all_registered(node: Node, works: tuple[str, str]) -> None:
    key, prefix = works
    record = await imported(node, key, csv_file(prefix, 20_000))
    assert (record["state"], record["rows"], record["done"], record["failed"]) == (
        "done",
        20_000,
        20_000,
        0,
    )
    assert record["rate"] > 0
    assert record["finished_at"]
    assert record["reason"] is None
    (row,) = await query(
        node, "SELECT count(*), count(DISTINCT suffix_key) FROM identifiers WHERE prefix <> '0.NA'"
    )
    assert tuple(row) == (20_000, 20_000)
    status, body, _ = await node.call("GET", f"/identifiers/{prefix}/SN-019999", key)
    assert status == 200
    assert body["suffix"] == "sn-019999", "the spelling of the file is kept"
    assert [(v["index"], v["type"], v["data"]["value"]) for v in body["values"]] == [
        (1, "URL", "https://pumps.example.cn/19999"),
        (2, "NAME", "离心泵 19999"),
    ]


async def test_the_same_rows_again_make_no_new_versions_and_changed_ones_do(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    await imported(node, key, csv_file(prefix, 50))
    before = await query(
        node, "SELECT suffix_key, version FROM identifiers WHERE prefix <> '0.NA' ORDER BY 1"
    )
    again = await imported(node, key, csv_file(prefix, 50))
    assert (again["done"], again["failed"]) == (50, 0)
    assert (
        await query(
            node, "SELECT suffix_key, version FROM identifiers WHERE prefix <> '0.NA' ORDER BY 1"
        )
        == before
    )
    await imported(node, key, csv_file(prefix, 10, url="https://moved.example.cn/"))
    (row,) = await query(node, "SELECT count(*) FROM identifier_history")
    assert row[0] == 10


async def test_new_and_known_rows_may_be_mixed_in_any_order(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 10)
    key, prefix = works
    rows = csv_file(prefix, 60).splitlines(keepends=True)
    await imported(node, key, b"".join([rows[0], *rows[25:30], rows[41]]))
    before = await query(
        node, "SELECT suffix_key, version FROM identifiers WHERE prefix <> '0.NA' ORDER BY 1"
    )
    record = await imported(node, key, b"".join(rows))
    assert (record["done"], record["failed"]) == (60, 0)
    after = await query(
        node, "SELECT suffix_key, version FROM identifiers WHERE prefix <> '0.NA' ORDER BY 1"
    )
    assert len(after) == 60
    assert [row for row in after if row in before] == before
    assert await query(node, "SELECT FROM identifier_history") == []


async def test_of_rows_with_one_identifier_the_last_wins(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    record = await imported(
        node, key, b"suffix,NAME\nA,first\na,last\n", f"?format=csv&prefix={prefix}"
    )
    assert (record["done"], record["failed"]) == (2, 0)
    rows = await query(
        node, "SELECT suffix, values->0->'data'->>'value' FROM identifiers WHERE prefix <> '0.NA'"
    )
    assert [tuple(row) for row in rows] == [("a", "last")]


async def test_refused_rows_are_told_with_row_column_and_reason(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    other_id, other_key = await node.enterprise(2)
    other = await node.prefix(other_id, other_key)
    suspended = await node.prefix(await owner(node, prefix), key)
    status, _, _ = await node.call(
        "POST", f"/prefixes/{suspended}/suspend", node.reviewer, {"reason": "audit"}
    )
    assert status == 200
    data = (
        "identifier,URL,ttl\n"
        f"{prefix}/GOOD,https://a.example,60\n"
        f"{prefix},https://a.example,60\n"
        f"{prefix}/BAD-TTL,https://a.example,soon\n"
        f"{other}/THEIRS,https://a.example,\n"
        "\n"
        f"{suspended}/S,https://a.example,\n"
        f"{prefix}/SHORT\n"
    ).encode()
    record = await imported(node, key, data)
    assert (record["state"], record["done"], record["failed"]) == ("done", 1, 5)
    rows = await error_rows(node, key, record["id"])
    assert rows[0] == ["row", "column", "reason"]
    told = {row[0]: row[1:] for row in rows[1:]}
    assert told.keys() == {"3", "4", "5", "7", "8"}
    assert told["3"] == ["identifier", "not of the form prefix/suffix"]
    assert told["4"][0] == "ttl"
    assert told["5"] == ["prefix", f"the prefix {other} is not registered for this enterprise"]
    assert told["7"] == ["prefix", f"the prefix {suspended} is suspended"]
    assert told["8"] == ["", "the row has 1 cells, the header 3"]
    assert len(await query(node, "SELECT FROM identifiers WHERE prefix <> '0.NA'")) == 1


async def test_ndjson_registers_values_of_every_kind(node: Node, works: tuple[str, str]) -> None:
    key, prefix = works
    lines = [
        {"suffix": "A", "values": [value(1, "URL", "https://a.example")]},
        {
            "identifier": f"{prefix}/B",
            "values": [
                {"index": 9, "type": "X", "data": {"format": "base64", "value": "AP8="}, "ttl": 5}
            ],
        },
        {"suffix": "C", "values": [value(1, "URL", "x"), value(1, "URL", "y")]},
        {"suffix": "D", "values": [], "colour": "red"},
    ]
    data = "\n".join(json.dumps(line) for line in lines).encode() + b"\nnot json\n"
    record = await imported(node, key, data, f"?format=ndjson&prefix={prefix}")
    assert (record["done"], record["failed"]) == (2, 3)
    told = {row[0]: row[1:] for row in (await error_rows(node, key, record["id"]))[1:]}
    assert told["3"] == ["values[1].index", "index 1 stands at values[0] already"]
    assert told["4"] == ["colour", "unknown member"]
    assert told["5"][1].startswith("not JSON")
    rows = await query(
        node,
        "SELECT suffix, values FROM identifiers WHERE prefix <> '0.NA' ORDER BY suffix",
    )
    assert [row["suffix"] for row in rows] == ["A", "B"]
    (stored,) = json.loads(rows[1]["values"])
    assert stored["data"] == {"format": "base64", "value": "AP8="}
    assert stored["ttl"] == 5


async def test_reasons_are_stored_up_to_a_bound_and_all_rows_counted(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.imports.job.MAX_ERRORS", 15)
    monkeypatch.setattr(batches, "BATCH_ROWS", 10)
    key, prefix = works
    record = await imported(node, key, b"suffix\n" + b" bad\n" * 40, f"?format=csv&prefix={prefix}")
    assert record["failed"] == 40
    assert len(await error_rows(node, key, record["id"])) == 1 + 15


async def test_an_unreadable_file_ends_as_failed_and_says_why(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    for data, reason in (
        (b"identifier,URL,URL\n", "'URL' stands twice"),
        (b"URL,NAME\n", "'identifier'"),
        (b"suffix,URL\n", "needs the import to name a prefix"),
        ("identifier,网 址\n".encode(), "'网 址'"),
        ("identifier\n".encode("utf-16"), "UTF-16"),
        (f'identifier,URL\n{prefix}/A,"x\n'.encode(), "row 2 is not CSV"),
    ):
        record = await imported(node, key, data)
        assert record["state"] == "failed"
        assert reason in record["reason"]
    assert await query(node, "SELECT FROM identifiers WHERE prefix <> '0.NA'") == []


async def test_rows_before_a_bad_byte_are_registered_and_its_row_is_named(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    good = csv_file(prefix, 40_000)
    record = await imported(node, key, good + f"{prefix}/BAD,".encode() + b"\xff,x\r\n")
    assert record["state"] == "failed"
    assert record["reason"] == "row 40002: the byte 0xFF is not UTF-8"
    assert record["done"] == 40_000


async def test_kill_9_in_the_middle_loses_nothing_and_doubles_nothing(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    status, body = await send(node, key, csv_file(prefix, 20_000))
    assert status == 202
    import_id = uuid.UUID(body["id"])
    # A row that another transaction is about to write holds the job in the middle of a batch.
    blocker = await node.database.connection()
    await blocker.execute("BEGIN")
    await blocker.execute(
        "INSERT INTO identifiers (prefix, suffix_key, suffix, values) VALUES ($1, $2, $2, '[]')",
        prefix,
        "SN-010500",
    )
    job = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.run_imports", node.database.url, "2000"),
        cwd=ROOT,
    )
    try:

        async def half_done() -> bool:
            (row,) = await query(node, "SELECT read FROM imports")
            return bool(row[0] >= 10_000)

        await until(half_done, "five batches committed")
    finally:
        job.send_signal(signal.SIGKILL)
        await job.wait()
        await blocker.execute("ROLLBACK")
        await blocker.close()
    (row,) = await query(node, "SELECT state, read, done FROM imports")
    assert row["state"] == "running"
    assert row["done"] < 20_000
    (count,) = await query(node, "SELECT count(*) FROM identifiers WHERE prefix <> '0.NA'")
    assert count[0] == row["done"], "the progress is what is committed"
    await import_once(registry_of(node), import_id)
    (row,) = await query(node, "SELECT state, done, failed FROM imports")
    assert tuple(row) == ("done", 20_000, 0)
    (count,) = await query(node, "SELECT count(*) FROM identifiers WHERE prefix <> '0.NA'")
    assert count[0] == 20_000
    assert await query(node, "SELECT FROM identifier_history") == [], "no second version"
    lines = await query(
        node,
        """SELECT (detail->>'after_row')::int AS after, (detail->>'to_row')::int AS last
           FROM audit_log WHERE action = 'import.batch' ORDER BY seq""",
    )
    assert [line["after"] for line in lines] == [0, *(line["last"] for line in lines[:-1])]
    assert lines[-1]["last"] == 20_001, "each row stands in one line of the audit log"


async def test_a_connection_lost_in_the_middle_is_made_again_without_a_restart(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)
    key, prefix = works
    await send(node, key, csv_file(prefix, 1000))
    blocker = await node.database.connection()
    await blocker.execute("BEGIN")
    await blocker.execute(
        "INSERT INTO identifiers (prefix, suffix_key, suffix, values) VALUES ($1, $2, $2, '[]')",
        prefix,
        "SN-000550",
    )
    stop = asyncio.Event()
    job = asyncio.create_task(run_imports(registry_of(node), stop))
    try:

        async def cut_off() -> bool:
            return bool(
                await query(
                    node,
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE query LIKE 'COPY %identifiers%'
                       AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()""",
                )
            )

        await until(cut_off, "the job waiting in the middle")
        await blocker.execute("ROLLBACK")

        async def done() -> bool:
            return bool(await query(node, "SELECT FROM imports WHERE state = 'done'"))

        await until(done, "the import done")
    finally:
        stop.set()
        await asyncio.wait_for(job, DEADLINE)
        await blocker.close()
    (row,) = await query(node, "SELECT sum((detail->>'done')::int) FROM audit_log")
    assert row[0] == 1000
    (count,) = await query(node, "SELECT count(*) FROM identifiers WHERE prefix <> '0.NA'")
    assert count[0] == 1000


async def test_a_session_ended_between_two_statements_is_the_database_away(
    database: Database,
) -> None:
    """As when PostgreSQL is stopped: its farewell has come, the end of the connection not yet."""
    connection: Any = await database.connection()
    try:
        statement = await connection.prepare("SELECT $1::int")
        fields = b"SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
        connection._protocol.data_received(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        with pytest.raises(StoreUnavailable), unavailable():
            await statement.fetchval(1)
    finally:
        connection.terminate()


async def test_two_workers_on_one_import_do_each_batch_once(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)
    key, prefix = works
    _, body = await send(node, key, csv_file(prefix, 1000))
    import_id = uuid.UUID(body["id"])
    registry = registry_of(node)
    await asyncio.gather(import_once(registry, import_id), import_once(registry, import_id))
    await import_once(registry, import_id)
    (row,) = await query(node, "SELECT state, done FROM imports")
    assert tuple(row) == ("done", 1000)
    (row,) = await query(node, "SELECT sum((detail->>'done')::int) FROM audit_log")
    assert row[0] == 1000


async def test_the_job_wakes_for_an_import_and_survives_the_loss_of_its_connections(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    registry, stop = registry_of(node), asyncio.Event()
    job = asyncio.create_task(run_imports(registry, stop))
    try:
        for round_ in range(2):
            _, body = await send(node, key, csv_file(prefix, 100 + round_))

            async def done(import_id: str = body["id"]) -> bool:
                _, record, _ = await node.call("GET", f"/imports/{import_id}", key)
                return bool(record["state"] == "done")

            await until(done, "the import done")
            await query(
                node,
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE query LIKE 'SELECT id FROM imports%' AND pid <> pg_backend_pid()""",
            )
        assert registry.row.cells[slot("idnode_import_rows", "done")] == 201
    finally:
        stop.set()
        await asyncio.wait_for(job, DEADLINE)
