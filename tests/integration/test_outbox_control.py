"""What waits for the top-level node, why, and what an operator does about it."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from aiohttp import web

from registry.schema import audit_log
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.schema import prepare
from tests.integration.registry_client import Node
from tests.integration.uplink_support import Faults, arrived, eventually, put, serving, uplink


async def _list(node: Node, query: str = "") -> list[dict[str, Any]]:
    status, page, _ = await node.call("GET", f"/outbox{query}", node.operator)
    assert status == 200, page
    return list(page["items"])


async def test_the_list_tells_what_waits_behind_what(node: Node) -> None:
    for number in range(2):
        await put(node.database, "88.118.1", number)
    await put(node.database, "88.118.2")
    first, second, third = await _list(node)
    assert [item["subject"] for item in (first, second, third)] == ["88.118.1"] * 2 + ["88.118.2"]
    assert [item["behind"] for item in (first, second, third)] == [None, first["id"], None]
    assert (first["kind"], first["attempts"], first["last_error"]) == ("prefix", 0, None)
    assert await _list(node, "?subject=88.118.2") == [third]
    assert await _list(node, "?kind=node") == []
    _, page, _ = await node.call("GET", "/outbox?limit=2", node.operator)
    assert page["items"] == [first, second]
    assert await _list(node, f"?cursor={page['next']}") == [third]


async def test_enterprises_see_nothing_and_reviewers_change_nothing(node: Node) -> None:
    await put(node.database, "88.118.1")
    (item,) = await _list(node)
    _, key = await node.enterprise(1)
    assert (await node.call("GET", "/outbox", key))[0] == 403
    assert (await node.call("GET", "/outbox", node.reviewer))[0] == 200
    for path, body in (
        ("retry", None),
        (f"{item['id']}/retry", None),
        (f"{item['id']}/drop", {"reason": "no"}),
    ):
        status, _, _ = await node.call("POST", f"/outbox/{path}", node.reviewer, body)
        assert status == 403, path
    assert await _list(node) == [item]


async def test_a_refused_message_is_dropped_and_those_behind_it_go_on(node: Node) -> None:
    await prepare(node.database)
    faults = Faults()
    faults.fault = _refuse
    faults.subject = "88.118.1"
    app = faults.install(make_toplevel_app(node.database, token=None))
    for number in range(2):
        await put(node.database, "88.118.1", number)
    async with serving(app) as url, uplink(node.database, url):

        async def refused() -> Any:
            items = await _list(node)
            return items[0]["last_error"] and items

        first, second = await eventually("the list says why", refused)
        assert "no such enterprise" in first["last_error"]
        assert first["attempts"] == 1
        path = f"/outbox/{first['id']}/drop"
        status, problem, _ = await node.call("POST", path, node.operator, {"reason": " "})
        assert (status, problem["field"]) == (422, "reason")
        faults.fault = None
        status, _, _ = await node.call("POST", path, node.operator, {"reason": "filed by hand"})
        assert status == 204

        async def delivered() -> bool:
            return await _list(node) == []

        await eventually("the one behind it is sent", delivered)
    held = await arrived(node.database)
    assert [str(row.message_id) for row in held] == [second["id"]]
    status, _, _ = await node.call("POST", path, node.operator, {"reason": "again"})
    assert status == 404
    line = (await _lines(node, "outbox.drop"))[0]
    assert line.subject == first["id"]
    assert line.detail["reason"] == "filed by hand"
    assert line.detail["payload"]["prefix"] == "88.118.1", "what was dropped is not in the log"


async def test_what_was_put_off_is_sent_at_once_when_asked(node: Node) -> None:
    """The pause after a refusal is minutes; the test waits for seconds."""
    await prepare(node.database)
    faults = Faults()
    faults.fault = _refuse
    app = faults.install(make_toplevel_app(node.database, token=None))
    await put(node.database, "88.118.1")
    await put(node.database, "88.118.2")
    async with serving(app) as url, uplink(node.database, url):

        async def refused() -> Any:
            items = await _list(node)
            return all(item["last_error"] for item in items) and items

        first, _ = await eventually("both are refused", refused)
        faults.fault = None
        status, one, _ = await node.call("POST", f"/outbox/{first['id']}/retry", node.operator)
        assert (status, one["id"]) == (200, first["id"])

        async def left(number: int) -> bool:
            return len(await _list(node)) == number

        await eventually("the one is sent", lambda: left(1))
        status, all_, _ = await node.call("POST", "/outbox/retry", node.operator)
        assert (status, all_) == (200, {"messages": 1})
        await eventually("the other is sent", lambda: left(0))
    assert [line.subject for line in await _lines(node, "outbox.retry")] == [first["id"], "all"]


async def test_no_message_of_that_id(node: Node) -> None:
    for path, body in ((f"{uuid.uuid4()}/retry", None), (f"{uuid.uuid4()}/drop", {"reason": "no"})):
        status, problem, _ = await node.call("POST", f"/outbox/{path}", node.operator, body)
        assert (status, problem["field"]) == (404, "id")


async def _refuse(request: web.Request, go_on: Any) -> web.Response:
    return web.json_response({"detail": "no such enterprise"}, status=422)


async def _lines(node: Node, action: str) -> list[Any]:
    async with node.database.begin() as connection:
        query = sa.select(audit_log).where(audit_log.c.action == action)
        return list((await connection.execute(query.order_by(audit_log.c.seq))).all())
