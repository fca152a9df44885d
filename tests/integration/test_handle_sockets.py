"""The Handle protocol over real UDP and TCP sockets, with a real PostgreSQL behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from protocol import typed
from protocol.errors import ResponseCode
from protocol.handle.challenge import answer_with_key
from protocol.handle.credential import verify_message
from protocol.handle.digest import digest_request
from protocol.handle.envelope import SIZE, Envelope, decode_envelope
from protocol.handle.fragment import Reassembly, cut
from protocol.handle.header import Header, OpCode, OpFlag
from protocol.handle.keys import encode_public_key
from protocol.handle.message import Message, decode_message, decode_payload
from protocol.handle.requests import ChallengeAnswer, HandleRequest, ResolutionRequest
from protocol.handle.responses import (
    Challenge,
    ErrorResponse,
    ReferralResponse,
    ResolutionResponse,
    SiteResponse,
)
from protocol.json_api import encode_value
from protocol.values import HandleValue
from registry.database import Database
from registry.metrics import METRICS, Row, private_row, slot
from registry.services import Registry
from resolver.handle.dispatch import HANDLERS
from resolver.handle.service import HandleService, Peer
from resolver.lookup import Resolver
from resolver.site import make_site
from resolver.transports import tcp, udp
from resolver.transports.handle_server import HandleServer, start_handle
from resolver.transports.limits import Limits, ResponseLimit

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SITE = {
    "servers": [
        {
            "serverId": 1,
            "address": "192.0.2.7",
            "interfaces": [{"query": True, "protocol": "UDP", "port": 2641}],
        }
    ]
}
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PLAIN = OpFlag.PUBLIC_ONLY | OpFlag.CACHE_CERTIFY


@dataclass
class Node:
    server: HandleServer
    service: HandleService
    row: Row

    @property
    def port(self) -> int:
        return self.server.port

    def dropped(self, reason: str) -> float:
        return self.row.cells[slot("idnode_udp_dropped", reason)]


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    sql = await asyncpg.connect(database_url)
    await sql.execute(
        """WITH e AS (
               INSERT INTO enterprises (name, credit_code, industry, contact)
               VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
           INSERT INTO prefixes (prefix, enterprise_id, hosting, status, site)
               SELECT p, id, h, 'active', s::jsonb FROM e, (VALUES
                   ('88.118.1', 'hosted', NULL), ('88.118.2', 'delegated', $1)) AS v (p, h, s)""",
        json.dumps(SITE),
    )
    values: dict[str, list[Any]] = {
        "ABC": [(1, "URL", "https://pumps.example"), (2, "URL.mirror", "m"), (3, "EMAIL", "a@b")],
        "LARGE": [(n, "TEXT", "x" * 500) for n in range(1, 21)],
        "HUGE": [(n, "TEXT", "x" * 1000) for n in range(1, 101)],
        "EMPTY": [],
        "OVER": [(n, "TEXT", "x" * 5000) for n in range(1, 61)],
    }
    admin = {"handle": "0.NA/88.118.1", "index": 300, "permissions": "1" * 12}
    key = HandleValue(300, "HS_PUBKEY", encode_public_key(KEY.public_key()))
    other = HandleValue(301, "HS_PUBKEY", encode_public_key(OTHER_KEY.public_key()))
    prefix_handle = [
        HandleValue(100, "HS_ADMIN", typed.admin_from_json(admin)),
        key,
        other,
    ]
    await sql.execute(
        """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
           VALUES ('0.NA', '88.118.1', '88.118.1', $1), ('88.118.1', 'SECRET', 'SECRET', $2)""",
        json.dumps([encode_value(value) for value in prefix_handle]),
        json.dumps(
            [
                encode_value(HandleValue(1, "URL", b"u")),
                encode_value(HandleValue(2, "PRICE", b"7", permissions=12)),
            ]
        ),
    )
    for name, triples in values.items():
        stored = [
            {"index": index, "type": kind, "data": {"format": "string", "value": text}}
            for index, kind, text in triples
        ]
        await sql.execute(
            """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
               VALUES ('88.118.1', $1, $1, $2)""",
            name,
            json.dumps(stored),
        )
    await sql.close()
    database, row = Database(database_url), private_row()
    site = make_site("127.0.0.1", handle_port=2641, http_port=8000, key=KEY)
    resolver = Resolver(
        database, row=row, cache_bytes=1 << 20, node_prefix="88.118", site=site.record
    )
    registry = Registry(database, "88.118", resolver.forget, row)
    service = HandleService(resolver, registry, site, handlers=HANDLERS)
    await resolver.start()
    async with asyncio.timeout(20):
        while not resolver.ready:
            await asyncio.sleep(0.01)
    server = await start_handle(service, row=row, host="127.0.0.1", port=0, limits=Limits(100_000))
    yield Node(server, service, row)
    await server.stop(1)
    await resolver.close()
    await database.close()


def question(
    name: str = "88.118.1/ABC",
    *,
    number: int = 7,
    flags: int = PLAIN,
    op_code: int = OpCode.RESOLUTION,
    types: tuple[str, ...] = (),
    indexes: tuple[int, ...] = (),
) -> Message:
    body = (
        ResolutionRequest(name, indexes, types)
        if op_code == OpCode.RESOLUTION
        else HandleRequest(name)
    )
    return Message(Envelope(request_id=number), Header(op_code, 2_000_000_000, flags=flags), body)


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait(data)


@dataclass
class UdpClient:
    transport: asyncio.DatagramTransport
    protocol: Datagrams

    async def ask(self, *datagrams: bytes) -> Message:
        for datagram in datagrams:
            self.transport.sendto(datagram)
        whole = Reassembly()
        async with asyncio.timeout(20):
            while True:
                part = await self.protocol.received.get()
                assert len(part) <= 512
                done = whole.add("server", decode_envelope(part), part[SIZE:], 0.0)
                if done is not None:
                    return decode_payload(*done)


@pytest.fixture
async def client(node: Node) -> AsyncIterator[UdpClient]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, remote_addr=("127.0.0.1", node.port)
    )
    yield UdpClient(transport, protocol)
    transport.close()


async def tcp_ask(node: Node, *requests: bytes, end: bool = False) -> list[Message]:
    """Send requests in one go; return as many answers, or all until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    answers: list[Message] = []
    async with asyncio.timeout(20):
        writer.write(b"".join(requests))
        if end:
            writer.write_eof()
        while end or len(answers) < len(requests):
            try:
                head = await reader.readexactly(SIZE)
            except asyncio.IncompleteReadError:
                break
            payload = await reader.readexactly(decode_envelope(head).message_length)
            answers.append(decode_message(head + payload))
    writer.close()
    return answers


def types_of(message: Message) -> list[str]:
    assert isinstance(message.body, ResolutionResponse), message
    return [value.type for value in message.body.values]


@pytest.mark.parametrize("over", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (question(), ["URL", "URL.mirror", "EMAIL"]),
        (question("88.118.1/abc"), ["URL", "URL.mirror", "EMAIL"]),
        (question(types=("url",)), ["URL"]),
        (question(types=("URL.",)), ["URL", "URL.mirror"]),
        (question(indexes=(3,)), ["EMAIL"]),
        (question(indexes=(3,), types=("URL",)), ["URL", "EMAIL"]),
        (question(flags=PLAIN | OpFlag.AUTHORITATIVE), ["URL", "URL.mirror", "EMAIL"]),
        (question("0.NA/88.118.1"), ["HS_SITE", "HS_ADMIN", "HS_PUBKEY", "HS_PUBKEY"]),
        (question("88.118.1"), ["HS_SITE", "HS_ADMIN", "HS_PUBKEY", "HS_PUBKEY"]),
        (question("88.118.1/SECRET"), ["URL"]),
        (question("88.118.1/SECRET", types=("PRICE",)), ResponseCode.VALUES_NOT_FOUND),
        (question("88.118.1/SECRET", types=("URL",), flags=0), ["URL"]),
        (question("0.NA/88.118"), ["HS_SITE"]),
        (question("88.118.1/LARGE"), ["TEXT"] * 20),
        (question("88.118.1/NO"), ResponseCode.HANDLE_NOT_FOUND),
        (question("10.1000/182"), ResponseCode.SERVER_NOT_RESPONSIBLE),
        (question("88.118.1/"), ResponseCode.INVALID_HANDLE),
        (question(types=("NONE",)), ResponseCode.VALUES_NOT_FOUND),
        (question(indexes=(0,)), ResponseCode.VALUES_NOT_FOUND),
        (question("88.118.1/EMPTY"), ResponseCode.VALUES_NOT_FOUND),
        (question("88.118.2/X", flags=PLAIN | OpFlag.DO_NOT_REFER), ResponseCode.HANDLE_NOT_FOUND),
        (question(op_code=999), ResponseCode.ERROR),
    ],
)
async def test_resolution_over_both_transports(
    node: Node, client: UdpClient, over: str, asked: Message, wanted: Any
) -> None:
    for number in range(3):  # the first from the database, then from the cache
        message = question_again(asked, number)
        if over == "udp":
            answer = await client.ask(*cut(message.envelope, message.encode_payload()))
        else:
            (answer,) = await tcp_ask(node, message.encode())
        assert answer.envelope.request_id == number
        if isinstance(wanted, list):
            assert types_of(answer) == wanted
            assert isinstance(asked.body, ResolutionRequest)
            assert isinstance(answer.body, ResolutionResponse)
            assert answer.body.handle == asked.body.handle
        else:
            assert answer.header.response_code == wanted
            assert isinstance(answer.body, ErrorResponse)


