"""Our client against servers that lose, cut, forge and stall, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from aiohttp import web

from protocol import typed
from protocol.errors import PeerUnavailable, ProtocolError, ResponseCode
from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.fragment import Reassembly, cut
from protocol.handle.message import Message, decode_message, decode_payload, reply
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ErrorResponse, ReferralResponse, ResolutionResponse
from protocol.identifier import Identifier
from protocol.values import HandleValue
from resolver.client import http, tcp, udp
from resolver.client.exchange import Asking
from resolver.client.resolving import MAX_HOPS, resolve
from resolver.client.steps import Endpoint, Step

PUMP = Identifier.parse("88.118.35/Pump")
VALUES = (HandleValue(index=1, type="URL", data=b"https://pumps.example/"),)
MANY = tuple(HandleValue(index=n, type="DESC", data=bytes(400)) for n in range(1, 20))
ASKING = Asking(PUMP, request_id=77, now=1_800_000_000)
HERE = "127.0.0.1"


def answer(request: Message, values: tuple[HandleValue, ...] = VALUES) -> Message:
    assert isinstance(request.body, ResolutionRequest)
    body = ResolutionResponse(request.body.handle, values)
    return reply(request, body, expiration=1, site_serial=1)


class UdpServer(asyncio.DatagramProtocol):
    """Hands each whole request to `act`, which says what datagrams to send from where."""

    def __init__(self, act: Callable[[UdpServer, Message, object], None]) -> None:
        self.act = act
        self.requests: list[tuple[object, Message]] = []
        self._parts = Reassembly()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: object) -> None:
        whole = self._parts.add(addr, decode_envelope(data), data[SIZE:], 0.0)
        if whole is not None:
            message = decode_payload(*whole)
            self.requests.append((addr, message))
            self.act(self, message, addr)

    def send(self, message: Message, addr: object) -> None:
        for datagram in cut(message.envelope, message.encode_payload()):
            self.transport.sendto(datagram, addr)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def udp_server(
    act: Callable[[UdpServer, Message, object], None],
) -> AsyncIterator[tuple[UdpServer, Endpoint]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: UdpServer(act), local_addr=(HERE, 0)
    )
    with contextlib.closing(transport):
        yield server, Endpoint("udp", HERE, transport.get_extra_info("sockname")[1])


async def test_udp_answer_that_comes_to_a_later_try_is_taken() -> None:
    def act(server: UdpServer, request: Message, addr: object) -> None:
        if len(server.requests) == 3:
            server.send(answer(request), addr)

    steps: list[Step] = []
    async with udp_server(act) as (server, endpoint):
        got = await udp.ask(ASKING.message(), endpoint, watch=steps.append, tries=(0.05, 0.05, 5))
    assert got.body == ResolutionResponse(str(PUMP), VALUES)
    assert {request.envelope.request_id for _, request in server.requests} == {77}
    assert len({addr for addr, _ in server.requests}) == 3, "each try has a socket of its own"
    assert [step.event for step in steps] == ["send", "wait", "send", "wait", "send", "receive"]


async def test_udp_gives_up_after_its_tries() -> None:
    async with udp_server(lambda *_: None) as (server, endpoint):
        with pytest.raises(PeerUnavailable, match="3 tries"):
            await udp.ask(ASKING.message(), endpoint, tries=(0.05, 0.05, 0.05))
    assert len(server.requests) == 3
    assert udp.TRIES == (0.5, 1.0, 1.5)


async def test_udp_says_that_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind((HERE, 0))
        endpoint = Endpoint("udp", HERE, closed.getsockname()[1])
    with pytest.raises(PeerUnavailable, match="refused"):
        await udp.ask(ASKING.message(), endpoint, tries=(0.05,))


async def test_udp_long_questions_and_answers_go_in_fragments_in_any_order() -> None:
    def act(server: UdpServer, request: Message, addr: object) -> None:
        made = answer(request, MANY)
        for datagram in reversed(cut(made.envelope, made.encode_payload())):
            server.transport.sendto(datagram, addr)  # type: ignore[arg-type]

    steps: list[Step] = []
    asking = replace(ASKING, types=tuple(f"TYPE.{n}" for n in range(100)))
    async with udp_server(act) as (_, endpoint):
        got = await udp.ask(asking.message(), endpoint, watch=steps.append)
    assert got.body == ResolutionResponse(str(PUMP), MANY)
    assert [step.packets > 1 for step in steps] == [True, True]
    assert steps[0].size == sum(map(len, cut_request(asking)))


def cut_request(asking: Asking) -> list[bytes]:
    message = asking.message()
    return cut(message.envelope, message.encode_payload(), mark_truncated=True)


async def test_udp_ignores_what_answers_nothing() -> None:
    """Wrong request id, another op code, a request, noise, and another address of the server."""

    def act(server: UdpServer, request: Message, addr: object) -> None:
        right = answer(request)
        forged = answer(request, (HandleValue(1, "URL", b"https://forged.example/"),))
        server.transport.sendto(b"noise", addr)  # type: ignore[arg-type]
        server.send(replace(forged, envelope=replace(forged.envelope, request_id=78)), addr)
        server.send(replace(forged, header=replace(forged.header, op_code=2)), addr)
        server.send(request, addr)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(forged.encode(), addr)  # type: ignore[arg-type]
        server.send(right, addr)

    steps: list[Step] = []
    async with udp_server(act) as (_, endpoint):
        got = await udp.ask(ASKING.message(), endpoint, watch=steps.append)
    assert got.body == ResolutionResponse(str(PUMP), VALUES)
    assert [step.event for step in steps].count("ignore") == 4, "the other address is not heard"


Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def tcp_server(act: Act) -> AsyncIterator[Endpoint]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await act(reader, writer)

    server = await asyncio.start_server(serve, HERE, 0)
    async with server:
        yield Endpoint("tcp", HERE, server.sockets[0].getsockname()[1])


async def read_request(reader: asyncio.StreamReader) -> Message:
    head = await reader.readexactly(SIZE)
    return decode_message(head + await reader.readexactly(decode_envelope(head).message_length))


async def test_tcp_answer_may_come_byte_by_byte() -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for octet in answer(await read_request(reader)).encode():
            writer.write(bytes((octet,)))
            await writer.drain()

    async with tcp_server(act) as endpoint:
        got = await tcp.ask(ASKING.message(), endpoint)
    assert got.body == ResolutionResponse(str(PUMP), VALUES)


async def test_tcp_server_that_stalls_or_hangs_up_is_not_waited_for() -> None:
    release = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(10))
        await release.wait()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await read_request(reader)).encode()[:-1])

    async with tcp_server(stall) as endpoint:
        with pytest.raises(PeerUnavailable, match="no answer in"):
            await tcp.ask(ASKING.message(), endpoint, seconds=0.1)
        release.set()
    async with tcp_server(hang_up) as endpoint:
        with pytest.raises(PeerUnavailable, match="connection ended"):
            await tcp.ask(ASKING.message(), endpoint)
    with pytest.raises(PeerUnavailable):
        await tcp.ask(ASKING.message(), endpoint)


async def test_tcp_answer_that_is_too_long_or_of_another_request_is_refused() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes((2, 11, 2, 11)) + bytes(12) + b"\xff" * 4)

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made = answer(await read_request(reader))
        writer.write(replace(made, envelope=replace(made.envelope, request_id=78)).encode())

    for act in (endless, other):
        async with tcp_server(act) as endpoint:
            with pytest.raises(ProtocolError):
                await tcp.ask(ASKING.message(), endpoint)


@contextlib.asynccontextmanager
async def http_server(body: bytes, status: int = 200) -> AsyncIterator[tuple[list[str], Endpoint]]:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.rel_url.raw_path_qs)
        return web.Response(body=body, status=status, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = web.TCPSite(runner, HERE, 0)
    await listening.start()
    yield asked, Endpoint("http", HERE, runner.addresses[0][1])
    await runner.cleanup()


async def test_http_asks_with_types_and_indexes_and_reads_handle_json() -> None:
    body = json.dumps({"responseCode": 100, "handle": str(PUMP)}).encode()
    asking = replace(ASKING, types=("URL", "泵"), indexes=(3,))
    async with http_server(body, 404) as (asked, endpoint):
        got = await http.ask(asking, endpoint)
    assert (got.code, got.handle) == (ResponseCode.HANDLE_NOT_FOUND, str(PUMP))
    assert asked == ["/api/handles/88.118.35/Pump?type=URL&type=%E6%B3%B5&index=3"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"<html>", 200), (b"", 302), (b" " * (http.MAX_BYTES + 1), 200)],
    ids=["no JSON", "redirect", "endless"],
)
async def test_http_answer_that_is_none_is_refused(body: bytes, status: int) -> None:
    async with http_server(body, status) as (asked, endpoint):
        with pytest.raises(ProtocolError):
            await http.ask(ASKING, endpoint)
    assert len(asked) == 1, "a redirect is not followed"


def site(port: int, *, tcp: int | None = None) -> HandleValue:
    ports = {"UDP": port} | ({} if tcp is None else {"TCP": tcp})
    interfaces = [{"query": True, "protocol": kind, "port": ports[kind]} for kind in ports]
    servers = [{"serverId": 1, "address": HERE, "interfaces": interfaces}]
    return HandleValue(1, "HS_SITE", typed.site_from_json({"servers": servers}))


def refer(request: Message, *values: HandleValue) -> Message:
    code = ResponseCode.PREFIX_REFERRAL
    return reply(request, ReferralResponse("", values), code=code, expiration=1, site_serial=1)


async def test_referral_is_followed_to_the_site_that_it_names() -> None:
    steps: list[Step] = []
    async with udp_server(lambda s, m, a: s.send(answer(m), a)) as (_, far):
        near = udp_server(lambda s, m, a: s.send(refer(m, site(far.port)), a))
        async with near as (_, endpoint):
            got = await resolve(ASKING, endpoint, watch=steps.append)
    assert (got.code, got.values) == (1, VALUES)
    assert [step.endpoint for step in steps if step.event == "ask"] == [endpoint, far]


def record(endpoint: Endpoint, type_: str = "HS_SITE", index: int = 1) -> HandleValue:
    return replace(site(endpoint.port), type=type_, index=index)


def service(name: str, type_: str = "HS_SERV", index: int = 1) -> HandleValue:
    return HandleValue(index, type_, name.encode())


@contextlib.asynccontextmanager
async def near(
    known: Callable[[str], tuple[HandleValue, ...] | None],
) -> AsyncIterator[tuple[UdpServer, Endpoint]]:
    """A server that refers a question for PUMP by the values that `known` gives for it.

    Other names have the values that `known` gives; None: there is no such name.
    """

    def act(server: UdpServer, request: Message, addr: object) -> None:
        assert isinstance(request.body, ResolutionRequest)
        name = request.body.handle
        values = known(name)
        if values is None:
            code = ResponseCode.HANDLE_NOT_FOUND
            body = ErrorResponse("")
            server.send(reply(request, body, code=code, expiration=1, site_serial=1), addr)
        elif name == str(PUMP):
            server.send(refer(request, *values), addr)
        else:
            server.send(answer(request, values), addr)

    async with udp_server(act) as started:
        yield started


def asked(steps: list[Step]) -> list[tuple[Endpoint, str]]:
    return [(step.endpoint, step.detail) for step in steps if step.event == "ask"]


@pytest.mark.parametrize("prefixed", [False, True])
async def test_a_service_is_looked_up_and_its_sites_are_gone_to(prefixed: bool) -> None:
    ending = ".PREFIX" if prefixed else ""
    steps: list[Step] = []
    async with udp_server(lambda s, m, a: s.send(answer(m), a)) as (_, far):
        known = {
            str(PUMP): (
                service("88.118.1/GONE", "HS_SERV" + ending),
                service("88.118.1/A", "hs_serv" + ending.lower(), 2),
            ),
            "88.118.1/A": (service("88.118.1/B", "HS_SERV" + ending),),
            "88.118.1/B": (HandleValue(1, "URL", b"x"), record(far, "HS_SITE" + ending, 2)),
        }
        async with near(known.get) as (server, endpoint):
            got = await resolve(ASKING, endpoint, watch=steps.append)
    assert (got.code, got.values) == (1, VALUES)
    names = (str(PUMP), "88.118.1/GONE", "88.118.1/A", "88.118.1/B")
    assert asked(steps) == [
        *((endpoint, f"for {name}") for name in names),
        (far, f"for {PUMP}"),
    ]
    wanted = server.requests[1][1].body
    assert isinstance(wanted, ResolutionRequest)
    assert "HS_SERV" + ending in wanted.types, "only what says where is asked for"


async def test_what_is_derived_is_looked_for_by_its_own_sites_first() -> None:
    async with udp_server(lambda s, m, a: s.send(answer(m), a)) as (_, far):
        values = (site(1), record(far, "HS_SITE.PREFIX", 2))
        async with near({str(PUMP): values}.get) as (_, endpoint):
            assert (await resolve(ASKING, endpoint)).values == VALUES


async def test_a_service_that_the_referring_server_does_not_know_is_asked_of_the_first() -> None:
    steps: list[Step] = []
    async with (
        udp_server(lambda s, m, a: s.send(answer(m), a)) as (_, far),
        near({str(PUMP): (service("0.SERV/X"),)}.get) as (_, middle),
        near({str(PUMP): (site(middle.port),), "0.SERV/X": (site(far.port),)}.get) as (_, first),
    ):
        got = await resolve(ASKING, first, watch=steps.append)
    assert got.values == VALUES
    service_asked = f"for {Identifier.parse('0.SERV/X')}"
    assert [one for one in asked(steps) if one[1] == service_asked] == [
        (middle, service_asked),
        (first, service_asked),
    ]


async def test_a_referral_to_a_handle_is_followed() -> None:
    async with udp_server(lambda s, m, a: s.send(answer(m), a)) as (_, far):

        def act(server: UdpServer, request: Message, addr: object) -> None:
            assert isinstance(request.body, ResolutionRequest)
            if request.body.handle != str(PUMP):
                assert request.body.handle == "0.NA/88.118.35"
                return server.send(answer(request, (site(far.port),)), addr)
            body = ReferralResponse("0.NA/88.118.35")
            code = ResponseCode.SERVICE_REFERRAL
            return server.send(reply(request, body, code=code, expiration=1, site_serial=1), addr)

        async with udp_server(act) as (_, endpoint):
            assert (await resolve(ASKING, endpoint)).values == VALUES


async def test_services_that_lead_to_each_other_or_on_and_on_end() -> None:
    circle = {
        str(PUMP): (service("88.118.1/A"),),
        "88.118.1/A": (service("88.118.1/B"),),
        "88.118.1/B": (service("88.118.1/a"), service(str(PUMP), index=2)),
    }
    async with near(circle.get) as (server, endpoint):
        got = await resolve(ASKING, endpoint)
    assert got.code == ResponseCode.PREFIX_REFERRAL, "nowhere to go: the referral is the answer"
    assert len(server.requests) == 3, "nothing is looked up twice"

    def endless(name: str) -> tuple[HandleValue, ...]:
        return (service(f"{name}/x"),)

    async with near(endless) as (server, endpoint):
        with pytest.raises(PeerUnavailable, match="refer"):
            await resolve(ASKING, endpoint)
    assert len(server.requests) == MAX_HOPS


async def test_a_service_leads_nowhere_that_must_not_be_asked() -> None:
    async with udp_server(lambda s, m, a: s.send(answer(m), a)) as (inside, far):
        known = {str(PUMP): (service("88.118.1/A"),), "88.118.1/A": (site(far.port),)}
        async with near(known.get) as (_, endpoint):
            with pytest.raises(PeerUnavailable, match="must not be asked"):
                await resolve(ASKING, endpoint, allows=lambda one: one != far)
    assert not inside.requests


async def test_referral_to_nowhere_is_the_answer_and_a_circle_ends() -> None:
    async with udp_server(lambda s, m, a: s.send(refer(m), a)) as (_, endpoint):
        assert (await resolve(ASKING, endpoint)).code == ResponseCode.PREFIX_REFERRAL

    def to_itself(server: UdpServer, request: Message, addr: object) -> None:
        server.send(refer(request, site(server.transport.get_extra_info("sockname")[1])), addr)

    async with udp_server(to_itself) as (server, endpoint):
        with pytest.raises(PeerUnavailable, match="refer"):
            await resolve(ASKING, endpoint)
    assert len(server.requests) == MAX_HOPS


def over_tcp(request: Message, code: ResponseCode = ResponseCode.ERROR) -> Message:
    """What a server says over UDP of an answer that is not for a source that may be forged."""
    body = ErrorResponse("too long for UDP: ask over TCP")
    return reply(request, body, code=code, expiration=1, site_serial=1)


@contextlib.asynccontextmanager
async def both(code: ResponseCode = ResponseCode.ERROR) -> AsyncIterator[tuple[Endpoint, Endpoint]]:
    """A server that says `code` over UDP and answers over TCP, at one port."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await read_request(reader)).encode())
        await writer.drain()

    async with tcp_server(act) as stream:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: UdpServer(lambda s, m, a: s.send(over_tcp(m, code), a)),
            local_addr=(HERE, stream.port),
        )
        with contextlib.closing(transport):
            yield replace(stream, transport="udp"), stream


