"""Two workers of a node that speak the Handle protocol over TCP, and a client of ours for tests.

The client is made of the codecs alone; the real clients have tests of their own (tests/interop).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from protocol.errors import ResponseCode
from protocol.handle import session as keys
from protocol.handle.admin import AdminRecord, Permission
from protocol.handle.challenge import answer_with_key, answer_with_secret
from protocol.handle.credential import mac_message
from protocol.handle.envelope import SIZE, Envelope, decode_envelope
from protocol.handle.header import Header, OpCode, OpFlag
from protocol.handle.keys import PUBLIC_KEY, SECRET_KEY, encode_public_key
from protocol.handle.message import Message, decode_payload
from protocol.handle.requests import (
    ChallengeAnswer,
    HandleRequest,
    KeyExchange,
    Request,
    ResolutionRequest,
    SessionSetupRequest,
)
from protocol.handle.responses import Challenge, ResolutionResponse, SessionSetupResponse
from protocol.handle.signing import SigningKey
from protocol.values import HandleValue, Reference
from registry.admins import Identity
from registry.database import Database
from registry.metrics import private_row
from registry.services import Registry
from resolver.handle.dispatch import HANDLERS
from resolver.handle.service import HandleService
from resolver.lookup import Resolver
from resolver.site import make_site
from resolver.transports.handle_server import HandleServer, start_handle
from resolver.transports.limits import Limits
from tests.integration import registry_client

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
DSA = dsa.generate_private_key(key_size=1024)
SECRET = "水泵 pump station".encode()
NODE_ADMIN = Identity(300, "88.118/admin")
PLAIN = OpFlag.PUBLIC_ONLY | OpFlag.RECURSIVE | OpFlag.CACHE_CERTIFY

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Actor:
    """Who proves to be `identity`, with a private key or a secret."""

    identity: Identity
    key: SigningKey | bytes

    def answer(self, challenge: Message) -> ChallengeAnswer:
        body, digest = challenge.body, challenge.digest
        assert isinstance(body, Challenge), challenge
        assert digest is not None, "a challenge names the request that it is for"
        version = challenge.envelope.version
        handle, index = self.identity.handle, self.identity.index
        if isinstance(self.key, bytes):
            salt = secrets.token_bytes(16)
            proof = answer_with_secret(version, body.nonce, digest, self.key, salt)
            return ChallengeAnswer(SECRET_KEY, handle, index, proof)
        proof = answer_with_key(version, body.nonce, digest, self.key)
        return ChallengeAnswer(PUBLIC_KEY, handle, index, proof)


@dataclass
class Clock:
    """The time of the node, which a test may move."""

    offset: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@dataclass
class Node:
    """The node: its HTTP API, its workers and its time."""

    http: registry_client.Node
    servers: list[HandleServer]
    services: list[HandleService]
    clock: Clock
    forgotten: list[list[tuple[str, Any]]] = field(default_factory=list)

    async def enterprise(self, number: int) -> tuple[str, str]:
        """Register an enterprise; return its prefix and its key for the HTTP API."""
        id_, key = await self.http.enterprise(number)
        return await self.http.prefix(id_, key), key

    async def give_keys(self, prefix: str, token: str, *more: dict[str, Any]) -> None:
        """Put a public key at 300 and a secret at 301 of the prefix handle, as owners do."""
        values = [public_key(300, RSA), secret_key(301, SECRET), *more]
        status, answer, _ = await self.http.call(
            "PATCH", f"/identifiers/0.NA/{prefix}", token, {"values": values}
        )
        assert status == 200, answer

    async def sql(self, query: str) -> list[tuple[Any, ...]]:
        async with self.http.database.begin() as connection:
            result = await connection.execute(sa.text(query))
            return [tuple(row) for row in result.all()] if result.returns_rows else []

    async def written(self) -> dict[str, int]:
        """Return how much there is of all that a write leaves behind."""
        counts = await self.http.counts()
        names = ("identifiers", "identifier_history", "audit_log", "change_log", "outbox")
        return {name: counts[name] for name in names}

    async def send(self, message: Message, *, worker: int = 0) -> list[Message]:
        """Send a plain message to a worker, over a connection of its own."""
        return [
            decode_payload(envelope, payload)
            for envelope, payload in await self.exchange(message.encode(), worker=worker)
        ]

    async def exchange(self, request: bytes, *, worker: int = 0) -> list[tuple[Envelope, bytes]]:
        """Send bytes and return the answers, until there are no more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.servers[worker].port)
        try:
            writer.write(request)
            writer.write_eof()
            async with asyncio.timeout(30):
                octets = await reader.read(-1)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        answers, at = [], 0
        while at < len(octets):
            envelope = decode_envelope(octets[at : at + SIZE])
            end = at + SIZE + envelope.message_length
            answers.append((envelope, octets[at + SIZE : end]))
            at = end
        return answers

    async def challenged(
        self, op_code: int, body: Request, flags: int = PLAIN, *, worker: int = 0
    ) -> Message:
        """Send a request; return the challenge that it gets."""
        (challenge,) = await self.send(ask(op_code, body, flags), worker=worker)
        assert challenge.header.response_code == ResponseCode.AUTHENTICATION_NEEDED, challenge
        assert challenge.envelope.session_id, "an answer must be able to name its challenge"
        return challenge

    async def do(
        self,
        actor: Actor,
        op_code: int,
        body: Request,
        flags: int = PLAIN,
        *,
        workers: tuple[int, int] = (0, 0),
    ) -> list[Message]:
        """Send a request and answer its challenge; return what comes then.

        workers: which one gets the request, and which one the answer.
        """
        challenge = await self.challenged(op_code, body, flags, worker=workers[0])
        answer = answer_to(challenge, actor)
        return await self.send(answer, worker=workers[1])

    async def code(self, actor: Actor, op_code: int, body: Request, flags: int = PLAIN) -> int:
        """Return the response code that `actor` gets for a request."""
        (answer,) = await self.do(actor, op_code, body, flags)
        return answer.header.response_code

    async def session(self, identity: Identity | None, *, encrypted: bool = False) -> Session:
        """Set up a session as the reference client does."""
        own = keys.make_key_pair(secrets.token_bytes(32))
        setup = SessionSetupRequest(
            KeyExchange.DIFFIE_HELLMAN, 86_400, public_key=encode_public_key(own.public)
        )
        if identity is not None:
            setup = replace(setup, identity=identity.handle, identity_index=identity.index)
        (answer,) = await self.send(ask(OpCode.SESSION_SETUP, setup))
        assert isinstance(answer.body, SessionSetupResponse), answer
        key = keys.agree(own, keys.read_server_key(answer.body.data))
        return Session(self, answer.envelope.session_id, key, encrypted)


