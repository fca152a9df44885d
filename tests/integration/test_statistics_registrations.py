"""Registrations are counted in the transaction that makes them, whoever makes them and however."""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from registry.database import Database, migrate
from registry.statistics.registrations import add_up, run_statistics
from tests.integration.registry_client import URL_VALUE, Node, running

VALUES: dict[str, Any] = {"values": []}


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    enterprise, key = await node.enterprise(1)
    return await node.prefix(enterprise, key), key


async def counted(node: Node, prefix: str) -> tuple[int, int, int, int]:
    """Return created, changed, deleted and how many there are, as the statistics say."""
    path = f"/statistics/registrations?per=total&prefix={prefix}"
    _, total, _ = await node.call("GET", path, node.operator)
    row = total["items"][0] if total["items"] else {"created": 0, "changed": 0, "deleted": 0}
    path = f"/statistics/identifiers?prefix={prefix}"
    _, now, _ = await node.call("GET", path, node.operator)
    there = now["items"][0]["identifiers"] if now["items"] else 0
    return row["created"], row["changed"], row["deleted"], there


async def test_each_kind_of_write_counts_as_what_it_is(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    root = f"/identifiers/{prefix}"
    for suffix in ("A", "B", "C"):
        assert (await node.call("PUT", f"{root}/{suffix}", key, VALUES))[0] == 201
    assert (await node.call("PUT", f"{root}/a", key, VALUES))[0] == 200
    assert (await node.call("PATCH", f"{root}/B", key, {"values": [URL_VALUE]}))[0] == 200
    assert (await node.call("DELETE", f"{root}/C", key))[0] == 204
    assert (await node.call("DELETE", f"{root}/C", key))[0] == 404
    assert (await node.call("PUT", f"{root}/%00", key, VALUES))[0] == 400
    assert await counted(node, prefix) == (3, 2, 1, 2), "at once, before they are added up"
    while await add_up(node.database):
        pass
    assert await counted(node, prefix) == (3, 2, 1, 2), "and after"


async def test_a_write_that_is_rolled_back_does_not_count(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, _ = owner
    sql = await asyncpg.connect(node.database.url)
    transaction = sql.transaction()
    await transaction.start()
    insert = (
        "INSERT INTO identifiers (prefix, suffix_key, suffix, values) VALUES ($1, $2, $2, '[]')"
    )
    await sql.execute(insert, prefix, "A")
    await transaction.rollback()
    assert await counted(node, prefix) == (0, 0, 0, 0)
    await sql.executemany(insert, [(prefix, f"B{number}") for number in range(5)])
    await sql.execute("TRUNCATE identifiers")
    assert (await counted(node, prefix))[3] == 0, "also by hand"
    await sql.close()


async def test_a_range_counts_each_of_its_members_once(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    root = f"/identifiers/{prefix}"
    assert (await node.call("PUT", f"{root}/SN-003", key, VALUES))[0] == 201
    body = {"prefix": prefix, "first": "SN-001", "last": "SN-100", **VALUES}
    status, made, _ = await node.call("POST", "/ranges", key, body)
    there = 1
    if status == 409:  # ranges may refuse what is there already
        assert (await node.call("DELETE", f"{root}/SN-003", key))[0] == 204
        there = 0
        status, made, _ = await node.call("POST", "/ranges", key, body)
    assert status == 201, made
    assert (await counted(node, prefix))[3] == 100, there
    assert (await node.call("PUT", f"{root}/SN-050", key, VALUES))[0] in (200, 201)
    assert (await counted(node, prefix))[3] == 100, "a member that gets values of its own"
    assert (await node.call("DELETE", f"{root}/SN-050", key))[0] == 204
    assert (await node.call("DELETE", f"{root}/SN-051", key))[0] == 204
    assert (await counted(node, prefix))[3] == 98
    assert (await node.call("PUT", f"{root}/SN-051", key, VALUES))[0] == 201
    assert (await counted(node, prefix))[3] == 99
    assert (await node.call("PUT", f"{root}/SN-070", key, VALUES))[0] in (200, 201)
    assert (await node.call("DELETE", f"/ranges/{prefix}/{made['id']}", key))[0] == 204
    listed = await node.call("GET", f"/identifiers?prefix={prefix}", key)
    assert (await counted(node, prefix))[3] == len(listed[1]["items"])


@pytest.mark.parametrize("seed", range(3))
async def test_after_any_writes_there_are_as_many_as_are_listed(
    node: Node, owner: tuple[str, str], seed: int
) -> None:
    prefix, key = owner
    root, choose = f"/identifiers/{prefix}", random.Random(seed)
    ranges: list[str] = []
    for step in range(80):
        suffix = f"SN-{choose.randrange(30):02d}"
        kind = choose.choice(("put", "put", "patch", "delete", "delete", "range", "end", "add up"))
        if kind == "put":
            await node.call("PUT", f"{root}/{suffix}", key, VALUES)
        elif kind == "patch":
            await node.call("PATCH", f"{root}/{suffix}", key, VALUES)
        elif kind == "delete":
            await node.call("DELETE", f"{root}/{suffix}", key)
        elif kind == "range":
            first = choose.randrange(28)
            last = choose.randrange(first, 30)
            body = {
                "prefix": prefix,
                "first": f"SN-{first:02d}",
                "last": f"SN-{last:02d}",
                **VALUES,
            }
            status, made, _ = await node.call("POST", "/ranges", key, body)
            if status == 201:
                ranges.append(made["id"])
        elif kind == "end" and ranges:
            ended = ranges.pop(choose.randrange(len(ranges)))
            assert (await node.call("DELETE", f"/ranges/{prefix}/{ended}", key))[0] == 204
        elif kind == "add up":
            await add_up(node.database)
        _, listed, _ = await node.call("GET", f"/identifiers?prefix={prefix}&limit=1000", key)
        assert (await counted(node, prefix))[3] == len(listed["items"]), (seed, step, kind)


async def test_lines_are_added_up_by_the_hour_and_each_once(database: Database) -> None:
    sql = await asyncpg.connect(database.url)
    await sql.execute(
        """INSERT INTO registration_changes (prefix, at, created, deleted)
           SELECT '88.118.' || p, timestamptz '2027-03-04 00:00Z' + h * interval '20 minutes', 2, 1
           FROM generate_series(1, 3) AS p, generate_series(0, 8) AS h"""
    )
    assert await add_up(database) == 27
    assert await add_up(database) == 0
    found = await sql.fetch("SELECT prefix, hour, created, deleted FROM registration_hours")
    assert len(found) == 9
    assert {(row["created"], row["deleted"]) for row in found} == {(6, 3)}
    assert {row["hour"].hour for row in found} == {0, 1, 2}
    totals = await sql.fetch("SELECT identifiers FROM registration_totals")
    assert [row["identifiers"] for row in totals] == [9, 9, 9]
    await sql.close()


async def test_the_job_adds_up_and_makes_months(database: Database) -> None:
    sql = await asyncpg.connect(database.url)
    await sql.execute("INSERT INTO registration_changes (prefix, created) VALUES ('88.118.1', 1)")
    stop = asyncio.Event()
    job = asyncio.create_task(run_statistics(database, 180, stop))
    async with asyncio.timeout(20):
        while await sql.fetchval("SELECT count(*) FROM registration_changes"):
            await asyncio.sleep(0.01)
    stop.set()
    await job
    assert await sql.fetchval("SELECT sum(created) FROM registration_hours") == 1
    await sql.close()


async def test_what_was_there_before_statistics_is_counted(database: Database) -> None:
    migration = importlib.import_module("registry.migrations.versions.0013_statistics")
    await migrate(database.url, "base")
    await migrate(database.url, migration.down_revision)
    sql = await asyncpg.connect(database.url)
    await sql.execute(
        """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
           SELECT '88.118.1', 'SN-' || n, 'SN-' || n, '[]' FROM generate_series(10, 19) AS n;
           INSERT INTO ranges (prefix, head, width, first, last, spelling, values)
           VALUES ('88.118.1', 'SN-', 2, 15, 24, 'SN-', '[]')"""
    )
    await migrate(database.url)
    assert await sql.fetchval("SELECT identifiers FROM registration_totals") == 15
    await sql.close()
