"""Bodies of the stub's requests and answers."""

from __future__ import annotations

import msgspec
from aiohttp import web

from protocol.errors import MalformedRequest, TooLarge, UnsupportedMediaType
from registry.api.requests import read_whole

LARGEST_BODY = 256 * 1024
"""Bytes of a request's body, at most."""


async def json_body(request: web.Request) -> bytes:
    """Return a JSON body. Raises UnsupportedMediaType, MalformedRequest, TooLarge."""
    if request.content_type != "application/json":
        raise UnsupportedMediaType("the body must be application/json", field="Content-Type")
    try:
        return await read_whole(request)
    except web.RequestPayloadError as error:
        raise MalformedRequest(f"the body can not be read: {error}") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"the body has more than {LARGEST_BODY} bytes") from None


def json_response(value: object, *, status: int = 200) -> web.Response:
    """Return an answer with a JSON body."""
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type="application/json")