@dataclass
class Session:
    """A client's side of a session."""

    node: Node
    id: int
    key: bytes
    encrypted: bool
    counter: int = 0

    def message(self, op_code: int, body: Request, flags: int = PLAIN) -> Message:
        """Return the next message, with its MAC."""
        self.counter += 1
        message = ask(op_code, body, flags)
        message = replace(message, envelope=replace(message.envelope, session_id=self.id))
        mac = mac_message(message.envelope, message.content, self.key, self.counter)
        return replace(message, credential=mac)

    async def send(self, message: Message, *, worker: int = 0) -> list[Message]:
        """Send a message, and read the answers whether or not they are encrypted."""
        request = message.encode()
        if self.encrypted:
            iv = secrets.token_bytes(16)
            envelope, payload = keys.encrypt_message(
                decode_envelope(request), request[SIZE:], self.key, iv
            )
            request = envelope.encode() + payload
        answers = []
        for part in await self.node.exchange(request, worker=worker):
            encrypted = part[0].encrypted
            assert encrypted or not self.encrypted, "the answer could be read by anybody"
            plain = keys.decrypt_message(*part, self.key) if encrypted else part
            answers.append(decode_payload(*plain))
        return answers

    async def do(
        self,
        actor: Actor,
        op_code: int,
        body: Request,
        flags: int = PLAIN,
        *,
        workers: tuple[int, int] = (0, 0),
    ) -> list[Message]:
        """Send a request and, if there is a challenge, its answer."""
        answers = await self.send(self.message(op_code, body, flags), worker=workers[0])
        if answers[0].header.response_code != ResponseCode.AUTHENTICATION_NEEDED:
            return answers
        assert answers[0].envelope.session_id == self.id
        return await self.send(answer_to(answers[0], actor), worker=workers[1])


