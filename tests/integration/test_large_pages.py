"""A page is bounded in what it holds, not in its rows alone: nobody makes a node gather a gigabyte.

What is large is made in the database itself, of text that PostgreSQL compresses well.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from registry import bounded, stored
from registry.listing import Listing
from tests.integration.registry_client import Node

_LARGE = 64 * 1024


def large(text: str, count: int) -> list[dict[str, Any]]:
    """Return values that have so many times 64 KiB."""
    data = {"format": "string", "value": text * _LARGE}
    return [{"index": index, "type": "NOTE", "data": data} for index in range(1, count + 1)]


async def pages(node: Node, path: str, key: str) -> list[tuple[int, list[dict[str, Any]]]]:
    """Return the octets and the items of each page of a list."""
    found, cursor = [], ""
    while True:
        headers = {"Authorization": f"Bearer {key}"}
        async with node.client.get(node.url(f"{path}{cursor}"), headers=headers) as response:
            text = await response.read()
        body = json.loads(text)
        assert response.status == 200, body
        found.append((len(text), body["items"]))
        if body["next"] is None:
            return found
        cursor = f"&cursor={body['next']}"


@pytest.mark.parametrize("members", [False, True])
async def test_a_list_of_large_identifiers_comes_in_more_pages_and_is_whole(
    node: Node, works: tuple[str, str], members: bool
) -> None:
    key, prefix = works
    wanted = [f"{prefix}/SN-{number:04d}" for number in range(1, 61)]
    if members:
        body = {"prefix": prefix, "first": "SN-0001", "last": "SN-0060", "values": large("r", 12)}
        assert (await node.call("POST", "/ranges", key, body))[0] == 201
        for number in (7, 8, 30, 60):
            path = f"/identifiers/{prefix}/SN-{number:04d}"
            assert (await node.call("PUT", path, key, {"values": large("o", 1)}))[0] == 200
        path = f"/identifiers/{prefix}/SN-0009"
        assert (await node.call("DELETE", path, key))[0] == 204
        wanted.remove(f"{prefix}/SN-0009")
    else:
        async with node.database.begin() as connection:
            await connection.execute(
                sa.text(
                    "INSERT INTO identifiers (prefix, suffix_key, suffix, values)"
                    " SELECT :prefix, name, name, CAST(:values AS jsonb) FROM ("
                    "  SELECT 'SN-' || lpad(n::text, 4, '0') AS name"
                    "  FROM generate_series(1, 60) AS n) AS names"
                ),
                {"prefix": prefix, "values": json.dumps(large("x", 12))},
            )
    found = await pages(node, f"/identifiers?prefix={prefix}&limit=1000", key)
    assert [item["handle"] for _, items in found for item in items] == wanted
    assert len(found) > 3
    assert max(size for size, _ in found) < 2 * bounded.MAX_OCTETS + (2 << 20)
    headers = {"Authorization": f"Bearer {key}"}
    export = node.url(f"/exports/identifiers?prefix={prefix}")
    async with node.client.get(export, headers=headers) as response:
        lines = [json.loads(line) for line in (await response.read()).splitlines()]
    assert [line["identifier"] for line in lines] == wanted
    async with node.database.begin() as connection:
        assert await stored.names(connection, prefix, 1000) == wanted, "names have no bound but it"
        listing = await Listing.of(connection, prefix)
        parts, after = [], ""
        while part := await listing.after(after, 500):
            parts.append(sum(len(json.dumps(one.values)) for one in part))
            after = part[-1].suffix_key
    assert max(parts) < 2 * bounded.MAX_OCTETS + (2 << 20)


async def test_a_list_of_small_identifiers_has_as_many_as_asked_for(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    body = {"prefix": prefix, "first": "SN-0001", "last": "SN-0900", "values": []}
    assert (await node.call("POST", "/ranges", key, body))[0] == 201
    found = await pages(node, f"/identifiers?prefix={prefix}&limit=450", key)
    assert [len(items) for _, items in found] == [450, 450]


async def test_a_history_of_large_versions_comes_in_more_pages_and_is_whole(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    path = f"/identifiers/{prefix}/SN-1"
    versions = []
    for number in range(30):
        text = chr(ord("a") + number % 26)
        status, made, _ = await node.call("PUT", path, key, {"values": large(text, 12)})
        assert status in (200, 201)
        versions.append(made["version"])
    found = await pages(node, f"{path}/history?limit=1000", key)
    assert [item["version"] for _, items in found for item in items] == versions[::-1]
    assert len(found) > 2
    assert max(size for size, _ in found) < 2 * bounded.MAX_OCTETS
