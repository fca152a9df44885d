"""Recursion on a simulated network: the way, what is tried, and where it ends."""

from __future__ import annotations

import itertools
import json
import random
import struct
from dataclasses import replace
from typing import Any

import pytest

from protocol.errors import ResponseCode
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry import metrics
from registry.metrics import Row, private_row, slot
from registry.networks import networks
from resolver.recursion.model import REASONS, Bounds, RecursionFailed
from resolver.recursion.places import Place, Site, read_nodes, read_place, read_root
from resolver.recursion.places import Server as Known
from resolver.recursion.service import Limits, Recursion
from resolver.recursion.timing import FIRST_WAIT, MAX_WAIT, REST_SECONDS, Timing
from resolver.recursion.udp import DROP_REASONS
from resolver.referrals import Referral
from tests.recursion_world import (
    ENTERPRISE,
    NODE,
    PUMP,
    ROOT,
    TOP,
    URL,
    Clock,
    Refer,
    Server,
    World,
    service,
    site,
    tower,
)

CLIENT = "127.0.0.1"


def recursion(world: World, row: Row | None = None, **more: Any) -> Recursion:
    more.setdefault("limits", Limits(client_rate=0))
    return Recursion(
        read_root(f"{ROOT}:2641"),
        networks("127.0.0.0/8"),
        row=row or private_row(),
        network=world.network,
        clock=world.clock,
        now=lambda: 1_800_000_000 + world.clock.now,
        **more,
    )


def counted(row: Row, name: str, label: str) -> float:
    return row.cells[slot(name, label)]


async def test_the_walk_goes_from_the_root_to_the_node_that_has_it() -> None:
    world = World(tower())
    found = await recursion(world).resolve(PUMP, CLIENT)
    assert [value.index for value in found.values()] == [1, 2]
    assert [host for _, host in world.sent] == [ROOT, TOP, NODE, ENTERPRISE]
    assert all(transport == "udp" for transport, _ in world.sent)


async def test_from_a_warm_prefix_cache_it_is_one_question_to_the_responsible_node() -> None:
    world = World(tower())
    asker = recursion(world)
    await asker.resolve(PUMP, CLIENT)
    world.sent.clear()
    other = Identifier.parse("88.120.7/SN-2")
    assert (await asker.resolve(other, CLIENT)).code == ResponseCode.HANDLE_NOT_FOUND
    assert world.sent == [("udp", ENTERPRISE)]


async def test_questions_say_how_often_they_were_passed_on_and_ask_nobody_to_recurse() -> None:
    world = World(tower())
    await recursion(world).resolve(PUMP, CLIENT, count=2)
    (request,) = world.servers[ENTERPRISE].asked
    assert request.header.recursion_count == 3
    assert not request.header.flags & 0x10000000, "two nodes could ask each other for ever"


async def test_request_ids_are_not_to_be_guessed() -> None:
    world = World(tower())
    asker = recursion(world)
    for number in range(200):
        await asker.resolve(Identifier.parse(f"88.120.7/{number}"), CLIENT)
    numbers = [one.envelope.request_id for one in world.servers[ENTERPRISE].asked]
    assert len(set(numbers)) == len(numbers) == 200
    assert max(numbers) > 2**30, "they are of 32 bits"
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    assert len(steps) > 190, "they do not count on"


async def test_a_prefix_that_nobody_has_registered_is_not_found() -> None:
    found = await recursion(World(tower())).resolve(Identifier.parse("88.999.1/X"), CLIENT)
    assert (found.code, found.values()) == (ResponseCode.HANDLE_NOT_FOUND, [])


async def test_a_prefix_handle_is_asked_for_from_the_root() -> None:
    world = World(tower())
    found = await recursion(world).resolve(Identifier.parse("88.120"), CLIENT)
    assert [value.type for value in found.values()] == ["HS_SITE"]
    assert [host for _, host in world.sent] == [ROOT, TOP]


async def test_the_place_that_a_referral_of_our_own_names_is_asked_at_once() -> None:
    world = World(tower())
    referral = Referral((site((ENTERPRISE, 2641)),))
    found = await recursion(world).follow(PUMP, referral, CLIENT)
    assert found.values()[0].data == URL.data
    assert world.sent == [("udp", ENTERPRISE)]