def ask(op_code: int, body: Request, flags: int = PLAIN) -> Message:
    """Return a request with a number of its own."""
    envelope = Envelope(request_id=next(_numbers))
    return Message(envelope, Header(op_code, 2_000_000_000, flags=flags), body)


def answer_to(challenge: Message, actor: Actor) -> Message:
    """Return the message that answers a challenge."""
    message = ask(OpCode.CHALLENGE_ANSWER, actor.answer(challenge))
    session_id = challenge.envelope.session_id
    return replace(message, envelope=replace(message.envelope, session_id=session_id))


def of_handle(name: str) -> HandleRequest:
    return HandleRequest(name)


def url(index: int, text: str = "https://pumps.example/1") -> HandleValue:
    return HandleValue(index, "URL", text.encode())


def public_key(index: int, key: SigningKey) -> dict[str, Any]:
    octets = base64.b64encode(encode_public_key(key.public_key())).decode()
    return {"index": index, "type": PUBLIC_KEY, "data": {"format": "base64", "value": octets}}


def secret_key(index: int, secret: bytes) -> dict[str, Any]:
    data = {"format": "string", "value": secret.decode()}
    return {"index": index, "type": SECRET_KEY, "data": data, "permissions": "1100"}


@contextlib.asynccontextmanager
async def running(database: Database) -> AsyncIterator[Node]:
    """Run the registry's HTTP API and two workers' Handle servers on `database`."""
    async with registry_client.running(database) as http, contextlib.AsyncExitStack() as stack:
        clock = Clock()
        node = Node(http, [], [], clock)
        for _ in range(2):
            await _worker(stack, database.url, node)
        status, answer, _ = await http.call(
            "PUT",
            f"/identifiers/{NODE_ADMIN.handle}",
            http.operator,
            {"values": [public_key(NODE_ADMIN.index, RSA)]},
        )
        assert status == 201, answer
        yield node


async def _worker(stack: contextlib.AsyncExitStack, url: str, node: Node) -> None:
    database, row = Database(url, pool_size=4), private_row()
    stack.push_async_callback(database.close)
    site = make_site("127.0.0.1", handle_port=2641, http_port=0)
    resolver = Resolver(
        database, row=row, cache_bytes=1 << 20, node_prefix="88.118", site=site.record
    )
    forgotten: list[tuple[str, Any]] = []
    node.forgotten.append(forgotten)

    def changed(prefix: str, suffix_keys: Any) -> None:
        forgotten.append((prefix, suffix_keys))
        resolver.forget(prefix, suffix_keys)

    service = HandleService(
        resolver,
        Registry(database, "88.118", changed, row, node.clock),
        site,
        handlers=HANDLERS,
        administrators=frozenset({str(NODE_ADMIN)}),
        clock=node.clock,
    )
    await resolver.start()
    stack.push_async_callback(resolver.close)
    async with asyncio.timeout(20):
        while not resolver.ready:
            await asyncio.sleep(0.01)
    server = await start_handle(service, row=row, host="127.0.0.1", port=0, limits=Limits(1000))
    stack.push_async_callback(server.stop, 1)
    node.services.append(service)
    node.servers.append(server)


async def owned(node: Node, number: int = 1) -> tuple[str, str, Actor]:
    """Return a prefix with keys, a token of its owner, and its administrator."""
    prefix, token = await node.enterprise(number)
    await node.give_keys(prefix, token, public_key(302, DSA))
    return prefix, token, Actor(Identity(300, f"0.NA/{prefix}"), RSA)


async def resolved(node: Node, name: str, *, worker: int = 0) -> dict[int, bytes] | int:
    """Return the values that anybody sees by index, or the response code."""
    (answer,) = await node.send(ask(OpCode.RESOLUTION, ResolutionRequest(name)), worker=worker)
    if not isinstance(answer.body, ResolutionResponse):
        return answer.header.response_code
    return {value.index: value.data for value in answer.body.values}


def admin(index: int, permissions: Permission, identity: Identity) -> HandleValue:
    record = AdminRecord(Reference(identity.handle, identity.index), permissions)
    return HandleValue(index, "HS_ADMIN", record.encode())


@contextlib.asynccontextmanager
async def nothing_written(node: Node) -> AsyncIterator[None]:
    before = await node.written()
    yield
    assert await node.written() == before, "a refused operation leaves nothing behind"
