"""Groups of partners over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.registry_client import Node, credit_code


async def test_a_group_from_its_making_to_its_end(node: Node, works: tuple[str, str]) -> None:
    key, _ = works
    code = credit_code(2)
    given = [f"enterprise:{code}", "300:88.118.36", "300:0.na/88.118.36", "0:88.118.9/ann"]
    kept = [f"enterprise:{code}", "300:0.NA/88.118.36", "0:88.118.9/ANN"]
    status, made, response = await node.call("PUT", "/groups/buyers", key, {"members": given})
    assert (status, made["name"], made["members"]) == (201, "buyers", kept)
    tag = response.headers["ETag"]
    status, read, response = await node.call("GET", "/groups/buyers", key)
    assert (status, read, response.headers["ETag"]) == (200, made, tag)
    assert (await node.call("GET", "/groups/buyers", key, If_None_Match=tag))[0] == 304
    body: dict[str, Any] = {"members": []}
    for headers, expected in (
        ({"If_None_Match": "*"}, 412),
        ({"If_Match": '"1"'}, 412),
        ({"If_Match": tag}, 200),
        ({"If_Match": tag}, 412),
    ):
        status, answer, _ = await node.call("PUT", "/groups/buyers", key, body, **headers)
        assert status == expected, answer
    assert (await node.call("DELETE", "/groups/buyers", key, If_Match=tag))[0] == 412
    assert (await node.call("DELETE", "/groups/buyers", key))[0] == 204
    for method in ("GET", "DELETE"):
        assert (await node.call(method, "/groups/buyers", key))[0] == 404


async def test_groups_come_in_pages(node: Node, works: tuple[str, str]) -> None:
    key, _ = works
    names = [f"g{number}" for number in range(5)]
    for name in reversed(names):
        assert (await node.call("PUT", f"/groups/{name}", key, {"members": []}))[0] == 201
    seen: list[str] = []
    cursor = ""
    while True:
        _, page, _ = await node.call("GET", f"/groups?limit=2{cursor}", key)
        seen += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == names


@pytest.mark.parametrize(
    ("name", "members", "field"),
    [
        ("Buyers", [], "name"),
        ("a" * 65, [], "name"),
        (".a", [], "name"),
        ("a%0a", [], "name"),
        ("a", ["group:b"], "members[0]"),
        ("a", ["nobody"], "members[0]"),
        ("a", ["300:0.NA/88.118.36", "enterprise:1"], "members[1]"),
        ("a", ["1:88.1/x"] * 1001, "members"),
        ("a", [7], "members[0]"),
    ],
)
async def test_what_is_no_group_is_refused_by_its_field(
    node: Node, works: tuple[str, str], name: str, members: list[Any], field: str
) -> None:
    key, _ = works
    status, problem, _ = await node.call("PUT", f"/groups/{name}", key, {"members": members})
    assert (status, problem["field"]) == (422, field), problem


@pytest.mark.parametrize("name", ["%00", "%ff", "A", "%20", "x" * 300, "%2e%2e%2f", "%e2%80%ae"])
async def test_no_group_has_a_name_that_none_can_have(
    node: Node, works: tuple[str, str], name: str
) -> None:
    key, _ = works
    for method in ("GET", "DELETE"):
        assert (await node.call(method, f"/groups/{name}", key))[0] in (400, 404)
    assert (await node.call("PUT", f"/groups/{name}", key, {"members": []}))[0] in (400, 404, 422)


async def test_whose_groups(node: Node, works: tuple[str, str]) -> None:
    key, _ = works
    body: dict[str, Any] = {"members": []}
    other, _ = await node.enterprise(2)
    own = (await node.call("GET", "/me", key))[1]["enterprise_id"]
    assert (await node.call("PUT", "/groups/a", node.operator, body))[0] == 400
    for who, enterprise, expected in (
        (node.operator, own, 201),
        (node.reviewer, own, 403),
        (key, other, 403),
        (key, own, 200),
        (node.operator, "00000000-0000-0000-0000-000000000000", 404),
        (node.operator, "x", 400),
    ):
        path = f"/groups/a?enterprise_id={enterprise}"
        status, answer, _ = await node.call("PUT", path, who, body)
        assert status == expected, answer
    assert (await node.call("GET", f"/groups/a?enterprise_id={own}", node.reviewer))[0] == 200


async def test_a_change_says_who_came_and_who_went(node: Node, works: tuple[str, str]) -> None:
    key, _ = works
    for members in (["1:88.1/A", "1:88.1/B"], ["1:88.1/B", "1:88.1/C"]):
        await node.call("PUT", "/groups/a", key, {"members": members})
    await node.call("DELETE", "/groups/a", key)
    async with node.database.begin() as connection:
        rows = await connection.exec_driver_sql(
            "SELECT action, detail FROM audit_log WHERE action LIKE 'group.%' ORDER BY seq"
        )
        assert [tuple(row) for row in rows] == [
            ("group.put", {"added": ["1:88.1/A", "1:88.1/B"], "removed": []}),
            ("group.put", {"added": ["1:88.1/C"], "removed": ["1:88.1/A"]}),
            ("group.delete", {"removed": ["1:88.1/B", "1:88.1/C"]}),
        ]
