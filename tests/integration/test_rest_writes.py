"""Writes of the Handle JSON API over HTTPS: what is said, and what the registry then holds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import rest_support
from tests.integration.rest_support import (
    ADMIN_ID,
    OTHER,
    OTHER_ID,
    PREFIX,
    Front,
    basic,
    let_administrator_in,
    value,
)
from tests.integration.template_support import item, stored

NAME = f"/api/handles/{PREFIX}/Pump-1"


@pytest.fixture
async def front(database_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with rest_support.running(database_url, tmp_path) as front:
        yield front


async def held(front: Front) -> Any:
    """What the registry holds for NAME."""
    row = await front.sql.fetchval(
        "SELECT values FROM identifiers WHERE prefix = $1 AND suffix_key = 'PUMP-1'", PREFIX
    )
    return None if row is None else json.loads(row)


async def test_an_identifier_lives_and_dies(front: Front) -> None:
    made = await front.ask("PUT", NAME, {"values": [value(1, "https://a.example")]}, basic())
    assert (made.status, made.json) == (201, {"responseCode": 1, "handle": f"{PREFIX}/Pump-1"})
    read = await front.ask("GET", NAME)
    assert read.status == 200
    assert read.json["values"][0]["data"]["value"] == "https://a.example"
    replaced = await front.ask("PUT", NAME, [value(1, "https://b.example")], basic())
    assert (replaced.status, replaced.code) == (200, 1)
    again = await front.ask("GET", NAME)
    assert again.json["values"][0]["data"]["value"] == "https://b.example", "stale after a write"
    gone = await front.ask("DELETE", NAME, auth=basic())
    assert (gone.status, gone.json) == (200, {"responseCode": 1, "handle": f"{PREFIX}/Pump-1"})
    missing = await front.ask("GET", NAME)
    assert (missing.status, missing.code) == (404, 100)
    twice = await front.ask("DELETE", NAME, auth=basic())
    assert (twice.status, twice.code) == (404, 100)


async def test_a_write_leaves_the_same_traces_as_one_of_the_registry(front: Front) -> None:
    await front.ask("PUT", NAME, value(1, "one"), basic(), X_Request_Id="rest-7")
    await front.ask("PUT", NAME, value(1, "two"), basic())
    await front.ask("DELETE", NAME, auth=basic())
    lines = await front.sql.fetch(
        "SELECT actor, action, subject, request_id FROM audit_log ORDER BY seq"
    )
    assert [line["action"] for line in lines] == [
        "identifier.put",
        "identifier.put",
        "identifier.delete",
    ]
    assert {line["actor"] for line in lines} == {f"handle:301:0.NA/{PREFIX}"}
    assert lines[0]["request_id"] == "rest-7"
    assert await front.sql.fetchval("SELECT count(*) FROM identifier_history") == 2
    assert await front.sql.fetchval("SELECT count(*) FROM change_log") >= 3


async def test_overwrite_false_keeps_what_is_there(front: Front) -> None:
    path = f"{NAME}?overwrite=false"
    assert (await front.ask("PUT", path, value(1, "one"), basic())).status == 201
    refused = await front.ask("PUT", path, value(1, "two"), basic())
    assert (refused.status, refused.code) == (409, 101)
    assert (await held(front))[0]["data"]["value"] == "one"


async def test_a_replaced_identifier_keeps_its_template(front: Front) -> None:
    await stored(front.sql, PREFIX, "pump", [item(2000, "URL", max_length=9)])
    await front.ask("PUT", NAME, value(2000, "one"), basic())
    await front.sql.execute(
        "UPDATE identifiers SET template = 'pump/1' WHERE suffix_key = 'PUMP-1'"
    )
    assert (await front.ask("PUT", NAME, value(2000, "two"), basic())).status == 200
    kept = await front.sql.fetchval("SELECT template FROM identifiers WHERE suffix_key = 'PUMP-1'")
    assert kept == "pump/1"
    for path in (NAME, f"{NAME}?index=2000"):
        refused = await front.ask("PUT", path, value(2000, "longer than nine"), basic())
        assert (refused.status, refused.code) == (400, 202), (path, refused)


async def test_values_are_added_and_replaced_by_index(front: Front) -> None:
    await front.ask("PUT", NAME, [value(1, "one"), value(2, "two")], basic())
    added = await front.ask("PUT", f"{NAME}?index=3", value(3, "three"), basic())
    assert (added.status, added.code) == (201, 1)
    replaced = await front.ask("PUT", f"{NAME}?index=various", [value(1, "ONE")], basic())
    assert (replaced.status, replaced.code) == (200, 1)
    refused = await front.ask("PUT", f"{NAME}?index=2&overwrite=false", value(2, "x"), basic())
    assert (refused.status, refused.code) == (409, 201)
    other = await front.ask("PUT", f"{NAME}?index=2", value(3, "x"), basic())
    assert (other.status, other.code) == (400, 4)
    texts = {one["index"]: one["data"]["value"] for one in await held(front)}
    assert texts == {1: "ONE", 2: "two", 3: "three"}
    absent = await front.ask("PUT", f"/api/handles/{PREFIX}/none?index=1", value(1, "x"), basic())
    assert (absent.status, absent.code) == (404, 100)


async def test_values_are_removed_by_index(front: Front) -> None:
    await front.ask("PUT", NAME, [value(1, "one"), value(2, "two"), value(3, "three")], basic())
    refused = await front.ask("DELETE", f"{NAME}?index=2&index=9", auth=basic())
    assert (refused.status, refused.code) == (400, 200)
    removed = await front.ask("DELETE", f"{NAME}?index=2&index=3", auth=basic())
    assert (removed.status, removed.code) == (200, 1)
    assert [one["index"] for one in await held(front)] == [1]


async def test_a_delete_that_cannot_be_understood_deletes_nothing(front: Front) -> None:
    await front.ask("PUT", NAME, value(1, "one"), basic())
    for query in ("type=URL", "index=various", "index=x", "index="):
        refused = await front.ask("DELETE", f"{NAME}?{query}", auth=basic())
        assert (refused.status, refused.code) == (400, 4), query
    assert await held(front) is not None


async def test_a_minted_suffix_is_new_and_stands_behind_what_was_given(front: Front) -> None:
    path = f"/api/handles/{PREFIX}/PUMP-?mintNewSuffix=true"
    names = set()
    for _ in range(2):
        made = await front.ask("PUT", path, value(1, "one"), basic())
        assert made.status == 201
        assert made.json["handle"].startswith(f"{PREFIX}/PUMP-")
        names.add(made.json["handle"])
        assert (await front.ask("GET", f"/api/handles/{made.json['handle']}")).status == 200
    assert len(names) == 2


@pytest.mark.parametrize(
    ("body", "headers", "wanted"),
    [
        (b"[]", {"Content_Type": "text/plain"}, (400, 4)),
        (b"{", {}, (400, 4)),
        (b'"text"', {}, (400, 4)),
        (b'{"values": [], "handle": "88.118.35/OTHER"}', {}, (400, 4)),
        (b'{"values": [], "stray": 1}', {}, (400, 4)),
        (b'[{"index": 1}]', {}, (400, 202)),
        (b'[{"index": 0, "type": "URL", "data": "x"}]', {}, (400, 202)),
        (b'[{"index": 1, "type": "URL", "data": "a\\u0000b"}]', {}, (400, 202)),
    ],
)
async def test_a_body_that_breaks_a_rule_is_refused(
    front: Front, body: bytes, headers: dict[str, str], wanted: tuple[int, int]
) -> None:
    refused = await front.ask("PUT", NAME, body, basic(), **headers)
    assert (refused.status, refused.code) == wanted
    assert await held(front) is None


async def test_every_form_of_body_is_taken(front: Front) -> None:
    bare = {"index": 1, "type": "URL", "data": "bare"}
    for body in (
        [bare],
        bare,
        {"values": [bare]},
        {"handle": f"{PREFIX}/pump-1", "values": [bare]},
        {"responseCode": 1, "handle": f"{PREFIX}/Pump-1", "values": [bare]},
    ):
        assert (await front.ask("PUT", NAME, body, basic())).code == 1
        assert (await held(front))[0]["data"] == {"format": "string", "value": "bare"}


async def test_who_may_not_is_refused(front: Front) -> None:
    await front.ask("PUT", NAME, value(1, "one"), basic())
    for method, body in (("PUT", value(1, "two")), ("DELETE", None)):
        refused = await front.ask(method, NAME, body, basic(OTHER_ID))
        assert (refused.status, refused.code) == (403, 400), method
    assert (await held(front))[0]["data"]["value"] == "one"


async def test_permission_bits_decide_over_each_change(front: Front) -> None:
    limited = {
        "format": "admin",
        "value": {"handle": f"0.NA/{OTHER}", "index": 301, "permissions": "010001010000"},
    }
    admin = {"index": 100, "type": "HS_ADMIN", "data": limited}
    await front.ask("PUT", NAME, [value(1, "one"), admin], basic())
    theirs = basic(OTHER_ID)
    assert (await front.ask("PUT", f"{NAME}?index=1", value(1, "two"), theirs)).status == 200
    assert (await front.ask("PUT", f"{NAME}?index=2", value(2, "new"), theirs)).status == 201
    for method, path, body in (
        ("DELETE", f"{NAME}?index=1", None),
        ("DELETE", NAME, None),
        ("PUT", NAME, [value(1, "two")]),
        ("PUT", f"{NAME}?index=100", {**admin, "ttl": 7}),
        ("PUT", f"{NAME}?index=1", {**admin, "index": 1}),
    ):
        refused = await front.ask(method, path, body, theirs)
        assert (refused.status, refused.code) == (403, 401), (method, path)


async def test_a_prefix_that_is_not_here_is_told_before_who_asks(front: Front) -> None:
    for path in ("/api/handles/10.1000/182", "/api/handles/0.NA/10.1000"):
        refused = await front.ask("PUT", path, value(1, "x"))
        assert (refused.status, refused.code) == (400, 301), path
    unknown = await front.ask("PUT", "/api/handles/88.118.99/X", value(1, "x"), basic())
    assert (unknown.status, unknown.code) == (400, 301)


async def test_a_prefix_is_listed_page_by_page_for_its_administrators(front: Front) -> None:
    for number in range(5):
        await front.ask("PUT", f"/api/handles/{PREFIX}/n-{number}", value(1, "x"), basic())
    path = f"/api/handles?prefix={PREFIX}&page=1&pageSize=2"
    assert (await front.ask("GET", path)).status == 401
    assert (await front.ask("GET", path, auth=basic(OTHER_ID))).status == 403
    page = await front.ask("GET", path, auth=basic())
    assert page.json == {
        "responseCode": 1,
        "prefix": PREFIX,
        "totalCount": "5",
        "page": 1,
        "pageSize": 2,
        "handles": [f"{PREFIX}/N-2", f"{PREFIX}/N-3"],
    }
    whole = await front.ask("GET", f"/api/handles?prefix=0.NA/{PREFIX}", auth=basic())
    assert len(whole.json["handles"]) == 5
    for query in ("", "?prefix=", f"?prefix={PREFIX}&page=-1", f"?prefix={PREFIX}&pageSize=99999"):
        refused = await front.ask("GET", f"/api/handles{query}", auth=basic())
        assert refused.status == 400, query


async def test_an_administrator_of_the_node_may_write_everywhere(front: Front) -> None:
    await let_administrator_in(front)
    for name in (f"{PREFIX}/X", "88.118/own"):
        made = await front.ask("PUT", f"/api/handles/{name}", value(1, "x"), basic(ADMIN_ID))
        assert (made.status, made.code) == (201, 1), name


async def test_requests_that_no_resource_is_for(front: Front) -> None:
    unknown = await front.ask("GET", "/api/nothing")
    assert (unknown.status, unknown.code) == (404, 4)
    site = await front.ask("GET", "/api/site")
    assert site.json["servers"][0]["address"] == "127.0.0.1"


async def test_pages_of_other_origins_may_use_it(front: Front) -> None:
    for path in (NAME, "/api/handles", "/api/sessions", "/api/sessions/this", "/api/site"):
        allowed = await front.ask(
            "OPTIONS",
            path,
            Origin="https://page.example",
            Access_Control_Request_Method="PUT",
            Access_Control_Request_Headers="authorization,content-type",
        )
        assert allowed.status == 204, path
        assert allowed.headers["Access-Control-Allow-Origin"] == "*"
        assert "PUT" in allowed.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in allowed.headers["Access-Control-Allow-Headers"]
    made = await front.ask("PUT", NAME, value(1, "x"), basic(), Origin="https://page.example")
    assert made.headers["Access-Control-Allow-Origin"] == "*"
