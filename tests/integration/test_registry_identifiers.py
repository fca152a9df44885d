"""Identifiers over HTTP: paths, entity tags, races, history, and what is refused."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.registry_client import SITE, URL_VALUE, Node


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    """Path of an active hosted prefix, and the key of its enterprise."""
    enterprise, key = await node.enterprise(1)
    return f"/identifiers/{await node.prefix(enterprise, key)}", key


def _value(index: int, text: str = "x", **more: Any) -> dict[str, Any]:
    data = {"format": "string", "value": text}
    return {"index": index, "type": "URL", "data": data, **more}


async def test_put_creates_then_replaces_and_delete_removes(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    path = f"{root}/SN-1"
    body = {"values": [_value(1), _value(2, ttl=60, permissions="1100")]}
    status, made, response = await node.call("PUT", path, key, body)
    assert (status, made["handle"], made["template"]) == (201, "88.118.1/SN-1", None)
    assert made["values"][1]["ttl"] == 60
    assert made["values"][1]["permissions"] == "1100"
    tag = response.headers["ETag"]
    assert tag == f'"{made["version"]}"'
    status, read, response = await node.call("GET", path, key)
    assert (status, read, response.headers["ETag"]) == (200, made, tag)
    status, after, response = await node.call("PUT", path, key, {"values": []})
    assert (status, after["values"], after["template"]) == (200, [], None)
    assert after["version"] > made["version"]
    assert (await node.call("DELETE", path, key))[0] == 204
    assert (await node.call("GET", path, key))[0] == 404
    assert (await node.call("DELETE", path, key))[0] == 404
    status, again, _ = await node.call("PUT", path, key, {"values": []})
    assert (status, again["version"] > after["version"]) == (201, True)


async def test_ascii_case_makes_no_second_identifier(node: Node, owner: tuple[str, str]) -> None:
    root, key = owner
    assert (await node.call("PUT", f"{root}/Sn-%C3%A9", key, {"values": []}))[0] == 201
    status, read, _ = await node.call("PUT", f"{root}/sN-%C3%A9", key, {"values": []})
    assert (status, read["suffix"]) == (200, "sN-é")
    assert (await node.call("PUT", f"{root}/SN-%C3%89", key, {"values": []}))[0] == 201
    assert (await node.counts())["identifiers"] == 3  # with the prefix handle


@pytest.mark.parametrize(
    ("written", "suffix"),
    [
        ("a/b/c", "a/b/c"),
        ("a%2Fb", "a/b"),
        ("100%25", "100%"),
        ("%E6%A0%87%E8%AF%86", "标识"),
        ("a%3Fb%23c", "a?b#c"),
        ("a%20b", "a b"),
        ("%2E%2E", ".."),
        ("a%252Fb", "a%2Fb"),
        ("a+b", "a+b"),
        ("a//b/", "a//b/"),
        ("history", "history"),
        ("a%2Fhistory", "a/history"),
        ("a/b%2Fproof", "a/b/proof"),
        ("history/a", "history/a"),
        ("{x}", "{x}"),
    ],
)
async def test_any_suffix_can_be_written_in_a_path(
    node: Node, owner: tuple[str, str], written: str, suffix: str
) -> None:
    root, key = owner
    status, made, _ = await node.call("PUT", f"{root}/{written}", key, {"values": []})
    assert (status, made["suffix"]) == (201, suffix), made
    status, read, _ = await node.call("GET", f"{root}/{written}", key)
    assert (status, read) == (200, made)
    status, page, _ = await node.call("GET", f"{root}/{written}/history", key)
    assert (status, page["items"][0]["handle"]) == (200, made["handle"])
    assert (await node.call("DELETE", f"{root}/{written}", key))[0] == 204


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ("a%", "identifier"),
        ("a%zz", "identifier"),
        ("%FF", "identifier"),
        ("a%00b", "suffix"),
        ("a%0Ab", "suffix"),
        ("%E2%80%AE", "suffix"),
        ("a%20", "suffix"),
        ("x" * 247, "suffix"),
        ("a/history", "suffix"),
        ("a/proof", "suffix"),
    ],
)
async def test_a_suffix_that_breaks_a_rule_is_refused(
    node: Node, owner: tuple[str, str], written: str, field: str
) -> None:
    root, key = owner
    before = await node.counts()
    status, problem, _ = await node.call("PUT", f"{root}/{written}", key, {"values": []})
    assert (status, problem["field"], problem["responseCode"]) == (400, field, 102), problem
    assert await node.counts() == before


async def test_the_longest_suffix_is_accepted(node: Node, owner: tuple[str, str]) -> None:
    root, key = owner
    assert (await node.call("PUT", f"{root}/{'%E6%A0%87' * 246}", key, {"values": []}))[0] == 201


async def test_patch_adds_replaces_and_removes_by_index(node: Node, owner: tuple[str, str]) -> None:
    root, key = owner
    path = f"{root}/A"
    await node.call("PUT", path, key, {"values": [_value(1, "1"), _value(2, "2"), _value(3, "3")]})
    body = {"values": [_value(4, "4"), _value(2, "two")], "remove": [3]}
    status, after, _ = await node.call("PATCH", path, key, body)
    assert status == 200
    assert [(value["index"], value["data"]["value"]) for value in after["values"]] == [
        (1, "1"),
        (2, "two"),
        (4, "4"),
    ]
    for body, field in (
        ({}, "values"),
        ({"remove": [9]}, "remove[0]"),
        ({"remove": [1, 1]}, "remove[1]"),
        ({"remove": [1], "values": [_value(1)]}, "remove[0]"),
        ({"remove": [0]}, "remove[0]"),
        ({"remove": ["1"]}, "remove[0]"),
        ({"values": [_value(5), _value(5)]}, "values[1].index"),
        ({"values": [_value(index) for index in range(5, 2051)]}, "values"),
    ):
        before = await node.counts()
        status, problem, _ = await node.call("PATCH", path, key, body)
        assert (status, problem["field"]) == (422, field), problem
        assert await node.counts() == before
    status, _, _ = await node.call("PATCH", f"{root}/absent", key, {"values": [_value(1)]})
    assert status == 404
    assert (await node.call("GET", path, key))[1] == after


async def test_conditions_guard_every_write(node: Node, owner: tuple[str, str]) -> None:
    root, key = owner
    path, body = f"{root}/A", {"values": [URL_VALUE]}
    patch = {"values": [_value(2)]}
    assert (await node.call("PUT", path, key, body, If_Match="*"))[0] == 412
    assert (await node.call("PATCH", path, key, patch, If_Match="*"))[0] == 412
    assert (await node.call("DELETE", path, key, If_Match="*"))[0] == 412
    status, _, response = await node.call("PUT", path, key, body, If_None_Match="*")
    assert status == 201
    tag = response.headers["ETag"]
    before = await node.counts()
    for headers in (
        {"If_None_Match": "*"},
        {"If_None_Match": tag},
        {"If_Match": '"0"'},
        {"If_Match": f"W/{tag}"},
    ):
        for method, sent in (("PUT", body), ("PATCH", patch), ("DELETE", None)):
            status, problem, _ = await node.call(method, path, key, sent, **headers)
            assert status == 412, (method, headers, problem)
            assert problem["field"].replace("-", "_") in headers
    assert await node.counts() == before
    status, _, response = await node.call("GET", path, key, If_None_Match=f'"0", W/{tag}')
    assert (status, response.headers["ETag"]) == (304, tag)
    assert (await node.call("GET", path, key, If_None_Match='"0"'))[0] == 200
    status, _, response = await node.call("PUT", path, key, body, If_Match=f'"0", {tag}')
    assert (status, response.headers["ETag"] != tag) == (200, True)
    assert (await node.call("DELETE", path, key, If_Match=tag))[0] == 412
    assert (await node.call("DELETE", path, key, If_Match=response.headers["ETag"]))[0] == 204
    status, problem, _ = await node.call("PUT", path, key, body, If_Match="1")
    assert (status, problem["field"]) == (400, "If-Match")


async def test_of_writers_with_one_etag_exactly_one_wins(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    path = f"{root}/A"
    for _ in range(5):
        _, _, response = await node.call("PUT", path, key, {"values": []})
        tag = response.headers["ETag"]
        answers = await asyncio.gather(
            *(
                node.call("PUT", path, key, {"values": [_value(n)]}, If_Match=tag)
                for n in range(1, 5)
            ),
            *(
                node.call("PATCH", path, key, {"values": [_value(n)]}, If_Match=tag)
                for n in range(5, 9)
            ),
        )
        statuses = [status for status, _, _ in answers]
        assert sorted(statuses) == [200] + [412] * 7
        winner = answers[statuses.index(200)][1]
        assert (await node.call("GET", path, key))[1] == winner


async def test_of_creators_with_if_none_match_exactly_one_wins(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    for number in range(5):
        path = f"{root}/new-{number}"
        answers = await asyncio.gather(
            *(
                node.call("PUT", path, key, {"values": [_value(n)]}, If_None_Match="*")
                for n in range(1, 9)
            )
        )
        statuses = [status for status, _, _ in answers]
        assert sorted(statuses) == [201] + [412] * 7
        winner = answers[statuses.index(201)][1]
        assert (await node.call("GET", path, key))[1] == winner


async def test_creators_without_a_condition_follow_one_another(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    path = f"{root}/A"
    answers = await asyncio.gather(
        *(node.call("PUT", path, key, {"values": [_value(n)]}) for n in range(1, 9))
    )
    assert sorted(status for status, _, _ in answers) == [200] * 7 + [201]
    versions = sorted(answer["version"] for _, answer, _ in answers)
    assert len(set(versions)) == 8
    _, page, _ = await node.call("GET", f"{path}/history", key)
    assert [item["version"] for item in page["items"]] == versions[::-1]


async def test_patches_at_the_same_time_lose_nothing(node: Node, owner: tuple[str, str]) -> None:
    root, key = owner
    path = f"{root}/A"
    await node.call("PUT", path, key, {"values": []})
    answers = await asyncio.gather(
        *(node.call("PATCH", path, key, {"values": [_value(n)]}) for n in range(1, 13))
    )
    assert {status for status, _, _ in answers} == {200}
    _, after, _ = await node.call("GET", path, key)
    assert sorted(value["index"] for value in after["values"]) == list(range(1, 13))


async def test_history_has_every_version_newest_first_across_deletion(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    path = f"{root}/A"
    assert (await node.call("GET", f"{path}/history", key))[0] == 404
    for text in ("1", "2", "3"):
        await node.call("PUT", path, key, {"values": [_value(1, text)]})
    await node.call("DELETE", path, key)
    await node.call("PUT", path, key, {"values": [_value(1, "4")]})
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        status, page, _ = await node.call("GET", f"{path}/history?limit=2{more}", key)
        assert status == 200
        items += page["items"]
        cursor = page["next"]
    assert [item["values"][0]["data"]["value"] for item in items] == ["4", "3", "2", "1"]
    assert [item["deleted"] for item in items] == [False, True, False, False]
    assert items[0]["valid_to"] is None
    for newer, older in pairwise(items[1:]):
        assert older["valid_to"] == newer["valid_from"]


async def test_only_an_active_hosted_prefix_takes_identifiers(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    body = {"values": [URL_VALUE]}
    pending = {"enterprise_id": enterprise, "hosting": "hosted", "prefix": "88.118.9"}
    await node.call("POST", "/prefixes", key, pending)
    await node.prefix(enterprise, key, prefix="88.118.8", hosting="delegated", site=SITE)
    await node.prefix(enterprise, key, prefix="88.118.7")
    await node.call("PUT", "/identifiers/88.118.7/A", key, body)
    reason = {"reason": "x"}
    for step in ("suspend", "revoke"):
        await node.call("POST", f"/prefixes/88.118.7/{step}", node.operator, reason)
        before = await node.counts()
        for prefix, word in (
            ("88.118.9", "pending"),
            ("88.118.8", "delegated"),
            ("88.118.7", f"{step}ed".replace("ee", "e")),
        ):
            path = f"/identifiers/{prefix}/A"
            for method, sent in (("PUT", body), ("PATCH", body), ("DELETE", None)):
                status, problem, _ = await node.call(method, path, key, sent)
                assert (status, problem["type"]) == (409, "urn:idnode:problem:conflict")
                assert word in problem["detail"]
        assert await node.counts() == before
    status, problem, _ = await node.call("PUT", "/identifiers/88.118.6/A", key, body)
    assert (status, problem["responseCode"]) == (400, 301)


async def test_caches_are_told_of_what_has_changed_and_of_nothing_else(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    path = f"{root}/Sn"
    node.changes.clear()
    await node.call("PUT", path, key, {"values": [URL_VALUE]})
    await node.call("PATCH", path, key, {"values": [_value(2)]})
    await node.call("PUT", path, key, {"values": [{}]})
    await node.call("PUT", path, key, {"values": []}, If_None_Match="*")
    await node.call("GET", path, key)
    await node.call("DELETE", path, key)
    assert node.changes == [("88.118.1", ["SN"])] * 3


async def test_predefined_types_are_kept_as_objects_and_unsayable_data_as_base64(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    admin = {"handle": "0.NA/88.118", "index": 300, "permissions": "011111110011"}
    # An HS_ADMIN record whose handle is a NUL: no JSON in PostgreSQL can hold that as text.
    strange = bytes.fromhex("0001" + "00000001" + "00" + "0000012c").hex()
    values = [
        {"index": 100, "type": "HS_ADMIN", "data": {"format": "admin", "value": admin}},
        {"index": 101, "type": "HS_ADMIN", "data": {"format": "hex", "value": strange}},
        {"index": 102, "type": "BLOB", "data": {"format": "base64", "value": "AP8="}},
    ]
    status, made, _ = await node.call("PUT", f"{root}/A", key, {"values": values})
    assert status == 201, made
    assert made["values"][0]["data"] == {"format": "admin", "value": admin}
    assert made["values"][1]["data"]["format"] == "base64"
    assert made["values"][2]["data"] == {"format": "base64", "value": "AP8="}


async def test_a_public_key_is_read_back_as_it_was_given(
    node: Node, owner: tuple[str, str]
) -> None:
    root, key = owner
    public = {"kty": "RSA", "n": "w" * 170 + "E", "e": "AQAB"}
    value = {"index": 300, "type": "HS_PUBKEY", "data": {"format": "key", "value": public}}
    path = root.replace("/identifiers/", "/identifiers/0.NA/")
    status, made, _ = await node.call("PATCH", path, key, {"values": [value]})
    assert status == 200, made
    status, read, _ = await node.call("GET", path, key)
    assert status == 200
    assert [one["data"] for one in read["values"] if one["index"] == 300] == [value["data"]]
