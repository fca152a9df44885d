"""The Handle protocol inside HTTP: POST of one message, answered with what TCP would bring.

Clients fall back to it where neither UDP nor TCP gets through, on the HTTP interfaces of HS_SITE.
They post to any path, so the media type alone tells. Source: the reference implementation.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from protocol.errors import ProtocolError
from protocol.handle.message import Message, read_frame
from registry.api.requests import read_whole
from resolver.handle.service import Peer
from resolver.transports.handle_endpoint import HandleEndpoint, refusal

MEDIA_TYPE = "application/x-hdl-message"


def add_tunnel(app: web.Application, endpoint: HandleEndpoint) -> None:
    """Let an application answer Handle messages, whatever path they are sent to."""

    @web.middleware
    async def tunnel(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST" or request.content_type != MEDIA_TYPE:
            return await handler(request)
        peer = Peer("http", request.remote or "")
        answers = await _answer(endpoint, await read_whole(request), peer)
        body = b"".join(answer.encode() for answer in answers)
        return web.Response(body=body, content_type=MEDIA_TYPE)

    app.middlewares.append(tunnel)


async def _answer(endpoint: HandleEndpoint, body: bytes, peer: Peer) -> list[Message]:
    try:
        frame = read_frame(body)
        if frame is None or frame[-1] != len(body):
            raise ProtocolError("the body is not one whole message")
    except ProtocolError as error:
        return [refusal(error, endpoint.expiration)]
    envelope, payload, _ = frame
    return await endpoint.answer(envelope, payload, peer)