def question_again(message: Message, number: int) -> Message:
    return Message(Envelope(request_id=number), message.header, message.body)


async def test_a_delegated_prefix_refers_to_its_site(node: Node, client: UdpClient) -> None:
    answer = await client.ask(question("88.118.2/X").encode())
    assert answer.header.response_code == ResponseCode.SERVICE_REFERRAL
    assert isinstance(answer.body, ReferralResponse)
    assert answer.body.values is not None
    assert [value.data for value in answer.body.values] == [typed.site_from_json(SITE)]


async def test_site_information_names_this_node(node: Node, client: UdpClient) -> None:
    answer = await client.ask(question("/", op_code=OpCode.GET_SITE_INFO).encode())
    assert isinstance(answer.body, SiteResponse)
    site = typed.site_to_json(answer.body.site)
    assert site["servers"][0]["address"] == "127.0.0.1"
    assert "publicKey" in site["servers"][0]


async def test_an_answer_is_signed_when_that_is_asked_for(node: Node, client: UdpClient) -> None:
    for _ in range(2):
        answer = await client.ask(question(flags=PLAIN | OpFlag.CERTIFY).encode())
        assert answer.credential is not None
        assert verify_message(answer.credential, answer.envelope, answer.content, KEY.public_key())


async def test_the_request_digest_comes_when_that_is_asked_for(
    node: Node, client: UdpClient
) -> None:
    for number in range(2):
        asked = question(flags=PLAIN | OpFlag.REQUEST_DIGEST, number=number)
        answer = await client.ask(asked.encode())
        assert answer.digest is not None
        assert answer.digest == digest_request(answer.envelope.version, asked.content)


