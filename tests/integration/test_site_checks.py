"""The site of a delegated prefix is asked before the world is sent there, and nobody else is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry.database import Database
from registry.networks import networks
from resolver import site_asker
from resolver.site_asker import may_be_asked
from tests.integration import handle_support, rest_support
from tests.integration.registry_client import SITE, URL_VALUE, Node, running

_REASON = {"reason": "the site is being built", "force": True}


def site(*interfaces: tuple[str, int], address: str = "127.0.0.1") -> dict[str, Any]:
    """Return a site with these protocols and ports."""
    listed = [
        {"query": True, "admin": False, "protocol": protocol, "port": port}
        for protocol, port in interfaces
    ]
    return {"version": 1, "servers": [{"serverId": 1, "address": address, "interfaces": listed}]}


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Node]:
    """A node that may ask loopback."""
    async with running(database, site_networks="127.0.0.0/8, ::1") as node:
        yield node


async def applied(node: Node, number: int = 1, **more: Any) -> tuple[str, str, str]:
    """Return an enterprise, its key, and a delegated prefix that waits for approval."""
    enterprise, key = await node.enterprise(number)
    body = {"enterprise_id": enterprise, "hosting": "delegated", "site": SITE, **more}
    status, made, _ = await node.call("POST", "/prefixes", key, body)
    assert status == 201, made
    return enterprise, key, made["prefix"]


async def checked(node: Node, prefix: str, asked: dict[str, Any] | None = None) -> dict[str, Any]:
    body = None if asked is None else {"site": asked}
    status, check, _ = await node.call("POST", f"/prefixes/{prefix}/check", node.reviewer, body)
    assert status == 200, check
    return dict(check)


async def test_a_handle_server_that_has_the_prefix_passes_over_tcp_and_udp(
    desk: Node, other_database: Database
) -> None:
    async with handle_support.running(other_database) as theirs:
        prefix, _ = await theirs.enterprise(1)
        port = theirs.servers[0].port
        place = site(("TCP", port), ("UDP", port))
        _, key, wished = await applied(desk, prefix=prefix, site=place)
        check = await checked(desk, wished)
        assert check["passed"], check
        assert [(one["protocol"], one["response_code"]) for one in check["asked"]] == [
            ("TCP", 1),
            ("UDP", 1),
        ]
        read = await desk.call("GET", f"/prefixes/{prefix}/check", key)
        assert (read[0], read[1]) == (200, check), "the enterprise reads what came of it"
    status, after, _ = await desk.call("POST", f"/prefixes/{prefix}/approve", desk.reviewer)
    assert (status, after["status"]) == (200, "active")


async def test_a_server_of_handle_json_passes_for_its_own_prefix_alone(
    desk: Node, other_database: Database, tmp_path: Path
) -> None:
    async with rest_support.running(other_database.url, tmp_path) as theirs:
        place = site(("HTTP", theirs.server.port))
        _, _, prefix = await applied(desk, prefix=rest_support.PREFIX, site=place)
        check = await checked(desk, prefix)
        assert (check["passed"], check["asked"][0]["response_code"]) == (True, 1), check


@contextlib.asynccontextmanager
async def _server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await serve(reader, writer)

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass


async def _babbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    )
    await writer.drain()


@pytest.mark.parametrize("protocol", ["TCP", "HTTP"])
@pytest.mark.parametrize("serve", [_silent, _babbling])
async def test_what_does_not_answer_in_time_or_not_at_all_as_it_should_fails(
    desk: Node, monkeypatch: pytest.MonkeyPatch, protocol: str, serve: Any
) -> None:
    monkeypatch.setattr(site_asker, "SECONDS", 0.5)
    async with _server(serve) as port:
        _, _, prefix = await applied(desk, site=site((protocol, port)))
        check = await checked(desk, prefix)
        assert not check["passed"]
        assert check["asked"][0]["response_code"] is None
        assert check["asked"][0]["detail"]


async def test_one_person_cannot_hold_all_checks(desk: Node) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def waiting(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await answer.wait()

    async with _server(waiting) as port:
        _, _, prefix = await applied(desk, site=site(("TCP", port)))
        first = []
        for _ in range(2):
            asked.clear()
            first.append(asyncio.create_task(checked(desk, prefix)))
            await asyncio.wait_for(asked.wait(), 20)
        path = f"/prefixes/{prefix}/check"
        status, problem, response = await desk.call("POST", path, desk.reviewer)
        assert (status, problem["type"]) == (503, "urn:idnode:problem:busy")
        assert int(response.headers["Retry-After"]) > 0
        asked.clear()
        other = asyncio.create_task(desk.call("POST", path, desk.operator))
        await asyncio.wait_for(asked.wait(), 20)
        answer.set()
        assert (await other)[0] == 200, "somebody else has places of his own"
        assert [check["passed"] for check in await asyncio.gather(*first)] == [False, False]


async def test_a_closed_port_fails_and_so_does_the_whole_site(
    desk: Node, other_database: Database
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
        async with handle_support.running(other_database) as theirs:
            prefix, _ = await theirs.enterprise(1)
            place = site(("TCP", theirs.servers[0].port), ("TCP", closed))
            await applied(desk, prefix=prefix, site=place)
            check = await checked(desk, prefix)
    assert not check["passed"]
    assert [one["response_code"] for one in check["asked"]] == [1, None]
    status, refused, _ = await desk.call("POST", f"/prefixes/{prefix}/approve", desk.reviewer)
    assert (status, refused["field"]) == (409, "site")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.7",
        "198.18.0.1",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "fd00::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "localhost",
    ],
)
def test_no_address_inside_a_network_is_asked(address: str) -> None:
    assert not may_be_asked(address, ())


@pytest.mark.parametrize("address", ["1.1.1.1", "114.114.114.114", "2400:3200::1"])
def test_public_addresses_are_asked(address: str) -> None:
    assert may_be_asked(address, ())


def test_an_operator_allows_networks_one_by_one() -> None:
    allowed = networks("10.1.0.0/16, fd00::/8")
    assert may_be_asked("10.1.2.3", allowed)
    assert may_be_asked("::ffff:10.1.2.3", allowed)
    assert may_be_asked("fd12::1", allowed)
    assert not may_be_asked("10.2.0.1", allowed)


async def test_unless_it_is_allowed_nothing_is_sent_inside(database: Database) -> None:
    came = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        came.set()

    async with running(database) as node, _server(serve) as port:
        _, _, prefix = await applied(node, site=site(("TCP", port), ("HTTP", port)))
        check = await checked(node, prefix)
        mapped = await checked(node, prefix, site(("TCP", port), address="::ffff:127.0.0.1"))
    details = {one["detail"] for one in (*check["asked"], *mapped["asked"])}
    assert details == {"this address must not be asked"}
    assert not came.is_set()


async def test_a_bounded_number_of_interfaces_is_asked(
    desk: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_asker, "SECONDS", 0.5)
    _, _, prefix = await applied(desk, site=site(*[("TCP", 1)] * 30))
    assert len((await checked(desk, prefix))["asked"]) == site_asker.MAX_INTERFACES


async def test_without_a_check_it_is_approved_by_force_with_a_reason_alone(desk: Node) -> None:
    _, key, prefix = await applied(desk)
    path = f"/prefixes/{prefix}"
    assert (await desk.call("GET", f"{path}/check", key))[0] == 404
    for body, status in (({}, 409), ({"reason": "x"}, 409), ({"force": True}, 422)):
        assert (await desk.call("POST", f"{path}/approve", desk.reviewer, body))[0] == status, body
    status, after, _ = await desk.call("POST", f"{path}/approve", desk.reviewer, _REASON)
    assert (status, after["status"]) == (200, "active")
    async with desk.database.begin() as connection:
        detail = await connection.scalar(
            sa.text("SELECT detail FROM audit_log WHERE action = 'prefix.approve'")
        )
    assert (detail["force"], detail["reason"]) == (True, _REASON["reason"])


async def test_a_check_holds_for_the_site_that_was_asked_and_for_a_day(
    desk: Node, other_database: Database
) -> None:
    async with handle_support.running(other_database) as theirs:
        prefix, _ = await theirs.enterprise(1)
        place = site(("TCP", theirs.servers[0].port))
        await applied(desk, prefix=prefix)
        assert (await checked(desk, prefix, place))["passed"]
    path = f"/prefixes/{prefix}"
    assert (await desk.call("POST", f"{path}/approve", desk.reviewer))[0] == 409, "another site"
    hosting = {"hosting": "delegated", "site": place}
    assert (await desk.call("PUT", f"{path}/hosting", desk.operator, hosting))[0] == 200
    async with desk.database.begin() as connection:
        old = "UPDATE site_checks SET checked_at = checked_at - interval '25 hours'"
        await connection.execute(sa.text(old))
    assert (await desk.call("POST", f"{path}/approve", desk.reviewer))[0] == 409, "too old"


async def test_checks_are_for_who_decides(desk: Node) -> None:
    enterprise, key, prefix = await applied(desk)
    assert (await desk.call("POST", f"/prefixes/{prefix}/check", key))[0] == 403
    hosted = await desk.prefix(enterprise, key)
    assert (await desk.call("POST", f"/prefixes/{hosted}/check", desk.reviewer))[0] == 409
    assert (await desk.call("POST", "/prefixes/88.118.99/check", desk.reviewer))[0] == 404
    bad = {"site": {"servers": [{"address": "enterprise.example", "interfaces": []}]}}
    status, refused, _ = await desk.call("POST", f"/prefixes/{prefix}/check", desk.reviewer, bad)
    assert (status, refused["field"]) == (422, "site.servers[0].address")


async def test_hosting_changes_both_ways_and_what_was_registered_comes_back(
    desk: Node, tmp_path: Path
) -> None:
    enterprise, key = await desk.enterprise(1)
    prefix = await desk.prefix(enterprise, key)
    path = f"/prefixes/{prefix}/hosting"
    at = f"/identifiers/{prefix}/SN-1"
    assert (await desk.call("PUT", at, key, {"values": [URL_VALUE]}))[0] == 201
    away = {"hosting": "delegated", "site": SITE}
    assert (await desk.call("PUT", path, key, away | _REASON))[0] == 403, "it is active"
    assert (await desk.call("PUT", path, desk.operator, away))[0] == 409
    assert (await desk.call("PUT", path, desk.operator, away | {"force": True}))[0] == 422
    async with rest_support.serving(desk.database.url, tmp_path) as front:

        async def resolves(wanted: bool) -> None:
            async with asyncio.timeout(20):
                while ((await front.ask("GET", f"/api/handles/{prefix}/SN-1")).code == 1) != wanted:
                    await asyncio.sleep(0.02)

        await resolves(True)
        status, after, _ = await desk.call("PUT", path, desk.operator, away | _REASON)
        assert (status, after["hosting"], after["status"]) == (200, "delegated", "active")
        await resolves(False)
        assert (await desk.call("PUT", at, key, {"values": [URL_VALUE]}))[0] == 409
        status, after, _ = await desk.call("PUT", path, desk.operator, {"hosting": "hosted"})
        assert (status, after["site"]) == (200, None)
        await resolves(True)
    async with desk.database.begin() as connection:
        filed = await connection.scalars(
            sa.text("SELECT payload ->> 'hosting' FROM outbox WHERE subject = :p ORDER BY id"),
            {"p": prefix},
        )
        assert list(filed) == ["hosted", "delegated", "hosted"], "the top-level node learns of it"


async def test_an_enterprise_changes_what_it_applied_for(desk: Node) -> None:
    _, key, prefix = await applied(desk)
    path = f"/prefixes/{prefix}/hosting"
    status, after, _ = await desk.call("PUT", path, key, {"hosting": "hosted"})
    assert (status, after["hosting"], after["status"]) == (200, "hosted", "pending")
    assert (await desk.call("PUT", path, key, {"hosting": "delegated"}))[0] == 422
    assert (await desk.call("POST", f"/prefixes/{prefix}/reject", desk.reviewer, {"reason": "x"}))[
        0
    ] == 200
    assert (await desk.call("PUT", path, desk.operator, {"hosting": "hosted"}))[0] == 409


async def test_of_a_service_the_site_is_asked_that_its_handle_names(
    desk: Node, other_database: Database
) -> None:
    enterprise, key = await desk.enterprise(2)
    own = await desk.prefix(enterprise, key, prefix="88.118.2")
    async with handle_support.running(other_database) as theirs:
        prefix, _ = await theirs.enterprise(1)
        place = site(("TCP", theirs.servers[0].port))
        service = f"{own}/NODE"
        _, _, prefix = await applied(desk, prefix=prefix, site=None, service=service)
        path = f"/prefixes/{prefix}"
        assert (await desk.call("POST", f"{path}/check", desk.reviewer))[0] == 409, "not known yet"
        value = {"index": 1, "type": "HS_SITE", "data": {"format": "site", "value": place}}
        put = await desk.call("PUT", f"/identifiers/{service}", key, {"values": [value]})
        assert put[0] == 201, put[1]
        assert (await desk.call("POST", f"{path}/approve", desk.reviewer))[0] == 409
        check = await checked(desk, prefix)
        assert (check["passed"], check["service"]) == (True, service)
        other = {"hosting": "delegated", "service": "0.SERV/OTHER"}
        assert (await desk.call("PUT", f"{path}/hosting", desk.operator, other))[0] == 200
        assert (await desk.call("POST", f"{path}/approve", desk.reviewer))[0] == 409, "another one"
        back = {"hosting": "delegated", "service": service}
        assert (await desk.call("PUT", f"{path}/hosting", desk.operator, back))[0] == 200
        assert (await desk.call("POST", f"{path}/approve", desk.reviewer))[0] == 200