async def test_of_a_site_the_server_is_asked_that_has_the_identifier_by_its_hash() -> None:
    servers = tower()
    hosts = [f"8.8.3.{number}" for number in range(1, 5)]
    servers[NODE].says["0.NA/88.120.7"] = (site(*((host, 2641) for host in hosts)),)
    for host in hosts:
        servers[host] = Server()
    world = World(servers)
    asker = recursion(world)
    for number in range(60):
        await asker.resolve(Identifier.parse(f"88.120.7/{number}"), CLIENT)
    shares = [len(servers[host].asked) for host in hosts]
    assert sum(shares) == 60, "each is asked of one server, and of no other"
    assert min(shares) >= 5, shares


async def test_another_site_answers_where_the_first_does_not() -> None:
    servers = tower()
    servers[NODE].says["0.NA/88.120.7"] = (
        site(("8.8.9.9", 2641)),
        site((ENTERPRISE, 2641), index=2),
    )
    world = World(servers)
    asker = recursion(world)
    assert (await asker.resolve(PUMP, CLIENT)).code == ResponseCode.SUCCESS
    world.sent.clear()
    await asker.resolve(Identifier.parse("88.120.7/SN-2"), CLIENT)
    assert world.sent == [("udp", ENTERPRISE)], "who did not answer is asked last"
    world.clock.now += REST_SECONDS
    assert asker._asker.timing.order([Known("8.8.9.9", 2641, 2641)]), "and is tried again"


@pytest.mark.parametrize("code", [2, 3, 4, 7, 300, 301, 402])
async def test_a_server_that_cannot_say_is_passed_over(code: int) -> None:
    servers = tower()
    servers["8.8.9.9"] = Server({PUMP.key: code})
    servers[NODE].says["0.NA/88.120.7"] = (
        site(("8.8.9.9", 2641)),
        site((ENTERPRISE, 2641), index=2),
    )
    world = World(servers)
    assert (await recursion(world).resolve(PUMP, CLIENT)).code == ResponseCode.SUCCESS
    asked = [one for one in world.sent if one[1] == "8.8.9.9"]
    assert asked == [("udp", "8.8.9.9"), ("tcp", "8.8.9.9")][: 2 if code == 2 else 1]


async def test_where_udp_is_lost_tcp_is_used() -> None:
    world = World(tower(), loses=lambda transport, host: transport == "udp" and host == TOP)
    assert (await recursion(world).resolve(PUMP, CLIENT)).code == ResponseCode.SUCCESS
    assert [one for one in world.sent if one[1] == TOP] == [("udp", TOP)] * 2 + [("tcp", TOP)]


async def test_a_prefix_that_has_moved_is_looked_for_from_the_root_again() -> None:
    world = World(tower())
    asker = recursion(world)
    await asker.resolve(PUMP, CLIENT)
    world.servers["8.8.3.2"] = world.servers.pop(ENTERPRISE)
    world.servers[NODE].says["0.NA/88.120.7"] = (site(("8.8.3.2", 2641)),)
    other = Identifier.parse("88.120.7/SN-2")
    world.servers["8.8.3.2"].says[other.key] = (URL,)
    assert (await asker.resolve(other, CLIENT)).code == ResponseCode.SUCCESS


async def test_services_are_looked_up_by_who_names_them_else_from_the_root() -> None:
    servers = tower()
    servers[NODE].says["0.NA/88.120.7"] = (service("88.120.8/SERVICE"),)
    servers[NODE].says["88.120.8/SERVICE"] = (site((ENTERPRISE, 2641)),)
    world = World(servers)
    assert (await recursion(world).resolve(PUMP, CLIENT)).code == ResponseCode.SUCCESS
    del servers[NODE].says["88.120.8/SERVICE"]
    servers[NODE].says["0.NA/88.120.7"] = (service("88.121.1/SERVICE"),)
    servers[TOP].says["0.NA/88.121.1"] = (site(("8.8.4.4", 2641)),)
    servers["8.8.4.4"] = Server({"88.121.1/SERVICE": (site((ENTERPRISE, 2641)),)})
    assert (await recursion(world).resolve(PUMP, CLIENT)).code == ResponseCode.SUCCESS


def _circle(servers: dict[str, Server]) -> None:
    servers[NODE].says["0.NA/88.120.7"] = Refer((site((TOP, 2641)),))