async def test_a_request_in_fragments_is_put_together(node: Node, client: UdpClient) -> None:
    asked = question(types=("URL", *(f"TYPE-{n}" for n in range(100))))
    datagrams = cut(asked.envelope, asked.encode_payload())
    assert len(datagrams) > 2
    answer = await client.ask(*reversed(datagrams))
    assert types_of(answer) == ["URL"]


async def test_an_answer_too_long_for_udp_is_sent_over_tcp_alone(
    node: Node, client: UdpClient
) -> None:
    asked = question("88.118.1/HUGE")
    refused = await client.ask(asked.encode())
    assert refused.header.response_code == ResponseCode.ERROR, "the client is sent to TCP"
    assert node.dropped("size") == 1
    (answer,) = await tcp_ask(node, asked.encode())
    assert len(types_of(answer)) == 100
    assert client.protocol.received.empty()


async def test_an_answer_longer_than_a_message_may_be_is_an_error(node: Node) -> None:
    answers = await tcp_ask(node, question("88.118.1/OVER").encode(), question(number=8).encode())
    assert [answer.header.response_code for answer in answers] == [ResponseCode.ERROR, 1]


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"x",
        b"GET / HTTP/1.1\r\n\r\n",
        question().encode()[:-1],
        question().encode() + b"x",
        bytes(20),
        bytes(100),
        b"\xff" * 512,
    ],
)
async def test_what_is_no_message_gets_no_answer_over_udp(
    node: Node, client: UdpClient, noise: bytes
) -> None:
    client.transport.sendto(noise)
    answer = await client.ask(question(number=99).encode())
    assert answer.envelope.request_id == 99
    assert client.protocol.received.empty()


