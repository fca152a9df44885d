"""Identities kept at another node prove themselves here with the public key that it shows."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocol.errors import ResponseCode
from protocol.handle.admin import Permission
from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.keys import PUBLIC_KEY
from protocol.handle.message import Message, decode_payload, reply
from protocol.handle.requests import ResolutionRequest, ValuesRequest
from protocol.handle.responses import ReferralResponse
from protocol.values import HandleValue
from registry.admins import Identity
from registry.database import Database
from resolver.client.steps import Endpoint
from resolver.handle.elsewhere import MAX_AT_ONCE, MAX_TTL, Address, Elsewhere
from resolver.site import make_site
from tests.integration import rest_support
from tests.integration.access_support import for_partners
from tests.integration.handle.connection import connected
from tests.integration.handle_support import (
    OTHER_RSA,
    RSA,
    SECRET,
    Actor,
    Clock,
    Node,
    admin,
    answer_to,
    owned,
    public_key,
    running,
    secret_key,
    url,
)
from tests.integration.test_resolver import until
from tests.integration.test_rest_auth import offered, signed

OK = ResponseCode.SUCCESS
LOOPBACK = frozenset((ipaddress.IPv4Address("127.0.0.1"),))


@dataclass
class Pair:
    """Two nodes. agent: kept at `there`, administrator of the prefix at `here`.

    away: ends `there`.
    """

    here: Node
    there: Node
    prefix: str
    agent: Actor
    clock: Clock
    away: Callable[[], Awaitable[None]]

    def ask_at(self, port: int, own: frozenset[Address] = frozenset(), own_port: int = 0) -> None:
        """Make the first node ask for identities at a port of this machine."""
        found = elsewhere(port, own, own_port, clock=self.clock)
        for service in self.here.services:
            service.find = found.find

    async def create(self, actor: Actor, name: str) -> int:
        body = ValuesRequest(f"{self.prefix}/{name}", (url(1),))
        return await self.here.code(actor, OpCode.CREATE_HANDLE, body)


def elsewhere(
    port: int,
    own: frozenset[Address] = frozenset(),
    own_port: int = 0,
    *,
    seconds: float = 20.0,
    clock: Callable[[], float],
) -> Elsewhere:
    server = Endpoint("tcp", "127.0.0.1", port)
    return Elsewhere(server, own, own_port, seconds=seconds, clock=clock)


async def kept(node: Node) -> Actor:
    """Keep an identity at a node, under a prefix that a node with one enterprise has not."""
    await node.enterprise(1)
    prefix, token = await node.enterprise(2)
    values = [public_key(300, OTHER_RSA), secret_key(301, SECRET)]
    hidden = public_key(302, OTHER_RSA) | {"permissions": "1100"}
    status, answer, _ = await node.http.call(
        "PUT", f"/identifiers/{prefix}/Agent", token, {"values": [*values, hidden]}
    )
    assert status == 201, answer
    return Actor(Identity(300, f"{prefix}/AGENT"), OTHER_RSA)


@pytest.fixture
async def there(other_database: Database) -> AsyncIterator[Node]:
    async with running(other_database) as node:
        yield node


@pytest.fixture
async def pair(database: Database, other_database: Database) -> AsyncIterator[Pair]:
    async with contextlib.AsyncExitStack() as theirs, running(database) as here:
        there = await theirs.enter_async_context(running(other_database))
        agent = await kept(there)
        prefix, _, owner = await owned(here)
        assert not agent.identity.handle.startswith(f"{prefix}/")
        admins = tuple(
            admin(110 + number, Permission(0xFFF), Identity(index, agent.identity.handle))
            for number, index in enumerate((300, 301, 302))
        )
        added = ValuesRequest(f"0.NA/{prefix}", admins)
        assert await here.code(owner, OpCode.ADD_VALUE, added) == OK
        yield Pair(here, there, prefix, agent, Clock(), theirs.aclose)


async def test_an_identity_kept_elsewhere_administers_here(pair: Pair) -> None:
    pair.ask_at(pair.there.servers[0].port)
    assert await pair.create(pair.agent, "E") == OK
    actors = await pair.here.sql("SELECT actor FROM audit_log ORDER BY seq DESC LIMIT 1")
    assert actors == [(f"handle:{pair.agent.identity}",)]
    any_key = Actor(Identity(0, pair.agent.identity.handle), OTHER_RSA)
    assert await pair.create(any_key, "F") == OK, "index 0 is any of its public keys"


async def test_an_identity_kept_elsewhere_is_a_partner_here(pair: Pair) -> None:
    pair.ask_at(pair.there.servers[0].port)
    prefix, token = await pair.there.enterprise(3)
    body = {"values": [public_key(300, OTHER_RSA), public_key(301, RSA)]}
    status, answer, _ = await pair.there.http.call("PUT", f"/identifiers/{prefix}/G", token, body)
    assert status == 201, answer
    guest = Actor(Identity(300, f"{prefix}/G"), OTHER_RSA)
    note = for_partners(2, "for the guest", str(guest.identity))
    name, call = f"{pair.prefix}/P", pair.here.http.call
    body = {"values": [rest_support.value(1, "https://pumps.example/1"), note]}
    status, answer, _ = await call("PUT", f"/identifiers/{name}", pair.here.http.operator, body)
    assert status == 201, answer
    flags = OpFlag.AUTHORITATIVE
    for actor, expected in (
        (guest, [1, 2]),
        (Actor(Identity(301, f"{prefix}/G"), RSA), [1]),
    ):
        (answer,) = await pair.here.do(actor, OpCode.RESOLUTION, ResolutionRequest(name), flags)
        assert [one.index for one in answer.body.values] == expected, actor.identity


async def test_in_a_session_they_prove_themselves_once(pair: Pair) -> None:
    pair.ask_at(pair.there.servers[0].port)
    session = await pair.here.session(pair.agent.identity, encrypted=True)

    async def create(name: str, worker: int = 0) -> Message:
        body = ValuesRequest(f"{pair.prefix}/{name}", (url(1),))
        message = session.message(OpCode.CREATE_HANDLE, body)
        (answer,) = await session.send(message, worker=worker)
        return answer

    challenge = await create("A")
    (made,) = await session.send(answer_to(challenge, pair.agent))
    assert made.header.response_code == OK
    for worker in (0, 1):
        made = await create(f"B-{worker}", worker)
        assert made.header.response_code == OK, "challenged though it has proved itself"
    await pair.away()
    pair.clock.offset = MAX_TTL + 60
    before = await pair.here.written()
    again = await create("C")
    assert again.header.response_code == ResponseCode.AUTHENTICATION_NEEDED, "its key is not seen"
    assert await pair.here.written() == before


async def test_a_login_is_for_them_too(pair: Pair) -> None:
    pair.ask_at(pair.there.servers[0].port)
    async with connected(pair.here) as connection:
        assert (await connection.login(pair.agent)).header.response_code == OK
        for name in ("L", "M"):
            body = ValuesRequest(f"{pair.prefix}/{name}", (url(1),))
            assert await connection.code(OpCode.CREATE_HANDLE, body) == OK
        await pair.away()
        pair.clock.offset = MAX_TTL + 60
        body = ValuesRequest(f"{pair.prefix}/N", (url(1),))
        assert await connection.code(OpCode.CREATE_HANDLE, body) == ResponseCode.SESSION_TIMEOUT


async def test_who_has_not_the_key_writes_nothing(pair: Pair) -> None:
    pair.ask_at(pair.there.servers[0].port)
    before = await pair.here.written()
    handle = pair.agent.identity.handle
    for actor, expected in (
        (Actor(pair.agent.identity, RSA), ResponseCode.AUTHENTICATION_FAILED),
        (Actor(Identity(301, handle), SECRET), ResponseCode.UNABLE_TO_AUTHENTICATE),
        (Actor(Identity(302, handle), OTHER_RSA), ResponseCode.UNABLE_TO_AUTHENTICATE),
        (Actor(Identity(300, f"{handle}-2"), OTHER_RSA), ResponseCode.UNABLE_TO_AUTHENTICATE),
    ):
        assert await pair.create(actor, "E") == expected, actor.identity
    assert await pair.here.written() == before


async def test_while_the_other_node_is_away_its_identities_are_refused(pair: Pair) -> None:
    before = await pair.here.written()
    assert await pair.create(pair.agent, "E") == ResponseCode.UNABLE_TO_AUTHENTICATE, "not set"
    pair.ask_at(pair.there.servers[0].port)
    await pair.away()
    assert await pair.create(pair.agent, "E") == ResponseCode.UNABLE_TO_AUTHENTICATE
    assert await pair.here.written() == before


async def test_a_key_is_remembered_and_not_for_ever(pair: Pair) -> None:
    pair.ask_at(pair.there.servers[0].port)
    assert await pair.create(pair.agent, "E") == OK
    await pair.away()
    pair.clock.offset = MAX_TTL - 60
    assert await pair.create(pair.agent, "F") == OK
    pair.clock.offset = MAX_TTL + 60
    assert await pair.create(pair.agent, "G") == ResponseCode.UNABLE_TO_AUTHENTICATE


async def test_the_json_api_lets_them_in_too(
    there: Node, database_url: str, tmp_path: Path
) -> None:
    agent = await kept(there)
    found = elsewhere(there.servers[0].port, clock=Clock())
    async with rest_support.running(database_url, tmp_path, find=found.find) as front:
        front.service.administrators = frozenset({str(agent.identity)})
        path = f"/api/handles/{rest_support.PREFIX}/E?overwrite=false"
        body = {"values": [rest_support.value(1, "a")]}
        for key, expected in ((RSA, 401), (OTHER_RSA, 201)):
            session_id, nonce = offered(await front.ask("PUT", path, body))
            auth = signed(session_id, nonce, key, str(agent.identity))
            assert (await front.ask("PUT", path, body, auth)).status == expected


@dataclass
class Server:
    """A Handle server that answers as it is told. asked: the requests that came."""

    port: int
    asked: list[Message]


@contextlib.asynccontextmanager
async def answering(
    answer: Callable[[Message], Awaitable[Message | None]],
) -> AsyncIterator[Server]:
    asked: list[Message] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            envelope = decode_envelope(await reader.readexactly(SIZE))
            payload = await reader.readexactly(envelope.message_length)
            asked.append(decode_payload(envelope, payload))
            response = await answer(asked[-1])
            if response is not None:
                writer.write(response.encode())
                await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Server(server.sockets[0].getsockname()[1], asked)
    finally:
        server.close()
        await server.wait_closed()


async def test_referrals_are_followed_but_not_to_this_node(pair: Pair) -> None:
    port = pair.there.servers[0].port
    site = HandleValue(1, "HS_SITE", make_site("127.0.0.1", handle_port=port, http_port=0).record)

    async def refer(request: Message) -> Message:
        body = ReferralResponse(values=(site,))
        code = ResponseCode.SERVICE_REFERRAL
        return reply(request, body, expiration=2_000_000_000, site_serial=1, code=code)

    async with answering(refer) as server:
        pair.ask_at(server.port, LOOPBACK, port)
        assert await pair.create(pair.agent, "E") == ResponseCode.UNABLE_TO_AUTHENTICATE
        pair.ask_at(server.port)
        assert await pair.create(pair.agent, "E") == OK
        secret = Actor(Identity(301, pair.agent.identity.handle), SECRET)
        assert await pair.create(secret, "F") == ResponseCode.UNABLE_TO_AUTHENTICATE
        assert len(server.asked) == 2, "a secret is asked for nowhere"
    for request in server.asked:
        assert isinstance(request.body, ResolutionRequest)
        assert request.body.types == (PUBLIC_KEY,)
        assert request.header.flags & OpFlag.RECURSIVE
        assert request.header.flags & OpFlag.PUBLIC_ONLY


async def test_few_are_looked_for_at_once_and_not_for_ever() -> None:
    release = asyncio.Event()

    async def wait(_: Message) -> None:
        await release.wait()

    async with answering(wait) as server:
        found = elsewhere(server.port, clock=Clock())
        tasks = [
            asyncio.create_task(found.find(Identity(300, f"20.500/{number}"), PUBLIC_KEY))
            for number in range(MAX_AT_ONCE)
        ]
        await until(lambda: len(server.asked) == MAX_AT_ONCE)
        assert not await found.find(Identity(300, "20.500/more"), PUBLIC_KEY)
        assert len(server.asked) == MAX_AT_ONCE
        hasty = elsewhere(server.port, seconds=0.05, clock=Clock())
        assert not await hasty.find(Identity(300, "20.500/more"), PUBLIC_KEY)
        release.set()
        assert not any(await asyncio.gather(*tasks))
        for _ in range(2):
            assert not await found.find(Identity(300, "20.500/again"), PUBLIC_KEY)
        bodies = [request.body for request in server.asked]
        again = [body for body in bodies if "20.500/again" in str(body)]
        assert len(again) == 2, "a failure is not remembered, and it gives its place back"
