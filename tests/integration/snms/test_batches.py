"""Batches of the SNMS API: each item by itself, and what was done once is not done again."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from registry.api.snms_batches import PLACES
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
    expected[40] = "类型应为 object,实际为 str"
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
        (-2, "handle：类型应为 str,实际为 int"),
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
    assert await client.refused("POST", CREATE, b"{}") == "不是列表"
    assert await client.refused("DELETE", DELETE, b'"A"') == "不是列表"
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


async def test_a_node_works_on_a_bounded_number_of_batches(client: Client) -> None:
    places = client.node.client.app[PLACES]  # type: ignore[index]
    for _ in range(batches.AT_ONCE):
        await places.acquire()
    assert await client.refused("POST", CREATE, _records(1)) == "系统繁忙"
    places.release()
    await client.must("POST", CREATE, _records(1))


async def test_what_was_committed_before_a_failure_is_told_as_being_there(
    database_url: str,
) -> None:
    """504: perhaps registered. The batch is sent again, and nothing is lost or done twice."""
    database = Database(database_url, timeout=1.0)
    other = await asyncpg.connect(database_url)
    try:
        async with running(database) as node:
            client = await _client(node)
            items = sorted(_records(120), key=lambda each: str(each["handle"]))
            suffix = items[70]["handle"].partition("/")[2]
            transaction = other.transaction()
            await transaction.start()  # somebody registers the 71st, and has not committed
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
            assert _messages(data) == ["标识已存在"] * 50 + ["success"] * 70
    finally:
        await other.close()
        await database.close()
