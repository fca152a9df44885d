"""What is remembered of other nodes, who may have how much, and what comes when nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Busy, PeerUnavailable, ResponseCode, TooManyRequests
from protocol.handle.message import Message
from protocol.identifier import Identifier
from protocol.values import MAX_TTL, HandleValue
from registry.metrics import Row, private_row, slot
from registry.networks import networks
from resolver.client.steps import Endpoint, Watch
from resolver.recursion import service
from resolver.recursion.asker import Network
from resolver.recursion.cache import OVERHEAD_BYTES, TimedCache
from resolver.recursion.model import Bounds, RecursionFailed
from resolver.recursion.places import read_root
from resolver.recursion.service import FAILURE_SECONDS, REST_SECONDS, STALE_TTL, Limits, Recursion
from resolver.referrals import Referral
from tests.recursion_world import (
    ENTERPRISE,
    NODE,
    PUMP,
    ROOT,
    TOP,
    URL,
    Clock,
    Server,
    World,
    site,
    tower,
)

CLIENT, NOW = "127.0.0.1", 1_800_000_000


def recursion(world: World, row: Row | None = None, **more: Any) -> Recursion:
    more.setdefault("limits", Limits(client_rate=0))
    return Recursion(
        read_root(f"{ROOT}:2641"),
        networks("127.0.0.0/8"),
        row=row or private_row(),
        clock=world.clock,
        now=lambda: NOW + world.clock.now,
        **({"network": world.network} | more),
    )


def counted(row: Row, name: str, *labels: str) -> float:
    return row.cells[slot(name, *labels)]


def ttls(found: Any) -> list[int]:
    return [value.ttl for value in found.values()]


def says(world: World, *values: HandleValue) -> None:
    world.servers[ENTERPRISE].says[PUMP.key] = values


async def test_an_answer_is_kept_for_its_shortest_ttl_and_grows_old() -> None:
    world = World(tower())
    says(world, replace(URL, ttl=100), HandleValue(2, "EMAIL", b"a@b.example", ttl=500))
    asker = recursion(world)
    assert ttls(await asker.resolve(PUMP, CLIENT)) == [100, 500]
    asked = len(world.sent)
    world.clock.now += 40
    assert ttls(await asker.resolve(PUMP, CLIENT)) == [60, 60], "nobody keeps it for longer than we"
    assert len(world.sent) == asked
    world.clock.now += 61
    says(world, replace(URL, data=b"https://pumps.example/2"))
    assert (await asker.resolve(PUMP, CLIENT)).values()[0].data == b"https://pumps.example/2"
    assert len(world.sent) == asked + 1, "the place of the prefix is known still"


@pytest.mark.parametrize(
    ("value", "told", "kept"),
    [
        (replace(URL, ttl=0), 0, 5),
        (replace(URL, ttl=MAX_TTL), 1000, 1000),
        (replace(URL, ttl=NOW + MAX_TTL // 4, ttl_absolute=True), None, 1000),
        (replace(URL, ttl=NOW - 5, ttl_absolute=True), None, 5),
    ],
)
async def test_a_ttl_that_lies_is_clamped(value: HandleValue, told: int | None, kept: int) -> None:
    world = World(tower())
    says(world, value)
    asker = recursion(world, bounds=Bounds(max_ttl=1000))
    (got,) = (await asker.resolve(PUMP, CLIENT)).values()
    if told is None:
        assert got.ttl <= NOW + world.clock.now + 1000, "nor do clients keep it for ever"
    else:
        assert got.ttl == told
    entry = asker.answers.get(PUMP.key)
    assert entry is not None
    assert kept - 1 <= entry.until - entry.since <= kept


async def test_what_is_not_there_is_remembered_for_a_minute() -> None:
    world, name = World(tower()), Identifier.parse("88.120.7/NONE")
    asker = recursion(world)
    await asker.resolve(name, CLIENT)
    asked = len(world.sent)
    world.clock.now += 59
    assert (await asker.resolve(name, CLIENT)).code == ResponseCode.HANDLE_NOT_FOUND
    assert len(world.sent) == asked
    world.clock.now += 2
    await asker.resolve(name, CLIENT)
    assert len(world.sent) == asked + 1


async def test_who_asks_for_what_holds_now_gets_it() -> None:
    world = World(tower())
    asker = recursion(world)
    await asker.resolve(PUMP, CLIENT)
    asked = len(world.sent)
    await asker.resolve(PUMP, CLIENT, fresh=True)
    assert len(world.sent) == asked + 1
    del world.servers[ENTERPRISE]
    with pytest.raises(RecursionFailed):
        await asker.resolve(PUMP, CLIENT, fresh=True)


async def test_when_nobody_answers_an_old_answer_is_given_and_says_so() -> None:
    world, row = World(tower()), private_row()
    asker = recursion(world, row)
    await asker.resolve(PUMP, CLIENT)
    server = world.servers.pop(ENTERPRISE)
    world.clock.now += 3600
    found = await asker.resolve(PUMP, CLIENT)
    assert found.stale
    assert ttls(found) == [STALE_TTL, STALE_TTL]
    tried = len(world.sent)
    world.clock.now += FAILURE_SECONDS + 1
    assert (await asker.resolve(PUMP, CLIENT)).stale
    assert len(world.sent) == tried, "it is not tried again at once"
    assert counted(row, "idnode_recursion_queries", "stale") == 2
    world.servers[ENTERPRISE] = server
    world.clock.now += REST_SECONDS
    assert not (await asker.resolve(PUMP, CLIENT)).stale, "all comes back by itself"


@pytest.mark.parametrize("lost", [ROOT, TOP, NODE, ENTERPRISE, "8.8.3.2"])
async def test_the_loss_of_any_node_costs_no_answer_that_is_kept_or_has_another_site(
    lost: str,
) -> None:
    """At least 99 of 100; half of the identifiers were asked for before, half are new."""
    servers = tower()
    sites = (site((ENTERPRISE, 2641)), site(("8.8.3.2", 2641), index=2))
    servers[NODE].says["0.NA/88.120.7"] = sites
    servers["8.8.3.2"] = servers[ENTERPRISE]
    names = [Identifier.parse(f"88.120.7/{number}") for number in range(200)]
    servers[ENTERPRISE].says |= {name.key: (URL,) for name in names}
    world = World(servers)
    asker = recursion(world)
    for name in names[:100]:
        await asker.resolve(name, CLIENT)
    del servers[lost]
    world.clock.now += 200  # the ttl of the identifiers is over, that of the prefix is not
    answered = [await asker.resolve(name, CLIENT) for name in names]
    assert all(one.values()[0].data == URL.data for one in answered)
    assert not any(one.stale for one in answered), "another site has them all"


async def test_an_answer_that_is_too_old_is_none() -> None:
    world = World(tower())
    asker = recursion(world, limits=Limits(client_rate=0, stale_seconds=1000))
    await asker.resolve(PUMP, CLIENT)
    del world.servers[ENTERPRISE]
    world.clock.now += 100 + 1000
    with pytest.raises(PeerUnavailable):
        await asker.resolve(PUMP, CLIENT)


class Held:
    """A network that gives no answer before it is let go."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.free = asyncio.Event()
        self.waiting = 0

    @property
    def network(self) -> Network:
        return Network(self._carry, self._carry)

    async def _carry(
        self, request: Message, endpoint: Endpoint, *, seconds: float, watch: Watch
    ) -> Message:
        self.waiting += 1
        await self.free.wait()
        return await self.world.network.udp(request, endpoint, seconds=seconds, watch=watch)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


