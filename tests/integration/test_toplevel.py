"""The stub of the top-level node: what it takes, what it refuses, and what it shows."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from aiohttp.test_utils import TestClient, TestServer

from registry.database import Database
from resolver.federation.toplevel import kinds
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.messages import take
from resolver.federation.toplevel.schema import filings, messages, nodes, prepare
from tests.integration.uplink_support import arrived, filing

_SITE = {
    "version": 1,
    "protocolVersion": "2.10",
    "serialNumber": 1,
    "primarySite": True,
    "multiPrimary": False,
    "attributes": [],
    "servers": [
        {
            "serverId": 1,
            "address": "192.0.2.7",
            "interfaces": [{"query": True, "admin": False, "protocol": "TCP", "port": 2641}],
        }
    ],
}


@contextlib.asynccontextmanager
async def toplevel(database: Database, token: str | None = None) -> AsyncIterator[TestClient[Any]]:
    await prepare(database)
    async with TestClient(TestServer(make_toplevel_app(database, token=token))) as client:
        yield client


@pytest.fixture
async def client(database: Database) -> AsyncIterator[TestClient[Any]]:
    async with toplevel(database) as client:
        yield client


def message(prefix: str = "88.118.1", *, number: int = 0, **changes: Any) -> dict[str, Any]:
    body = {
        "message_id": str(uuid.uuid4()),
        "node": "88.118",
        "subject": prefix,
        "kind": "prefix",
        "payload": filing(prefix, number),
    }
    return body | changes


def with_payload(**changes: Any) -> dict[str, Any]:
    body = message()
    return body | {"payload": body["payload"] | changes}


async def counts(database: Database) -> tuple[int, int]:
    async with database.begin() as connection:
        return (
            await connection.scalar(sa.select(sa.func.count()).select_from(messages)) or 0,
            await connection.scalar(sa.select(sa.func.count()).select_from(filings)) or 0,
        )


async def test_prepare_may_run_again_and_by_many_at_once(database: Database) -> None:
    await asyncio.gather(*(prepare(database) for _ in range(4)))
    await prepare(database)
    assert await counts(database) == (0, 0)


async def test_message_is_taken_once(client: TestClient[Any], database: Database) -> None:
    body = message()
    for duplicate in (False, True, True):
        response = await client.post("/filings", json=body)
        assert response.status == 200
        assert await response.json() == {"message_id": body["message_id"], "duplicate": duplicate}
    assert await counts(database) == (1, 1)


async def test_same_message_many_times_at_once_takes_effect_once(database: Database) -> None:
    await prepare(database)
    kind, body = kinds.read(msgspec.json.encode(message()))
    taken = await asyncio.gather(*(take(database, kind, body) for _ in range(8)))
    assert sorted(taken) == [False] * 7 + [True]
    assert await counts(database) == (1, 1)


async def test_late_duplicate_does_not_bring_an_old_state_back(client: TestClient[Any]) -> None:
    old, new = message(), with_payload(status="revoked")
    for body in (old, new, old):
        assert (await client.post("/filings", json=body)).status == 200
    filed = await (await client.get("/filings/88.118.1")).json()
    assert filed["status"] == "revoked"


async def test_other_content_under_a_known_id_is_refused(
    client: TestClient[Any], database: Database
) -> None:
    body = message()
    assert (await client.post("/filings", json=body)).status == 200
    other = body | {"payload": filing("88.118.1", 7)}
    response = await client.post("/filings", json=other)
    assert response.status == 409, "a message was acknowledged that is not kept"
    assert (await response.json())["field"] == "message_id"
    assert await counts(database) == (1, 1)


async def test_later_filing_replaces_the_earlier(client: TestClient[Any]) -> None:
    await client.post("/filings", json=message())
    first = await (await client.get("/filings/88.118.1")).json()
    await client.post(
        "/filings", json=with_payload(status="suspended", hosting="delegated", site=_SITE)
    )
    second = await (await client.get("/filings/88.118.1")).json()
    assert second == {
        "prefix": "88.118.1",
        "node": "88.118",
        "enterprise_name": "Pump Works",
        "credit_code": "91350211M000100Y46",
        "industry": "0",
        "hosting": "delegated",
        "site": _SITE,
        "service": None,
        "status": "suspended",
        "filed_at": first["filed_at"],
        "updated_at": second["updated_at"],
    }
    assert second["updated_at"] > first["updated_at"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (message("88.119.1"), 409, "payload.prefix"),
        (message("88.1181"), 409, "payload.prefix"),
        (message("88.118"), 409, "payload.prefix"),
        (message("88"), 400, "payload.prefix"),
        (message("88.118.x"), 400, "payload.prefix"),
        (message(node="88.x118"), 400, "node"),
        (message(node=""), 422, "node"),
        (message(subject="88.118.2"), 422, "subject"),
        (message(kind="letter"), 422, "kind"),
        (message(message_id="7"), 422, "message_id"),
        (message(extra=1), 422, "extra"),
        (message(payload={}), 422, "payload.prefix"),
        (with_payload(status="pending"), 422, "payload.status"),
        (with_payload(hosting="delegated"), 422, "payload.site"),
        (with_payload(site=_SITE), 422, "payload.site"),
        (with_payload(service="0.SERV/X"), 422, "payload.site"),
        (with_payload(hosting="delegated", site=_SITE, service="0.SERV/X"), 422, "payload.site"),
        (with_payload(hosting="delegated", service="X"), 422, "payload.service"),
        (
            with_payload(hosting="delegated", site={**_SITE, "servers": 1}),
            422,
            "payload.site.servers",
        ),
        (
            with_payload(enterprise={"name": "a\0", "credit_code": "c", "industry": "i"}),
            422,
            "payload.enterprise.name",
        ),
        (
            with_payload(enterprise={"name": "a" * 256, "credit_code": "c", "industry": "i"}),
            422,
            "payload.enterprise.name",
        ),
    ],
)
async def test_bad_filing_is_refused_by_field_and_leaves_nothing(
    client: TestClient[Any], database: Database, body: Any, status: int, field: str
) -> None:
    response = await client.post("/filings", json=body)
    problem = await response.json()
    assert (response.status, problem["status"], problem.get("field")) == (status, status, field)
    assert response.content_type == "application/problem+json"
    assert await counts(database) == (0, 0)


async def test_prefix_of_another_node_is_refused(
    client: TestClient[Any], database: Database
) -> None:
    await client.post("/filings", json=message("88.118.1.2"))
    response = await client.post("/filings", json=message("88.118.1.2", node="88.118.1"))
    assert response.status == 409
    assert (await response.json())["detail"] == "another node has filed this prefix"
    assert await counts(database) == (1, 1)
    assert (await (await client.get("/filings/88.118.1.2")).json())["node"] == "88.118"


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"node": "\xff"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 422),
        (b"[]", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b" " * (256 * 1024 + 1), "application/json", 413),
    ],
)
@pytest.mark.parametrize("resource", ["/filings", "/heartbeats"])
async def test_body_that_can_not_be_read_is_told(
    client: TestClient[Any], resource: str, data: bytes, content_type: str, status: int
) -> None:
    response = await client.post(resource, data=data, headers={"Content-Type": content_type})
    assert response.status == status
    assert response.content_type == "application/problem+json"


async def test_deep_nesting_is_told(client: TestClient[Any]) -> None:
    deep = b'{"payload": {"site": {"x": ' + b"[" * 100_000
    response = await client.post(
        "/filings", data=deep, headers={"Content-Type": "application/json"}
    )
    assert response.status == 400
    assert (await response.json())["detail"] == "the body is nested too deeply"


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Basic secret", "Bearer", "Bearer sécret", "Bearer secret x"]
)
async def test_who_has_not_the_token_may_not_write(database: Database, header: str | None) -> None:
    async with toplevel(database, token="secret") as client:
        headers = {} if header is None else {"Authorization": header}
        for resource in ("/filings", "/heartbeats"):
            response = await client.post(resource, json=message(), headers=headers)
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"
        assert await counts(database) == (0, 0)
        right = {"Authorization": "Bearer secret"}
        assert (await client.post("/filings", json=message(), headers=right)).status == 200
        assert (await client.get("/filings")).status == 200


def test_empty_token_is_no_token(database: Database) -> None:
    with pytest.raises(ValueError, match="empty"):
        make_toplevel_app(database, token="")


async def test_list_is_read_page_by_page(client: TestClient[Any]) -> None:
    prefixes = [f"88.118.{number}" for number in range(1, 13)]
    for prefix in prefixes:
        await client.post("/filings", json=message(prefix))
    seen: list[str] = []
    query = {"limit": "5"}
    while True:
        page = await (await client.get("/filings", params=query)).json()
        assert len(page["items"]) <= 5
        seen += [item["prefix"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == sorted(prefixes)


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/filings?limit=0", 400, "limit"),
        ("/filings?limit=x", 400, "limit"),
        ("/filings?cursor=x", 400, "cursor"),
        ("/filings/88.118.7", 404, "prefix"),
        ("/filings/x", 400, "prefix"),
        ("/nothing", 404, None),
    ],
)
async def test_bad_question_is_told(
    client: TestClient[Any], path: str, status: int, field: str | None
) -> None:
    response = await client.get(path)
    assert response.status == status
    assert response.content_type == "application/problem+json"
    assert (await response.json()).get("field") == field


async def test_method_that_is_not_there_is_told(client: TestClient[Any]) -> None:
    response = await client.delete("/filings")
    assert response.status == 405
    assert response.headers["Allow"] == "GET,HEAD,POST".replace(",", ", ")
    assert (await client.get("/healthz")).status == 200


def heartbeat(**changes: Any) -> dict[str, Any]:
    body = {"node": "88.118", "version": "1", "outbox_depth": 3, "prefixes": 2, "identifiers": 1}
    return body | changes


async def test_heartbeat_is_kept_as_the_latest_of_its_node(
    client: TestClient[Any], database: Database
) -> None:
    for body in (heartbeat(), heartbeat(outbox_depth=4), heartbeat(node="88.7")):
        assert (await client.post("/heartbeats", json=body)).status == 204
    async with database.begin() as connection:
        rows = (await connection.execute(sa.select(nodes).order_by(nodes.c.node))).all()
    assert [(row.node, row.outbox_depth) for row in rows] == [("88.118", 4), ("88.7", 3)]


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"node": "x"}, 400, "node"),
        ({"outbox_depth": -1}, 422, "outbox_depth"),
        ({"identifiers": 2**63}, 422, "identifiers"),
        ({"prefixes": "1"}, 422, "prefixes"),
        ({"mood": "good"}, 422, "mood"),
        ({"health": {"ready": "yes"}}, 422, "health.ready"),
    ],
)
async def test_bad_heartbeat_is_refused(
    client: TestClient[Any], changes: dict[str, Any], status: int, field: str
) -> None:
    response = await client.post("/heartbeats", json=heartbeat(**changes))
    assert (response.status, (await response.json())["field"]) == (status, field)


async def test_page_shows_nodes_and_filings_and_escapes_them(
    client: TestClient[Any], database: Database
) -> None:
    evil = {"name": "<script>alert(1)</script>", "credit_code": '"x', "industry": "i"}
    await client.post("/filings", json=with_payload(enterprise=evil))
    await client.post("/heartbeats", json=heartbeat(version="<b>"))
    english = await client.get("/")
    text = await english.text()
    assert english.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for shown in ("Secondary nodes", "alive", "88.118.1", "&lt;script&gt;", "&lt;b&gt;"):
        assert shown in text
    assert "<script" not in text
    assert "<b>" not in text
    async with database.begin() as connection:
        await connection.execute(
            nodes.update().values(last_heartbeat_at=sa.text("now() - interval '1 hour'"))
        )
    for chinese in (
        await client.get("/?lang=zh"),
        await client.get("/", headers={"Accept-Language": "zh-CN,en;q=0.5"}),
    ):
        text = await chinese.text()
        assert chinese.headers["Content-Language"] == "zh"
        assert "二级节点" in text
        assert "无心跳" in text, "a node that is silent is shown as alive"


async def test_database_away_is_busy_not_lost() -> None:
    """A message must not be refused, which would put it off for long, nor acknowledged."""
    database = Database("postgresql://idnode@127.0.0.1:1/idnode", timeout=2)
    try:
        async with TestClient(TestServer(make_toplevel_app(database, token=None))) as client:
            response = await client.post("/filings", json=message())
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
            assert (await client.get("/healthz")).status == 200
    finally:
        await database.close()


async def test_arrival_is_the_order_in_which_messages_came(
    client: TestClient[Any], database: Database
) -> None:
    bodies = [message(f"88.118.{number % 3 + 1}", number=number) for number in range(9)]
    for body in bodies:
        await client.post("/filings", json=body)
        await client.post("/filings", json=body)
    held = [str(row.message_id) for row in await arrived(database)]
    assert held == [body["message_id"] for body in bodies]
