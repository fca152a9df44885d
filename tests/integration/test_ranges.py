"""Ranges of numbers: each member exists at once, can be given values of its own, and can go."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol.errors import HandleNotFound
from protocol.identifier import Identifier
from registry import stored
from registry.database import Database
from resolver.cache import Answer
from tests.integration.registry_client import Node, running
from tests.integration.test_resolver import following

READ_ONLY = ("created_at", "updated_at", "version")


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    """An active hosted prefix, and the key of its enterprise."""
    enterprise, key = await node.enterprise(1)
    return await node.prefix(enterprise, key), key


def values(text: str) -> list[dict[str, Any]]:
    return [{"index": 1, "type": "URL", "data": {"format": "string", "value": text}}]


def said(body: dict[str, Any]) -> str:
    text: str = body["values"][0]["data"]["value"]
    return text


async def make(
    node: Node, owner: tuple[str, str], first: str, last: str, text: str = "shared", **more: Any
) -> tuple[int, Any]:
    prefix, key = owner
    body = {"prefix": prefix, "first": first, "last": last, "values": values(text), **more}
    status, made, _ = await node.call("POST", "/ranges", key, body)
    return status, made


async def test_a_million_identifiers_exist_after_one_call(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    status, made = await make(node, owner, "SN-0000001", "SN-1000000")
    assert (status, made["count"]) == (201, 1_000_000)
    for suffix, expected in {
        "SN-0000001": 200,
        "sn-0500000": 200,
        "SN-1000000": 200,
        "SN-0000000": 404,
        "SN-1000001": 404,
        "SN-000001": 404,
        "SN-00000001": 404,
        "SM-0000001": 404,
        "SN-": 404,
    }.items():
        status, read, response = await node.call("GET", f"/identifiers/{prefix}/{suffix}", key)
        assert (suffix, status) == (suffix, expected)
        if status == 200:
            assert said(read) == "shared"
            assert read["suffix"] == suffix.upper()
            assert response.headers["ETag"] == f'"{made["version"]}"'


async def test_a_member_resolves_until_it_is_deleted_and_caches_follow(
    node: Node, owner: tuple[str, str], database: Database
) -> None:
    prefix, key = owner
    name = Identifier.parse(f"{prefix}/SN-07")
    async with following(database.url) as resolver:
        with pytest.raises(HandleNotFound):
            await resolver.resolve(name)
        await make(node, owner, "SN-01", "SN-20", "{suffix} {number}", substitute=True)
        resolver.forget(*node.changes[-1])
        answer = await resolver.resolve(name)
        assert isinstance(answer, Answer)
        assert answer.values()[0].data == b"SN-07 07"
        assert (await node.call("DELETE", f"/identifiers/{prefix}/SN-07", key))[0] == 204
        resolver.forget(*node.changes[-1])
        with pytest.raises(HandleNotFound):
            await resolver.resolve(name)


async def test_a_member_that_is_written_to_keeps_its_own_values(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    _, made = await make(node, owner, "A1", "A9")
    path = f"/identifiers/{prefix}/A5"
    extra = {"index": 2, "type": "NAME", "data": {"format": "string", "value": "pump"}}
    tag = f'"{made["version"]}"'
    status, _, _ = await node.call("PUT", path, key, {"values": []}, If_None_Match="*")
    assert status == 412
    status, own, _ = await node.call("PATCH", path, key, {"values": [extra]}, If_Match=tag)
    assert (status, [value["index"] for value in own["values"]]) == (200, [1, 2])
    place = f"/ranges/{prefix}/{made['id']}"
    status, changed, response = await node.call("PUT", place, key, {"values": values("new")})
    assert (status, response.headers["ETag"]) == (200, f'"{changed["version"]}"')
    assert said((await node.call("GET", path, key))[1]) == "shared"
    assert said((await node.call("GET", f"/identifiers/{prefix}/A6", key))[1]) == "new"
    assert (await node.call("DELETE", place, key, If_Match=tag))[0] == 412
    assert (await node.call("DELETE", place, key))[0] == 204
    assert (await node.call("GET", path, key))[0] == 200
    assert (await node.call("GET", f"/identifiers/{prefix}/A6", key))[0] == 404


async def test_history_tells_what_the_range_said_and_what_the_member_said(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    _, made = await make(node, owner, "A1", "A9", "one")
    place, path = f"/ranges/{prefix}/{made['id']}", f"/identifiers/{prefix}/A5"
    await node.call("PUT", place, key, {"values": values("two")})
    await node.call("PUT", path, key, {"values": values("own")})
    await node.call("PUT", place, key, {"values": values("three")})
    await node.call("DELETE", path, key)
    await node.call("PUT", place, key, {"values": values("four")})
    status, page, _ = await node.call("GET", f"{path}/history", key)
    assert status == 200
    told = [(said(item), item["deleted"]) for item in page["items"]]
    assert told == [("own", True), ("two", False), ("one", False)]
    for later, earlier in zip(page["items"], page["items"][1:], strict=False):
        assert earlier["valid_to"] == later["valid_from"]
    status, page, _ = await node.call("GET", f"/identifiers/{prefix}/A6/history", key)
    assert [said(item) for item in page["items"]] == ["four", "three", "two", "one"]
    assert page["items"][0]["valid_to"] is None


async def test_a_member_may_be_related_to_until_its_range_ends(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    _, made = await make(node, owner, "A1", "A9")
    for suffix in ("BOX", "A5"):
        await node.call("PUT", f"/identifiers/{prefix}/{suffix}", key, {"values": []})
    for subject, target in (("BOX", "A3"), ("A4", "BOX"), ("A5", "BOX")):
        path = f"/identifiers/{prefix}/{subject}/relations/derived-from/{prefix}/{target}"
        status, answer, _ = await node.call("PUT", path, key, {})
        assert status in (200, 201), answer
    path = f"/identifiers/{prefix}/BOX/relations/derived-from/{prefix}/X1"
    assert (await node.call("PUT", path, key, {}))[0] // 100 == 4, "X1 is no member"
    status, _, _ = await node.call("DELETE", f"/ranges/{prefix}/{made['id']}", key)
    assert status == 204
    for subject, stated in (("BOX", []), ("A5", [f"{prefix}/BOX"])):
        path = f"/identifiers/{prefix}/{subject}/relations"
        status, page, _ = await node.call("GET", path, key)
        assert status == 200
        assert [item["target"] for item in page["items"]] == stated, subject
    path = f"/identifiers/{prefix}/A4/relations/derived-from/{prefix}/BOX"
    assert (await node.call("GET", path, key))[0] == 404, "A4 is gone, and what it stated"


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("SN-1", "SN-10", "last"),
        ("SN-1", "SX-9", "last"),
        ("SN-9", "SN-1", "last"),
        ("SN-A", "SN-9", "first"),
        ("SN-1\x00", "SN-9", "first"),
        ("SN-1", "SN-９", "last"),
        ("\u202eSN-1", "\u202eSN-9", "first"),
    ],
)
async def test_what_is_no_range_is_refused_by_its_field(
    node: Node, owner: tuple[str, str], first: str, last: str, field: str
) -> None:
    status, problem = await make(node, owner, first, last)
    assert (status // 100, problem.get("field")) == (4, field), problem


async def test_ranges_do_not_overlap_and_belong_to_the_owner(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, _ = owner
    assert (await make(node, owner, "SN-100", "SN-199"))[0] == 201
    assert (await make(node, owner, "sn-199", "sn-250"))[0] == 409
    assert (await make(node, owner, "SN-200", "SN-250"))[0] == 201
    assert (await make(node, owner, "SN-0100", "SN-0199"))[0] == 201
    _, other = await node.enterprise(2)
    assert (await make(node, (prefix, other), "X1", "X9"))[0] in (403, 404)
    assert (await node.call("GET", f"/ranges?prefix={prefix}", other))[0] in (403, 404)
    status, page, _ = await node.call("GET", f"/ranges?prefix={prefix}&limit=2", owner[1])
    assert (status, len(page["items"]), page["next"] is None) == (200, 2, False)


async def test_rows_and_ranges_together_are_what_a_plain_dictionary_is(
    node: Node, owner: tuple[str, str]
) -> None:
    """A seeded run of writes, held to a model after each step by single reads and the list."""
    prefix, key = owner
    chance = random.Random(20_261_125)
    model: dict[str, str] = {}
    shared: dict[str, set[str]] = {}
    heads = ("A", "A-", "B")
    for step in range(120):
        head, number = chance.choice(heads), chance.randrange(100)
        suffix = f"{head}{number:02d}"
        path = f"/identifiers/{prefix}/{suffix}"
        action = chance.choice(("range", "put", "put", "delete", "delete", "change", "end"))
        text = f"step {step}"
        if action == "range":
            last = min(99, number + chance.randrange(30))
            status, made = await make(node, owner, suffix, f"{head}{last:02d}", text)
            if status == 201:
                members = {f"{head}{each:02d}" for each in range(number, last + 1)} - set(model)
                shared[made["id"]] = members
                model.update(dict.fromkeys(members, text))
        elif action == "put":
            status, _, _ = await node.call("PUT", path, key, {"values": values(text)})
            assert status == (200 if suffix in model else 201)
            model[suffix] = text
            for members in shared.values():
                members.discard(suffix)
        elif action == "delete":
            status, _, _ = await node.call("DELETE", path, key)
            assert status == (204 if suffix in model else 404)
            model.pop(suffix, None)
            for members in shared.values():
                members.discard(suffix)
        elif shared:
            range_id = chance.choice(sorted(shared))
            place = f"/ranges/{prefix}/{range_id}"
            if action == "change":
                assert (await node.call("PUT", place, key, {"values": values(text)}))[0] == 200
                model.update(dict.fromkeys(shared[range_id], text))
            else:
                assert (await node.call("DELETE", place, key))[0] == 204
                for member in shared.pop(range_id):
                    del model[member]
        status, read, _ = await node.call("GET", path, key)
        assert (step, action, status) == (step, action, 200 if suffix in model else 404)
        assert status == 404 or said(read) == model[suffix]
        assert await listed(node, prefix, key, chance.choice((1, 7, 1000))) == sorted(
            model.items(), key=lambda item: item[0].encode()
        ), (step, action)


async def test_the_lists_of_the_handle_protocol_count_members(
    node: Node, owner: tuple[str, str], database: Database
) -> None:
    prefix, key = owner
    await make(node, owner, "A01", "A40")
    for suffix in ("A05", "B1"):
        await node.call("PUT", f"/identifiers/{prefix}/{suffix}", key, {"values": []})
    for suffix in ("A06", "A07"):
        await node.call("DELETE", f"/identifiers/{prefix}/{suffix}", key)
    await node.call("PUT", f"/identifiers/{prefix}/A07", key, {"values": []})
    there = [f"A{number:02d}" for number in range(1, 41) if number != 6] + ["B1"]
    expected = [f"{prefix}/{suffix}" for suffix in there]
    async with database.begin() as connection:
        assert await stored.names(connection, prefix, 1000) == expected
        for offset in (0, 1, 4, 5, 38, 40):
            total, names = await stored.page(connection, prefix, offset=offset, limit=7)
            assert (total, names) == (40, expected[offset : offset + 7])


async def listed(node: Node, prefix: str, key: str, limit: int) -> list[tuple[str, str]]:
    """Read the whole list, page by page."""
    found: list[tuple[str, str]] = []
    query = f"/identifiers?prefix={prefix}&limit={limit}"
    path = query
    while True:
        status, page, _ = await node.call("GET", path, key)
        assert status == 200, page
        found.extend((item["suffix"], said(item)) for item in page["items"])
        if page["next"] is None:
            return found
        path = f"{query}&cursor={page['next']}"
