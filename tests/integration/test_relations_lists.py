"""Parts and uses by depth and page, audiences, and many relations in one request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from registry.database import Database
from registry.relations import reading
from registry.relations.statements import MAX_STATEMENTS
from tests.integration.registry_client import Node, running
from tests.integration.relations_support import ELSEWHERE, Works, at


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def works(node: Node) -> Works:
    return await Works.make(node, 1)


async def _machine(works: Works) -> None:
    """A machine of two units, of which each has the same screw; one has a motor with a screw."""
    await works.register("machine", "left", "right", "motor", "screw")
    for part, whole in (
        ("left", "machine"),
        ("right", "machine"),
        ("screw", "left"),
        ("screw", "right"),
        ("motor", "right"),
        ("screw", "motor"),
    ):
        assert (await works.state(part, "part-of", whole))[0] == 201


def _pairs(works: Works, items: list[Any], other: str) -> list[tuple[str, str, int]]:
    head = len(works.prefix) + 1
    return [(item["handle"][head:], item[other][head:], item["depth"]) for item in items]


async def test_parts_and_uses_come_level_by_level(works: Works) -> None:
    await _machine(works)
    parts = [
        ("left", "machine", 1),
        ("right", "machine", 1),
        ("screw", "left", 2),
        ("screw", "right", 2),
        ("motor", "right", 2),
        ("screw", "motor", 3),
    ]
    for depth in (1, 2, 3, 64):
        items = await works.items("machine", f"parts?depth={depth}")
        assert _pairs(works, items, "whole") == [each for each in parts if each[2] <= depth]
        for limit in (1, 2, 10_000):
            paged = await works.items("machine", f"parts?depth={depth}&limit={limit}")
            assert paged == items
    assert await works.items("machine", "parts") == await works.items("machine", "parts?depth=1")
    uses = [
        ("left", "screw", 1),
        ("right", "screw", 1),
        ("motor", "screw", 1),
        ("machine", "left", 2),
        ("machine", "right", 2),
        ("right", "motor", 2),
    ]
    items = await works.items("screw", "where-used?depth=5")
    assert _pairs(works, items, "part") == uses
    assert await works.items("machine", "where-used?depth=5") == []
    assert await works.items("screw", "parts?depth=5") == []


async def test_lists_are_bounded(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    await _machine(works)
    path = f"/identifiers/{works.name('machine')}/parts"
    for query, status, field in (
        ("depth=0", 422, "depth"),
        ("depth=65", 422, "depth"),
        ("depth=x", 422, "depth"),
        ("limit=10001", 400, "limit"),
        ("limit=0", 400, "limit"),
        ("cursor=abc", 400, "cursor"),
    ):
        told, problem, _ = await works.node.call("GET", f"{path}?{query}", works.key)
        assert (told, problem["field"]) == (status, field), query
    _, page, _ = await works.node.call("GET", f"{path}?depth=2&limit=1", works.key)
    cursor = page["next"]
    told, problem, _ = await works.node.call("GET", f"{path}?depth=3&cursor={cursor}", works.key)
    assert (told, problem["field"]) == (400, "cursor"), "a cursor is good for its list alone"
    monkeypatch.setattr(reading, "MAX_EDGES", 5)
    told, problem, _ = await works.node.call("GET", f"{path}?depth=3", works.key)
    assert (told, problem["field"]) == (422, "depth")
    assert len(await works.items("machine", "parts?depth=2")) == 5
    monkeypatch.undo()
    assert len(await works.items("machine", "parts?depth=3")) == 6
    monkeypatch.setattr(reading, "MAX_BYTES", 60)
    told, problem, _ = await works.node.call("GET", f"{path}?depth=3", works.key)
    assert (told, problem["field"]) == (422, "depth"), "names are bounded by their bytes, too"


async def test_parts_of_others_are_followed_as_far_as_they_let_it(node: Node, works: Works) -> None:
    maker, third = await Works.make(node, 2), await Works.make(node, 3)
    await works.register("pump")
    await maker.register("motor", "coil", "secret%20coil")
    await third.register("wire")
    pump, motor = works.name("pump"), maker.name("motor")
    await works.state("pump", "contains", motor)
    await maker.state("motor", "contains", "coil")
    await maker.state("motor", "contains", "secret%20coil", "private")
    await maker.state("coil", "contains", third.name("wire"), "partners")
    everything = [motor, maker.name("coil"), maker.name("secret coil"), third.name("wire")]
    assert sorted(await works.handles("pump", "parts?depth=9")) == sorted(everything[:2])
    assert sorted(await works.handles("pump", "parts?depth=9", node.operator)) == sorted(everything)
    assert sorted(await maker.handles("motor", "parts?depth=9")) == sorted(everything[1:])
    assert await third.handles("wire", "where-used?depth=1") == [maker.name("coil")]
    uses = await third.handles("wire", "where-used?depth=9")
    assert uses == [maker.name("coil"), motor, pump]


async def test_what_strangers_claim_is_left_out_on_request(node: Node, works: Works) -> None:
    maker, stranger = await Works.make(node, 2), await Works.make(node, 3)
    await works.register("plant", "pump", "seal")
    await maker.register("motor", "coil", "crate")
    await stranger.register("evil", "worse", "shop")
    motor = maker.name("motor")
    for who, subject, kind, target in (
        (works, "pump", "part-of", "plant"),
        (works, "seal", "part-of", "pump"),
        (works, "pump", "contains", motor),
        (maker, "coil", "part-of", "motor"),
        (maker, "motor", "part-of", "crate"),
        (stranger, "evil", "part-of", works.name("pump")),
        (stranger, "worse", "part-of", "evil"),
        (stranger, "evil", "contains", works.name("seal")),
        (stranger, "shop", "contains", works.name("plant")),
        (stranger, "worse", "part-of", motor),
    ):
        assert (await who.state(subject, kind, target))[0] == 201
    claimed = [stranger.name("evil"), stranger.name("worse")]
    own = [works.name("pump"), works.name("seal"), motor, maker.name("coil")]
    every = await works.handles("plant", "parts?depth=9")
    assert {*every} == {*own, *claimed}
    for then in ("", f"&{at(datetime.now(UTC).isoformat())}"):
        agreed = await works.handles("plant", f"parts?depth=9&agreed=true{then}")
        assert sorted(agreed) == sorted(own), "the maker says itself what is in its motor"
    uses = await works.handles("seal", "where-used?depth=9&agreed=true")
    assert uses == [works.name("pump"), works.name("plant")]
    uses = await maker.handles("coil", "where-used?depth=9&agreed=true")
    assert uses == [motor, maker.name("crate")], "that the pump contains the motor its owner says"
    path = f"/identifiers/{works.name('plant')}/parts"
    _, page, _ = await node.call("GET", f"{path}?depth=2&limit=1", works.key)
    query = f"depth=2&agreed=true&cursor={page['next']}"
    status, problem, _ = await node.call("GET", f"{path}?{query}", works.key)
    assert (status, problem["field"]) == (400, "cursor"), "a cursor is good for its list alone"
    status, problem, _ = await node.call("GET", f"{path}?agreed=perhaps", works.key)
    assert (status, problem["field"]) == (422, "agreed")


@pytest.mark.parametrize(
    ("audience", "sees"),
    [
        ("public", {"owner", "target", "operator", "reviewer"}),
        ("partners", {"owner", "target", "operator", "reviewer"}),
        ("private", {"owner", "operator", "reviewer"}),
    ],
)
async def test_where_used_shows_a_referrer_to_its_audience_alone(
    node: Node, audience: str, sees: set[str]
) -> None:
    owner, target = await Works.make(node, 1), await Works.make(node, 2)
    await owner.register("machine", "unit")
    await target.register("bearing")
    await owner.state("unit", "contains", target.name("bearing"), audience)
    await owner.state("unit", "replaced-by", target.name("bearing"), audience)
    tokens = {"target": target.key, "operator": node.operator, "reviewer": node.reviewer}
    for who, token in tokens.items():
        for what in ("where-used", "relations?direction=in&kind=replaced-by"):
            items = await target.items("bearing", what, token)
            assert len(items) == (1 if who in sees else 0), (who, what)
    for what in ("parts", "relations?kind=contains"):
        assert len(await owner.items("unit", what)) == 1
    _, shown, _ = await node.call(
        "GET", f"/identifiers/{target.name('bearing')}/where-used", target.key
    )
    if "target" not in sees:
        assert shown == {"items": [], "next": None}, "nothing tells how much is hidden"
    else:
        assert owner.key.split("_")[0] not in str(shown)
        assert set(shown["items"][0]) == {"handle", "depth", "part", "stated_by", "since", "again"}


async def _change(works: Works, body: Any, **headers: str) -> tuple[int, Any]:
    status, answer, _ = await works.node.call("POST", "/relations", works.key, body, **headers)
    return status, answer


async def test_many_are_stated_and_taken_back_at_once(works: Works) -> None:
    await _machine(works)
    before = await works.node.counts()
    machine, screw = works.name("machine"), works.name("screw")
    bulk = {
        "remove": [
            {"subject": screw, "kind": "part-of", "target": works.name("left")},
            {"subject": machine, "kind": "contains", "target": works.name("right")},
        ],
        "put": [
            {"subject": machine, "kind": "contains", "target": screw},
            {"subject": machine, "kind": "contains", "target": works.name("left")},
            {
                "subject": screw,
                "kind": "part-of",
                "target": works.name("right"),
                "audience": "private",
            },
            {"subject": screw, "kind": "derived-from", "target": ELSEWHERE},
        ],
    }
    status, counts = await _change(works, bulk, Idempotency_Key="k")
    assert (status, counts) == (
        200,
        {"created": 2, "changed": 1, "unchanged": 1, "removed": 2},
    )
    assert await _change(works, bulk, Idempotency_Key="k") == (200, counts), "once, with one key"
    after = await works.node.counts()
    assert after["relations"] - before["relations"] == 3
    assert after["audit_log"] - before["audit_log"] == 5
    assert set(await works.handles("machine", "parts?depth=9")) == {screw, works.name("left")}
    assert set(await works.handles("right", "parts")) == {screw, works.name("motor")}


async def test_of_many_all_are_done_or_none(works: Works) -> None:
    await _machine(works)
    machine, screw, left = (works.name(name) for name in ("machine", "screw", "left"))
    good = {"subject": screw, "kind": "replaced-by", "target": ELSEWHERE}
    for body, status, field in (
        ({}, 422, "put"),
        ({"put": [good, {**good, "target": works.name("absent")}]}, 422, "put[1].target"),
        ({"put": [good, {**good, "subject": works.name("absent")}]}, 422, "put[1].subject"),
        ({"put": [good, {**good, "subject": "nothing at all/"}]}, 400, "put[1].subject"),
        ({"put": [good, {**good, "target": "/x"}]}, 400, "put[1].target"),
        ({"put": [good, {**good, "kind": "like"}]}, 422, "put[1].kind"),
        ({"put": [good, {**good, "owner": "me"}]}, 422, "put[1].owner"),
        ({"put": [good, {**good, "target": screw}]}, 422, "put[1].target"),
        ({"put": [good, good]}, 422, "put[1]"),
        (
            {
                "put": [
                    {"subject": machine, "kind": "contains", "target": left},
                    {"subject": left, "kind": "part-of", "target": machine},
                ]
            },
            422,
            "put[1]",
        ),
        (
            {"put": [good, {"subject": machine, "kind": "part-of", "target": screw}]},
            409,
            "put[1].target",
        ),
        (
            {
                "put": [
                    {"subject": screw, "kind": "derived-from", "target": left},
                    {"subject": left, "kind": "derived-from", "target": machine},
                    {"subject": machine, "kind": "derived-from", "target": screw},
                ]
            },
            409,
            None,
        ),
        ({"put": [good], "remove": [good]}, 422, "remove[0]"),
        ({"put": [good], "remove": [{**good, "audience": "public"}]}, 422, "remove[0].audience"),
    ):
        before = await works.node.counts()
        told, problem = await _change(works, body)
        assert told == status, (body, problem)
        assert field is None or problem["field"] == field, (body, problem)
        assert await works.node.counts() == before, body


async def test_as_many_as_are_allowed_are_stated_in_one_request(works: Works) -> None:
    count = MAX_STATEMENTS
    await works.register("whole")
    part = f"{works.prefix}/whole"
    put = [
        {"subject": part, "kind": "contains", "target": f"88.7/{number}"} for number in range(count)
    ]
    status, counts = await _change(works, {"put": put})
    assert (status, counts.get("created")) == (200, count), counts
    assert len(await works.items("whole", "parts?limit=10000")) == count
    status, problem = await _change(works, {"put": [*put, put[0]]})
    assert (status, problem["field"]) == (422, "put"), problem
    status, problem = await _change(works, {"put": put, "remove": put[:1]})
    assert (status, problem["field"]) == (422, "remove")