async def test_an_answer_is_not_answered(node: Node, client: UdpClient) -> None:
    answer = await client.ask(question().encode())
    client.transport.sendto(answer.encode())
    assert (await client.ask(question(number=99).encode())).envelope.request_id == 99
    assert client.protocol.received.empty()


async def test_one_source_gets_no_more_than_its_share_over_udp(
    node: Node, client: UdpClient
) -> None:
    node.server._udp._limit = ResponseLimit(Limits(50, 0), lambda: 1.0)
    await client.ask(question().encode())
    for _ in range(50):
        client.transport.sendto(question().encode())
    async with asyncio.timeout(20):
        while node.dropped("rate") < 46:
            await asyncio.sleep(0.01)
    assert client.protocol.received.qsize() == 4
    assert len(await tcp_ask(node, question().encode())) == 1, "TCP proves its source"


async def test_what_a_source_may_not_be_answered_is_not_worked_on(
    node: Node, client: UdpClient
) -> None:
    worked = []
    answer = node.service.answer

    async def recording(message: Message, peer: Peer) -> list[Message]:
        worked.append(message)
        return await answer(message, peer)

    node.service.answer = recording  # type: ignore[method-assign]
    node.server._udp._limit = ResponseLimit(Limits(30, 0), lambda: 1.0)
    for number in range(10):
        client.transport.sendto(question(f"88.118.1/NO-{number}").encode())
    async with asyncio.timeout(20):
        while node.dropped("rate") < 7 or client.protocol.received.qsize() < 3:
            await asyncio.sleep(0.01)
    assert len(worked) == 3


async def test_pipelined_requests_are_answered_in_their_order(node: Node) -> None:
    names = ["ABC", "LARGE", "NO", "abc", "EMPTY", "HUGE"] * 60
    asked = [question(f"88.118.1/{name}", number=n).encode() for n, name in enumerate(names)]
    answers = await tcp_ask(node, *asked)
    assert [answer.envelope.request_id for answer in answers] == list(range(len(names)))


async def test_requests_cut_anywhere_are_answered(node: Node) -> None:
    stream = b"".join(question(number=n).encode() for n in range(20))
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for start in range(0, len(stream), 37):
        writer.write(stream[start : start + 37])
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        for number in range(20):
            head = await reader.readexactly(SIZE)
            assert decode_envelope(head).request_id == number
            await reader.readexactly(decode_envelope(head).message_length)
    writer.close()


async def test_a_client_that_closes_its_side_still_gets_its_answers(node: Node) -> None:
    asked = [question(f"88.118.1/{name}", number=n) for n, name in enumerate(["ABC", "NO", "abc"])]
    answers = await tcp_ask(node, *(message.encode() for message in asked), end=True)
    assert [answer.envelope.request_id for answer in answers] == [0, 1, 2]


