"""Reports upward: every hour and day that is over, whole, the latest revision, once."""

from __future__ import annotations

import datetime
import random
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import ClientSession, web

from registry import outbox, reports
from registry.database import Database
from registry.statistics import partitions
from resolver.federation.toplevel import schema as toplevel
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.schema import prepare
from tests.integration import tenants
from tests.integration.registry_client import Node
from tests.integration.uplink_support import Faults, all_delivered, rows, serving, until, uplink

NOON = datetime.datetime(2026, 11, 25, 4, tzinfo=datetime.UTC)
"""Noon in China."""

AFTER = (NOON + datetime.timedelta(hours=1, minutes=2)).timestamp()


async def _count(
    database: Database, hour: datetime.datetime, found: int, prefix: str = "88.118.1"
) -> None:
    async with database.begin() as connection:
        await partitions.make(connection, hour.date())
        await connection.execute(
            sa.text(
                "INSERT INTO resolution_hours AS h (prefix, hour, found)"
                " VALUES (:prefix, :hour, :n)"
                " ON CONFLICT (prefix, hour) DO UPDATE SET found = h.found + excluded.found"
            ),
            {"prefix": prefix, "hour": hour, "n": found},
        )


async def _payloads(database: Database) -> list[Any]:
    return [row.payload for row in await rows(database)]


async def test_an_hour_is_reported_once_it_is_over(database: Database) -> None:
    await _count(database, NOON, 7)
    await _count(database, NOON, 3, prefix="88.118.2")
    async with database.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO registration_hours (prefix, hour, created, deleted)"
                " VALUES ('88.118.1', :hour, 4, 1)"
            ),
            {"hour": NOON},
        )
    running = (NOON + datetime.timedelta(minutes=59)).timestamp()
    assert await reports.report_due(database, running, whole=True) == 0, "it is not over yet"
    assert await reports.report_due(database, AFTER, whole=False) == 1
    assert await reports.report_due(database, AFTER, whole=True) == 0, "it was reported already"
    (report,) = await _payloads(database)
    assert report == {
        "per": "hour",
        "start": "2026-11-25T04:00:00Z",
        "revision": 1,
        "total": {"found": 10, "created": 4, "deleted": 1},
        "prefixes": [
            {"prefix": "88.118.1", "figures": {"found": 7, "created": 4, "deleted": 1}},
            {"prefix": "88.118.2", "figures": {"found": 3}},
        ],
    }


async def test_a_day_of_china_is_reported_with_the_names_asked_for_most(database: Database) -> None:
    day = NOON.date()
    last_of_day = datetime.datetime(2026, 11, 25, 15, tzinfo=datetime.UTC)
    for hour in (NOON, last_of_day, last_of_day + datetime.timedelta(hours=1)):
        await _count(database, hour, 5)
    source = uuid.uuid4()
    async with database.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO top_names VALUES ('88.118.1', :day, 'missing', :source, 'GONE', 9, 2)"
            ),
            {"day": day, "source": source},
        )
        await connection.execute(
            sa.text("INSERT INTO top_sources VALUES (:source, :day, 'missing', 9, 2)"),
            {"day": day, "source": source},
        )
    midnight = datetime.datetime(2026, 11, 25, 16, 2, tzinfo=datetime.UTC)
    await reports.report_due(database, midnight.timestamp(), whole=True)
    (report,) = [each for each in await _payloads(database) if each["per"] == "day"]
    assert report["start"] == "2026-11-24T16:00:00Z", "days begin at midnight in China"
    assert report["total"] == {"found": 10}, "the first hour of the next day is not of this one"
    (name,) = report["missing"]
    assert (name["name"], name["at_least"], name["at_most"]) == ("GONE", 7, 9)


async def test_late_counts_are_reported_again_whole_and_replace_what_waits(
    database: Database,
) -> None:
    await _count(database, NOON, 7)
    await reports.report_due(database, AFTER, whole=False)
    (first,) = await rows(database)
    await _count(database, NOON, 1)
    late = AFTER + 86_400
    assert await reports.report_due(database, late, whole=False) == 1, "the day alone is recent"
    assert await reports.report_due(database, late, whole=True) == 1, "the late hour is found"
    hours = [row for row in await rows(database) if row.payload["per"] == "hour"]
    assert [row.payload["revision"] for row in hours] == [2], "the one that waited was replaced"
    assert hours[0].payload["total"] == {"found": 8}
    assert hours[0].message_id != first.message_id, "another message has another id"


async def test_what_was_delivered_is_followed_by_a_new_message(database: Database) -> None:
    await prepare(database)
    app = make_toplevel_app(database, token=None)
    await _count(database, NOON, 7)
    await reports.report_due(database, AFTER, whole=False)
    async with serving(app) as url, uplink(database, url):
        await until(database, "the first is delivered", all_delivered)
        await _count(database, NOON, 1)
        await reports.report_due(database, AFTER, whole=False)
        sent = await until(
            database, "the second, too", lambda found: len(found) == 2 and all_delivered(found)
        )
    assert [row.payload["revision"] for row in sent] == [1, 2]
    (kept,) = await _figures(database)
    assert (kept.revision, kept.report["total"]) == (2, {"found": 8})


