"""The Handle face of the top-level stub, over real sockets: who has a prefix, and where."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from protocol import typed
from protocol.errors import PeerUnavailable, ResponseCode
from protocol.handle.envelope import Envelope
from protocol.handle.header import Header, OpCode, OpFlag
from protocol.handle.message import Message, decode_message
from protocol.handle.requests import HandleRequest
from protocol.identifier import Identifier
from registry.database import Database
from registry.metrics import private_row
from resolver.client.exchange import DEFAULT_FLAGS, Answer, Asking
from resolver.client.resolving import ask, resolve
from resolver.client.steps import Endpoint, Transport
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.directory import KEPT_SECONDS, Directory
from resolver.federation.toplevel.handle import ToplevelEndpoint
from resolver.federation.toplevel.schema import prepare
from resolver.site import make_site
from resolver.transports.handle_server import serve_endpoint
from resolver.transports.limits import Limits
from tests.integration.handle_support import RSA
from tests.integration.toplevel_support import node_message, prefix_message, site

_numbers = itertools.count(1)
HERE = "127.0.0.1"


@dataclass
class Toplevel:
    """A stub with its two faces."""

    http: TestClient[Any]
    directory: Directory
    port: int
    record: bytes

    async def file(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            response = await self.http.post("/filings", json=message)
            assert response.status == 200, await response.text()

    async def ask(
        self,
        name: str,
        *,
        over: Transport = "udp",
        types: tuple[str, ...] = (),
        flags: int = DEFAULT_FLAGS,
    ) -> Answer:
        asking = Asking(
            Identifier.parse(name), next(_numbers), int(time.time()), types=types, flags=flags
        )
        return await ask(asking, Endpoint(over, HERE, self.port))

    async def told(self, name: str, **more: Any) -> tuple[int, list[tuple[str, bytes]]]:
        answer = await self.ask(name, **more)
        return answer.code, [(value.type, value.data) for value in answer.values]


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
async def toplevel(database: Database, clock: _Clock) -> AsyncIterator[Toplevel]:
    await prepare(database)
    own = make_site(HERE, handle_port=2642, http_port=0, key=RSA)
    directory = Directory(database, prefix="88", site=own.record, clock=clock)
    endpoint = ToplevelEndpoint(directory, own, private_row())
    app = make_toplevel_app(database, token=None, changed=directory.forget)
    server = await serve_endpoint(endpoint, host=HERE, port=0, limits=Limits())
    async with TestClient(TestServer(app)) as http:
        yield Toplevel(http, directory, server.port, own.record)
    await server.stop(1)


def record(address: str = "192.0.2.7") -> bytes:
    return typed.site_from_json(site(address))


NODE_SITE = ("HS_SITE", record())


@pytest.mark.parametrize("over", ["udp", "tcp"])
async def test_prefix_handle_of_a_node_has_the_site_that_it_filed(
    toplevel: Toplevel, over: Transport
) -> None:
    await toplevel.file(node_message())
    assert await toplevel.told("0.NA/88.118", over=over) == (ResponseCode.SUCCESS, [NODE_SITE])
    assert await toplevel.told("0.na/88.118", over=over, types=("HS_SITE",)) == (
        ResponseCode.SUCCESS,
        [NODE_SITE],
    )
    code, _ = await toplevel.told("0.NA/88.118", over=over, types=("HS_PUBKEY",))
    assert code == ResponseCode.VALUES_NOT_FOUND


async def test_own_prefix_has_the_own_site(toplevel: Toplevel) -> None:
    assert await toplevel.told("0.NA/88") == (
        ResponseCode.SUCCESS,
        [("HS_SITE", toplevel.record)],
    )


@pytest.mark.parametrize("over", ["udp", "tcp"])
@pytest.mark.parametrize(
    "name",
    ["88.118/X", "88.118.35/Pump", "0.NA/88.118.35", "88.118.35.7/X", "0.NA/88.118.35.7"],
)
async def test_what_lies_under_a_node_is_referred_to_it(
    toplevel: Toplevel, name: str, over: Transport
) -> None:
    await toplevel.file(node_message(), prefix_message("88.118.35"))
    assert await toplevel.told(name, over=over) == (ResponseCode.SERVICE_REFERRAL, [NODE_SITE])
    code, values = await toplevel.told(name, flags=DEFAULT_FLAGS | OpFlag.DO_NOT_REFER)
    assert (code, values) == (ResponseCode.HANDLE_NOT_FOUND, []), "referred against the flag"


async def test_delegated_prefix_has_a_place_of_its_own(toplevel: Toplevel) -> None:
    own = ("HS_SITE", record("192.0.2.36"))
    delegated = {"hosting": "delegated", "site": site("192.0.2.36")}
    await toplevel.file(node_message(), prefix_message("88.118.36", **delegated))
    assert await toplevel.told("0.NA/88.118.36") == (ResponseCode.SUCCESS, [own])
    for name in ("88.118.36/X", "88.118.36.5/X", "0.NA/88.118.36.5"):
        assert await toplevel.told(name) == (ResponseCode.SERVICE_REFERRAL, [own]), name
    assert await toplevel.told("88.118.360/X") == (ResponseCode.SERVICE_REFERRAL, [NODE_SITE])
    await toplevel.file(prefix_message("88.118.36", status="suspended", **delegated))
    assert await toplevel.told("88.118.36/X") == (
        ResponseCode.SERVICE_REFERRAL,
        [NODE_SITE],
    ), "a suspended prefix is still looked for where it was delegated to"


async def test_delegation_to_a_service_is_told_as_its_name(toplevel: Toplevel) -> None:
    await toplevel.file(prefix_message("88.118.37", hosting="delegated", service="88.118/SERVICE"))
    service = ("HS_SERV", b"88.118/SERVICE")
    assert await toplevel.told("0.NA/88.118.37") == (ResponseCode.SUCCESS, [service])
    assert await toplevel.told("88.118.37/X") == (ResponseCode.SERVICE_REFERRAL, [service])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("0.NA/88.200", ResponseCode.HANDLE_NOT_FOUND),
        ("88.200.1/X", ResponseCode.HANDLE_NOT_FOUND),
        ("88/X", ResponseCode.HANDLE_NOT_FOUND),
        ("88.1180/X", ResponseCode.HANDLE_NOT_FOUND),
        ("20.500/X", ResponseCode.SERVER_NOT_RESPONSIBLE),
        ("0.NA/880", ResponseCode.SERVER_NOT_RESPONSIBLE),
    ],
)
async def test_unknown_is_told_and_not_referred(
    toplevel: Toplevel, name: str, code: ResponseCode
) -> None:
    await toplevel.file(node_message())
    assert await toplevel.told(name) == (code, [])


async def test_new_filing_is_answered_at_once_and_others_soon(
    toplevel: Toplevel, database: Database, clock: _Clock
) -> None:
    assert (await toplevel.told("0.NA/88.118"))[0] == ResponseCode.HANDLE_NOT_FOUND
    await toplevel.file(node_message())
    assert await toplevel.told("0.NA/88.118") == (ResponseCode.SUCCESS, [NODE_SITE])
    # Another process of the stub on the same tables: this one hears nothing of it.
    moved = node_message(payload={"site": site("192.0.2.8")})
    async with TestClient(TestServer(make_toplevel_app(database, token=None))) as other:
        assert (await other.post("/filings", json=moved)).status == 200
    flags = DEFAULT_FLAGS | OpFlag.AUTHORITATIVE
    new = (ResponseCode.SUCCESS, [("HS_SITE", record("192.0.2.8"))])
    assert await toplevel.told("0.NA/88.118", flags=flags) == new, "authoritative is from memory"
    clock.now += KEPT_SECONDS + 1
    assert await toplevel.told("0.NA/88.118") == new, "what was filed elsewhere is never seen"


async def test_client_goes_from_the_top_level_to_the_node(toplevel: Toplevel) -> None:
    """The node does not answer: that it was asked shows in the error."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), HERE, 0)
    port = server.sockets[0].getsockname()[1]
    await toplevel.file(node_message(payload={"site": site(HERE, port)}))
    asking = Asking(Identifier.parse("88.118.35/X"), next(_numbers), int(time.time()))
    async with server:
        with pytest.raises(PeerUnavailable, match=str(port)):
            await resolve(asking, Endpoint("tcp", HERE, toplevel.port))


