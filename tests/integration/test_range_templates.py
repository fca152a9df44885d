"""What a template forbids one identifier, it forbids each member of a range."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from registry.database import Database
from tests.integration.registry_client import Node, running
from tests.integration.template_support import item, published, value

ITEMS = [
    item(2000, "CODE", pattern=".*[19]"),
    item(2001, "GRADE", "enum", values=["1", "9"]),
    item(2002, "OF", "identifier", registered=True),
    item(2003, "MADE", "date"),
    item(2004, "COUNT", "integer", minimum=20, maximum=500_000),
    item(2005, "PAGE", "url"),
    item(2006, "NOTE", min_length=3, max_length=12),
]


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    """A prefix with the template `ends`, and the key of its enterprise."""
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    await published(node, prefix, key, "ends", ITEMS)
    return prefix, key


async def make(
    node: Node, owner: tuple[str, str], first: str, last: str, *values: dict[str, Any]
) -> tuple[int, Any]:
    prefix, key = owner
    body = {"prefix": prefix, "first": first, "last": last, "values": list(values)}
    more = {"template": "ends", "substitute": True}
    status, answer, _ = await node.call("POST", "/ranges", key, body | more)
    return status, answer


@pytest.mark.parametrize(
    ("ends", "said", "member"),
    [
        (("M-1", "M-9"), (2000, "CODE", "{number}"), "M-2"),
        (("M-1", "M-9"), (2000, "CODE", "x{suffix}"), "M-2"),
        (("N-1", "N-9"), (2001, "GRADE", "{number}"), "N-2"),
        (("D-01", "D-31"), (2003, "MADE", "2026-02-{number}"), None),
        (("C-10", "C-90"), (2004, "COUNT", "{number}"), None),
        (("C-00", "C-90"), (2004, "COUNT", "{number}"), None),
        (("C-500000", "C-500001"), (2004, "COUNT", "{number}"), None),
    ],
)
async def test_a_member_between_the_ends_breaks_the_rule_and_the_range_is_refused(
    node: Node,
    owner: tuple[str, str],
    ends: tuple[str, str],
    said: tuple[int, str, str],
    member: str | None,
) -> None:
    note = value(2006, "NOTE", "note")
    status, problem = await make(node, owner, *ends, note, value(*said))
    assert (status, problem["field"]) == (422, "values[1]"), problem
    if member is not None:
        assert problem["detail"].startswith(f"{member}: "), problem
    prefix, key = owner
    status, page, _ = await node.call("GET", f"/ranges?prefix={prefix}", key)
    assert (status, page["items"]) == (200, [])


async def test_each_member_must_name_what_is_registered(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    reference = value(2002, "OF", prefix + "/TGT-{number}")
    for number in (1, 2, 4):
        path = f"/identifiers/{prefix}/TGT-{number}"
        assert (await node.call("PUT", path, key, {"values": []}))[0] == 201
    status, problem = await make(node, owner, "O-1", "O-4", reference)
    assert (status, problem["field"]) == (422, "values[0]"), problem
    assert problem["detail"].startswith("O-3: "), problem
    assert (await node.call("PUT", f"/identifiers/{prefix}/TGT-3", key, {"values": []}))[0] == 201
    assert (await make(node, owner, "O-1", "O-4", reference))[0] == 201


async def test_what_all_members_may_say_is_taken_and_each_may_be_patched(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    said = [
        value(2000, "CODE", "{number}1"),
        value(2003, "MADE", "2026-01-{number}"),
        value(2004, "COUNT", "{number}"),
        value(2005, "PAGE", "https://pumps.example.cn/{suffix}"),
    ]
    status, made = await make(node, owner, "P-20", "P-31", *said)
    assert status == 201, made
    for number in range(20, 32):
        path = f"/identifiers/{prefix}/P-{number}"
        patch = {"values": [value(2006, "NOTE", "checked")]}
        status, answer, _ = await node.call("PATCH", path, key, patch)
        assert status == 200, answer


async def test_a_range_too_large_to_look_at_each_member_is_refused(
    node: Node, owner: tuple[str, str]
) -> None:
    ends = ("L-20001", "L-30001")  # one more than are looked at; both ends match
    status, problem = await make(node, owner, *ends, value(2000, "CODE", "{number}"))
    assert (status, problem["field"]) == (422, "values[0]"), problem
    assert "pattern" in problem["detail"]
    assert "10000 members" in problem["detail"]
    whole = ("L-20001", "L-30000")
    assert (await make(node, owner, *whole, value(2000, "CODE", "{number}1")))[0] == 201
    decided = [value(2004, "COUNT", "{number}"), value(2006, "NOTE", "{suffix}")]
    decided.append(value(2005, "PAGE", "http://a.example.cn/{number}"))
    decided.append(value(2000, "CODE", "the same: 1"))
    assert (await make(node, owner, "K-100000", "K-500000", *decided))[0] == 201


async def test_a_change_of_a_range_is_held_to_the_same(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    status, made = await make(node, owner, "R-1", "R-9", value(2000, "CODE", "1"))
    assert status == 201
    body = {"template": "ends", "substitute": True, "values": [value(2000, "CODE", "{number}")]}
    place = f"/ranges/{prefix}/{made['id']}"
    status, problem, _ = await node.call("PUT", place, key, body)
    assert (status, problem["field"]) == (422, "values[0]"), problem
    status, read, _ = await node.call("GET", f"/identifiers/{prefix}/R-5", key)
    assert (status, read["values"][0]["data"]["value"]) == (200, "1")


async def test_a_type_is_one_for_all_members(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    body = {"prefix": prefix, "first": "T-1", "last": "T-9", "substitute": True}
    said = {"values": [value(1, "KIND.{number}", "x")]}
    status, problem, _ = await node.call("POST", "/ranges", key, body | said)
    assert (status, problem["field"]) == (422, "values[0].type"), problem