def _circle_of_services(servers: dict[str, Server]) -> None:
    servers[NODE].says["0.NA/88.120.7"] = (service("88.120.8/A"),)
    servers[NODE].says["88.120.8/A"] = (service("88.120.8/B"),)
    servers[NODE].says["88.120.8/B"] = (service("88.120.8/A"),)


def _deep(servers: dict[str, Server]) -> None:
    servers[NODE].says["0.NA/88.120.7"] = (service("88.120.8/1"),)
    for number in range(1, 9):
        servers[NODE].says[f"88.120.8/{number}"] = (service(f"88.120.8/{number + 1}"),)


def _long(servers: dict[str, Server]) -> None:
    for number in range(1, 100):
        further = Refer((site((f"8.9.0.{number + 1}", 2641)),))
        servers[f"8.9.0.{number}"] = Server({"0.NA/88.120.7": further})
    servers[NODE].says["0.NA/88.120.7"] = Refer((site(("8.9.0.1", 2641)),))


def _inside(servers: dict[str, Server]) -> None:
    servers[NODE].says["0.NA/88.120.7"] = (site(("10.1.2.3", 2641)),)


def _loopback(servers: dict[str, Server]) -> None:
    servers[NODE].says["0.NA/88.120.7"] = Refer((site(("::ffff:127.0.0.1", 2641)),))


def _nowhere(servers: dict[str, Server]) -> None:
    servers[NODE].says["0.NA/88.120.7"] = (HandleValue(1, "HS_SITE", b"\0" * 9),)


def _away(servers: dict[str, Server]) -> None:
    del servers[ENTERPRISE]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (_circle, "loop"),
        (_circle_of_services, "loop"),
        (_deep, "depth"),
        (_long, "questions"),
        (_inside, "refused"),
        (_loopback, "refused"),
        (_nowhere, "place"),
        (_away, "servers"),
    ],
)
async def test_what_leads_nowhere_ends_and_is_counted(fault: Any, reason: str) -> None:
    servers, row = tower(), private_row()
    fault(servers)
    world, bounds = World(servers), Bounds()
    asker = recursion(world, row)
    with pytest.raises(RecursionFailed) as failed:
        await asker.resolve(PUMP, CLIENT)
    assert failed.value.reason == reason, failed.value.detail
    assert len(world.sent) <= bounds.questions + bounds.attempts
    assert counted(row, "idnode_recursion_failed", reason) == 1
    assert counted(row, "idnode_recursion_queries", "failed") == 1
    refused = counted(row, "idnode_recursion_dropped", "referral")
    assert (refused > 0) == (reason == "refused")
    world.sent.clear()
    with pytest.raises(RecursionFailed):
        await asker.resolve(PUMP, CLIENT)
    assert world.sent == [], "a failure is remembered for a while"


async def test_inside_is_asked_where_the_operator_allows_it() -> None:
    servers = tower()
    _inside(servers)
    servers["10.1.2.3"] = servers[ENTERPRISE]
    asker = recursion(World(servers), private=networks("10.1.0.0/16"))
    assert (await asker.resolve(PUMP, CLIENT)).code == ResponseCode.SUCCESS


async def test_whatever_is_lost_a_walk_ends_within_its_bounds() -> None:
    """Seeded: networks that lose half of everything, and servers that say anything."""
    dice = random.Random(20_260_101)
    ends: set[str] = set()
    for _ in range(150):
        servers = tower()
        hosts = list(servers)
        for host in hosts:
            if dice.random() < 0.3:
                other = site((dice.choice(hosts), 2641))
                said: Any = dice.choice([2, 3, 100, 200, 301, (other,), Refer((other,), 303)])
                servers[host].says |= {"0.NA/88.120.7": said, PUMP.key: said}
        world = World(servers, loses=lambda _t, _h: dice.random() < 0.5)
        try:
            found = await recursion(world).resolve(PUMP, CLIENT)
        except RecursionFailed as error:
            ends.add(error.reason)
        else:
            ends.add(str(found.code))
        assert len(world.sent) <= 2 * Bounds().questions * Bounds().attempts
    assert {"servers", "loop", "1", "100"} <= ends, ends