async def test_who_is_told_error_over_udp_asks_over_tcp_at_once() -> None:
    steps: list[Step] = []
    async with both() as (datagrams, stream):
        got = await resolve(ASKING, datagrams, watch=steps.append)
    assert (got.code, got.values) == (1, VALUES)
    assert asked(steps) == [
        (datagrams, f"for {PUMP}"),
        (stream, f"for {PUMP}: too long for UDP: ask over TCP"),
    ]


async def test_a_refusal_over_udp_is_the_last_word() -> None:
    async with both(ResponseCode.SERVER_BUSY) as (datagrams, _):
        assert (await resolve(ASKING, datagrams)).code == ResponseCode.SERVER_BUSY


async def test_a_site_says_where_it_takes_over_tcp_what_is_too_long_for_udp() -> None:
    def far_over_udp(server: UdpServer, request: Message, addr: object) -> None:
        server.send(over_tcp(request), addr)

    async with both() as (_, stream), udp_server(far_over_udp) as (_, far):
        elsewhere = site(far.port, tcp=stream.port)
        near = udp_server(lambda s, m, a: s.send(refer(m, elsewhere), a))
        async with near as (_, endpoint):
            got = await resolve(ASKING, endpoint)
    assert (got.code, got.values) == (1, VALUES)


async def test_error_over_udp_stays_where_nobody_listens_on_tcp() -> None:
    steps: list[Step] = []
    async with udp_server(lambda s, m, a: s.send(over_tcp(m), a)) as (_, endpoint):
        got = await resolve(ASKING, endpoint, watch=steps.append)
    assert (got.code, got.detail) == (2, "too long for UDP: ask over TCP")
    assert steps[-1].event == "wait", "the vain try is told"
