"""What the top-level stub shows: its nodes, and why it refused what they sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp.test_utils import TestClient, TestServer

from protocol.errors import InvalidValue
from registry.database import Database
from resolver.federation.toplevel import refusals as keeping
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.schema import certificates, prepare, refusals
from tests.integration.toplevel_support import node_message, prefix_message


@pytest.fixture
async def client(database: Database) -> AsyncIterator[TestClient[Any]]:
    await prepare(database)
    async with TestClient(TestServer(make_toplevel_app(database, token=None))) as client:
        yield client


async def items(client: TestClient[Any], path: str) -> list[dict[str, Any]]:
    response = await client.get(path)
    assert response.status == 200, await response.text()
    found: list[dict[str, Any]] = (await response.json())["items"]
    return found


async def test_nodes_are_shown_with_all_that_is_known_of_them(
    client: TestClient[Any], database: Database
) -> None:
    await client.post("/filings", json=node_message())
    for number, status in ((1, "active"), (2, "active"), (3, "revoked")):
        await client.post("/filings", json=prefix_message(f"88.118.{number}", status=status))
    beat = {"node": "88.118", "version": "7.7", "outbox_depth": 3, "prefixes": 2}
    await client.post("/heartbeats", json=beat | {"identifiers": 41})
    async with database.begin() as connection:
        soon = sa.func.now() + sa.text("interval '1 day'")
        for serial, node in (("a", "88.118"), ("b", "88.119")):
            await connection.execute(
                certificates.insert().values(serial=serial, node=node, expires_at=soon)
            )
        await connection.execute(
            certificates.update()
            .where(certificates.c.node == "88.119")
            .values(revoked_at=sa.func.now())
        )
    first, second = await items(client, "/nodes")
    assert (first["node"], first["version"], first["filed"]) == ("88.118", "7.7", 2)
    assert (first["identifiers"], first["outbox_depth"]) == (41, 3)
    assert first["certified_until"] is not None
    assert first["site"]["servers"][0]["address"] == "192.0.2.7"
    assert (second["node"], second["age"], second["revoked"]) == ("88.119", None, True)
    assert second["certified_until"] is None
    page = await (await client.get("/?lang=en")).text()
    for shown in ("192.0.2.7", "never heard", "until 2", "revoked", ">41<", "7.7"):
        assert shown in page, f"the page does not show {shown}"
    assert "从未上报" in await (await client.get("/?lang=zh")).text()


async def test_figures_that_were_reported_are_shown_the_latest_first(
    client: TestClient[Any],
) -> None:
    for start, total in (
        ("2026-11-25T01:00:00Z", {"found": 731, "created": 12}),
        ("2026-11-25T02:00:00Z", {"referral": 4096}),
    ):
        report = {"per": "hour", "start": start, "revision": 1, "total": total, "prefixes": []}
        body = node_message(kind="statistics", subject=f"statistics hour {start}", payload=report)
        response = await client.post("/filings", json=body)
        assert response.status == 200, await response.text()
    latest, first = await items(client, "/figures")
    assert (latest["start"], latest["total"]) == ("2026-11-25T02:00:00Z", {"referral": 4096})
    assert first["total"]["found"] == 731
    page = await (await client.get("/?lang=en")).text()
    for shown in ("Reported figures", ">731<", ">4096<", ">12<", ">hour<"):
        assert shown in page, f"the page does not show {shown}"
    assert "上报的统计" in await (await client.get("/?lang=zh")).text()


async def test_refused_messages_are_shown_with_the_reason_each_once(
    client: TestClient[Any],
) -> None:
    bad = prefix_message("88.119.1")
    for _ in range(3):
        assert (await client.post("/filings", json=bad)).status == 409
    response = await client.post("/filings", json=node_message(kind="letter"))
    assert response.status == 422
    assert (await client.post("/filings", json=prefix_message())).status == 200
    latest, first = await items(client, "/refusals")
    assert (latest["kind"], latest["subject"], latest["times"]) == ("letter", "88.118", 1)
    assert (first["node"], first["kind"], first["subject"]) == ("88.118", "prefix", "88.119.1")
    assert (first["status"], first["times"]) == (409, 3)
    assert (first["field"], first["reason"]) == (
        "payload.prefix",
        "the prefix is not under 88.118",
    )
    assert "该前缀不在 88.118 之下" in await (await client.get("/?lang=zh")).text()
    page = await (await client.get("/?lang=en")).text()
    assert first["reason"] in page
    assert "Refused messages" in page


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'{"node": 7}',
        b'{"node": "\xff"}',
        b"[" * 5000,
        '{"node": "\u202e<b>\\n", "kind": "<script>", "subject": "\\u0000"}'.encode(),
    ],
)
async def test_whatever_was_refused_is_kept_and_harms_nobody(
    client: TestClient[Any], body: bytes
) -> None:
    response = await client.post(
        "/filings", data=body, headers={"Content-Type": "application/json"}
    )
    assert response.status in (400, 422)
    (one,) = await items(client, "/refusals")
    assert one["status"] == response.status
    page = await (await client.get("/")).text()
    assert "<script>" not in page
    assert "<b>" not in page


async def test_long_reasons_and_many_of_them_are_bounded(
    client: TestClient[Any], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_KEPT", 5)
    error = InvalidValue("泵" * 5000, field="payload")

    async def refuse(number: int) -> None:
        body = f'{{"node": "{"泵" * 4000}", "subject": "{number}"}}'.encode()
        await keeping.keep(database, body, None, error)

    await asyncio.gather(*(refuse(number) for number in range(20)))
    async with database.begin() as connection:
        rows = (await connection.execute(sa.select(refusals))).all()
    assert len(rows) == 5, "more reasons are kept than there may be"
    assert max(len(row.reason) for row in rows) <= 500


async def test_refusal_stands_while_the_database_is_away() -> None:
    database = Database("postgresql://idnode@127.0.0.1:1/idnode", timeout=2)
    try:
        async with TestClient(TestServer(make_toplevel_app(database, token=None))) as client:
            response = await client.post("/filings", json=node_message(kind="letter"))
            assert response.status == 422
    finally:
        await database.close()
