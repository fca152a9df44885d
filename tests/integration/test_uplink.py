"""The uplink against a top-level node that does all that a far server may do."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from admin import jobs
from admin.embedded import EmbeddedPostgres
from registry import metrics, outbox
from registry.database import Database, migrate, revisions
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.schema import nodes, prepare
from resolver.federation.uplink import run_uplink
from tests.integration.uplink_support import (
    NODE,
    QUICK,
    Fault,
    Faults,
    all_delivered,
    arrived,
    eventually,
    put,
    rows,
    serving,
    until,
    uplink,
)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def toplevel(database: Database, faults: Faults) -> AsyncIterator[str]:
    await prepare(database)
    async with serving(faults.install(make_toplevel_app(database, token=None))) as url:
        yield url


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that the test may stop: the one of the test run serves other tests too."""
    directory = Path(tempfile.mkdtemp(prefix="idnode-test-"))
    server = EmbeddedPostgres(directory)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


def delivered(row: metrics.Row) -> float:
    return row.cells[metrics.slot("idnode_uplink_messages", "delivered")]


def failed(row: metrics.Row) -> float:
    return row.cells[metrics.slot("idnode_uplink_messages", "failed")]


async def _error_500(request: web.Request, _: Any) -> web.Response:
    return web.json_response({"detail": "out of order"}, status=500)


async def _garbage(request: web.Request, _: Any) -> web.Response:
    return web.Response(text="<html>Welcome to the hotel's network")


async def _receipt_for_another(request: web.Request, _: Any) -> web.Response:
    return web.json_response({"message_id": str(uuid.UUID(int=7)), "duplicate": False})


async def _redirect(request: web.Request, _: Any) -> web.Response:
    raise web.HTTPTemporaryRedirect("/elsewhere")


async def _hang(request: web.Request, _: Any) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def _hang_after_commit(request: web.Request, handle: Any) -> web.Response:
    await handle()
    await asyncio.Event().wait()
    raise AssertionError


async def _close_after_commit(request: web.Request, handle: Any) -> web.Response:
    answer: web.Response = await handle()
    assert request.transport is not None
    request.transport.abort()
    return answer


async def _not_http(request: web.Request, _: Any) -> web.Response:
    assert request.transport is not None
    request.transport.write(b"\x00\xffSSH-2.0-garbage\r\n\r\n")
    request.transport.close()
    return web.Response()


async def _endless(request: web.Request, _: Any) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (_error_500, "HTTP 500 out of order"),
        (_garbage, "not a receipt"),
        (_receipt_for_another, "receipt is for another"),
        (_redirect, "HTTP 307"),
        (_hang, "no answer within 0.5 s"),
        (_hang_after_commit, "no answer within 0.5 s"),
        (_close_after_commit, "ServerDisconnectedError"),
        (_not_http, "ClientResponseError"),
        (_endless, "answer is too long"),
    ],
)
async def test_message_takes_effect_once_whatever_the_answer_was(
    database: Database, toplevel: str, faults: Faults, fault: Fault, reason: str
) -> None:
    faults.fault = fault
    await put(database, "88.118.1")
    async with uplink(database, toplevel) as row:
        (waits,) = await until(
            database, "a failed message is tried again", lambda found: found[0].attempts >= 2
        )
        assert waits.delivered_at is None, "delivered without a receipt"
        assert reason in waits.last_error
        faults.fault = None
        (done,) = await until(database, "it is delivered in the end", all_delivered)
        assert done.last_error is None
        assert (delivered(row), failed(row)) == (1, done.attempts - 1)
    (message,) = await arrived(database)
    assert (message.message_id, message.payload) == (done.message_id, done.payload)


async def test_refused_message_stays_visible_and_others_go_on(
    database: Database, toplevel: str
) -> None:
    await put(database, "88.119.1", 0)
    await put(database, "88.119.1", 1)
    await put(database, "88.118.1", 0)
    async with uplink(database, toplevel) as row:
        await until(
            database,
            "the refused one was tried, the other subject went through",
            lambda found: found[0].attempts and found[2].delivered_at,
        )
        refused, behind, _ = await rows(database)
        assert refused.delivered_at is None
        assert refused.last_error == "HTTP 409 the prefix is not under 88.118"
        assert behind.attempts == 0, "a later message overtook the refused one"
        async with database.begin() as connection:
            left = refused.next_attempt_at - await connection.scalar(sa.func.now())
            state = await outbox.waiting(connection)
        assert left.total_seconds() > 60, "a refused message is retried slowly"
        assert (state.depth, state.failing) == (2, 1)
        assert failed(row) == 1
    assert [message.subject for message in await arrived(database)] == ["88.118.1"]


async def test_subject_waits_for_its_earlier_message_and_others_do_not(
    database: Database, toplevel: str, faults: Faults
) -> None:
    faults.fault, faults.subject = _hang, "88.118.1"
    for number in range(5):
        for prefix in ("88.118.1", "88.118.2", "88.118.3"):
            await put(database, prefix, number)
    async with uplink(database, toplevel):
        await until(
            database,
            "subjects go on past one that hangs",
            lambda found: sum(row.delivered_at is not None for row in found) == 10,
        )
        assert {message.subject for message in await arrived(database)} == {"88.118.2", "88.118.3"}
        assert [row.attempts for row in await rows(database) if row.subject == "88.118.1"][1:] == [
            0
        ] * 4
        faults.fault = None
        await until(database, "the subject goes on in the end", all_delivered)
    for prefix in ("88.118.1", "88.118.2", "88.118.3"):
        numbers = [
            int(message.payload["enterprise"]["industry"])
            for message in await arrived(database)
            if message.subject == prefix
        ]
        assert numbers == list(range(5)), "out of order"


