"""The head of a request as aiohttp's own parser reads it, for the short ways to judge it by."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage


def parse(head: bytes, loop: asyncio.AbstractEventLoop) -> RawRequestMessage | None:
    """Read the head of a request, with the empty line that ends it; None: it is not exactly one."""
    parser = HttpRequestParser(
        BaseProtocol(loop), loop, 2**16, payload_exception=web.RequestPayloadError
    )
    try:
        messages, _, _ = parser.feed_data(head)
    except HttpProcessingError:
        return None
    return messages[0][0] if len(messages) == 1 else None