async def test_who_could_have_an_old_answer_does_not_wait_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.01)
    world = World(tower())
    held = Held(world)
    asker = recursion(world, network=held.network)
    held.free.set()
    await asker.resolve(PUMP, CLIENT)
    held.free.clear()
    world.clock.now += 3600
    assert (await asker.resolve(PUMP, CLIENT)).stale
    held.free.set()
    await until(lambda: not (entry := asker.answers.get(PUMP.key)) or entry.since == world.clock())
    assert not (await asker.resolve(PUMP, CLIENT)).stale, "the walk went on for the next"
    await asker.close()


async def test_all_who_want_the_same_wait_for_one_walk() -> None:
    world = World(tower())
    held = Held(world)
    limits = Limits(client_rate=0, client_waiting=100)
    asker = recursion(world, network=held.network, limits=limits)
    waiting = [
        asyncio.create_task(asker.resolve(Identifier.parse(name), CLIENT))
        for name in ("88.120.7/SN-1", "88.120.7/sn-1") * 50
    ]
    await until(lambda: held.waiting == 1)
    with pytest.raises(TooManyRequests):
        await asker.resolve(PUMP, CLIENT)
    waiting.pop().cancel()
    held.free.set()
    found = await asyncio.gather(*waiting)
    assert {one.code for one in found} == {1}
    assert len(world.sent) == 4, "and who gives up ends it for nobody else"


