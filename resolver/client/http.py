"""Asking over HTTP: Handle JSON at /api/handles (Handle.Net technical manual, chapter 14)."""

from __future__ import annotations

from urllib.parse import urlencode

import aiohttp
import msgspec

from protocol.errors import IdnodeError, PeerUnavailable, ProtocolError
from resolver.client.exchange import Answer, Asking, read_json
from resolver.client.steps import Endpoint, Step, Watch, nobody

SECONDS = 10.0
"""Time for the connection, the question and its answer."""

MAX_BYTES = 8 << 20
"""Longest answer: base64 and JSON take more room than the longest message."""


async def ask(
    asking: Asking,
    endpoint: Endpoint,
    *,
    url: str | None = None,
    watch: Watch = nobody,
    seconds: float = SECONDS,
) -> Answer:
    """Return the answer. url: of the server, where it is not ``http://host:port``.

    Redirects are not followed. Raises PeerUnavailable, and ProtocolError for what is no answer.
    """
    path = f"/api/handles/{asking.identifier.to_url()}"
    query = [("type", type_) for type_ in asking.types]
    query += [("index", str(index)) for index in asking.indexes]
    if query:
        path += "?" + urlencode(query)
    base = url or str(endpoint)
    watch(Step("send", endpoint, detail=f"GET {path}"))
    try:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.get(base.rstrip("/") + path, allow_redirects=False) as reply,
        ):
            body = await _read(reply.content)
            status = f"{reply.status} {reply.reason}"
    except TimeoutError:
        raise PeerUnavailable(f"{base}: no answer in {seconds:g} s") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise PeerUnavailable(f"{base}: {error}") from None
    content = _decode(body)
    watch(Step("receive", endpoint, size=len(body), content=content, detail=f"HTTP {status}"))
    try:
        return read_json(content)
    except IdnodeError as error:
        raise ProtocolError(
            f"{base} answered HTTP {status} without Handle JSON: {error.detail}",
            field=error.field,
        ) from None


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Read a body of at most MAX_BYTES. Raises ProtocolError."""
    parts, size = [], 0
    async for part in content.iter_any():
        size += len(part)
        if size > MAX_BYTES:
            raise ProtocolError(f"an answer has at most {MAX_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


def _decode(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