def test_a_server_is_waited_for_by_how_fast_it_was() -> None:
    clock = Clock()
    timing, near, far = Timing(clock), Known("8.8.8.1", 1), Known("8.8.8.2", 1)
    assert timing.wait(near) == FIRST_WAIT
    for _ in range(20):
        timing.answered(near, 0.002)
        timing.answered(far, 0.2)
    assert timing.order([far, near]) == [near, far]
    assert timing.wait(near) < timing.wait(far) < FIRST_WAIT
    timing.failed(near)
    assert timing.order([far, near]) == [far, near]
    before = timing.wait(near)
    for _ in range(9):
        timing.failed(near)
    assert before < timing.wait(near) <= MAX_WAIT, "each failure has it waited for longer"
    clock.now += REST_SECONDS
    assert timing.order([far, near])[0] == near, "it is tried again"


def test_servers_without_a_port_or_with_one_that_is_none_are_no_place() -> None:
    value = site(("8.8.8.8", 2641))
    far = replace(
        value, data=value.data.replace(struct.pack(">I", 2641), struct.pack(">I", 70_000))
    )
    place, refused = read_place([far], lambda _host, _port: True)
    assert (place, refused) == (None, 0)
    place, refused = read_place([value], lambda _host, port: port != 2641)
    assert (place, refused) == (None, 1)


def test_the_root_is_written_as_hosts_and_ports_or_a_file(tmp_path: Any) -> None:
    one = Site((Known("192.0.2.1", 2641, 2641),))
    assert read_root("192.0.2.1:2641, [2001:db8::1]:99") == Place(
        (one, Site((Known("2001:db8::1", 99, 99),)))
    )
    for wrong in ("192.0.2.1", ":2641", "a:0", "a:65536", "", "a:1,,b:2"):
        with pytest.raises(ValueError, match="host:port"):
            read_root(wrong)
    path = tmp_path / "root.json"
    interfaces = [{"query": True, "protocol": "UDP", "port": 2641}]
    info = {"servers": [{"serverId": 1, "address": "192.0.2.1", "interfaces": interfaces}]}
    value = {"index": 1, "type": "HS_SITE", "data": {"format": "site", "value": info}}
    for content in (info, [info, info], {"values": [value]}):
        path.write_text(json.dumps(content))
        place = read_root(str(path))
        assert place.servers_for(PUMP) == [Known("192.0.2.1", 2641)], content
    for wrong in ("", "{}", "[]", "7", '{"servers": [{"serverId": 1}]}', '[{"servers": []}]'):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="root"):
            read_root(str(path))


def test_the_metrics_know_all_reasons() -> None:
    labels = {metric.name: metric.labels for metric in metrics.METRICS}
    assert labels["idnode_recursion_failed"] == (("reason", REASONS),)
    assert labels["idnode_recursion_dropped"] == (("reason", DROP_REASONS),)


async def test_a_walk_begins_at_the_nearest_node_that_is_set_and_else_at_the_root() -> None:
    world = World(tower())
    nodes = read_nodes(f"88=8.8.9.9:1, 88.120={NODE}:2641, 88.120={TOP}:2641")
    asker = recursion(world, nodes=nodes)
    assert (await asker.resolve(PUMP, CLIENT)).code == ResponseCode.SUCCESS
    assert [host for _, host in world.sent] == [NODE, ENTERPRISE]
    world = World(tower())
    asker = recursion(world, nodes=read_nodes("88.120.7=8.8.9.9:1"))
    assert (await asker.resolve(PUMP, CLIENT)).code == ResponseCode.SUCCESS
    assert "8.8.9.9" in {host for _, host in world.sent}, "it is away: from the root"
    for wrong in ("88.120", "=8.8.8.8:1", "88..1=8.8.8.8:1", "88=8.8.8.8"):
        with pytest.raises(ValueError, match=r"88|8\.8"):
            read_nodes(wrong)


async def test_a_server_of_a_lower_rank_is_asked_when_the_first_is_away() -> None:
    clock = Clock()
    timing, first, second = Timing(clock), Known("8.8.8.1", 1), Known("8.8.8.2", 1, rank=1)
    timing.answered(first, 0.5)
    timing.answered(second, 0.001)
    assert timing.order([second, first]) == [first, second], "however fast the other is"
    timing.failed(first)
    assert timing.order([first, second]) == [second, first]
