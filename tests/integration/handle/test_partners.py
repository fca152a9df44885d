"""Values for partners over the Handle protocol: by challenge, in a session, on TCP and UDP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from protocol.errors import ResponseCode
from protocol.handle import session as keys
from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message, decode_payload
from protocol.handle.requests import ResolutionRequest, ValuesRequest
from protocol.handle.responses import ResolutionResponse
from registry.admins import Identity
from tests.integration.access_support import for_partners, private
from tests.integration.handle_support import (
    OTHER_RSA,
    PLAIN,
    RSA,
    SECRET,
    Actor,
    Node,
    Session,
    answer_to,
    ask,
    public_key,
    url,
)
from tests.integration.registry_client import credit_code
from tests.integration.rest_support import value

MORE = PLAIN & ~OpFlag.PUBLIC_ONLY
EVERYTHING = MORE | OpFlag.AUTHORITATIVE


class Pair:
    """An enterprise with an identifier, and one that is its partner."""

    def __init__(self, node: Node, name: str, friend: str, stranger: str, token: str) -> None:
        self.node, self.name, self.token = node, name, token
        self.friend = Actor(Identity(300, f"0.NA/{friend}"), RSA)
        self.person = Actor(Identity(5, f"{friend}/ANN"), OTHER_RSA)
        self.stranger = Actor(Identity(301, f"0.NA/{stranger}"), SECRET)

    async def put(self, *values: dict[str, Any]) -> None:
        path, body = f"/identifiers/{self.name}", {"values": list(values)}
        status, answer, _ = await self.node.http.call("PUT", path, self.token, body)
        assert status in (200, 201), answer
        for service in self.node.services:
            service.resolver.forget_all()

    def question(self, *indexes: int) -> ResolutionRequest:
        return ResolutionRequest(self.name, indexes)

    async def seen(
        self, actor: Actor, *indexes: int, workers: tuple[int, int] = (0, 0)
    ) -> list[int]:
        """Return the indexes that an actor sees who answers the challenge."""
        flags = MORE if indexes else EVERYTHING
        body = self.question(*indexes)
        (answer,) = await self.node.do(actor, OpCode.RESOLUTION, body, flags, workers=workers)
        return shown(answer)


def shown(answer: Message) -> list[int]:
    if answer.header.response_code == ResponseCode.VALUES_NOT_FOUND:
        return []
    assert isinstance(answer.body, ResolutionResponse), answer
    return [one.index for one in answer.body.values]


@pytest.fixture
async def pair(node: Node) -> Pair:
    works = [await node.enterprise(number) for number in (1, 2, 3)]
    for prefix, token in works:
        await node.give_keys(prefix, token)
    (owner, token), (friend, friends), (stranger, _) = works
    body = {"values": [public_key(5, OTHER_RSA)]}
    status, answer, _ = await node.http.call("PUT", f"/identifiers/{friend}/ANN", friends, body)
    assert status == 201, answer
    pair = Pair(node, f"{owner}/SN-1", friend, stranger, token)
    await pair.put(
        value(1, "https://pumps.example/1"),
        for_partners(2, "enterprise", f"enterprise:{credit_code(2)}"),
        for_partners(3, "person", str(pair.person.identity)),
        private(4, "nobody"),
    )
    return pair


async def test_a_partner_sees_its_values_by_a_challenge(pair: Pair) -> None:
    for workers in ((0, 0), (0, 1)):
        assert await pair.seen(pair.friend, workers=workers) == [1, 2]
        assert await pair.seen(pair.person, workers=workers) == [1, 3]
        assert await pair.seen(pair.stranger, workers=workers) == [1]
    assert await pair.seen(pair.friend, 2, 4) == [2]
    for index in (3, 4, 99):
        assert await pair.seen(pair.friend, index) == [], "hidden and absent are alike"


async def test_who_fails_to_prove_it_sees_nothing(pair: Pair) -> None:
    liar = Actor(pair.friend.identity, OTHER_RSA)
    code = await pair.node.code(liar, OpCode.RESOLUTION, pair.question(2), MORE)
    assert code == ResponseCode.AUTHENTICATION_FAILED


async def test_members_of_a_group_change_at_once_on_every_worker(pair: Pair) -> None:
    await pair.put(value(1, "x"), for_partners(2, "group", "group:buyers"))
    call = pair.node.http.call
    for members, expected in (([], [1]), ([str(pair.person.identity)], [1, 2]), ([], [1])):
        body = {"members": members}
        status, answer, _ = await call("PUT", "/groups/buyers", pair.token, body)
        assert status in (200, 201), answer
        for worker in (0, 1):
            assert await pair.seen(pair.person, workers=(worker, worker)) == expected


async def test_in_a_session_a_partner_asks_once_and_is_answered_in_secret(pair: Pair) -> None:
    session = await pair.node.session(pair.friend.identity)
    answers = await session.do(pair.friend, OpCode.RESOLUTION, pair.question(2), MORE)
    assert shown(answers[0]) == [2]
    for indexes, expected in (((), [1, 2]), ((4,), []), ((99,), [])):
        message = session.message(OpCode.RESOLUTION, pair.question(*indexes), MORE)
        parts = await pair.node.exchange(message.encode())
        assert [envelope.encrypted for envelope, _ in parts] == [True], "read by nobody else"
        assert shown((await _open(session, parts))[0]) == expected


async def _open(session: Session, parts: list[tuple[Any, bytes]]) -> list[Message]:
    return [decode_payload(*keys.decrypt_message(*part, session.key)) for part in parts]


def _alike(answer: Message) -> tuple[Any, ...]:
    """Return what tells answers apart, but for the random part of a challenge."""
    body = (
        answer.body if answer.header.response_code != ResponseCode.AUTHENTICATION_NEEDED else None
    )
    if isinstance(body, ResolutionResponse):
        body = replace(body, handle="", values=tuple(replace(v, timestamp=0) for v in body.values))
    return answer.header.response_code, answer.header.flags, body


async def test_a_challenge_tells_nothing_of_what_is_hidden(pair: Pair) -> None:
    plain = f"{pair.name}-PLAIN"
    body = {"values": [value(1, "https://pumps.example/1")]}
    status, _, _ = await pair.node.http.call("PUT", f"/identifiers/{plain}", pair.token, body)
    assert status == 201
    for flags in (PLAIN, MORE, EVERYTHING):
        for indexes, types in (
            ((), ()),
            ((1,), ()),
            ((2,), ()),
            ((1, 2), ()),
            ((99,), ()),
            ((), ("URL",)),
            ((), ("NOTE",)),
            ((), ("URL", "NOTE")),
        ):
            told = []
            for name in (pair.name, plain):
                request = ResolutionRequest(name, indexes, types)
                (answer,) = await pair.node.send(ask(OpCode.RESOLUTION, request, flags))
                challenged = answer.header.response_code == ResponseCode.AUTHENTICATION_NEEDED
                assert not (challenged and flags == PLAIN), "public-only is never challenged"
                told.append([_alike(answer)])
                if challenged:
                    (answer,) = await pair.node.do(pair.stranger, OpCode.RESOLUTION, request, flags)
                    told[-1].append(_alike(answer))
            assert told[0] == told[1], (flags, indexes, types)


async def test_clients_that_never_say_public_only_are_answered(pair: Pair) -> None:
    (answer,) = await pair.node.send(ask(OpCode.RESOLUTION, pair.question(), MORE))
    assert shown(answer) == [1]


async def test_a_partner_over_udp(pair: Pair) -> None:
    async with asyncio.timeout(30):
        client = await _Client.open(pair.node.servers[0].port)
        try:
            challenge = await client.ask(ask(OpCode.RESOLUTION, pair.question(2), MORE))
            assert challenge.header.response_code == ResponseCode.AUTHENTICATION_NEEDED
            answer = await client.ask(answer_to(challenge, pair.friend))
        finally:
            client.close()
    assert shown(answer) == [2]


class _Client(asyncio.DatagramProtocol):
    """Sends messages that fit in a datagram, and waits for each answer."""

    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    @classmethod
    async def open(cls, port: int) -> _Client:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(
            cls, remote_addr=("127.0.0.1", port)
        )
        client.transport = transport
        return client

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.put_nowait(data)

    async def ask(self, message: Message) -> Message:
        octets = message.encode()
        assert len(octets) <= 512, "a datagram"
        self.transport.sendto(octets)
        data = await self.answers.get()
        return decode_payload(decode_envelope(data[:SIZE]), data[SIZE:])

    def close(self) -> None:
        self.transport.close()


async def test_a_write_keeps_the_partners_of_what_it_replaces(pair: Pair) -> None:
    owner = Actor(Identity(300, f"0.NA/{pair.name.partition('/')[0]}"), RSA)
    new = replace(url(2, "new"), type="NOTE", permissions=0b1100)
    changes = ValuesRequest(pair.name, (new,))
    assert await pair.node.code(owner, OpCode.MODIFY_VALUE, changes) == ResponseCode.SUCCESS
    assert await pair.seen(pair.friend, 2) == [2]
    assert await pair.seen(pair.stranger, 2) == []
