"""Answers of the Handle JSON API that more than one of its resources gives."""

from __future__ import annotations

import msgspec
from aiohttp import web

from protocol import json_api
from protocol.errors import MalformedRequest, ResponseCode
from resolver.transports.server import HEADERS

MOST_NAMES = 10_000
"""Names in one page of a list."""

PRIVATE = ("Cache-Control", "no-store")
"""Header of what is for one client alone."""

_MOST_DIGITS = 9


def json_response(body: object, status: int = 200) -> web.Response:
    """Return an answer that nobody keeps."""
    headers = dict((*HEADERS, PRIVATE))
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers)


def done(handle: str, status: int) -> web.Response:
    """Return the answer to what was done to an identifier, spelled as it was asked for."""
    body = json_api.answer_code(handle, ResponseCode.SUCCESS)
    return web.Response(body=body, status=status, headers=dict((*HEADERS, PRIVATE)))


def page_asked(request: web.Request) -> tuple[int, int]:
    """Return the number of the page that a request wants, from 0, and its size in names.

    Raises MalformedRequest.
    """
    number, size = _number(request, "page", 0), _number(request, "pageSize", MOST_NAMES)
    if size > MOST_NAMES:
        raise MalformedRequest(f"at most {MOST_NAMES}", field="pageSize")
    return number, size


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise MalformedRequest("not a whole number", field=name)
    return int(text)
