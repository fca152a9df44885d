"""Which number a prefix gets: the lowest that is free and not kept back, within the quota."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from registry.database import Database
from tests.integration.registry_client import SITE, Node, running


async def _apply(node: Node, token: str, enterprise: str, **more: Any) -> tuple[int, Any]:
    body = {"enterprise_id": enterprise, "hosting": "hosted", **more}
    status, answer, _ = await node.call("POST", "/prefixes", token, body)
    return status, answer


async def _reserve(node: Node, first: int, last: int) -> None:
    body = {"first": first, "last": last, "reason": "kept for associations"}
    status, made, _ = await node.call("POST", "/reserved-numbers", node.operator, body)
    assert (status, made["first"], made["last"], made["actor"]) == (
        201,
        first,
        last,
        "account:root",
    )


async def test_the_next_number_is_the_lowest_that_is_neither_taken_nor_reserved(
    node: Node,
) -> None:
    enterprise, key = await node.enterprise(1)
    await _reserve(node, 1, 3)
    await _reserve(node, 4, 4)
    await _reserve(node, 7, 9)
    assert (await _apply(node, key, enterprise, prefix="88.118.6"))[0] == 201
    given = [(await _apply(node, key, enterprise))[1]["prefix"] for _ in range(3)]
    assert given == ["88.118.5", "88.118.10", "88.118.11"]
    given = [(await _apply(node, node.operator, enterprise))[1]["prefix"]]
    assert given == ["88.118.12"], "an operator names a reserved number, or gets none"


async def test_a_reserved_number_is_an_operators_to_give_out(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    await _reserve(node, 1, 99)
    status, refused = await _apply(node, key, enterprise, prefix="88.118.88")
    assert (status, refused["field"]) == (409, "prefix")
    assert "88 is reserved" in refused["detail"]
    assert (await _apply(node, key, enterprise, prefix="88.118.100"))[0] == 201
    assert (await _apply(node, node.operator, enterprise, prefix="88.118.88"))[0] == 201
    assert (await node.call("DELETE", "/reserved-numbers/1", node.operator))[0] == 204
    assert (await node.call("DELETE", "/reserved-numbers/1", node.operator))[0] == 404
    assert (await _apply(node, key, enterprise, prefix="88.118.87"))[0] == 201
    assert (await _apply(node, key, enterprise))[1]["prefix"] == "88.118.1"


async def test_the_number_of_a_revoked_or_rejected_prefix_never_comes_back(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    first = await node.prefix(enterprise, key)
    second = (await _apply(node, key, enterprise))[1]["prefix"]
    for prefix, step in ((first, "revoke"), (second, "reject")):
        path = f"/prefixes/{prefix}/{step}"
        assert (await node.call("POST", path, node.reviewer, {"reason": "x"}))[0] == 200
    assert (await _apply(node, node.operator, enterprise, prefix=first))[0] == 409
    assert (await _apply(node, key, enterprise))[1]["prefix"] == "88.118.3"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"first": 5, "last": 4, "reason": "x"}, 422, "last"),
        ({"first": -1, "last": 4, "reason": "x"}, 422, "first"),
        ({"first": 1, "last": 1_000_000_000, "reason": "x"}, 422, "last"),
        ({"first": 1, "last": 2**63, "reason": "x"}, 422, "last"),
        ({"first": 1, "last": 2, "reason": " "}, 422, "reason"),
        ({"first": 1, "last": 2}, 422, "reason"),
        ({"first": 15, "last": 30, "reason": "x"}, 409, "first"),
        ({"first": 1, "last": 10, "reason": "x"}, 409, "first"),
        ({"first": 12, "last": 13, "reason": "x"}, 409, "first"),
        ({"first": 5, "last": 35, "reason": "x"}, 409, "first"),
    ],
)
async def test_reservations_that_make_no_sense_are_refused(
    node: Node, body: dict[str, Any], status: int, field: str
) -> None:
    await _reserve(node, 10, 20)
    before = await node.counts()
    got, refused, _ = await node.call("POST", "/reserved-numbers", node.operator, body)
    assert (got, refused["field"]) == (status, field)
    assert await node.counts() == before


async def test_reservations_are_listed_for_staff_and_made_by_operators(node: Node) -> None:
    _, key = await node.enterprise(1)
    for first in (30, 10, 0):
        await _reserve(node, first, first + 5)
    status, page, _ = await node.call("GET", "/reserved-numbers?limit=2", node.reviewer)
    assert (status, [one["first"] for one in page["items"]]) == (200, [0, 10])
    path = f"/reserved-numbers?limit=2&cursor={page['next']}"
    assert [one["first"] for one in (await node.call("GET", path, node.reviewer))[1]["items"]] == [
        30
    ]
    body = {"first": 50, "last": 51, "reason": "x"}
    for token in (key, node.reviewer):
        assert (await node.call("POST", "/reserved-numbers", token, body))[0] == 403
        assert (await node.call("DELETE", "/reserved-numbers/10", token))[0] == 403
    assert (await node.call("GET", "/reserved-numbers", key))[0] == 403


async def test_an_enterprise_has_its_quota_of_prefixes_whoever_applies_at_once(
    node: Node,
) -> None:
    enterprise, key = await node.enterprise(1)
    path = f"/enterprises/{enterprise}/prefix-quota"
    status, after, _ = await node.call("PUT", path, node.operator, {"quota": 3})
    assert (status, after["prefix_quota"]) == (200, 3)
    answers = await asyncio.gather(*(_apply(node, key, enterprise) for _ in range(6)))
    assert sorted(status for status, _ in answers) == [201] * 3 + [409] * 3
    refused = next(answer for status, answer in answers if status == 409)
    assert "its quota of 3" in refused["detail"]
    gone = next(answer for status, answer in answers if status == 201)["prefix"]
    await node.call("POST", f"/prefixes/{gone}/reject", node.reviewer, {"reason": "x"})
    assert (await _apply(node, key, enterprise))[0] == 201, "a rejected one no longer counts"
    assert (await node.call("PUT", path, node.operator, {"quota": None}))[1]["prefix_quota"] is None
    assert (await _apply(node, key, enterprise))[0] == 201
    assert (await node.call("PUT", path, key, {"quota": 50}))[0] == 403
    assert (await node.call("PUT", path, node.operator, {"quota": -1}))[0] == 422


async def test_the_setting_is_the_quota_of_who_has_none(database: Database) -> None:
    async with running(database, prefix_quota=1) as node:
        enterprise, key = await node.enterprise(1)
        assert (await _apply(node, key, enterprise))[0] == 201
        assert (await _apply(node, key, enterprise))[0] == 409


async def test_prefixes_are_filtered(node: Node) -> None:
    first, key = await node.enterprise(1)
    second, other = await node.enterprise(2)
    active = await node.prefix(first, key, prefix="88.118.35")
    for enterprise, token, more in (
        (first, key, {"prefix": "88.118.36"}),
        (second, other, {"prefix": "88.118.351"}),
        (second, other, {"prefix": "88.118.4", "hosting": "delegated", "site": SITE}),
    ):
        assert (await _apply(node, token, enterprise, **more))[0] == 201

    async def listed(query: str, token: str = node.operator) -> list[str]:
        status, page, _ = await node.call("GET", f"/prefixes?{query}", token)
        assert status == 200, page
        return [one["prefix"] for one in page["items"]]

    assert await listed("status=active") == [active]
    assert await listed(f"enterprise_id={second}") == ["88.118.351", "88.118.4"]
    assert await listed("hosting=delegated") == ["88.118.4"]
    assert await listed("q=88.118.35") == ["88.118.35", "88.118.351"]
    assert await listed(f"q=88.118.3&status=pending&enterprise_id={first}") == ["88.118.36"]
    assert await listed(f"enterprise_id={second}", key) == [], "an enterprise finds its own alone"
    for query in ("hosting=x", "status=x", "enterprise_id=x", "q=%25", "q="):
        assert (await node.call("GET", f"/prefixes?{query}", node.operator))[0] == 400, query