async def test_a_report_that_is_replaced_on_its_way_is_not_lost(database: Database) -> None:
    """The answer to the old one must not mark the new one delivered."""
    await prepare(database)
    faults = Faults()

    async def replace_first(request: web.Request, go_on: Any) -> web.StreamResponse:
        faults.fault = None
        answer = await go_on()
        await _count(database, NOON, 1)
        await reports.report_due(database, AFTER, whole=False)
        return answer  # type: ignore[no-any-return]

    faults.fault = replace_first
    app = faults.install(make_toplevel_app(database, token=None))
    await _count(database, NOON, 7)
    await reports.report_due(database, AFTER, whole=False)
    async with serving(app) as url, uplink(database, url):
        (sent,) = await until(database, "all is delivered", all_delivered)
    assert sent.payload["revision"] == 2
    (kept,) = await _figures(database)
    assert (kept.revision, kept.report["total"]) == (2, {"found": 8})


async def test_the_greater_revision_holds_in_whatever_order_they_come(database: Database) -> None:
    await prepare(database)
    payload = {
        "per": "hour",
        "start": "2026-11-25T04:00:00Z",
        "total": {"found": 8},
        "prefixes": [],
    }
    async with serving(make_toplevel_app(database, token=None)) as url, ClientSession() as session:
        for revision in (2, 1):
            status, _ = await _file(session, url, payload | {"revision": revision})
            assert status == 200
    (kept,) = await _figures(database)
    assert kept.revision == 2, "a report that came late undid a later one"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start": "2026-11-25T05:00:00Z"}, "subject"),
        ({"total": {"found": 1}}, "payload.total.found"),
        ({"prefixes": [{"prefix": "88.118.1", "figures": {}}] * 2}, "payload.prefixes"),
        ({"revision": 0}, "payload.revision"),
        ({"total": {"found": -1}}, "payload.total.found"),
        ({"more": 1}, "payload.more"),
    ],
)
async def test_the_stub_refuses_figures_that_do_not_fit(
    database: Database, change: dict[str, Any], field: str
) -> None:
    await prepare(database)
    payload = {
        "per": "hour",
        "start": "2026-11-25T04:00:00Z",
        "revision": 1,
        "total": {"found": 8},
        "prefixes": [{"prefix": "88.118.1", "figures": {"found": 8}}],
    }
    async with serving(make_toplevel_app(database, token=None)) as url, ClientSession() as session:
        status, problem = await _file(session, url, payload | change)
        assert (status, problem["field"]) == (422, field)
        assert (await _file(session, url, payload))[0] == 200
    assert len(await _figures(database)) == 1


async def test_at_most_one_report_of_a_period_waits(database: Database) -> None:
    """An authority that is away finds as many messages as there were hours and days."""
    chance = random.Random(3)
    for _ in range(40):
        await _count(database, NOON, chance.randrange(1, 9), prefix=f"88.118.{chance.randrange(9)}")
        await reports.report_due(database, AFTER, whole=False)
    assert len(await rows(database)) == 1
    async with database.begin() as connection:
        state = await outbox.waiting(connection)
    assert state.depth == 1


async def test_a_busy_hour_tells_the_busiest_prefixes_and_the_sum_of_all(
    database: Database,
) -> None:
    async with database.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO resolution_hours (prefix, hour, found)"
                " SELECT '88.118.' || n, :hour, n FROM generate_series(1, 700) AS n"
            ),
            {"hour": NOON},
        )
    await reports.report_due(database, AFTER, whole=False)
    (report,) = await _payloads(database)
    assert len(report["prefixes"]) == reports.MAX_PREFIXES
    assert report["prefixes"][0]["prefix"] == "88.118.700"
    assert report["total"] == {"found": 700 * 701 // 2}


async def test_templates_are_reported_when_published_and_withdrawn(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    await prepare(node.database)
    body = {"prefix": prefix, "name": "goods", "items": [tenants.ITEM]}
    assert (await node.call("POST", "/templates", key, body))[0] == 201
    at = f"/templates/{prefix}/goods/1"
    app = make_toplevel_app(node.database, token=None)
    async with serving(app) as url, uplink(node.database, url):
        assert (await node.call("POST", f"{at}/publish", key))[0] == 200
        await until(node.database, "it is reported", _delivered(reports.TEMPLATE, 1))
        reason = {"reason": "another takes its place"}
        status, answer, _ = await node.call("POST", f"{at}/withdraw", key, reason)
        assert status == 200, answer
        found = await until(node.database, "again", _delivered(reports.TEMPLATE, 2))
    states = [row.payload["state"] for row in found if row.kind == reports.TEMPLATE]
    assert states == ["published", "withdrawn"]
    async with node.database.begin() as connection:
        (kept,) = (await connection.execute(sa.select(toplevel.templates))).all()
    assert (kept.prefix, kept.version, kept.state) == (prefix, 1, "withdrawn")
    assert kept.definition["items"][0]["type"] == tenants.ITEM["type"]


def _delivered(kind: str, count: int) -> Any:
    return lambda found: (
        sum(row.kind == kind and row.delivered_at is not None for row in found) == count
    )


async def _figures(database: Database) -> list[Any]:
    async with database.begin() as connection:
        return list((await connection.execute(sa.select(toplevel.figures))).all())


async def _file(session: ClientSession, url: str, payload: dict[str, Any]) -> tuple[int, Any]:
    body = {
        "message_id": str(uuid.uuid4()),
        "node": "88.118",
        "subject": "statistics hour 2026-11-25T04:00:00Z",
        "kind": "statistics",
        "payload": payload,
    }
    async with session.post(f"{url}/filings", json=body) as response:
        return response.status, await response.json(content_type=None)
