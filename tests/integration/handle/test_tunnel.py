"""Handle messages inside HTTP: what TCP would answer, and nothing for what is no message."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web

from protocol.errors import ResponseCode
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message, decode_message, read_frame
from protocol.handle.requests import HandleRequest, ResolutionRequest
from protocol.handle.responses import NamesResponse, ResolutionResponse, SiteResponse
from registry.metrics import private_row
from resolver.transports.handle_endpoint import HandleEndpoint
from resolver.transports.tunnel import MEDIA_TYPE, add_tunnel
from tests.integration.handle_support import (
    PLAIN,
    Node,
    answer_to,
    ask,
    owned,
)

CONTENT = {"Content-Type": MEDIA_TYPE}


@pytest.fixture
async def url(node: Node) -> AsyncIterator[str]:
    app = web.Application()
    add_tunnel(app, HandleEndpoint(node.services[0], private_row()))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def post(url: str, body: bytes) -> list[Message]:
    async with ClientSession() as http, http.post(url, data=body, headers=CONTENT) as reply:
        assert (reply.status, reply.content_type) == (200, MEDIA_TYPE)
        octets = await reply.read()
    messages, at = [], 0
    while at < len(octets):
        frame = read_frame(octets, at)
        assert frame is not None, "whole messages"
        messages.append(decode_message(octets[at : frame[-1]]))
        at = frame[-1]
    return messages


@pytest.mark.parametrize("path", ["/", "/88.118.1/A", "/any/path?at=all"])
async def test_any_path_answers_as_tcp_does(node: Node, url: str, path: str) -> None:
    prefix, _, _ = await owned(node)
    request = ask(OpCode.RESOLUTION, ResolutionRequest(f"0.NA/{prefix}"))
    (over_http,) = await post(url + path, request.encode())
    (over_tcp,) = await node.send(request)
    assert isinstance(over_http.body, ResolutionResponse)
    assert over_http.body == over_tcp.body
    (site,) = await post(url + path, ask(OpCode.GET_SITE_INFO, HandleRequest()).encode())
    assert isinstance(site.body, SiteResponse)


async def test_challenge_over_http_is_answered_over_http(node: Node, url: str) -> None:
    prefix, _, actor = await owned(node)
    request = ask(OpCode.LIST_HANDLES, HandleRequest(f"0.NA/{prefix}"), PLAIN | OpFlag.KEEP_ALIVE)
    (challenge,) = await post(url, request.encode())
    assert challenge.header.response_code == ResponseCode.AUTHENTICATION_NEEDED
    messages = await post(url, answer_to(challenge, actor).encode())
    assert all(isinstance(message.body, NamesResponse) for message in messages)


async def test_what_is_not_one_whole_message_is_a_protocol_error(url: str) -> None:
    whole = ask(OpCode.GET_SITE_INFO, HandleRequest()).encode()
    for body in (b"", b"noise", whole[:-1], whole + b"\0", whole + whole):
        (answer,) = await post(url, body)
        assert answer.header.response_code == ResponseCode.PROTOCOL_ERROR


async def test_other_requests_are_not_the_tunnels(url: str) -> None:
    async with ClientSession() as http:
        async with http.post(url, data=b"{}", headers={"Content-Type": "application/json"}) as got:
            assert got.status == 404
        async with http.get(url, headers=CONTENT) as got:
            assert got.status == 404