@asynccontextmanager
async def busy(count: int, limits: Limits, row: Row) -> AsyncIterator[tuple[Recursion, Held]]:
    """A recursion with so many walks under way, of clients one after another."""
    held = Held(World(tower()))
    asker = recursion(held.world, row, network=held.network, limits=limits)
    tasks = [
        asyncio.create_task(asker.resolve(Identifier.parse(f"88.120.7/{number}"), CLIENT))
        for number in range(count)
    ]
    await until(lambda: held.waiting == count)
    yield asker, held
    held.free.set()
    await asyncio.gather(*tasks)


async def test_a_client_has_so_many_walks_and_others_have_theirs() -> None:
    row = private_row()
    async with busy(3, Limits(client_waiting=3, client_rate=0), row) as (asker, held):
        with pytest.raises(TooManyRequests) as refused:
            await asker.resolve(PUMP, CLIENT)
        assert refused.value.response_code == ResponseCode.SERVER_BUSY
        assert counted(row, "idnode_recursion_failed", "client") == 1
        other = asyncio.create_task(asker.resolve(PUMP, "192.0.2.1"))
        await until(lambda: held.waiting == 4)
    assert (await other).code == ResponseCode.SUCCESS
    assert (await asker.resolve(PUMP, CLIENT)).code == ResponseCode.SUCCESS, "places come free"


async def test_all_together_have_so_many_walks() -> None:
    row = private_row()
    async with busy(3, Limits(walks=3, client_rate=0), row) as (asker, _):
        with pytest.raises(Busy):
            await asker.resolve(PUMP, "192.0.2.1")
        assert counted(row, "idnode_recursion_failed", "busy") == 1


