"""What an identifier said at a moment, who wrote it, and that writers who wait keep it exact."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from registry.database import Database
from tests.integration.registry_client import Node

MICROSECOND = datetime.timedelta(microseconds=1)


@pytest.fixture
async def sql(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.url)
    yield connection
    await connection.close()


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    """Path of an active hosted prefix, and the key of its enterprise."""
    enterprise, key = await node.enterprise(1)
    return f"/identifiers/{await node.prefix(enterprise, key)}", key


def _says(text: str) -> dict[str, Any]:
    return {"values": [{"index": 1, "type": "URL", "data": {"format": "string", "value": text}}]}


def _text(identifier: Any) -> str:
    text: str = identifier["values"][0]["data"]["value"]
    return text


async def _at(node: Node, path: str, moment: datetime.datetime | str, key: str) -> tuple[int, Any]:
    text = moment if isinstance(moment, str) else moment.isoformat()
    status, answer, _ = await node.call("GET", f"{path}?at={quote(text)}", key)
    return status, answer


async def _versions(node: Node, path: str, key: str) -> list[Any]:
    status, page, _ = await node.call("GET", f"{path}/history?limit=1000", key)
    assert status == 200, page
    for item in page["items"]:
        for name in ("valid_from", "valid_to"):
            if item[name] is not None:
                item[name] = datetime.datetime.fromisoformat(item[name])
    items: list[Any] = page["items"]
    return items


async def test_each_moment_has_what_was_said_then(node: Node, owner: tuple[str, str]) -> None:
    root, key = owner
    path = f"{root}/A"
    tags = []
    for text in ("1", "2"):
        _, _, response = await node.call("PUT", path, key, _says(text))
        tags.append(response.headers["ETag"])
    await node.call("DELETE", path, key)
    await node.call("PUT", path, key, _says("3"))
    third, second, first = await _versions(node, path, key)

    status, problem = await _at(node, path, first["valid_from"] - MICROSECOND, key)
    assert (status, problem["responseCode"]) == (404, 100)
    assert "registered first at" in problem["detail"]
    for version, text in ((first, "1"), (second, "2")):
        for moment in (version["valid_from"], version["valid_to"] - MICROSECOND):
            status, said = await _at(node, path, moment, key)
            assert (status, _text(said), said["version"]) == (200, text, version["version"])
            assert datetime.datetime.fromisoformat(said["created_at"]) == first["valid_from"]
            assert datetime.datetime.fromisoformat(said["updated_at"]) == version["valid_from"]
    for moment in (second["valid_to"], third["valid_from"] - MICROSECOND):
        status, problem = await _at(node, path, moment, key)
        assert status == 404
        deleted = second["valid_to"].isoformat().replace("+00:00", "Z")
        assert f"deleted at {deleted}" in problem["detail"]
    status, said = await _at(node, path, third["valid_from"], key)
    assert (status, said) == (200, (await node.call("GET", path, key))[1])
    status, problem = await _at(node, f"{root}/never", third["valid_from"], key)
    assert (status, "never registered" in problem["detail"]) == (404, True)
    status, _, response = await node.call(
        "GET", f"{path}?at={quote(first['valid_from'].isoformat())}", key, If_None_Match=tags[0]
    )
    assert (status, response.headers["ETag"]) == (304, tags[0])


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("2020-01-01T00:00:00Z", 404),
        ("2020-01-01T08:00:00+08:00", 404),
        ("2020-01-01T00:00:00", 400),
        ("2020-01-01", 400),
        ("2020-13-01T00:00:00Z", 400),
        ("1577836800", 400),
        ("yesterday", 400),
        ("", 400),
        ("0001-01-01T00:00:00+14:00", 400),
        ("9999-12-31T23:59:59-12:00", 400),
        ("9999-12-31T23:59:59Z", 422),
        ("0001-01-01T00:00:00Z", 404),
    ],
)
async def test_a_moment_is_a_time_of_rfc_3339_that_is_past(
    node: Node, owner: tuple[str, str], moment: str, status: int
) -> None:
    root, key = owner
    await node.call("PUT", f"{root}/A", key, _says("1"))
    told, problem = await _at(node, f"{root}/A", moment, key)
    assert (told, problem.get("field")) == (status, None if status == 404 else "at"), problem


async def test_history_says_who_wrote_and_who_deleted(
    node: Node, owner: tuple[str, str], sql: asyncpg.Connection
) -> None:
    root, key = owner
    path = f"{root}/A"
    await node.call("PUT", path, key, _says("1"))
    await node.call("PATCH", path, node.operator, _says("2"))
    await sql.execute("UPDATE identifiers SET template = 'by hand' WHERE suffix_key = 'A'")
    await node.call("PUT", path, key, _says("4"))
    await node.call("DELETE", path, node.operator)
    items = await _versions(node, path, key)
    login = await sql.fetchval("SELECT session_user")
    writers = [item["actor"] for item in reversed(items)]
    assert writers[1:3] == ["account:root", f"database:{login}"]
    assert writers[0].startswith("key:")
    assert writers[3] == writers[0]
    assert [item["ended_by"] for item in reversed(items)] == [*writers[1:], "account:root"]
    prefix_handle = root.replace("/identifiers/", "/identifiers/0.NA/")
    made = (await _versions(node, prefix_handle, key))[-1]
    assert made["actor"] == "account:desk", "the prefix handle is made by whoever approves"


async def test_the_past_is_told_to_who_may_read_the_present_alone(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    await node.call("PUT", f"{root}/A", key, _says("1"))
    (version,) = await _versions(node, f"{root}/A", key)
    _, other = await node.enterprise(2)
    for token, status in ((key, 200), (node.operator, 200), (node.reviewer, 200), (other, 403)):
        assert (await _at(node, f"{root}/A", version["valid_from"], token))[0] == status


async def test_a_writer_that_waited_ends_the_version_it_waited_for(
    node: Node, owner: tuple[str, str], sql: asyncpg.Connection
) -> None:
    """The transaction that began first writes last: the times must follow the writes."""
    root, key = owner
    await node.call("PUT", f"{root}/A", key, _says("1"))
    async with sql.transaction():
        await sql.execute("SELECT now()")  # the transaction has begun
        await node.call("PUT", f"{root}/A", key, _says("2"))
        await sql.execute("UPDATE identifiers SET template = 'late' WHERE suffix_key = 'A'")
    async with sql.transaction():
        await sql.execute("SELECT now()")
        await node.call("PUT", f"{root}/A", key, _says("4"))
        await sql.execute("DELETE FROM identifiers WHERE suffix_key = 'A'")
    items = (await _versions(node, f"{root}/A", key))[::-1]
    assert [item["version"] for item in items] == sorted(item["version"] for item in items)
    for earlier, later in pairwise(items):
        assert earlier["valid_from"] <= earlier["valid_to"]
        assert earlier["valid_to"] == later["valid_from"]
    for item in items:
        if item["valid_from"] < item["valid_to"]:
            _, said = await _at(node, f"{root}/A", item["valid_from"], key)
            assert said["version"] == item["version"]


async def test_of_a_creation_that_waited_for_a_deletion_each_moment_has_one_version(
    node: Node, owner: tuple[str, str], sql: asyncpg.Connection
) -> None:
    root, key = owner
    path = f"{root}/A"
    await node.call("PUT", path, key, _says("1"))
    await sql.execute("SELECT pg_advisory_lock(1)")
    other = await asyncpg.connect(node.database.url)
    creation = asyncio.ensure_future(
        other.execute(
            "INSERT INTO identifiers (prefix, suffix_key, suffix, values)"
            " SELECT $1, 'A', 'A', '[]' FROM pg_advisory_xact_lock(1)",
            root.rpartition("/")[2],
        )
    )
    async with asyncio.timeout(20):
        waiting = (
            "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database"
            " WHERE locktype = 'advisory' AND NOT granted AND d.datname = current_database()"
        )
        while not await sql.fetchval(waiting):
            await asyncio.sleep(0.01)
    await node.call("DELETE", path, key)
    await sql.execute("SELECT pg_advisory_unlock(1)")
    await creation
    await other.close()
    present, old = await _versions(node, path, key)
    assert present["valid_from"] < old["valid_to"], "the case that this is about"
    _, said = await _at(node, path, present["valid_from"], key)
    assert said["version"] == old["version"], "it held until it was deleted"
    _, said = await _at(node, path, old["valid_to"], key)
    assert said["version"] == present["version"]


async def test_of_many_writers_at_once_every_moment_has_the_version_that_held(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    path = f"{root}/A"

    async def write(number: int) -> None:
        if number % 5 == 4:
            await node.call("DELETE", path, key)
        else:
            await node.call("PUT", path, key, _says(str(number)))

    await asyncio.gather(*(write(number) for number in range(25)))
    items = (await _versions(node, path, key))[::-1]
    for earlier, later in pairwise(items):
        assert earlier["valid_to"] <= later["valid_from"] or earlier["deleted"]
    for item in items:
        moment = item["valid_from"]
        held = [
            one
            for one in items
            if one["valid_from"] <= moment and (one["valid_to"] or moment + MICROSECOND) > moment
        ]
        status, said = await _at(node, path, moment, key)
        assert (status, said["version"]) == (200, held[0]["version"])
