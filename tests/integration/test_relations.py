"""Relations over HTTP: stated, taken back, read, and kept true."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from registry.database import Database
from tests.integration.registry_client import SITE, Node, running
from tests.integration.relations_support import ELSEWHERE, Works, at


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def works(node: Node) -> Works:
    return await Works.make(node, 1)


@pytest.fixture
async def other(node: Node, works: Works) -> Works:
    return await Works.make(node, 2)


async def _lines(node: Node, subject: str) -> list[tuple[str, str, Any]]:
    connection = await asyncpg.connect(node.database.url)
    rows = await connection.fetch(
        "SELECT actor, action, detail::text FROM audit_log WHERE subject = $1"
        " AND action LIKE 'relation.%' ORDER BY seq",
        subject,
    )
    await connection.close()
    return [tuple(row) for row in rows]


async def test_a_relation_is_stated_read_and_taken_back(node: Node, works: Works) -> None:
    await works.register("pump", "motor")
    status, made = await works.state("pump", "replaced-by", "motor")
    assert status == 201, made
    assert (made["subject"], made["kind"]) == (works.name("pump"), "replaced-by")
    assert (made["target"], made["audience"]) == (works.name("motor"), "public")
    assert await works.state("PUMP", "replaced-by", "Motor") == (200, made), "no case, no news"
    path = f"/identifiers/{works.name('pump')}/relations/replaced-by/{works.name('motor')}"
    assert (await node.call("GET", path, works.key))[:2] == (200, made)
    assert await works.items("pump", "relations") == [made]
    assert await works.items("motor", "relations") == []
    assert await works.items("motor", "relations?direction=in") == [made]
    assert (await works.take_back("pump", "replaced-by", "motor"))[0] == 204
    assert (await works.take_back("pump", "replaced-by", "motor"))[0] == 404
    assert (await works.take_back("pump", "replaced-by", "pump"))[0] == 422
    itself = path.replace("motor", "pump")
    assert (await node.call("GET", itself, works.key))[0] == 422
    assert (await node.call("GET", path, works.key))[0] == 404
    assert await works.items("pump", "relations") == []
    (put, removed) = await _lines(node, works.name("pump"))
    assert [put[1], removed[1]] == ["relation.put", "relation.remove"]
    assert '"audience": "public"' in put[2]


async def test_under_one_prefix_contains_is_part_of_and_stored_once(
    node: Node, works: Works
) -> None:
    await works.register("pump", "motor")
    assert (await works.state("pump", "contains", "motor"))[0] == 201
    assert (await works.state("motor", "part-of", "pump"))[0] == 200
    assert (await node.counts())["relations"] == 1
    contains = (works.name("pump"), "contains", works.name("motor"))
    part_of = (works.name("motor"), "part-of", works.name("pump"))
    assert await works.relations("pump") == {contains}
    assert await works.relations("motor") == {part_of}
    assert (await works.items("pump", "parts"))[0]["stated_by"] == "both"
    assert (await works.take_back("pump", "contains", "motor"))[0] == 204
    assert await works.relations("motor") == set()


async def test_between_prefixes_a_part_stays_while_one_side_states_it(
    works: Works, other: Works
) -> None:
    await works.register("pump")
    await other.register("motor")
    pump, motor = works.name("pump"), other.name("motor")
    assert (await works.state(pump, "contains", motor))[0] == 201
    assert [item["stated_by"] for item in await works.items(pump, "parts")] == ["whole"]
    assert (await other.state(motor, "part-of", pump))[0] == 201
    assert [item["stated_by"] for item in await works.items(pump, "parts")] == ["both"]
    assert (await works.take_back(pump, "contains", motor))[0] == 204
    assert [item["stated_by"] for item in await works.items(pump, "parts")] == ["part"]
    assert [item["stated_by"] for item in await other.items(motor, "where-used")] == ["part"]
    assert (await other.take_back(motor, "part-of", pump))[0] == 204
    assert await works.items(pump, "parts") == []


async def test_only_the_owner_of_the_subject_states_and_the_target_is_not_changed(
    node: Node, works: Works, other: Works
) -> None:
    await works.register("pump")
    await other.register("motor")
    pump, motor = works.name("pump"), other.name("motor")
    before = await node.counts()
    for method in ("PUT", "DELETE"):
        path = f"/identifiers/{motor}/relations/part-of/{pump}"
        assert (await node.call(method, path, works.key))[0] == 403
        assert (await node.call(method, path, node.reviewer))[0] == 403
    bulk = {"put": [{"subject": motor, "kind": "part-of", "target": pump}]}
    assert (await node.call("POST", "/relations", works.key, bulk))[0] == 403
    assert await node.counts() == before
    _, read, _ = await node.call("GET", f"/identifiers/{motor}", other.key)
    assert (await works.state(pump, "contains", motor))[0] == 201
    assert (await node.call("GET", f"/identifiers/{motor}", other.key))[1] == read
    path = f"/identifiers/{motor}/relations/part-of/{pump}"
    assert (await node.call("PUT", path, node.operator))[0] == 201
    assert (await node.call("GET", f"/identifiers/{pump}/relations", other.key))[0] == 403
    assert (await node.call("GET", f"/identifiers/{pump}/parts", other.key))[0] == 403
    assert (await node.call("GET", f"/identifiers/{pump}/parts", node.reviewer))[0] == 200


async def test_a_key_needs_the_scope(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    works = Works(node, key, await node.prefix(enterprise, key))
    await works.register("a", "b")
    body = {"scopes": ["identifiers:read"]}
    _, made, _ = await node.call("POST", f"/enterprises/{enterprise}/keys", key, body)
    reader = Works(node, made["key"], works.prefix)
    assert (await reader.state("a", "part-of", "b"))[0] == 403
    assert (await works.state("a", "part-of", "b"))[0] == 201
    assert (await reader.take_back("a", "part-of", "b"))[0] == 403
    assert len(await reader.items("a", "relations")) == 1


@pytest.mark.parametrize(
    ("subject", "target", "told"),
    [
        ("pump", ELSEWHERE, (201, None)),
        ("pump", "10.1000/182", (201, None)),
        ("pump", "absent", (422, "target")),
        ("absent", "pump", (422, "subject")),
        ("pump", "88.118.999/x", (422, "target")),
        ("pump", "88.118/x", (422, "target")),
        ("pump", "PUMP", (422, "target")),
        ("pump", "0.NA/88.118.1", (400, "target")),
        ("pump", "88.709.911/" + "x" * 245, (400, "target")),
        ("pump", "88.709.911/%00", (400, "target")),
        ("pump", "88.709.911/%E2%80%AE", (400, "target")),
        ("pump", "88..1/x", (400, "target")),
        ("0.NA/88.118.1", ELSEWHERE, (400, "subject")),
        ("88.709.911/x", "88.118.1/pump", (400, None)),
    ],
)
async def test_what_can_be_related(
    node: Node, works: Works, subject: str, target: str, told: tuple[int, str | None]
) -> None:
    await works.register("pump")
    before = await node.counts()
    status, answer = await works.state(subject, "part-of", target)
    assert (status, answer.get("field")) == told, answer
    assert status == 201 or await node.counts() == before


async def test_a_target_under_a_delegated_prefix_lives_at_its_own_node(
    node: Node, works: Works
) -> None:
    enterprise, key = await node.enterprise(2)
    await node.prefix(enterprise, key, prefix="88.118.8", hosting="delegated", site=SITE)
    await works.register("pump")
    assert (await works.state("pump", "contains", "88.118.8/motor"))[0] == 201
    status, problem = await Works(node, key, "88.118.8").state("motor", "part-of", "88.118.1/pump")
    assert status == 409, problem


async def test_a_suspended_prefix_states_nothing(node: Node, works: Works) -> None:
    await works.register("a", "b")
    await node.call(
        "POST", f"/prefixes/{works.prefix}/suspend", node.operator, {"reason": "unpaid"}
    )
    status, problem = await works.state("a", "part-of", "b")
    assert (status, problem["detail"]) == (409, f"prefix {works.prefix} is suspended, not active")
    _, problem, _ = await node.call(
        "PUT",
        f"/identifiers/{works.name('a')}/relations/part-of/{works.name('b')}",
        works.key,
        Accept_Language="zh",
    )
    assert problem["detail"] == f"前缀 {works.prefix} 已暂停,未启用"


@pytest.mark.parametrize("who", ["key", "account"])
async def test_who_acts_for_another_enterprise_is_not_named(
    node: Node, works: Works, who: str
) -> None:
    """An account has the name of a person."""
    other = await Works.make(node, 2)
    await works.register("motor")
    await other.register("plant")
    assert (await works.state("motor", "part-of", other.name("plant")))[0] == 201
    token = other.key
    if who == "account":
        _, prefix, _ = await node.call("GET", f"/prefixes/{other.prefix}", node.operator)
        credentials = {"name": "li.ming", "password": "quiet heron 47 over the lock"}
        person = {"role": "administrator", "enterprise_id": prefix["enterprise_id"]}
        status, made, _ = await node.call("POST", "/accounts", node.operator, credentials | person)
        assert status == 201, made
        _, session, _ = await node.call("POST", "/sessions", None, credentials)
        token = session["token"]
    path = f"/identifiers/{other.name('plant')}"
    assert (await node.call("DELETE", path, token))[0] == 204
    (ended,) = await works.items("motor", "relations/history")
    assert ended["valid_to"] is not None
    assert ended["ended_by"] is None
    assert ended["actor"].startswith("key:"), "its own people are named"
    (seen,) = await works.items("motor", "relations/history", node.operator)
    assert seen["ended_by"].startswith("key:" if who == "key" else "account:li.ming")


async def test_what_is_stated_again_stays_with_whom_it_was_told(node: Node, works: Works) -> None:
    """A program that states all of its relations each night publishes nothing by it."""
    await works.register("a", "b", "c")
    assert (await works.state("a", "part-of", "b", "private"))[0] == 201
    before = await node.counts()
    for named in (False, True):
        path = f"/identifiers/{works.name('a')}/relations/part-of/{works.name('b')}"
        sent = {"audience": None} if named else None
        status, told, _ = await node.call("PUT", path, works.key, sent)
        assert (status, told["audience"]) == (200, "private"), named
    assert await node.counts() == before
    one = {"subject": works.name("b"), "kind": "contains", "target": works.name("a")}
    new = {"subject": works.name("c"), "kind": "part-of", "target": works.name("b")}
    status, counts, _ = await node.call("POST", "/relations", works.key, {"put": [one, new]})
    assert (status, counts["unchanged"], counts["created"]) == (200, 1, 1), counts
    told = await works.items("b", "relations?kind=contains")
    assert [item["audience"] for item in told] == ["private", "public"]
    assert (await works.state("a", "part-of", "b", "public"))[1]["audience"] == "public"


async def test_an_audience_is_changed_and_kept_in_history(node: Node, works: Works) -> None:
    await works.register("a", "b")
    await works.state("a", "derived-from", "b", "private")
    status, made = await works.state("a", "derived-from", "b", "partners")
    assert (status, made["audience"]) == (200, "partners")
    path = f"/identifiers/{works.name('a')}/relations/derived-from/{works.name('b')}"
    await node.call("DELETE", path, node.operator)
    newer, older = await works.items("a", "relations/history")
    assert [older["audience"], newer["audience"]] == ["private", "partners"]
    assert older["valid_to"] == newer["valid_from"] or older["valid_to"] < newer["valid_from"]
    assert older["actor"] == older["ended_by"] == newer["actor"]
    assert newer["actor"].startswith("key:")
    assert newer["ended_by"] == "account:root"
    for body, field in (({"audience": "all"}, "audience"), ({"who": 1}, "who")):
        status, problem, _ = await node.call("PUT", path, works.key, body)
        assert (status, problem["field"]) == (422, field)


async def test_what_is_about_a_deleted_identifier_has_ended_and_is_told_of_the_past(
    works: Works, other: Works
) -> None:
    await works.register("pump", "motor", "shaft")
    await other.register("plant")
    motor = works.name("motor")
    await works.state("motor", "part-of", "pump")
    await works.state("shaft", "part-of", "motor")
    await other.state("plant", "contains", motor)
    _, last = await works.state("motor", "derived-from", ELSEWHERE)
    then = at(last["valid_from"])
    parts = await works.items("motor", "parts")
    uses = await works.handles("motor", "where-used")
    assert uses == [works.name("pump"), other.name("plant")]
    await works.node.call("DELETE", f"/identifiers/{motor}", works.node.operator)
    for subject in ("pump", "shaft"):
        assert await works.items(subject, "relations") == []
        assert await works.items(subject, "parts") == []
    assert await other.items("plant", "relations") == []
    status, _, _ = await works.node.call("GET", f"/identifiers/{motor}/parts", works.key)
    assert status == 404
    await works.register("motor")
    assert await works.items("motor", "relations") == [], "a new one begins with nothing"
    assert await works.items("motor", f"parts?{then}") == parts
    assert len(await works.items("motor", f"relations?{then}")) == 3
    history = await works.items("motor", "relations/history")
    assert {item["ended_by"] for item in history} == {"account:root"}
    # What the other enterprise does not say any more is for itself to tell.
    assert await works.handles("motor", f"where-used?{then}") == [works.name("pump")]
    assert [item["target"] for item in await other.items("plant", f"relations?{then}")] == [motor]


async def test_each_moment_has_the_relations_that_held(works: Works) -> None:
    await works.register("a", "b", "c")
    _, first = await works.state("a", "part-of", "b")
    _, second = await works.state("a", "part-of", "c")
    await works.take_back("a", "part-of", "b")
    ended = (await works.items("a", "relations/history"))[1]["valid_to"]
    before = datetime.datetime.fromisoformat(first["valid_from"]) - datetime.timedelta(
        microseconds=1
    )
    for moment, wholes in (
        (before.isoformat(), []),
        (first["valid_from"], ["b"]),
        (second["valid_from"], ["b", "c"]),
        (ended, ["c"]),
    ):
        expected = [works.name(whole) for whole in wholes]
        assert await works.handles("a", f"where-used?{at(moment)}") == expected
        assert await works.relations("a", f"?{at(moment)}") == {
            (works.name("a"), "part-of", whole) for whole in expected
        }
        for whole in "bc":
            parts = await works.handles(whole, f"parts?{at(moment)}")
            assert parts == ([works.name("a")] if whole in wholes else [])
    for what in ("relations", "parts", "where-used"):
        status, problem, _ = await works.node.call(
            "GET", f"/identifiers/{works.name('a')}/{what}?at=9999-01-01T00:00:00Z", works.key
        )
        assert (status, problem["field"]) == (422, "at")


@pytest.mark.parametrize(
    ("subject", "target", "stored"),
    [
        ("a/b", "88.709.911/x/y", ("a/b", "88.709.911/x/y")),
        ("a%2Fb", "88.709.911%2Fx%2Fy", ("a/b", "88.709.911/x/y")),
        ("relations", "88.709.911/x", ("relations", "88.709.911/x")),
        ("relations/part-of", "88.709.911/x", ("relations/part-of", "88.709.911/x")),
        ("a%2Frelations/part-of/b", "88.709.911/x", ("a/relations/part-of/b", "88.709.911/x")),
        ("a", "88.709.911/x/relations/part-of/y", ("a", "88.709.911/x/relations/part-of/y")),
        ("a%2Fparts", "88.709.911/parts", ("a/parts", "88.709.911/parts")),
        ("a%2Fwhere-used", "88.709.911/%E6%B3%B5", ("a/where-used", "88.709.911/泵")),
    ],
)
async def test_any_two_identifiers_can_be_written_in_a_path(
    node: Node, works: Works, subject: str, target: str, stored: tuple[str, str]
) -> None:
    path = f"/identifiers/{works.prefix}/{subject}"
    status, made, _ = await node.call("PUT", path, works.key, {"values": []})
    assert (status, made["suffix"]) == (201, stored[0])
    one = f"{path}/relations/part-of/{target}"
    status, made, _ = await node.call("PUT", one, works.key)
    assert status == 201, made
    assert (made["subject"], made["target"]) == (f"{works.prefix}/{stored[0]}", stored[1])
    assert (await node.call("GET", one, works.key))[:2] == (200, made)
    for what in ("relations", "relations/history", "parts", "where-used", "history"):
        status, page, _ = await node.call("GET", f"{path}/{what}", works.key)
        assert (status, len(page["items"])) == (200, 0 if what == "parts" else 1), what
    assert (await node.call("DELETE", one, works.key))[0] == 204


@pytest.mark.parametrize("suffix", ["a/parts", "a/where-used", "a/relations"])
async def test_a_name_of_a_list_at_the_end_of_a_suffix_is_escaped(
    node: Node, works: Works, suffix: str
) -> None:
    path = f"/identifiers/{works.prefix}/{suffix}"
    status, problem, _ = await node.call("PUT", path, works.key, {"values": []})
    assert (status, problem["field"]) == (400, "suffix")
    path = f"/identifiers/{works.prefix}/a/relations/part-of/{works.prefix}/b"
    status, problem, _ = await node.call("PATCH", path, works.key, {"remove": [1]})
    assert (status, problem["field"]) == (400, "suffix")


async def test_lists_are_paged_by_kind_without_gaps(works: Works) -> None:
    names = [f"p{number}" for number in range(5)]
    await works.register("whole", *names)
    for name in names:
        await works.state(name, "part-of", "whole")
        await works.state("whole", "derived-from", f"88.709.911/{name}")
    whole = works.name("whole")
    expected = [(whole, "contains", works.name(name)) for name in names]
    expected += [(whole, "derived-from", f"88.709.911/{name}") for name in names]
    for limit in (1, 3, 100):
        items = await works.items("whole", f"relations?limit={limit}")
        assert [(item["subject"], item["kind"], item["target"]) for item in items] == expected
    items = await works.items("whole", "relations?kind=contains&limit=2")
    assert [item["target"] for item in items] == [works.name(name) for name in names]
    assert await works.items("whole", "relations?kind=part-of") == []
    items = await works.items("whole", "relations?direction=in&limit=2")
    assert [item["subject"] for item in items] == [works.name(name) for name in names]
    history = await works.items("whole", "relations/history?limit=3")
    assert len(history) == 10
    for query in ("kind=all", "direction=up", "limit=0", "cursor=x", "at=now"):
        status, _, _ = await works.node.call(
            "GET", f"/identifiers/{whole}/relations?{query}", works.key
        )
        assert status in (400, 422), query