async def test_who_waits_for_one_walk_takes_no_more_room_than_others() -> None:
    """Else a client that repeats one slow question holds what all clients share."""
    row = private_row()
    async with busy(1, Limits(walks=2, client_waiting=0, client_rate=0), row) as (asker, _):
        name = Identifier.parse("88.120.7/0")
        waiting = [asyncio.create_task(asker.resolve(name, CLIENT)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await asker.resolve(name, "192.0.2.1")
    await asyncio.gather(*waiting)


async def test_what_was_said_where_a_prefix_used_to_be_is_no_answer_of_where_it_is() -> None:
    servers = tower()
    servers["8.8.3.2"] = Server({PUMP.key: (replace(URL, data=b"https://pumps.example/2"),)})
    asker = recursion(World(servers))
    for host, said in ((ENTERPRISE, URL.data), ("8.8.3.2", b"https://pumps.example/2")):
        found = await asker.follow(PUMP, Referral((site((host, 2641)),)), CLIENT)
        assert found.values()[0].data == said


async def test_a_client_begins_so_many_in_a_second_and_what_is_known_is_free() -> None:
    world = World(tower())
    asker = recursion(world, limits=Limits(client_rate=2))
    await asker.resolve(PUMP, "2001:db8::1")
    world.seconds = lambda _host: 0.0
    await asker.resolve(Identifier.parse("88.120.7/2"), "2001:db8::2")
    with pytest.raises(TooManyRequests):
        await asker.resolve(Identifier.parse("88.120.7/3"), "2001:db8:0:ff::3")
    await asker.resolve(PUMP, "2001:db8::1")
    await asker.resolve(Identifier.parse("88.120.7/3"), "2001:db8:1::3")
    world.clock.now += 1
    await asker.resolve(Identifier.parse("88.120.7/4"), "2001:db8::1")


async def test_a_walk_has_so_much_time() -> None:
    row = private_row()
    held = Held(World(tower()))
    asker = recursion(held.world, row, network=held.network, bounds=Bounds(seconds=0.01))
    with pytest.raises(RecursionFailed) as failed:
        await asker.resolve(PUMP, CLIENT)
    assert failed.value.reason == "deadline"
    assert counted(row, "idnode_recursion_failed", "deadline") == 1


async def test_what_is_popular_is_renewed_before_its_time_is_over() -> None:
    world, row = World(tower()), private_row()
    asker = recursion(world, row)
    rare = Identifier.parse("88.120.8/SN-1")
    await asker.resolve(rare, CLIENT)
    for _ in range(4):
        await asker.resolve(PUMP, CLIENT)
    asked = len(world.sent)
    world.clock.now += 91
    await asker.resolve(rare, CLIENT)
    assert len(world.sent) == asked, "not what nobody asks for"
    entry = asker.answers.get(PUMP.key)
    assert ttls(await asker.resolve(PUMP, CLIENT)) == [9, 9], "who asks does not wait for it"
    await until(lambda: asker.answers.get(PUMP.key) is not entry and not asker._flights)
    assert len(world.sent) == asked + 1
    assert counted(row, "idnode_recursion_prefetched") == 1
    world.clock.now += 90
    assert not (await asker.resolve(PUMP, CLIENT)).stale
    assert counted(row, "idnode_recursion_queries", "asked") == 2


async def test_only_what_everybody_may_see_is_passed_on() -> None:
    world = World(tower())
    says(world, URL, HandleValue(7, "SECRET", b"x", permissions=12))
    assert [value.index for value in (await recursion(world).resolve(PUMP, CLIENT)).values()] == [1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdefgh"),
            st.integers(0, 3000),
            st.integers(0, 50),
            st.integers(0, 50),
            st.integers(0, 20),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=150)
def test_the_cache_stays_in_its_room_and_says_only_what_holds(
    puts: list[tuple[str, int, int, int, int]],
) -> None:
    clock, room = Clock(), 10_000
    cache: TimedCache[int] = TimedCache(room, clock)
    last: dict[str, tuple[int, float, float]] = {}
    for number, (key, size, seconds, stale, passed) in enumerate(puts):
        cache.put(key, number, size, seconds, stale)
        last[key] = (number, clock.now + seconds, clock.now + seconds + stale)
        kept = (size + len(key) + OVERHEAD_BYTES) * 8 <= room
        assert (cache.get(key) is not None) == (kept and seconds + stale > 0)
        clock.now += passed
        assert cache.bytes <= room
        for name, (value, until_, kept_until) in last.items():
            fresh, entry = cache.fresh(name), cache.get(name)
            assert fresh in (None, value)
            assert fresh is None or clock.now < until_
            assert entry is None or (entry.value == value and clock.now < kept_until)
    for key in "abcdefgh":
        cache.forget(key)
    assert (cache.bytes, len(cache)) == (0, 0), "all that was counted is given back"
