"""Batches of the SNMS API: each item by itself, and what was done once is not done again."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

from registry.api import identifier_batches
from registry.database import Database
from registry.snms import batches
from tests.integration.registry_client import Node, running
from tests.integration.snms import support
from tests.integration.snms.support import Client, record

PREFIX, OTHER = "88.118.35", "88.118.36"
CREATE, UPDATE = "/identityv2/data/batchCreate", "/identityv2/data/batchUpdate"
DELETE = "/identityv2/data/batchDelete"
UNKNOWN = "非法操作，索引2009在模板中不存在"


async def _client(node: Node) -> Client:
    enterprise_id, key = await support.enterprise(node, 1, PREFIX)
    await support.template(node, PREFIX, key, "1.0", "NAME")
    await support.user(node, enterprise_id)
    return await Client(node).sign_in()


@pytest.fixture
async def client(node: Node) -> Client:
    return await _client(node)


def _records(count: int, text: str = "x") -> list[dict[str, Any]]:
    return [record(f"{PREFIX}/N-{n}", "1.0", (2000, "NAME", text)) for n in range(count)]


def _messages(data: list[dict[str, Any]]) -> list[str]:
    return [item["msg"] for item in data]


async def test_each_item_is_done_or_refused_by_itself(client: Client) -> None:
    await support.enterprise(client.node, 2, OTHER)
    items: list[Any] = _records(60)
    items[7] = record(f"{PREFIX}/BAD", "1.0", (2009, "NAME", "x"))
    items[8] = record(f"{OTHER}/N", "1.0", (2000, "NAME", "x"))
    items[20] = items[21] | {"handle": items[21]["handle"].lower()}
    items[30] = {"handle": f"{PREFIX}/C", "value": []}
    items[40] = "no record"
    data = await client.must("POST", CREATE, items)
    expected = ["success"] * 60
    expected[7], expected[8] = UNKNOWN, "没有权限"
    expected[21] = "标识已存在"
    expected[30] = "缺少必要的请求参数: templateVersion"
    expected[40] = "应为对象,而不是文本"
    assert _messages(data) == expected
    assert [item["handle"] for item in data[:2]] == [f"{PREFIX}/N-0", f"{PREFIX}/N-1"]
    assert await client.value(f"{PREFIX}/N-59") == "x"
    items = _records(3, "changed")
    items[1]["handle"] = f"{PREFIX}/NOT-THERE"
    assert _messages(await client.must("PUT", UPDATE, items)) == [
        "success",
        "标识不存在",
        "success",
    ]
    assert await client.value(f"{PREFIX}/N-2") == "changed"
    handles = {"handles": [f"{PREFIX}/N-0", f"{OTHER}/N", f"{PREFIX}/N-0", 7]}
    data = await client.must("DELETE", DELETE, handles)
    assert [(item["code"], item["msg"]) for item in data] == [
        (1, "success"),
        (-3, "没有权限"),
        (-2, "标识不存在"),
        (-2, "handle：应为文本,而不是整数"),
    ]


async def test_as_many_as_the_guide_says_and_no_more(client: Client) -> None:
    items = _records(batches.MAX_ITEMS + 1)
    for method, path, message in (
        ("POST", CREATE, "批量注册最大支持2000条"),
        ("PUT", UPDATE, "批量更新最大支持2000条"),
    ):
        assert await client.refused(method, path, items) == message
    handles = [item["handle"] for item in items]
    assert await client.refused("DELETE", DELETE, handles) == "批量删除最大支持2000条"
    assert set(_messages(await client.must("POST", CREATE, items[:-1]))) == {"success"}
    assert set(_messages(await client.must("DELETE", DELETE, handles[:-1]))) == {"success"}


async def test_a_body_that_is_no_batch_is_refused(client: Client) -> None:
    assert await client.refused("POST", CREATE, b"{}") == "请求体应为列表"
    assert await client.refused("DELETE", DELETE, b'"A"') == "handles：应为列表"
    large = b" " * batches.MAX_BYTES + b"[]"
    assert await client.refused("POST", CREATE, large) == "请求体超过 4194304 字节"
    assert await client.must("POST", CREATE, b"[]") == []


async def test_without_a_token_nothing_is_done(client: Client) -> None:
    stranger = Client(client.node, "x" * 40)
    before = await client.node.counts()
    await stranger.refused("POST", CREATE, _records(2), status=-1)
    await stranger.refused("PUT", UPDATE, _records(2), status=-1)
    await stranger.refused("DELETE", DELETE, [f"{PREFIX}/N-0"], status=-1)
    assert await client.node.counts() == before


async def test_batches_in_any_order_do_not_wait_for_each_other_in_a_circle(
    client: Client,
) -> None:
    items = _records(100)
    await client.must("POST", CREATE, items)
    answers = await asyncio.gather(
        client.must("PUT", UPDATE, items), client.must("PUT", UPDATE, items[::-1])
    )
    assert {message for data in answers for message in _messages(data)} == {"success"}


async def test_a_node_works_on_a_bounded_number_of_batches(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identifier_batches, "WAIT_SECONDS", 0.05)
    places = client.node.client.app[identifier_batches.PLACES]  # type: ignore[index]
    async with places.hold(uuid.UUID(int=1)), places.hold(uuid.UUID(int=2)):
        assert await client.refused("POST", CREATE, _records(1)) == "系统繁忙"
    await client.must("POST", CREATE, _records(1))


async def test_an_item_that_stands_again_is_tried_when_the_first_was_refused(
    client: Client,
) -> None:
    bad = record(f"{PREFIX}/A", "1.0", (2009, "NAME", "x"))
    good = record(f"{PREFIX}/a", "1.0", (2000, "NAME", "x"))
    data = await client.must("POST", CREATE, [bad, good, good])
    assert _messages(data) == [UNKNOWN, "success", "标识已存在"]
    items = [good, good | {"value": record("", "", (2000, "NAME", "y"))["value"]}]
    assert _messages(await client.must("PUT", UPDATE, items)) == ["success"] * 2
    assert await client.value(f"{PREFIX}/A") == "y"


async def test_what_stays_of_a_value_stays_in_a_batch_too(client: Client, node: Node) -> None:
    await client.must("POST", CREATE, _records(2))
    access = {"audience": "partners", "partners": ["group:buyers"]}
    name = {"index": 2000, "type": "NAME", "data": {"format": "string", "value": "x"}}
    path = f"/identifiers/{PREFIX}/N-0"
    body = {"values": [name | {"access": access}]}
    status, answer, _ = await node.call("PATCH", path, node.operator, body)
    assert status == 200, answer
    await client.must("PUT", UPDATE, _records(2, "changed"))
    _, answer, _ = await node.call("GET", path, node.operator)
    found = {value["index"]: value for value in answer["values"]}
    assert found[2000]["data"]["value"] == "changed"
    assert found[2000]["access"] == access


async def test_members_of_a_range_are_replaced(client: Client, node: Node) -> None:
    body = {"prefix": PREFIX, "first": "R-1", "last": "R-9", "values": []}
    status, answer, _ = await node.call("POST", "/ranges", node.operator, body)
    assert status == 201, answer
    items = [record(f"{PREFIX}/R-{n}", "1.0", (2000, "NAME", "x")) for n in (3, 12)]
    assert _messages(await client.must("POST", CREATE, items)) == ["标识已存在", "success"]
    assert _messages(await client.must("PUT", UPDATE, items)) == ["success"] * 2
    assert await client.value(f"{PREFIX}/R-3") == "x"


async def test_items_of_more_templates_than_one_transaction_takes_are_all_done(
    client: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_KINDS", 1)
    await support.template(node, PREFIX, node.operator, "2.0", "NAME")
    items = _records(4)
    items[1] = items[1] | {"templateVersion": "2.0"}
    assert _messages(await client.must("POST", CREATE, items)) == ["success"] * 4
    detail = await client.must("GET", f"/identityv2/data/detail?handle={PREFIX}/N-1")
    assert detail["templateVersion"] == "2.0"


async def test_what_others_change_in_between_is_replaced_all_the_same(client: Client) -> None:
    items = _records(30)
    await client.must("POST", CREATE, items)
    answers = await asyncio.gather(*(client.must("PUT", UPDATE, items) for _ in range(2)))
    assert {message for data in answers for message in _messages(data)} == {"success"}


async def test_a_batch_is_a_line_of_the_audit_log(client: Client, node: Node) -> None:
    await client.must("POST", CREATE, _records(3))
    async with node.database.begin() as connection:
        query = "SELECT actor, detail FROM audit_log WHERE action = 'identifier.batch'"
        actor, detail = (await connection.exec_driver_sql(query)).one()
    assert actor.startswith("snms:")
    assert (detail["created"], detail["failed"]) == (3, 0)


async def test_after_a_failure_a_batch_can_be_sent_again(database_url: str) -> None:
    """504: perhaps registered. Nothing is lost or done twice."""
    database = Database(database_url)
    other = await asyncpg.connect(database_url)
    try:
        async with running(database) as node:
            client = await _client(node)
            items = _records(120)
            await client.must("POST", CREATE, items[:5])
            suffix = items[70]["handle"].partition("/")[2]
            transaction = other.transaction()
            await transaction.start()  # somebody registers one of them, and does not commit
            await other.execute(
                "INSERT INTO identifiers (prefix, suffix_key, suffix, values)"
                " VALUES ($1, $2, $2, '[]')",
                PREFIX,
                suffix,
            )
            http, answer = await client.ask("POST", CREATE, items)
            assert (http, answer["status"], answer["message"]) == (504, -4, "系统内部错误")
            await transaction.rollback()
            data = await client.must("POST", CREATE, items)
            assert _messages(data) == ["标识已存在"] * 5 + ["success"] * 115
    finally:
        await other.close()
        await database.close()
