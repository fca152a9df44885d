"""Faults of the top-level stub on demand: what each does, and how the uplink comes through."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientError
from aiohttp.test_utils import TestClient, TestServer

from protocol.errors import PeerUnavailable, ResponseCode
from protocol.identifier import Identifier
from registry.database import Database
from registry.metrics import private_row
from resolver.client.exchange import Asking
from resolver.client.resolving import ask
from resolver.client.steps import Endpoint
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.directory import Directory
from resolver.federation.toplevel.faults import Faults
from resolver.federation.toplevel.handle import ToplevelEndpoint
from resolver.federation.toplevel.schema import prepare
from resolver.site import make_site
from resolver.transports.handle_server import serve_endpoint
from resolver.transports.limits import Limits
from tests.integration.toplevel_support import prefix_message
from tests.integration.uplink_support import all_delivered, arrived, put, until, uplink

TOKEN = "operator-of-the-stub"
_HEADERS = {"Authorization": f"Bearer {TOKEN}"}
HERE = "127.0.0.1"


@dataclass
class Stub:
    http: TestClient[Any]
    database: Database
    now: list[float] = field(default_factory=lambda: [0.0])

    async def fault(self, **body: Any) -> None:
        response = await self.http.post("/faults", json=body, headers=_HEADERS)
        assert response.status == 200, await response.text()

    async def file(self, prefix: str = "88.118.1") -> tuple[int, Any]:
        response = await self.http.post("/filings", json=prefix_message(prefix))
        return response.status, await response.json()

    async def kept(self) -> list[str]:
        return [row.subject for row in await arrived(self.database)]


@pytest.fixture
async def stub(database: Database) -> AsyncIterator[Stub]:
    await prepare(database)
    now = [0.0]
    app = make_toplevel_app(database, token=None, operator=TOKEN, faults=Faults(lambda: now[0]))
    async with TestClient(TestServer(app)) as http:
        yield Stub(http, database, now)


async def test_down_cuts_off_and_does_nothing(stub: Stub) -> None:
    await stub.fault(fault="down", count=1)
    with pytest.raises(ClientError):
        await stub.file()
    assert await stub.kept() == []
    assert (await stub.file())[0] == 200, "one request was to fail, and a second one did"


async def test_lost_answer_was_committed(stub: Stub) -> None:
    await stub.fault(fault="loses_answers", count=1)
    with pytest.raises(ClientError):
        await stub.file()
    assert await stub.kept() == ["88.118.1"]


async def test_refusal_has_the_status_that_was_set(stub: Stub) -> None:
    await stub.fault(fault="refuses", status=422)
    assert (await stub.file())[0] == 422
    assert await stub.kept() == []
    assert (await stub.http.delete("/faults", headers=_HEADERS)).status == 200
    assert (await stub.file())[0] == 200, "faults that were ended go on"


async def test_what_is_sent_twice_is_kept_once(stub: Stub) -> None:
    await stub.fault(fault="sends_twice")
    assert await stub.file() == (200, {"message_id": ANY_ID, "duplicate": True})
    assert await stub.kept() == ["88.118.1"]


async def test_slow_waits_before_it_does_anything(stub: Stub) -> None:
    await stub.fault(fault="slow", delay=30)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await stub.file()
    assert await stub.kept() == []


async def test_answer_that_comes_twice_is_two_answers_on_the_connection(stub: Stub) -> None:
    await stub.fault(fault="answers_twice")
    port = stub.http.server.port
    assert port is not None
    reader, writer = await asyncio.open_connection(HERE, port)
    writer.write(
        b"POST /heartbeats HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    assert (await reader.read()).count(b"HTTP/1.1 ") == 1, "the fault is not of heartbeats"
    writer.close()
    assert (await stub.file())[0] == 200
    await stub.fault(fault="answers_twice", at="heartbeats")
    body = b'{"node":"88.118","version":"1","outbox_depth":0,"prefixes":0,"identifiers":0}'
    reader, writer = await asyncio.open_connection(HERE, port)
    writer.write(
        b"POST /heartbeats HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    assert (await reader.read()).count(b"HTTP/1.1 ") == 2
    writer.close()


class _AnyId:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and len(other) == 36

    __hash__ = None  # type: ignore[assignment]


ANY_ID = _AnyId()


async def test_fault_ends_after_its_time(stub: Stub) -> None:
    await stub.fault(fault="refuses", seconds=10)
    assert (await stub.file())[0] == 503
    stub.now[0] = 10.0
    assert (await stub.file())[0] == 200
    listed = await (await stub.http.get("/faults", headers=_HEADERS)).json()
    assert listed == {"items": []}


async def test_faults_are_listed_with_what_is_left(stub: Stub) -> None:
    await stub.fault(fault="refuses", count=3, seconds=10)
    await stub.file()
    stub.now[0] = 4.0
    (one,) = (await (await stub.http.get("/faults", headers=_HEADERS)).json())["items"]
    assert (one["fault"], one["at"], one["count"], one["seconds"]) == ("refuses", "filings", 2, 6)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"fault": "sulks"}, 422, "fault"),
        ({}, 422, "fault"),
        ({"fault": "down", "at": "moon"}, 422, "at"),
        ({"fault": "down", "count": 0}, 422, "count"),
        ({"fault": "down", "seconds": 1e9}, 422, "seconds"),
        ({"fault": "slow", "delay": 3600}, 422, "delay"),
        ({"fault": "refuses", "status": 200}, 422, "status"),
        ({"fault": "answers_twice", "at": "handle"}, 422, "fault"),
        ({"fault": "down", "more": 1}, 422, "more"),
    ],
)
async def test_fault_that_is_none_is_told(
    stub: Stub, body: dict[str, Any], status: int, field: str
) -> None:
    response = await stub.http.post("/faults", json=body, headers=_HEADERS)
    answer = await response.json()
    assert (response.status, answer.get("field")) == (status, field), answer


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
@pytest.mark.parametrize("shown", [None, "Bearer other", f"Basic {TOKEN}", "Bearer "])
async def test_only_the_operator_sets_faults(stub: Stub, method: str, shown: str | None) -> None:
    headers = {"Authorization": shown} if shown else {}
    response = await stub.http.request(method, "/faults", json={"fault": "down"}, headers=headers)
    assert response.status == 401
    assert (await stub.file())[0] == 200, "somebody else let the stub fail"


async def test_there_are_no_operations_without_an_operator(database: Database) -> None:
    await prepare(database)
    async with TestClient(TestServer(make_toplevel_app(database, token=None))) as http:
        assert (await http.post("/faults", json={"fault": "down"})).status == 404
    with pytest.raises(ValueError, match="empty"):
        make_toplevel_app(database, token=None, operator="")


@pytest.mark.parametrize(
    "fault", ["down", "refuses", "loses_answers", "sends_twice", "answers_twice"]
)
async def test_uplink_comes_through_with_each_message_once_and_in_order(
    stub: Stub, fault: str
) -> None:
    await stub.fault(fault=fault, count=5)
    subjects = [f"88.118.{number}" for number in (1, 1, 1, 2, 3, 3)]
    for number, subject in enumerate(subjects):
        await put(stub.database, subject, number)
    async with uplink(stub.database, str(stub.http.make_url("/")).rstrip("/")):
        await until(stub.database, f"all is delivered after {fault}", all_delivered)
    rows = await arrived(stub.database)
    taken = [(row.subject, row.payload["enterprise"]["industry"]) for row in rows]
    sent = [(subject, str(number)) for number, subject in enumerate(subjects)]
    for subject in set(subjects):
        assert [one for one in taken if one[0] == subject] == [
            one for one in sent if one[0] == subject
        ], f"{subject} came doubled, lost or out of order"


async def test_handle_face_fails_on_demand(database: Database) -> None:
    await prepare(database)
    faults = Faults()
    site = make_site(HERE, handle_port=2642, http_port=0)
    directory = Directory(database, prefix="88", site=site.record)
    endpoint = ToplevelEndpoint(directory, site, private_row(), faults=faults)
    app = make_toplevel_app(database, token=None, operator=TOKEN, faults=faults)
    server = await serve_endpoint(endpoint, host=HERE, port=0, limits=Limits())
    asking = Asking(Identifier.parse("0.NA/88"), 7, int(time.time()))
    there = Endpoint("tcp", HERE, server.port)
    async with TestClient(TestServer(app)) as http:
        stub = Stub(http, database)
        await stub.fault(fault="refuses", at="handle", count=1)
        assert (await ask(asking, there)).code == ResponseCode.SERVER_BUSY
        assert (await ask(asking, there)).code == ResponseCode.SUCCESS
        await stub.fault(fault="down", at="handle", count=1)
        with socket.create_connection((HERE, server.port)) as client:
            client.sendall(asking.message().encode())
            client.shutdown(socket.SHUT_WR)
            assert await asyncio.to_thread(client.recv, 100) == b"", "answered though down"
    await server.stop(1)
    with pytest.raises(PeerUnavailable):
        await ask(asking, there)
