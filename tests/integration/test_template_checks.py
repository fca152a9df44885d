"""Identifiers that have a template are held to it, singly, whoever writes and whatever changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from registry.database import Database
from tests.integration.registry_client import Node, running
from tests.integration.template_support import PUMP, item, published, value


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    """An active hosted prefix, and the key of its enterprise."""
    enterprise, key = await node.enterprise(1)
    return await node.prefix(enterprise, key), key


NAME = value(2000, "NAME", "离心泵")


async def _put(
    node: Node, owner: tuple[str, str], values: list[Any], template: str | None, suffix: str = "A"
) -> tuple[int, Any]:
    prefix, key = owner
    body = {"values": values, "template": template}
    status, answer, _ = await node.call("PUT", f"/identifiers/{prefix}/{suffix}", key, body)
    return status, answer


async def test_a_name_alone_is_the_newest_published_version_and_is_written_down_exactly(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await published(node, prefix, key, name="Pump")
    status, made = await _put(node, owner, [NAME], "pump")
    assert (status, made["template"]) == (201, "Pump/1")
    path = f"/templates/{prefix}/Pump"
    await node.call("POST", path, key, {"items": [*PUMP, item(2003, "COLOUR")]})
    colour = value(2003, "COLOUR", "red")
    assert (await _put(node, owner, [NAME, colour], "pump"))[0] == 422, "2 is a draft"
    assert (await _put(node, owner, [NAME, colour], "pump/2"))[0] == 422, "2 is a draft"
    await node.call("POST", f"{path}/2/publish", key)
    assert (await _put(node, owner, [NAME, colour], "pump"))[1]["template"] == "Pump/2"
    assert (await _put(node, owner, [NAME], "PUMP/1"))[1]["template"] == "Pump/1"
    assert (await _put(node, owner, [NAME, colour], "pump/1"))[0] == 422
    status, history, _ = await node.call("GET", f"/identifiers/{prefix}/A/history", key)
    assert [each["template"] for each in history["items"]] == ["Pump/1", "Pump/2", "Pump/1"]


@pytest.mark.parametrize(
    ("values", "field", "word"),
    [
        ([], "values", "missing"),
        ([value(2000, "NAME", "")], "values[0]", "empty"),
        ([NAME, value(1, "URL", "https://a.example")], "values[1]", "index 1 is not in"),
        ([NAME, value(2009, "X", "y")], "values[1]", "index 2009 is not in"),
        ([value(2000, "TITLE", "x")], "values[0]", "has type TITLE, not NAME"),
        ([value(2000, "NAME", "x" * 21)], "values[0]", "more than 20 characters"),
        ([NAME, value(2001, "POWER", "5.123")], "values[1]", "2 digits after the point"),
        ([NAME, value(2001, "POWER", "-1")], "values[1]", "less than 0"),
        ([value(2002, "MADE", "1.2.2026"), NAME], "values[0]", "not a day"),
        (
            [{"index": 2000, "type": "NAME", "data": {"format": "base64", "value": "/w=="}}],
            "values[0]",
            "not text",
        ),
        ([NAME, value(1001, "TEMPLATE", "other")], "values[1]", "does not name pump/1"),
        ([NAME, value(2100, "HS_X", "x")], "values[1]", "index 2100 is not in"),
    ],
)
async def test_values_that_break_a_rule_are_refused_with_the_place_and_a_sentence(
    node: Node, owner: tuple[str, str], values: list[Any], field: str, word: str
) -> None:
    await published(node, *owner)
    before = await node.counts()
    status, problem = await _put(node, owner, values, "pump")
    assert (status, problem["responseCode"]) == (422, 202), problem
    assert problem["field"].startswith(field), problem
    assert word in problem["detail"], problem
    assert await node.counts() == before


async def test_the_sentences_are_in_chinese_where_that_is_preferred(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    for values, sentence in (
        ([value(2000, "NAME", "x" * 21)], "名称2000 (2000 NAME) 超过 20 个字符"),
        ([NAME, value(9, "URL", "x")], "索引 9 在模板 pump/1 中不存在"),
    ):
        body = {"values": values, "template": "pump"}
        path = f"/identifiers/{prefix}/A"
        _, problem, _ = await node.call("PUT", path, key, body, Accept_Language="zh-CN")
        assert problem["detail"] == sentence


async def test_values_for_administration_and_the_template_itself_may_stand_beside(
    node: Node, owner: tuple[str, str]
) -> None:
    await published(node, *owner)
    values = [
        NAME,
        value(1001, "TEMPLATE", "Pump"),
        {"index": 301, "type": "HS_SECKEY", "data": "secret of the pump", "permissions": "1100"},
    ]
    status, answer = await _put(node, owner, values, "pump")
    assert status == 201, answer


async def test_a_change_of_single_values_is_checked_as_a_whole(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    path = f"/identifiers/{prefix}/A"
    assert (await _put(node, owner, [NAME], "pump"))[0] == 201
    for body, field in (
        ({"remove": [2000]}, "values"),
        ({"values": [value(2002, "MADE", "today")]}, "values[0]"),
        (
            {"values": [value(2002, "MADE", "2026-01-01"), value(2001, "POWER", "x")]},
            "values[1]",
        ),
        ({"values": [value(7, "X", "y")]}, "values[0]"),
    ):
        status, problem, _ = await node.call("PATCH", path, key, body)
        assert (status, problem["field"]) == (422, field), (body, problem)
    body = {"values": [value(2002, "MADE", "2026-01-01"), value(2001, "POWER", "5.50")]}
    status, after, _ = await node.call("PATCH", path, key, body)
    assert (status, after["template"], len(after["values"])) == (200, "pump/1", 3)


async def test_a_template_that_is_not_there_is_refused(node: Node, owner: tuple[str, str]) -> None:
    enterprise, stranger = await node.enterprise(2)
    other = await node.prefix(enterprise, stranger)
    await published(node, other, stranger)
    for name in ("pump", "pump/1", "x" * 200, "a/b/c", "", "a\u202e"):
        status, problem = await _put(node, owner, [NAME], name)
        assert (status, problem["field"]) == (422, "template"), (name, problem)


async def test_a_withdrawn_version_takes_nothing_new_but_holds_what_it_has(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    assert (await _put(node, owner, [NAME], "pump"))[0] == 201
    withdrawal = {"reason": "x"}
    path = f"/templates/{prefix}/pump/1/withdraw"
    assert (await node.call("POST", path, key, withdrawal))[0] == 200
    for name in ("pump", "pump/1"):
        assert (await _put(node, owner, [NAME], name, "B"))[0] == 422, name
    assert (await _put(node, owner, [value(2000, "NAME", "new")], "pump/1"))[0] == 200
    assert (await _put(node, owner, [value(2000, "NAME", "x" * 21)], "pump/1"))[0] == 422
    body = {"values": [value(2000, "NAME", "newer")]}
    assert (await node.call("PATCH", f"/identifiers/{prefix}/A", key, body))[0] == 200


async def test_no_registration_is_committed_after_the_withdrawal(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    stop = asyncio.Event()
    accepted = 0

    async def register(worker: int) -> None:
        nonlocal accepted
        number = 0
        while not stop.is_set():
            status, answer = await _put(node, owner, [NAME], "pump", f"W{worker}-{number}")
            assert status in (201, 422), answer
            accepted += status == 201
            number += 1

    workers = [asyncio.create_task(register(worker)) for worker in range(4)]
    async with asyncio.timeout(30):
        while accepted < 20:
            await asyncio.sleep(0.01)
        path = f"/templates/{prefix}/pump/1/withdraw"
        status, _, _ = await node.call("POST", path, key, {"reason": "x"})
    assert status == 200
    there = (await node.counts())["identifiers"]
    stop.set()
    await asyncio.gather(*workers)
    assert (await node.counts())["identifiers"] == there, "registered after the withdrawal"


async def test_an_identifier_that_is_named_must_be_registered_where_the_item_says_so(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    items = [
        item(2000, "PART", "identifier", registered=True),
        item(2001, "OTHER", "identifier", registered=True),
        item(2002, "FOREIGN", "identifier"),
    ]
    await published(node, prefix, key, items=items)
    assert (await _put(node, owner, [], None, "PUMP-1"))[0] == 201
    enterprise, stranger = await node.enterprise(2)
    other = await node.prefix(enterprise, stranger)
    body: dict[str, Any] = {"values": []}
    assert (await node.call("PUT", f"/identifiers/{other}/X", stranger, body))[0] == 201
    good = [
        value(2002, "FOREIGN", "10.1000/elsewhere"),
        value(2000, "PART", f"{prefix}/pump-1"),
        value(2001, "OTHER", f"{other}/x"),
    ]
    assert (await _put(node, owner, good, "pump"))[0] == 201
    bad = [*good[:2], value(2001, "OTHER", f"{other}/Y")]
    status, problem = await _put(node, owner, bad, "pump")
    assert (status, problem["field"]) == (422, "values[2]"), problem
    assert f"{other}/Y is not registered at this node" in problem["detail"]


async def test_values_that_are_not_for_everybody_are_not_publicly_readable(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    items = [
        item(2000, "NAME"),
        item(2001, "PRICE", audience="partners"),
        item(2002, "SUPPLIER", audience="private"),
    ]
    await published(node, prefix, key, items=items)
    values = [
        NAME,
        value(2001, "PRICE", "5"),
        value(2002, "SUPPLIER", "us", permissions="1110"),
    ]
    status, made = await _put(node, owner, values, "pump")
    assert status == 201, made
    assert [each.get("permissions") for each in made["values"]] == [None, "1100", "1100"]
    body = {"values": [value(2001, "PRICE", "6")]}
    _, after, _ = await node.call("PATCH", f"/identifiers/{prefix}/A", key, body)
    assert [each.get("permissions") for each in after["values"]] == [None, "1100", "1100"]


async def test_a_prefix_handle_has_no_template(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    body = {"values": [], "template": "pump"}
    status, problem, _ = await node.call("PUT", f"/identifiers/0.NA/{prefix}", key, body)
    assert (status, problem["field"]) == (422, "template")