async def test_requests_under_way_are_bounded(
    database: Database, toplevel: str, faults: Faults
) -> None:
    now, most, full = 0, 0, asyncio.Event()

    async def count(request: web.Request, handle: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 3:
            full.set()
        try:
            await full.wait()
            return await handle()
        finally:
            now -= 1

    faults.fault = count
    for number in range(20):
        await put(database, f"88.118.{number}")
    pace = replace(QUICK, concurrency=3, timeout=10)
    async with uplink(database, toplevel, pace=pace):
        await until(database, "all are delivered", all_delivered)
        assert most == 3


async def test_notify_wakes_the_uplink(database: Database, toplevel: str) -> None:
    listens = "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN %%idnode_outbox%%'"

    async def listening() -> int:
        async with database.begin() as connection:
            return int((await connection.exec_driver_sql(listens)).scalar_one())

    async with uplink(database, toplevel, pace=replace(QUICK, look=100)) as row:
        await eventually("the uplink listens", listening)
        await put(database, "88.118.1")
        await until(database, "a commit wakes the uplink", all_delivered, within=20)
        assert delivered(row) == 1


async def test_no_secret_reaches_the_outbox(
    database: Database, toplevel: str, faults: Faults
) -> None:
    async def echo(request: web.Request, _: Any) -> web.Response:
        return web.json_response({"detail": request.headers["Authorization"]}, status=503)

    faults.fault = echo
    await put(database, "88.118.1")
    async with uplink(database, toplevel, token="s3cret-token"):
        (row,) = await until(database, "it was tried", lambda found: found[0].attempts)
    assert row.last_error == "HTTP 503 Bearer ***"


async def test_wrong_token_is_no_refusal(database: Database) -> None:
    """An authority that does not know us yet must not put the filing off for long."""
    await prepare(database)
    await put(database, "88.118.1")
    async with serving(make_toplevel_app(database, token="right")) as url:
        async with uplink(database, url, token="wrong"):
            (row,) = await until(
                database, "it is tried again", lambda found: found[0].attempts >= 2
            )
            assert row.last_error.startswith("HTTP 401")
        assert await arrived(database) == []
        async with uplink(database, url, token="right"):
            await until(database, "the right token files", all_delivered)


async def test_heartbeat_tells_of_the_node(database: Database, toplevel: str) -> None:
    async def two_heartbeats() -> Any:
        async with database.begin() as connection:
            result = await connection.execute(
                sa.select(nodes).where(nodes.c.last_heartbeat_at > nodes.c.first_heartbeat_at)
            )
            return result.one_or_none()

    async with uplink(database, toplevel):
        row = await eventually("a second heartbeat replaces the first", two_heartbeats)
    assert (row.node, row.outbox_depth, row.prefixes, row.identifiers) == (NODE, 0, 0, 0)


async def test_heartbeat_tells_how_the_node_fares(database: Database, toplevel: str) -> None:
    """As the jobs process makes it, out of what the workers count."""
    row, other = metrics.private_row(), metrics.private_row()
    row.set("idnode_database_up", value=1)
    other.set("idnode_feed_lag_seconds", value=2.5)
    row.add("idnode_resolutions", "udp", "unavailable")
    other.add("idnode_resolutions", "http", "error")
    other.add("idnode_resolutions", "http", "found")

    async def told() -> Any:
        async with database.begin() as connection:
            return await connection.scalar(sa.select(nodes.c.health))

    async with uplink(database, toplevel, workers=lambda: jobs.of_workers([row, other])):
        health = await eventually("a heartbeat tells it", told)
        assert (health["ready"], health["lag_seconds"], health["errors"]) == (True, 2.5, 2)
        assert health["schema"] in revisions()
        other.set("idnode_feed_lag_seconds", value=31)

        async def lagging() -> bool:
            return not (await told())["ready"]

        await eventually("one that follows no changes is not ready", lagging)


async def test_uplink_survives_the_database_going_away(server: EmbeddedPostgres) -> None:
    url = await asyncio.to_thread(server.start)
    database = Database(url, timeout=2)
    try:
        await migrate(url)
        await prepare(database)
        async with (
            serving(make_toplevel_app(database, token=None)) as toplevel,
            uplink(database, toplevel) as row,
        ):
            await put(database, "88.118.1", 0)
            await until(database, "it is delivered", all_delivered)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await put(database, "88.118.1", 1)
            await until(database, "it is delivered after the database is back", all_delivered)
            assert delivered(row) == 2
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("ftp://127.0.0.1/", None),
        ("127.0.0.1:8100", None),
        ("http://user:word@127.0.0.1/", None),
        ("http://127.0.0.1/", "line\nbreak"),
        ("http://127.0.0.1/", ""),
    ],
)
async def test_setting_that_can_not_be_used_is_told(
    database: Database, url: str, token: str | None
) -> None:
    with pytest.raises(ValueError, match="top-level node"):
        await run_uplink(
            database,
            url=url,
            token=token,
            node_prefix=NODE,
            row=metrics.private_row(),
            stop=asyncio.Event(),
        )