async def test_answer_is_signed_with_the_key_of_the_own_site(toplevel: Toplevel) -> None:
    await toplevel.file(node_message())
    asking = Asking(
        Identifier.parse("0.NA/88.118"), 5, int(time.time()), flags=DEFAULT_FLAGS | OpFlag.CERTIFY
    )
    reader, writer = await asyncio.open_connection(HERE, toplevel.port)
    writer.write(asking.message().encode())
    writer.write_eof()
    answer = decode_message(await reader.read())
    writer.close()
    assert answer.credential is not None, "no signature though one was asked for"


async def test_nothing_is_administered_here(toplevel: Toplevel) -> None:
    reader, writer = await asyncio.open_connection(HERE, toplevel.port)
    request = Message(
        Envelope(request_id=9),
        Header(OpCode.HOME_PREFIX, expiration=0),
        HandleRequest("0.NA/88.118"),
    )
    writer.write(request.encode())
    writer.write_eof()
    answer = decode_message(await reader.read())
    writer.close()
    assert answer.header.response_code == ResponseCode.OPERATION_DENIED


@pytest.mark.parametrize(
    ("message", "status", "field"),
    [
        (node_message(subject="88.118.1"), 422, "subject"),
        (node_message(payload={"site": {"servers": "none"}}), 422, "payload.site.servers"),
        (node_message(payload={"site": site() | {"servers": []}}), 422, "payload.site.servers"),
        (node_message(payload={}), 422, "payload.site"),
        (node_message(payload={"site": site(), "more": 1}), 422, "payload.more"),
    ],
)
async def test_site_that_leads_nowhere_is_refused(
    toplevel: Toplevel, message: dict[str, Any], status: int, field: str
) -> None:
    response = await toplevel.http.post("/filings", json=message)
    answer = await response.json()
    assert (response.status, answer.get("field")) == (status, field), answer


async def test_garbage_gets_an_error_or_nothing_and_harms_nobody(toplevel: Toplevel) -> None:
    await toplevel.file(node_message())
    chance = random.Random(20261125)
    whole = Asking(Identifier.parse("88.118.35/X"), 3, int(time.time())).message().encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(500):
            spoiled = bytearray(whole)
            for _ in range(chance.randint(1, 6)):
                spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
            sender.sendto(spoiled[: chance.randint(1, len(spoiled))], (HERE, toplevel.port))
            sender.sendto(bytes(spoiled), (HERE, toplevel.port))
            await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection(HERE, toplevel.port)
    writer.write(chance.randbytes(4096))
    writer.write_eof()
    await reader.read()
    writer.close()
    for over in ("udp", "tcp"):
        assert (await toplevel.told("0.NA/88.118", over=over))[0] == ResponseCode.SUCCESS
