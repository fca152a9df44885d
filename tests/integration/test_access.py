"""Values for everybody, for partners, and for nobody but their owner: who sees which."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration import access_support, import_support
from tests.integration.access_support import Town, bearer, for_partners, private, proof
from tests.integration.registry_client import Node
from tests.integration.rest_support import Answer, value
from tests.integration.snms import support as snms


@pytest.fixture
async def town(node: Node, tmp_path: Path) -> AsyncIterator[Town]:
    async with access_support.town(node, tmp_path) as town:
        yield town


async def _register(town: Town) -> None:
    """Register SN-1 with a value for each audience."""
    await town.put(
        "SN-1",
        [
            value(1, "https://pumps.example/1"),
            for_partners(2, "for an enterprise", town.friend.partner),
            for_partners(3, "for a group", "group:suppliers"),
            for_partners(4, "for a person", town.friend.person),
            private(5, "for nobody"),
        ],
    )


async def test_everybody_sees_what_is_for_them(town: Town) -> None:
    await _register(town)
    assert await town.seen("SN-1") == [1]
    for auth, expected in (
        (bearer(town.owner.key), [1, 2, 3, 4, 5]),
        (bearer(town.node.operator), [1, 2, 3, 4, 5]),
        (bearer(town.node.reviewer), [1, 2, 3, 4, 5]),
        (bearer(town.friend.key), [1, 2]),
        (bearer(town.stranger.key), [1]),
        (proof(town.owner.identity), [1, 2, 3, 4, 5]),
        (proof(town.friend.identity), [1, 2]),
        (proof(town.friend.person), [1, 4]),
        (proof(town.stranger.identity), [1]),
        (proof(town.stranger.person), [1]),
    ):
        assert await town.seen("SN-1", auth) == expected, auth


async def test_a_key_without_the_scope_sees_what_everybody_does(town: Town) -> None:
    await _register(town)
    for works in (town.owner, town.friend):
        path = f"/enterprises/{works.id}/keys"
        status, made, _ = await town.node.call("POST", path, works.key, {"scopes": ["labels"]})
        assert status == 201, made
        assert await town.seen("SN-1", bearer(made["key"])) == [1]
        name = f"{town.owner.prefix}/SN-1"
        status, _, _ = await town.node.call("GET", f"/shared/{name}", made["key"])
        assert status == 403


async def test_a_token_that_is_not_good_is_401(town: Town) -> None:
    await _register(town)
    for path in (f"/api/handles/{town.owner.prefix}/SN-1", f"/resolve/{town.owner.prefix}/SN-1"):
        for base in (town.front.https, town.front.http):
            answer = await town.front.ask("GET", path, auth=bearer("x" * 40), base=base)
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
            assert "no-store" in answer.headers["Cache-Control"]


async def test_a_token_of_the_snms_api_sees_what_its_enterprise_may(town: Town) -> None:
    await _register(town)
    for works, expected in ((town.owner, 5), (town.friend, 2), (town.stranger, 1)):
        await snms.user(town.node, works.id, f"mes{expected}")
        client = await snms.Client(town.node).sign_in(f"mes{expected}")
        seen = await town.seen("SN-1", bearer(str(client.token)))
        assert seen == list(range(1, expected + 1))
    answer = await town.resolve("SN-1", bearer("idt_" + "x" * 43))
    assert answer.status == 401


async def test_any_key_of_a_handle_is_meant_by_index_0(town: Town) -> None:
    handle = town.friend.person.partition(":")[2]
    await town.put("SN-1", [for_partners(2, "note", f"0:{handle.lower()}")])
    assert await town.seen("SN-1", proof(town.friend.person)) == [2]
    assert await town.seen("SN-1", proof(town.friend.identity)) == []


async def test_members_of_a_group_change_at_once(town: Town) -> None:
    await _register(town)
    friend, person = bearer(town.friend.key), proof(town.stranger.person)
    assert await town.seen("SN-1", friend) == [1, 2]
    await town.group("suppliers", town.friend.partner, town.stranger.person)
    assert await town.seen("SN-1", friend) == [1, 2, 3]
    assert await town.seen("SN-1", person) == [1, 3]
    await town.group("suppliers", town.stranger.person)
    assert await town.seen("SN-1", friend) == [1, 2]
    assert await town.seen("SN-1", person) == [1, 3]
    status, _, _ = await town.node.call("DELETE", "/groups/suppliers", town.owner.key)
    assert status == 204
    assert await town.seen("SN-1", person) == [1]


async def test_a_group_is_its_owners_alone(town: Town) -> None:
    await _register(town)
    body = {"members": [town.stranger.partner]}
    status, _, _ = await town.node.call("PUT", "/groups/suppliers", town.stranger.key, body)
    assert status == 201, "a group of the stranger's own"
    assert await town.seen("SN-1", bearer(town.stranger.key)) == [1]


async def test_partners_alone_are_the_group_partners(town: Town) -> None:
    access = {"audience": "partners"}
    made = await town.put("SN-1", [value(1, "note", "NOTE", access=access)])
    assert made["values"][0]["access"] == access | {"partners": ["group:partners"]}
    assert await town.seen("SN-1", bearer(town.friend.key)) == []
    await town.group("partners", town.friend.partner)
    assert await town.seen("SN-1", bearer(town.friend.key)) == [1]


async def test_the_audience_of_a_template_holds_where_a_value_says_nothing(town: Town) -> None:
    items = [
        {"index": 2000 + at, "type": f"N{at}", "name": f"n{at}", "data": {"kind": "string"}}
        | {"audience": audience}
        for at, audience in enumerate(("public", "partners", "private"))
    ]
    body = {"prefix": town.owner.prefix, "name": "pump", "items": items}
    call, key = town.node.call, town.owner.key
    assert (await call("POST", "/templates", key, body))[0] == 201
    path = f"/templates/{town.owner.prefix}/pump/1/publish"
    assert (await call("POST", path, key))[0] == 200
    await town.group("partners", town.friend.partner)
    plain = [value(2000 + at, "x", f"N{at}") for at in range(3)]
    await town.put("SN-1", plain, template="pump")
    friend, stranger = bearer(town.friend.key), bearer(town.stranger.key)
    assert await town.seen("SN-1", friend) == [2000, 2001]
    own = value(2001, "x", "N1", access={"audience": "private"})
    await town.put("SN-2", [plain[0], own], template="pump")
    assert await town.seen("SN-2", friend) == [2000]
    named = {"audience": "partners", "partners": [town.stranger.partner]}
    await town.put("SN-3", [plain[0], value(2001, "x", "N1", access=named)], template="pump")
    assert await town.seen("SN-3", friend) == [2000]
    assert await town.seen("SN-3", stranger) == [2000, 2001]


async def test_members_of_a_range_share_its_audiences(town: Town) -> None:
    body = {
        "prefix": town.owner.prefix,
        "first": "R-1",
        "last": "R-9",
        "values": [value(1, "n {number}", "N"), for_partners(2, "{number}", town.friend.partner)],
        "substitute": True,
    }
    status, answer, _ = await town.node.call("POST", "/ranges", town.owner.key, body)
    assert status == 201, answer
    assert await town.seen("R-5") == [1]
    assert await town.seen("R-5", bearer(town.friend.key)) == [1, 2]
    assert await town.seen("R-5", bearer(town.stranger.key)) == [1]


async def test_history_says_for_whom_a_value_was(town: Town) -> None:
    await town.put("SN-1", [for_partners(2, "note", town.friend.partner)])
    await town.put("SN-1", [private(2, "note")])
    path = f"/identifiers/{town.owner.prefix}/SN-1/history"
    _, history, _ = await town.node.call("GET", path, town.owner.key)
    said = [item["values"][0].get("access") for item in history["items"]]
    assert said == [None, {"audience": "partners", "partners": [town.friend.partner]}]
    assert (await town.node.call("GET", path, town.friend.key))[0] == 403


def _told(answer: Answer) -> tuple[Any, ...]:
    """Return all that an answer says, but for the time and the name that was asked for."""
    told = {
        name: text for name, text in answer.headers.items() if name not in ("Date", "X-Request-Id")
    }
    body = answer.body.replace(b"SN-HIDDEN", b"NAME").replace(b"SN-ABSENT", b"NAME")
    return answer.status, {k: v for k, v in told.items() if k != "Content-Length"}, body


@pytest.mark.parametrize("public", [True, False])
async def test_what_is_hidden_cannot_be_told_from_what_is_not_there(
    town: Town, public: bool
) -> None:
    shown = [value(1, "https://pumps.example/1")] if public else []
    hidden = [for_partners(2, "note", town.friend.partner, timestamp="2026-01-01T00:00:00Z")]
    await town.put("SN-HIDDEN", [*shown, *hidden, private(7, "note")])
    await town.put("SN-ABSENT", shown)
    prefix, sql = town.owner.prefix, town.front.sql
    await sql.execute(  # one time for both: it is no business of this test
        "UPDATE identifiers SET values = jsonb_set(values, '{0,timestamp}',"
        " '\"2026-01-01T00:00:00Z\"') WHERE prefix = $1 AND suffix_key LIKE 'SN-%'"
        " AND jsonb_array_length(values) > 0",
        prefix,
    )
    asks = ("", "?index=2", "?type=NOTE", "?index=1&index=2", "?auth=true", "?index=7&publicOnly")
    for auth in (None, bearer(town.stranger.key), proof(town.stranger.identity)):
        for path in ("/api/handles/", "/resolve/"):
            for more in asks if path == "/api/handles/" else ("", "?noredirect"):
                for accept in ("application/json", "text/html", "application/linkset+json"):
                    told = []
                    for name in ("SN-HIDDEN", "SN-ABSENT"):
                        where = f"{path}{prefix}/{name}{more}"
                        told.append(
                            _told(await town.front.ask("GET", where, None, auth, Accept=accept))
                        )
                    assert told[0] == told[1], (auth, path, more, accept)
    for identity in (None, town.stranger.identity):
        for indexes in ((), (1,), (2,), (1, 7)):
            answers = [
                await town.wire(name, identity, indexes) for name in ("SN-HIDDEN", "SN-ABSENT")
            ]
            assert answers[0] == answers[1], (identity, indexes)
    for name in ("SN-HIDDEN", "SN-ABSENT"):
        path = f"/shared/{prefix}/{name}"
        status, answer, _ = await town.node.call("GET", path, town.stranger.key)
        assert status == (200 if public else 404), answer
        path = f"/identifiers/{prefix}/{name}"
        assert (await town.node.call("GET", path, town.stranger.key))[0] == 403


@pytest.mark.parametrize("public", [True, False])
async def test_the_node_does_the_same_work_for_what_is_hidden(town: Town, public: bool) -> None:
    """How long an answer takes tells nothing either: the same statements are run for it."""
    shown = [value(1, "https://pumps.example/1")] if public else []
    await town.put("SN-HIDDEN", [*shown, for_partners(2, "note", town.friend.partner)])
    await town.put("SN-ABSENT", shown)
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    engine = town.front.service.registry.database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    for auth in (None, bearer(town.stranger.key), proof(town.stranger.identity)):
        await town.resolve("SN-ABSENT", auth)  # a token's last use is noted once
        run = []
        for name in ("SN-HIDDEN", "SN-ABSENT"):
            statements.clear()
            await town.resolve(name, auth)
            run.append(list(statements))
        assert run[0] == run[1], auth
        assert bool(run[0]) == (auth is not None), "what everybody sees needs no look at the rest"


async def test_caches_keep_the_audiences_apart(town: Town) -> None:
    await _register(town)
    friend = bearer(town.friend.key)
    for _ in range(2):
        everybodys = await town.resolve("SN-1")
        assert [one["index"] for one in everybodys.json["values"]] == [1]
        assert everybodys.headers["Vary"] == "Authorization"
        assert "Cache-Control" not in everybodys.headers
        friends = await town.resolve("SN-1", friend)
        assert [one["index"] for one in friends.json["values"]] == [1, 2]
        assert friends.headers["Cache-Control"] == "no-store"
        assert "access" not in friends.json["values"][1], "who else may see it is nobody's business"
        for auth in (friend, None):
            path = f"/resolve/{town.owner.prefix}/SN-1"
            answer = await town.front.ask("GET", path, None, auth, Accept="application/json")
            assert "Authorization" in answer.headers["Vary"]
            assert ("no-store" in answer.headers.get("Cache-Control", "")) == (auth is not None)


async def test_nobody_keeps_what_is_refused_to_who_says_who_he_is(town: Town) -> None:
    for path in ("/api/handles", "/resolve"):
        for suffix, status in (("GONE", 404), ("%ff", 400)):
            target = f"{path}/{town.owner.prefix}/{suffix}"
            asked = [
                await town.front.ask("GET", target, None, auth, Accept="application/json")
                for auth in (None, bearer(town.friend.key))
            ]
            assert [one.status for one in asked] == [status, status]
            assert [one.headers.get("Cache-Control") for one in asked] == [None, "no-store"]


async def test_over_plain_http_no_secret_shows_more_but_a_token_does(town: Town) -> None:
    await _register(town)
    path = f"/api/handles/{town.owner.prefix}/SN-1"
    for auth, expected in ((proof(town.friend.identity), 1), (bearer(town.friend.key), 2)):
        answer = await town.front.ask("GET", path, None, auth, base=town.front.http)
        assert len(answer.json["values"]) == expected


async def test_what_says_nothing_of_partners_keeps_them(town: Town) -> None:
    """Handle JSON and the Handle protocol know permissions alone."""
    await town.put("SN-1", [value(1, "x"), for_partners(2, "old", town.friend.partner)])
    path = f"/api/handles/{town.owner.prefix}/SN-1"
    auth, friend = proof(town.owner.identity), bearer(town.friend.key)
    new = value(2, "new", "NOTE", permissions="1100")
    for query in ("?index=2", ""):
        answer = await town.front.ask("PUT", path + query, [new], auth)
        assert answer.status == 200, answer.body
        read = await town.resolve("SN-1", friend)
        texts = {one["index"]: one["data"]["value"] for one in read.json["values"]}
        assert texts[2] == "new"
    said = new | {"access": {"audience": "private"}}
    assert (await town.front.ask("PUT", path, [said], auth)).status == 200
    assert await town.seen("SN-1", friend) == []


async def test_an_enterprise_that_is_suspended_is_no_partner(town: Town) -> None:
    await _register(town)
    for step, expected in (("suspend", [1]), ("resume", [1, 2])):
        path, reason = f"/enterprises/{town.friend.id}/{step}", {"reason": "under inquiry"}
        status, answer, _ = await town.node.call("POST", path, town.node.operator, reason)
        assert status == 200, answer
        assert await town.seen("SN-1", proof(town.friend.identity)) == expected


async def test_cells_of_a_table_leave_values_to_those_whom_they_are_for(town: Town) -> None:
    """A file that an ERP sends again must not open what has been closed meanwhile."""
    await town.put(
        "SN-1",
        [
            value(1, "https://pumps.example/1"),
            for_partners(2, "old", town.friend.partner),
            private(3, "old"),
            value(4, "old", "NOTE"),
        ],
    )
    prefix, key = town.owner.prefix, town.owner.key
    header, cells = "suffix,1:URL,2:NOTE,3:NOTE,4:NOTE,5:NOTE", "SN-1,https://x.example,a,b,c,d"
    query = f"?format=csv&prefix={prefix}"
    done = await import_support.imported(town.node, key, f"{header}\n{cells}\n".encode(), query)
    assert done["failed"] == 0, done
    read = await town.resolve("SN-1", bearer(key), "?auth=true")
    assert [one["data"]["value"] for one in read.json["values"]][1:] == list("abcd")
    assert await town.seen("SN-1", None, "?auth=true") == [1, 4, 5]
    assert await town.seen("SN-1", bearer(town.friend.key)) == [1, 2, 4, 5]
    _, before, _ = await town.node.call("GET", f"/identifiers/{prefix}/SN-1", key)
    await import_support.imported(town.node, key, f"{header}\n{cells}\n".encode(), query)
    _, after, _ = await town.node.call("GET", f"/identifiers/{prefix}/SN-1", key)
    assert after == before, "the same once more is no new version"


async def test_an_export_as_ndjson_says_for_whom_values_are(town: Town) -> None:
    await _register(town)
    prefix, key = town.owner.prefix, town.owner.key
    path = f"/identifiers/{prefix}/SN-1"
    _, before, _ = await town.node.call("GET", path, key)
    export = town.node.url(f"/exports/identifiers?prefix={prefix}")
    headers = {"Authorization": f"Bearer {key}"}
    async with town.node.client.get(export, headers=headers) as response:
        file = await response.read()
    assert (await town.node.call("DELETE", path, key))[0] == 204
    done = await import_support.imported(town.node, key, file, "?format=ndjson")
    assert done["failed"] == 0, done
    _, after, _ = await town.node.call("GET", path, key)
    for one, other in zip(before["values"], after["values"], strict=True):
        assert one | {"timestamp": ""} == other | {"timestamp": ""}


async def test_a_suspended_prefix_shows_its_partners_nothing(town: Town) -> None:
    await _register(town)
    path = f"/prefixes/{town.owner.prefix}/suspend"
    status, _, _ = await town.node.call("POST", path, town.node.reviewer, {"reason": "moved"})
    assert status == 200
    answer = await town.resolve("SN-1", bearer(town.friend.key), "?auth=true")
    assert answer.status == 404
    name = f"{town.owner.prefix}/SN-1"
    assert (await town.node.call("GET", f"/shared/{name}", town.friend.key))[0] == 400


_BAD = [
    ({"audience": "everybody"}, "access.audience"),
    ({}, "access"),
    ("partners", "access"),
    ({"audience": "partners", "more": 1}, "access"),
    ({"audience": "partners", "partners": []}, "access.partners"),
    ({"audience": "partners", "partners": "group:a"}, "access.partners"),
    ({"audience": "private", "partners": ["group:a"]}, "access.partners"),
    ({"audience": "partners", "partners": ["group:a"] * 101}, "access.partners"),
    ({"audience": "partners", "partners": ["Group:a"]}, "access.partners[0]"),
    ({"audience": "partners", "partners": ["group:a", "group:A b"]}, "access.partners[1]"),
    ({"audience": "partners", "partners": ["enterprise:91350211M000100Y00"]}, "access.partners[0]"),
    ({"audience": "partners", "partners": ["2147483648:0.NA/88.118"]}, "access.partners[0]"),
    ({"audience": "partners", "partners": ["1:" + "x" * 600]}, "access.partners[0]"),
    ({"audience": "partners", "partners": ["1:88.1/\u202e"]}, "access.partners[0]"),
    ({"audience": "partners", "partners": ["1:88.1/a b\t"]}, "access.partners[0]"),
    ({"audience": "partners", "partners": ["enterprise:"]}, "access.partners[0]"),
]


@pytest.mark.parametrize(("access", "field"), _BAD)
async def test_access_that_makes_no_sense_is_refused_by_its_field(
    node: Node, works: tuple[str, str], access: Any, field: str
) -> None:
    key, prefix = works
    body = {"values": [value(1, "x"), value(2, "note", "NOTE", access=access)]}
    path = f"/identifiers/{prefix}/SN-1"
    for language in ("en", "zh"):
        status, problem, _ = await node.call("PUT", path, key, body, Accept_Language=language)
        assert (status, problem["field"]) == (422, f"values[1].{field}"), problem
        assert language == "en" or not problem["detail"].isascii(), problem


async def test_permissions_and_access_do_not_differ(node: Node, works: tuple[str, str]) -> None:
    key, prefix = works
    path = f"/identifiers/{prefix}/SN-1"
    for permissions, audience, expected in (
        ("1110", "public", 201),
        ("1110", "private", 422),
        ("1100", "partners", 200),
        ("1100", "public", 422),
    ):
        one = value(1, "x", permissions=permissions, access={"audience": audience})
        status, answer, _ = await node.call("PUT", path, key, {"values": [one]})
        assert status == expected, answer
    secret = for_partners(1, "x", "group:a") | {"type": "HS_SECKEY"}
    status, problem, _ = await node.call("PUT", path, key, {"values": [secret]})
    assert (status, problem["field"]) == (422, "values[0].access.partners")