async def test_a_stream_that_makes_no_sense_is_told_so_and_closed(node: Node) -> None:
    too_long = question().encode()[:16] + b"\xff\xff\xff\xff"
    answers = await tcp_ask(node, question().encode(), too_long + bytes(100), end=True)
    assert [answer.header.response_code for answer in answers] == [1, ResponseCode.ERROR]


async def test_a_client_that_sends_half_a_request_is_let_go(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "IDLE_SECONDS", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(question().encode()[:30])
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()


async def test_a_client_that_takes_no_answer_is_let_go(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "IDLE_SECONDS", 0.3)
    asked = b"".join(question("88.118.1/HUGE", number=n).encode() for n in range(tcp.MAX_PENDING))
    with socket.create_connection(("127.0.0.1", node.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(asked)
        connections = node.server._tcp.connections
        async with asyncio.timeout(20):
            while not any(not one._writable.is_set() for one in connections):
                await asyncio.sleep(0.01)
            while connections:
                await asyncio.sleep(0.01)


async def test_answers_that_a_client_does_not_take_do_not_pile_up(node: Node) -> None:
    for _ in range(2):  # the second from the cache
        (one,) = await tcp_ask(node, question("88.118.1/HUGE").encode())
    asked = [question("88.118.1/HUGE", number=n).encode() for n in range(300)]
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port, limit=1024)
    writer.write(b"".join(asked))
    async with asyncio.timeout(20):
        while not (
            waiting := [c for c in node.server._tcp.connections if not c._writable.is_set()]
        ):
            await asyncio.sleep(0.01)
        held = len(waiting[0]._unsent)
        assert held <= tcp._WRITE_BYTES + len(one.encode()), f"{held:,} bytes wait for one client"
        for number in range(len(asked)):
            head = await reader.readexactly(SIZE)
            assert decode_envelope(head).request_id == number
            await reader.readexactly(decode_envelope(head).message_length)
    writer.close()


async def test_whoever_holds_most_is_let_go_when_all_hold_too_much(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_HELD_BYTES", 300_000)
    half = question().encode()[:16] + (1 << 18).to_bytes(4, "big")  # announces 256 KiB
    most, greedy = await asyncio.open_connection("127.0.0.1", node.port)
    least, modest = await asyncio.open_connection("127.0.0.1", node.port)
    server = node.server._tcp
    async with asyncio.timeout(20):
        greedy.write(half + bytes(200_000))
        while server._held < 200_000:
            await asyncio.sleep(0.01)
        modest.write(half + bytes(150_000))
        with contextlib.suppress(ConnectionResetError):
            assert await most.read() == b"", "the connection that holds most stays open"
        assert node.row.cells[slot("idnode_tcp_refused", "memory")] == 1
        (answer,) = await tcp_ask(node, question().encode())
        assert answer.header.response_code == ResponseCode.SUCCESS
        modest.write(bytes((1 << 18) - 150_000))
        assert await least.readexactly(SIZE), "the other connection was closed too"
        modest.close()
        while server.connections:
            await asyncio.sleep(0.01)
    assert server._held == 0, "bytes of connections that are gone still count"
    greedy.close()


async def test_many_connections_at_once_each_get_their_own_answers(node: Node) -> None:
    await tcp_ask(node, question().encode())  # from now on it is cached
    names = ["88.118.1/ABC", "88.118.1/NO"]  # on the short way, and on the long one

    async def ask(number: int) -> None:
        (answer,) = await tcp_ask(node, question(names[number % 2], number=number).encode())
        found = number % 2 == 0
        wanted = ResponseCode.SUCCESS if found else ResponseCode.HANDLE_NOT_FOUND
        assert answer.envelope.request_id == number
        assert answer.header.response_code == wanted

    await asyncio.gather(*(ask(number) for number in range(3 * tcp._BATCH)))


async def test_a_connection_beyond_the_limit_is_closed_and_the_others_go_on(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_CONNECTIONS", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    async with asyncio.timeout(20):
        while not node.server._tcp.connections:
            await asyncio.sleep(0.01)
        refused, other = await asyncio.open_connection("127.0.0.1", node.port)
        assert await refused.read() == b"", "more connections than the limit"
        writer.write(question().encode())
        assert decode_envelope(await reader.readexactly(SIZE)).request_id == 7
    other.close()
    writer.close()


async def _connected(node: Node, host: str = "127.0.0.1") -> socket.socket:
    """Connect from an address of this machine."""
    client = socket.socket()
    client.setblocking(False)
    client.bind((host, 0))
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", node.port))
    return client


async def _opened(node: Node, count: int, host: str = "127.0.0.1") -> list[socket.socket]:
    """Open connections, and wait until the node has them all."""
    before = len(node.server._tcp.connections)
    opened = [await _connected(node, host) for _ in range(count)]
    async with asyncio.timeout(20):
        while len(node.server._tcp.connections) < before + count:
            await asyncio.sleep(0.01)
    return opened


async def _is_served(client: socket.socket) -> bool:
    """Whether a question on a connection is answered, rather than the connection closed."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        try:
            await loop.sock_sendall(client, question().encode())
            return bool(await loop.sock_recv(client, SIZE))
        except ConnectionError:
            return False


async def test_a_source_that_has_its_connections_gets_no_more_and_others_do(node: Node) -> None:
    server = node.server._tcp
    server._places._per_source = 3
    clients = await _opened(node, 3)
    with await _connected(node) as fourth:
        assert not await _is_served(fourth), "more connections than a source may have"
    assert node.row.cells[slot("idnode_tcp_refused", "source")] == 1
    clients += await _opened(node, 1, host="127.0.0.2")
    assert all([await _is_served(client) for client in clients])
    clients.pop(0).close()
    async with asyncio.timeout(20):
        while len(server.connections) > 3:
            await asyncio.sleep(0.01)
    clients += await _opened(node, 1)
    assert await _is_served(clients[-1]), "one of its own was closed"
    for client in clients:
        client.close()
    async with asyncio.timeout(20):
        while server.connections:
            await asyncio.sleep(0.01)
    assert not server._places._taken, "nothing is kept of who has gone"


async def test_when_there_are_too_many_connections_the_idle_ones_go(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_CONNECTIONS", 4)
    idle, busy = await _opened(node, 2), await _opened(node, 2)
    for connection in node.server._tcp.connections:
        connection.active_at -= 2 * tcp.SPARED_SECONDS
    assert all([await _is_served(client) for client in busy])
    new = await _connected(node)
    assert await _is_served(new)
    assert all([await _is_served(client) for client in busy]), "it was in use"
    assert not any([await _is_served(client) for client in idle])
    assert node.row.cells[slot("idnode_tcp_refused", "idle")] == 2
    for client in (*idle, *busy, new):
        client.close()


async def test_a_client_that_comes_when_descriptors_are_out_is_served_once_there_are_some(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "_RETRY_SECONDS", 0.05)
    server = node.server._tcp
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        client.setblocking(False)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        try:
            async with asyncio.timeout(20):
                await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", node.port))
                while server._retry is None:
                    await asyncio.sleep(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        async with asyncio.timeout(20):
            await asyncio.get_running_loop().sock_sendall(client, question().encode())
            assert await asyncio.get_running_loop().sock_recv(client, SIZE)


async def test_a_client_that_resets_while_answers_wait_for_it_is_forgotten(node: Node) -> None:
    asked = b"".join(question("88.118.1/HUGE", number=n).encode() for n in range(tcp.MAX_PENDING))
    connections = node.server._tcp.connections
    with socket.create_connection(("127.0.0.1", node.port)) as client:
        client.sendall(asked)
        async with asyncio.timeout(20):
            while not any(not one._writable.is_set() for one in connections):
                await asyncio.sleep(0.01)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    async with asyncio.timeout(20):
        while connections:
            await asyncio.sleep(0.01)


async def test_a_fault_in_one_connection_ends_that_one_alone(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = node.server._endpoint.front
    answer = front.answer

    def failing(request: bytes) -> bytes | None:
        if request == question(number=13).encode():
            raise RuntimeError("a fault")
        return answer(request)

    monkeypatch.setattr(front, "answer", failing)
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    bad, other = await asyncio.open_connection("127.0.0.1", node.port)
    other.write(question(number=13).encode())
    async with asyncio.timeout(20):
        assert await bad.read() == b""
        writer.write(question(number=1).encode())
        assert decode_envelope(await reader.readexactly(SIZE)).request_id == 1
    other.close()
    writer.close()


async def test_no_more_questions_are_under_way_than_the_limit(
    node: Node, client: UdpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "MAX_TASKS", 0)
    client.transport.sendto(question("88.118.1/NO").encode())
    async with asyncio.timeout(20):
        while not node.dropped("busy"):
            await asyncio.sleep(0.01)


async def _as_somebody(node: Node, index: int, key: rsa.RSAPrivateKey) -> Message:
    """Ask for all values of 88.118.1/SECRET, and answer the challenge."""
    (challenge,) = await tcp_ask(
        node, question("88.118.1/SECRET", flags=OpFlag.AUTHORITATIVE).encode()
    )
    assert challenge.header.response_code == ResponseCode.AUTHENTICATION_NEEDED
    assert isinstance(challenge.body, Challenge)
    assert challenge.digest is not None
    proof = answer_with_key(challenge.envelope.version, challenge.body.nonce, challenge.digest, key)
    envelope = Envelope(request_id=8, session_id=challenge.envelope.session_id)
    body = ChallengeAnswer("HS_PUBKEY", "0.NA/88.118.1", index, proof)
    header = Header(OpCode.CHALLENGE_ANSWER, 2_000_000_000)
    (answer,) = await tcp_ask(node, Message(envelope, header, body).encode())
    return answer


async def test_values_that_are_not_public_are_for_administrators_alone(node: Node) -> None:
    answer = await _as_somebody(node, 300, KEY)
    assert types_of(answer) == ["URL", "PRICE"]
    refused = await _as_somebody(node, 300, OTHER_KEY)
    assert refused.header.response_code == ResponseCode.AUTHENTICATION_FAILED
    assert isinstance(refused.body, ErrorResponse)
    somebody = await _as_somebody(node, 301, OTHER_KEY)
    assert types_of(somebody) == ["URL"], "who is no administrator sees what everybody does"


def _counted(node: Node) -> dict[tuple[str, ...], float]:
    counted = {}
    for metric in METRICS:
        if metric.name in ("idnode_resolutions", "idnode_handle_operations"):
            for labels in metric.series:
                if node.row.cells[slot(metric.name, *labels)]:
                    counted[labels] = node.row.cells[slot(metric.name, *labels)]
    return counted


async def test_resolutions_alone_are_counted_as_such(node: Node) -> None:
    await tcp_ask(node, question("88.118.1/NO").encode(), question("88.118.1/EMPTY").encode())
    await _as_somebody(node, 300, KEY)
    await _as_somebody(node, 300, OTHER_KEY)
    body = HandleRequest("88.118.1/ABC")
    for op_code in (OpCode.GET_SITE_INFO, OpCode.DELETE_HANDLE, OpCode.BACKUP_SERVER):
        await tcp_ask(node, Message(Envelope(9), Header(op_code, 2_000_000_000), body).encode())
    assert _counted(node) == {
        ("tcp", "not_found"): 1,
        ("tcp", "no_values"): 1,
        ("tcp", "found"): 1,
        ("resolution", "challenged"): 2,
        ("resolution", "refused"): 1,
        ("site", "done"): 1,
        ("identifiers", "challenged"): 1,
        ("other", "refused"): 1,
    }
