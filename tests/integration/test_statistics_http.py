"""Statistics over HTTP: by hour, day, prefix, enterprise and industry; who is told of what."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from registry.database import Database
from tests.integration.registry_client import Node, running

# 23:00 in China is 15:00 UTC: the hours lie on two days of China, and on one in UTC
HOURS = ("2027-03-04T14:00Z", "2027-03-04T15:00Z", "2027-03-04T16:00Z", "2027-03-04T17:00Z")
TIME = "from=2027-03-04T00:00:00Z&to=2027-03-04T23:59:59Z"


@dataclass
class World:
    """Three enterprises of two industries with statistics."""

    node: Node
    enterprises: list[str]
    keys: list[str]
    prefixes: list[str]

    async def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        status, body, _ = await self.node.call(
            "GET", f"/statistics/{path}", token or self.node.operator
        )
        return status, body

    async def rows(self, path: str, *names: str, token: str | None = None) -> list[tuple[Any, ...]]:
        status, body = await self.get(path, token)
        assert status == 200, body
        return [tuple(item[name] for name in names) for item in body["items"]]


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with running(database) as node:
        made = [await node.enterprise(number) for number in (1, 2, 3)]
        prefixes = [await node.prefix(enterprise, key) for enterprise, key in made]
        sql = await asyncpg.connect(database.url)
        await sql.execute("UPDATE enterprises SET industry = 'C2710' WHERE name = 'Works 3'")
        await sql.execute(
            "CREATE TABLE resolution_hours_2027_03 PARTITION OF resolution_hours"
            " FOR VALUES FROM ('2027-03-01 00:00Z') TO ('2027-04-01 00:00Z');"
            "CREATE TABLE registration_hours_2027_03 PARTITION OF registration_hours"
            " FOR VALUES FROM ('2027-03-01 00:00Z') TO ('2027-04-01 00:00Z')"
        )
        for number, prefix in enumerate(prefixes, 1):
            for hour in HOURS:
                at = datetime.datetime.fromisoformat(hour)
                await sql.execute(
                    "INSERT INTO resolution_hours (prefix, hour, found, not_found)"
                    " VALUES ($1, $2, $3, 1)",
                    prefix, at, 10**number,
                )  # fmt: skip
                await sql.execute(
                    "INSERT INTO registration_hours (prefix, hour, created) VALUES ($1, $2, $3)",
                    prefix, at, number,
                )  # fmt: skip
        await sql.execute(
            "INSERT INTO resolution_hours (prefix, hour, not_found) VALUES ('', $1, 7)", at
        )
        await sql.close()
        yield World(node, [each for each, _ in made], [key for _, key in made], prefixes)


async def test_days_are_those_of_china(world: World) -> None:
    assert await world.rows(f"resolutions?{TIME}", "time", "found", "not_found") == [
        ("2027-03-04T00:00:00+08:00", 2 * 1110, 6),
        ("2027-03-05T00:00:00+08:00", 2 * 1110, 6 + 7),
    ]


async def test_hours(world: World) -> None:
    rows = await world.rows(
        f"resolutions?per=hour&by=prefix&prefix={world.prefixes[1]}&{TIME}",
        "time", "prefix", "found",
    )  # fmt: skip
    assert [row[0] for row in rows] == [
        "2027-03-04T22:00:00+08:00",
        "2027-03-04T23:00:00+08:00",
        "2027-03-05T00:00:00+08:00",
        "2027-03-05T01:00:00+08:00",
    ]
    assert {row[1:] for row in rows} == {(world.prefixes[1], 100)}


async def test_groups(world: World) -> None:
    path = f"resolutions?per=total&{TIME}"
    assert await world.rows(f"{path}&by=industry", "time", "industry", "enterprise", "found") == [
        (None, None, None, 0),
        (None, "C2710", None, 4000),
        (None, "C3441", None, 440),
    ]
    by_enterprise = await world.rows(
        f"{path}&by=enterprise", "enterprise_id", "enterprise", "industry", "prefix", "found"
    )
    assert sorted(by_enterprise[1:], key=lambda row: row[4]) == [
        (world.enterprises[0], "Works 1", "C3441", None, 40),
        (world.enterprises[1], "Works 2", "C3441", None, 400),
        (world.enterprises[2], "Works 3", "C2710", None, 4000),
    ]
    by_prefix = await world.rows(f"{path}&by=prefix", "prefix", "enterprise", "found", "not_found")
    assert by_prefix == [
        (None, None, 0, 7),
        (world.prefixes[0], "Works 1", 40, 4),
        (world.prefixes[1], "Works 2", 400, 4),
        (world.prefixes[2], "Works 3", 4000, 4),
    ]
    for industry, found in (
        ("C3441", 440),
        ("3441", 440),
        ("C34", 440),
        ("C27", 4000),
        ("C", 4440),
    ):
        assert await world.rows(f"{path}&industry={industry}", "found") == [(found,)], industry
    assert await world.rows(f"{path}&industry=A", "found") == []
    for industry in ("C3", "C9", "Z", "c34", "C34%25", "_", "9999"):
        for what in ("resolutions", "registrations", "identifiers"):
            status, problem = await world.get(f"{what}?industry={industry}")
            assert (status, problem["field"]) == (422, "industry"), (what, industry)
            assert "GB/T 4754-2017" in problem["detail"]
    assert await world.rows(f"{path}&enterprise_id={world.enterprises[2]}", "found") == [(4000,)]


async def test_registrations_and_what_there_is(world: World) -> None:
    path = f"registrations?per=total&by=industry&{TIME}"
    assert await world.rows(path, "industry", "created", "deleted") == [
        ("C2710", 12, 0),
        ("C3441", 12, 0),
    ]
    for suffix in ("A", "B"):
        path = f"/identifiers/{world.prefixes[0]}/{suffix}"
        assert (await world.node.call("PUT", path, world.keys[0], {"values": []}))[0] == 201
    found = await world.rows("identifiers?by=prefix", "prefix", "identifiers")
    assert found == [(world.prefixes[0], 2)]


async def test_pages_together_are_the_whole(world: World) -> None:
    path = f"resolutions?per=hour&by=prefix&{TIME}"
    whole = (await world.get(path))[1]["items"]
    assert len(whole) == 13
    for limit in (1, 4, 13):
        together, cursor = [], ""
        while True:
            status, page = await world.get(f"{path}&limit={limit}{cursor}")
            assert status == 200, page
            together += page["items"]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert together == whole, limit
    status, page = await world.get(f"{path}&limit=1")
    status, problem = await world.get(f"registrations?{TIME}&cursor={page['next']}")
    assert (status, problem["field"]) == (400, "cursor")


async def test_an_enterprise_is_told_of_its_own(world: World) -> None:
    key, other = world.keys[0], world.enterprises[1]
    for by in ("prefix", "enterprise", "industry"):
        path = f"resolutions?per=total&by={by}&{TIME}"
        assert await world.rows(path, "found", token=key) == [(40,)], by
    foreign = f"resolutions?per=total&prefix={world.prefixes[1]}&{TIME}"
    assert await world.rows(foreign, "found", token=key) == []
    for kind in ("resolutions", "registrations", "identifiers", "top"):
        assert (await world.get(f"{kind}?enterprise_id={other}", key))[0] == 403
        assert (await world.get(kind, world.node.reviewer))[0] == 200
        assert (await world.node.call("GET", f"/statistics/{kind}"))[0] == 401
    made = await world.node.call(
        "POST",
        f"/enterprises/{world.enterprises[0]}/keys",
        world.node.operator,
        {"scopes": ["labels"]},
    )
    assert (await world.get("resolutions", made[1]["key"]))[0] == 403


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("resolutions?per=week", 422, "per"),
        ("resolutions?by=colour", 422, "by"),
        ("resolutions?colour=red", 422, "colour"),
        ("resolutions?from=yesterday", 422, "from"),
        ("resolutions?from=2027-03-04T00:00:00", 422, "from"),
        ("resolutions?from=2027-03-05T00:00:00Z&to=2027-03-04T00:00:00Z", 422, "from"),
        ("resolutions?from=2020-01-01T00:00:00Z&to=2027-03-04T00:00:00Z", 422, "from"),
        ("resolutions?limit=1001", 422, "limit"),
        ("resolutions?limit=99999999999999999999", 422, "limit"),
        ("resolutions?enterprise_id=1", 422, "enterprise_id"),
        ("resolutions?cursor=x", 400, "cursor"),
        ("registrations?prefix=%00", 400, "prefix"),
        ("identifiers?per=day", 422, "per"),
        ("top?kind=best", 422, "kind"),
        ("top?from=2027-03-05&to=2027-03-04", 422, "from"),
        ("top?from=2027-01-01&to=2027-03-04", 422, "from"),
        ("top?from=0001-01-01&to=9999-12-31", 422, "from"),
        ("resolutions?from=0001-01-01T00:00:00Z", 422, "from"),
        ("resolutions?to=0001-01-01T00:00:00Z", 422, "to"),
        ("resolutions?from=9999-12-31T00:00:00Z", 422, "from"),
    ],
)
async def test_what_is_refused_names_the_parameter(
    world: World, path: str, status: int, field: str
) -> None:
    got, problem = await world.get(path)
    assert (got, problem.get("field")) == (status, field), problem


async def test_top_names_over_workers_and_days(world: World) -> None:
    own, other = world.prefixes[0], world.prefixes[1]
    sql = await asyncpg.connect(world.node.database.url)
    await sql.execute(
        "CREATE TABLE top_names_2027_03 PARTITION OF top_names"
        " FOR VALUES FROM ('2027-03-01') TO ('2027-04-01')"
    )
    day = datetime.date(2027, 3, 4)
    first, second = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2))
    for source, floor in ((first, 5), (second, 2)):
        await sql.execute(
            "INSERT INTO top_sources VALUES ($1, $2, 'found', 100, $3)", source, day, floor
        )
    for prefix, name, source, hits, error in (
        (own, "A", first, 30, 5), (own, "A", second, 20, 0), (own, "B", first, 10, 0),
        (other, "C", second, 40, 1),
    ):  # fmt: skip
        await sql.execute(
            "INSERT INTO top_names VALUES ($1, $2, 'found', $3, $4, $5, $6)",
            prefix, day, source, name, hits, error,
        )  # fmt: skip
    await sql.execute(
        "INSERT INTO top_names VALUES ('', $1, 'missing', $2, '88.709/X', 9, 0)", day, first
    )
    await sql.close()
    path = "top?from=2027-03-04&to=2027-03-05"
    status, body = await world.get(path)
    assert status == 200
    assert body == {
        "items": [
            {"identifier": f"{own}/A", "at_least": 45, "at_most": 50},
            {"identifier": f"{other}/C", "at_least": 39, "at_most": 45},
            {"identifier": f"{own}/B", "at_least": 10, "at_most": 12},
        ],
        "others": 7,
    }
    assert (await world.get(f"{path}&limit=1"))[1]["items"] == body["items"][:1]
    assert (await world.get(f"{path}&prefix={other}"))[1]["items"] == body["items"][1:2]
    assert (await world.get(path, world.keys[0]))[1] == {
        "items": [body["items"][0], body["items"][2]],
        "others": 7,
    }
    assert (await world.get(f"{path}&prefix={other}", world.keys[0]))[1]["items"] == []
    missing = {"identifier": "88.709/X", "at_least": 9, "at_most": 9}
    assert (await world.get(f"{path}&kind=missing"))[1]["items"] == [missing]
    assert (await world.get(f"{path}&kind=missing", world.keys[0]))[1]["items"] == []
    assert (await world.get("top?from=2027-03-05&to=2027-03-06"))[1] == {"items": [], "others": 0}
