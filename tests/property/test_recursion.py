"""Recursion in worlds where servers say anything: it ends, and believes nobody it must not."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from protocol.errors import ResponseCode
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.metrics import private_row, slot
from registry.networks import networks
from resolver.recursion.model import REASONS, Bounds, RecursionFailed
from resolver.recursion.places import read_root
from resolver.recursion.service import Limits, Recursion
from tests.recursion_world import PUMP, Refer, Said, Server, World, service, site

ROOT = "8.8.0.1"
HOSTS = [ROOT, *(f"8.8.0.{number}" for number in range(2, 6))]
INSIDE = ["10.0.0.1", "127.0.0.1", "169.254.0.1", "224.0.0.1", "fd00::1", "::1"]
NAMES = [PUMP.key, "0.NA/88.120.7", "0.NA/88.120.8", "88.120.8/A", "88.120.8/B", "0.NA/88.120"]
BOUNDS = Bounds()


def _sites(kind: str) -> st.SearchStrategy[HandleValue]:
    servers = st.lists(st.sampled_from(HOSTS + INSIDE), min_size=1, max_size=3)
    return servers.map(lambda hosts: site(*((host, 2641) for host in hosts), type_=kind))


_PLACES = st.one_of(
    _sites("HS_SITE"),
    _sites("HS_SITE.PREFIX"),
    st.sampled_from(["88.120.8/A", "88.120.8/B", PUMP.key, "0.NA/88.120", "x"]).map(service),
    st.binary(max_size=30).map(lambda octets: HandleValue(1, "HS_SITE", octets)),
)
_SAID: st.SearchStrategy[Said] = st.one_of(
    st.sampled_from([2, 3, 4, 7, 100, 200, 300, 301, 402]),
    st.lists(_PLACES, max_size=2).map(tuple),
    st.builds(Refer, st.lists(_PLACES, max_size=2).map(tuple), st.sampled_from([302, 303])),
)
_TABLES = st.dictionaries(st.sampled_from(NAMES), _SAID, max_size=2)
_WORLDS = st.fixed_dictionaries(dict.fromkeys(HOSTS, _TABLES))
_WAY: dict[str, dict[str, Said]] = {
    ROOT: {
        "0.NA/88.120": (site((HOSTS[1], 2641)),),
        "0.NA/88.120.7": Refer((site((HOSTS[1], 2641)),)),
    },
    HOSTS[1]: {"0.NA/88.120.7": (site(*((host, 2641) for host in HOSTS[2:])),)},
    **{host: {PUMP.key: ()} for host in HOSTS[2:]},
}
"""What servers say that is in order; some of it is replaced."""


@given(_WORLDS, st.sampled_from([0.0, 0.3, 0.9]), st.integers(0, 1000))
@settings(deadline=None, max_examples=200)
def test_whatever_servers_say_a_walk_ends_and_asks_nobody_inside(
    tables: dict[str, dict[str, Said]], loss: float, seed: int
) -> None:
    dice = random.Random(seed)
    told = {host: _WAY.get(host, {}) | table for host, table in tables.items()}
    for number, host in enumerate(HOSTS):
        # Each says something of its own, so that it can be told whose answer was taken.
        if isinstance(told[host].get(PUMP.key), tuple):
            told[host][PUMP.key] = (HandleValue(1, "URL", b"%d" % number, ttl=2**31 - 1),)
    world = World(
        {host: Server(table) for host, table in told.items()},
        loses=lambda _transport, _host: dice.random() < loss,
    )
    row = private_row()
    recursion = Recursion(
        read_root(f"{ROOT}:2641"),
        networks("127.0.0.0/8"),
        row=row,
        limits=Limits(client_rate=0),
        network=world.network,
        clock=world.clock,
        now=lambda: 1_800_000_000 + world.clock.now,
    )
    for name in (PUMP, Identifier.parse("88.120")):
        world.sent.clear()
        _judge(asyncio.run(_resolve(recursion, name)), name, world, told)
        entry = recursion.answers.get(name.key)
        assert entry is None or entry.until - entry.since <= BOUNDS.max_ttl, "a ttl that lies"
    failed = sum(row.cells[slot("idnode_recursion_failed", reason)] for reason in REASONS)
    queries = row.cells[slot("idnode_recursion_queries", "failed")]
    assert failed == queries, "each failure is counted once, by its reason"


async def _resolve(recursion: Recursion, name: Identifier) -> Any:
    try:
        return await recursion.resolve(name, "127.0.0.1")
    except RecursionFailed as error:
        return error


def _judge(found: Any, name: Identifier, world: World, told: dict[str, dict[str, Said]]) -> None:
    assert {host for _, host in world.sent} <= set(HOSTS), "somebody inside was asked"
    assert len(world.sent) <= BOUNDS.questions * BOUNDS.attempts * 2
    if isinstance(found, RecursionFailed):
        assert found.reason in REASONS
        event(found.reason)
        return
    event(f"{name.prefix_key} {int(found.code)}")
    if found.code == ResponseCode.SUCCESS and name == PUMP:
        asked = {host for _, host in world.sent}
        (value,) = found.values()
        assert HOSTS[int(value.data)] in asked, "an answer that no server that was asked gave"
        assert told[HOSTS[int(value.data)]][PUMP.key][0].data == value.data  # type: ignore[index]
        assert value.ttl <= BOUNDS.max_ttl
