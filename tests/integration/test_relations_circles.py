"""Nothing is part of itself, by any way, whoever states it and whenever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import asyncpg
import pytest

from registry.database import Database
from registry.relations import circles, reading
from tests.integration.registry_client import Node, running
from tests.integration.relations_support import Works


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def works(node: Node) -> Works:
    return await Works.make(node, 1)


@pytest.mark.parametrize("kind", ["part-of", "contains", "replaced-by", "derived-from"])
async def test_a_circle_is_refused_and_named(works: Works, kind: str) -> None:
    await works.register("a", "b", "c", "d")
    for subject, target in (("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")):
        assert (await works.state(subject, kind, target))[0] == 201
    before = await works.node.counts()
    for subject, target in (("d", "a"), ("c", "a"), ("b", "a")):
        status, problem = await works.state(subject, kind, target)
        assert (status, problem["field"]) == (409, "target"), (subject, target, problem)
        for name in (subject, target):
            assert works.name(name).upper() in problem["detail"]
    assert await works.node.counts() == before
    assert (await works.take_back("b", kind, "c"))[0] == 204
    assert (await works.state("c", kind, "b"))[0] == 201, "the other way is free now"


async def test_part_of_and_contains_close_a_circle_together(works: Works) -> None:
    other = await Works.make(works.node, 2)
    await works.register("a", "b")
    await other.register("x")
    assert (await works.state("a", "part-of", "b"))[0] == 201
    assert (await works.state("a", "contains", other.name("x")))[0] == 201
    status, problem = await other.state("x", "contains", works.name("b"))
    assert (status, problem["field"]) == (409, "target")
    assert (await other.state("x", "replaced-by", works.name("b")))[0] == 201, "another kind"


async def test_a_circle_of_three_enterprises_is_refused(node: Node) -> None:
    three = [await Works.make(node, number) for number in (1, 2, 3)]
    for each in three:
        await each.register("x")
    names = [each.name("x") for each in three]
    assert (await three[0].state("x", "part-of", names[1]))[0] == 201
    assert (await three[1].state("x", "part-of", names[2]))[0] == 201
    assert (await three[2].state("x", "part-of", names[0]))[0] == 409


async def test_a_refusal_does_not_tell_of_what_is_hidden(node: Node) -> None:
    owner, prober = await Works.make(node, 1), await Works.make(node, 2)
    await owner.register("machine", "part")
    await prober.register("probe")
    assert (await owner.state("machine", "contains", "part", "private"))[0] == 201
    assert (await prober.state("probe", "contains", owner.name("machine")))[0] == 201
    status, answer = await prober.state("probe", "part-of", owner.name("part"))
    assert status == 201, f"it would tell that the machine contains the part: {answer}"
    # What the prober says of the part is not what the owner must say.
    assert (await owner.state("machine", "contains", "part", "public"))[0] == 200
    shown = await owner.items("machine", "parts?depth=64")
    assert [(item["handle"], item["depth"], item["again"]) for item in shown] == [
        (owner.name("part"), 1, False),
        (prober.name("probe"), 2, False),
        (owner.name("machine"), 3, True),
    ], "what goes round in a circle ends, and says so"


async def test_a_stranger_forbids_nobody_a_true_statement(node: Node) -> None:
    owner, stranger = await Works.make(node, 1), await Works.make(node, 2)
    await owner.register("motor", "pump", "plant")
    await stranger.register("evil", "worse")
    motor, pump = owner.name("motor"), owner.name("pump")
    evil, worse = stranger.name("evil"), stranger.name("worse")
    for subject, kind, target in (
        ("evil", "part-of", motor),
        ("evil", "contains", "worse"),
        ("worse", "contains", pump),
        ("evil", "contains", pump),
    ):
        assert (await stranger.state(subject, kind, target))[0] == 201
    assert (await owner.state("motor", "part-of", "pump"))[0] == 201, "motor and pump are its own"
    assert (await owner.state("pump", "part-of", "plant"))[0] == 201
    # The same for who changes the audience, and for who states many at once.
    assert (await owner.state("motor", "part-of", "pump", "partners"))[0] == 200
    assert (await owner.take_back("motor", "part-of", "pump"))[0] == 204
    put = {"put": [{"subject": pump, "kind": "contains", "target": motor}]}
    status, answer, _ = await node.call("POST", "/relations", owner.key, put)
    assert status == 200, answer
    # The stranger closes no circle, now that the owner has spoken.
    assert (await stranger.take_back("evil", "contains", pump))[0] == 204
    for subject, target in (("evil", pump), ("worse", pump), ("evil", owner.name("plant"))):
        await stranger.take_back(subject, "contains", target)
        status, problem = await stranger.state(subject, "contains", target)
        assert (status, problem["field"]) == (409, "target"), (subject, target)
    assert {evil, worse} <= set(await owner.handles("motor", "parts?depth=9"))


@pytest.mark.parametrize("kind", ["part-of", "contains", "replaced-by", "derived-from"])
async def test_who_is_named_on_the_way_is_believed(node: Node, kind: str) -> None:
    """Each names the next one: no one of them is a stranger to the one before."""
    four = [await Works.make(node, number) for number in (1, 2, 3, 4)]
    for each in four:
        await each.register("x", "y")
    for each, following in pairwise(four):
        assert (await each.state("x", kind, "y"))[0] == 201
        assert (await each.state("y", kind, following.name("x")))[0] == 201
    status, problem = await four[-1].state("x", kind, four[0].name("x"))
    assert (status, problem["field"]) == (409, "target"), problem
    assert (await four[-1].state("x", kind, "y"))[0] == 201


async def test_what_one_owner_states_has_no_circle_of_either_kind(node: Node) -> None:
    """Two prefixes of one owner, and parts of others that know nothing of it."""
    owner, other, third = [await Works.make(node, number) for number in (1, 2, 3)]
    await owner.register("a", "b", "c")
    await other.register("x")
    await third.register("x")
    for subject, kind, target in (
        ("a", "part-of", other.name("x")),
        ("b", "contains", other.name("x")),
        ("b", "part-of", third.name("x")),
        ("c", "contains", third.name("x")),
    ):
        assert (await owner.state(subject, kind, target))[0] == 201
    status, problem = await owner.state("c", "part-of", "a")
    assert (status, problem["field"]) == (409, "target"), problem


async def test_a_circle_of_strangers_does_not_make_a_list_of_parts_too_long(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, stranger = await Works.make(node, 1), await Works.make(node, 2)
    names = [f"part{number}" for number in range(20)]
    await owner.register("machine", *names)
    await stranger.register("evil")
    assert (await stranger.state("evil", "contains", owner.name("machine")))[0] == 201
    assert (await stranger.state("evil", "part-of", owner.name(names[0])))[0] == 201
    for name in names:
        assert (await owner.state(name, "part-of", "machine"))[0] == 201
    monkeypatch.setattr(reading, "MAX_EDGES", 22)
    found = await owner.items("machine", "parts?depth=64")
    assert len(found) == 22, "each relation is gone over once"
    assert [item["handle"] for item in found if item["again"]] == [owner.name("machine")]


async def _waiting(sql: asyncpg.Connection, count: int) -> None:
    async with asyncio.timeout(20):
        while (
            await sql.fetchval(
                "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database"
                " WHERE locktype = 'advisory' AND NOT granted AND d.datname = current_database()"
            )
            < count
        ):
            await asyncio.sleep(0.01)


async def test_of_two_that_close_a_circle_at_once_one_is_refused(
    node: Node, works: Works, database: Database
) -> None:
    other = await Works.make(node, 2)
    await works.register("a")
    await other.register("b")
    sql = await asyncpg.connect(database.url)
    for kind in ("part-of", "replaced-by"):
        await sql.execute(
            "SELECT pg_advisory_lock(hashtext('idnode relations'), hashtext($1))", kind
        )
        both = asyncio.gather(
            works.state("a", kind, other.name("b")), other.state("b", kind, works.name("a"))
        )
        await _waiting(sql, 2)
        await sql.execute("SELECT pg_advisory_unlock_all()")
        assert sorted(status for status, _ in await both) == [201, 409]
    await sql.close()


async def test_of_many_that_state_at_once_no_circle_is_left(works: Works) -> None:
    names = [f"n{number}" for number in range(6)]
    await works.register(*names)
    pairs = [(one, another) for one in names for another in names if one != another]
    answers = await asyncio.gather(*(works.state(one, "part-of", two) for one, two in pairs))
    assert {status for status, _ in answers} == {201, 409}
    held = [pair for pair, (status, _) in zip(pairs, answers, strict=True) if status == 201]
    assert len(held) == len(pairs) / 2, "of each two directions one is free of circles"
    places = {name: len(await works.handles(name, "where-used?depth=64")) for name in names}
    for part, whole in held:
        assert works.name(whole) in await works.handles(part, "where-used")
        assert works.name(part) not in await works.handles(part, "where-used?depth=64"), places


async def test_what_is_deleted_while_it_is_named_leaves_no_relation(
    node: Node, works: Works, database: Database
) -> None:
    """The statement and the deletion wait for each other, in either order."""
    await works.register("a", "b")
    sql = await asyncpg.connect(database.url)
    transaction = sql.transaction()
    await transaction.start()
    await sql.execute("DELETE FROM identifiers WHERE suffix_key = 'B'")
    stating = asyncio.ensure_future(works.state("a", "part-of", "b"))
    async with asyncio.timeout(20):
        while not await _blocked(database):
            await asyncio.sleep(0.01)
    await transaction.commit()
    assert (await stating)[0] == 422
    await works.register("b")

    await sql.execute("SELECT pg_advisory_lock(hashtext('idnode relations'), hashtext('part-of'))")
    stating = asyncio.ensure_future(works.state("a", "part-of", "b"))
    await _waiting(sql, 1)
    path = f"/identifiers/{works.name('b')}"
    deleting = asyncio.ensure_future(node.call("DELETE", path, works.key))
    async with asyncio.timeout(20):
        while not await _blocked(database):
            await asyncio.sleep(0.01)
    await sql.execute("SELECT pg_advisory_unlock_all()")
    assert (await stating)[0] == 201
    assert (await deleting)[0] == 204
    assert await works.items("a", "relations") == []
    assert len(await works.items("a", "relations/history")) == 1
    await sql.close()


@pytest.mark.parametrize("what", ["member", "member with values", "range"])
async def test_a_member_of_a_range_that_is_deleted_while_it_is_named_leaves_no_relation(
    node: Node, works: Works, database: Database, what: str
) -> None:
    """A member has no row of its own to wait for."""
    other = await Works.make(node, 2)
    await works.register("a")
    place = {"prefix": other.prefix, "first": "M1", "last": "M9", "values": []}
    status, made, _ = await node.call("POST", "/ranges", other.key, place)
    assert status == 201, made
    if what == "member with values":
        await other.register("M7")
    target = other.name("M7")
    path = f"/ranges/{other.prefix}/{made['id']}" if what == "range" else f"/identifiers/{target}"
    sql = await asyncpg.connect(database.url)
    await sql.execute("SELECT pg_advisory_lock(hashtext('idnode relations'), hashtext('part-of'))")
    stating = asyncio.ensure_future(works.state("a", "part-of", target))
    await _waiting(sql, 1)
    deleting = asyncio.ensure_future(node.call("DELETE", path, other.key))
    async with asyncio.timeout(20):
        while not (deleting.done() or await _blocked(database)):
            await asyncio.sleep(0.01)
    await sql.execute("SELECT pg_advisory_unlock_all()")
    assert (await stating)[0] == 201
    assert (await deleting)[0] == 204
    assert await works.items("a", "relations") == [], "what is not there has no relation"
    assert len(await works.items("a", "relations/history")) == 1
    await sql.close()


@pytest.mark.parametrize("what", ["member", "range"])
async def test_a_member_that_is_being_deleted_is_not_related(
    node: Node, works: Works, database: Database, what: str
) -> None:
    await works.register("a")
    place = {"prefix": works.prefix, "first": "M1", "last": "M9", "values": []}
    assert (await node.call("POST", "/ranges", works.key, place))[0] == 201
    sql = await asyncpg.connect(database.url)
    transaction = sql.transaction()
    await transaction.start()
    if what == "range":
        await sql.execute("DELETE FROM ranges")
    else:
        await sql.execute(
            "INSERT INTO identifiers (prefix, suffix_key, suffix, values)"
            " VALUES ($1, 'M7', 'M7', '[]')",
            works.prefix,
        )
        await sql.execute("DELETE FROM identifiers WHERE suffix_key = 'M7'")
    stating = asyncio.ensure_future(works.state("a", "part-of", "M7"))
    async with asyncio.timeout(20):
        while not (stating.done() or await _blocked(database)):
            await asyncio.sleep(0.01)
    await transaction.commit()
    status, problem = await stating
    assert (status, problem["field"]) == (422, "target"), problem
    assert (await works.state("a", "part-of", "M8"))[0] == (422 if what == "range" else 201)
    await sql.close()


async def _blocked(database: Database) -> bool:
    """Whether a statement waits for a row that another transaction has."""
    sql = await asyncpg.connect(database.url)
    try:
        return bool(
            await sql.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event IN ('transactionid', 'tuple')"
            )
        )
    finally:
        await sql.close()


async def test_a_check_that_would_look_at_too_much_is_refused(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circles, "MAX_NODES", 6)
    await works.register(*"abcdefgh")
    for part, whole in ("ab", "bc", "cd"):
        assert (await works.state(part, "part-of", whole))[0] == 201
    for part, whole in ("ef", "fg", "gh"):
        assert (await works.state(part, "part-of", whole))[0] == 201
    status, problem = await works.state("d", "part-of", "e")
    assert status == 409
    assert "too much hangs together" in problem["detail"]
    assert await works.items("d", "relations?kind=part-of") == []
