"""/api/v1/enterprises/{id}/attachments."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from urllib.parse import quote

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from protocol.errors import (
    BodyTimeout,
    Busy,
    MalformedRequest,
    TooLarge,
    UnsupportedMediaType,
)
from registry.api.bodies import attachments as bodies
from registry.api.places import Places
from registry.api.requests import (
    BODY_SECONDS,
    answer,
    bearer,
    open_work,
    path_uuid,
    post,
    respond,
    struct,
)
from registry.api.streams import Pace, cut_off
from registry.enterprises import attachments
from registry.enterprises.attachments import CHUNK_BYTES, KINDS, MAX_BYTES
from registry.idempotency import Answer
from registry.services import Record, Work

MAX_AT_ONCE = 6
"""Attachments that one process takes or sends, two of a tenant: each is whole in memory."""

PLACES: web.AppKey[Places] = web.AppKey("attachments", Places)

_SHOWN_AS_A_FILE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


def _full() -> Busy:
    return Busy("the node takes as many attachments as it does at once")


def add_places(app: web.Application) -> None:
    """Give an application the places of its attachments."""
    app[PLACES] = Places(MAX_AT_ONCE, each=2, full=_full)


async def add(request: web.Request) -> web.Response:
    """POST /api/v1/enterprises/{id}/attachments: the body is the file."""
    bearer(request)
    enterprise_id, media_type = path_uuid(request, "id"), _media_type(request)
    name = attachments.check_name(_name(request), media_type)
    async with open_work(request) as work:  # nobody shall send a file for nothing
        await attachments.check_may_add(work, enterprise_id)
        tenant = work.principal.enterprise_id
    async with request.app[PLACES].hold(tenant):
        data = await _read(request)
        attachments.check_content(data, media_type)

        async def effect(work: Work) -> Answer:
            row = await attachments.add(work, enterprise_id, name, media_type, data)
            return answer(_body(row), location=f"{request.path}/{row.id}")

        return await post(request, effect, body=hashlib.sha256(data).digest())


def _name(request: web.Request) -> str:
    name = request.query.get("name")
    if name is None:
        raise MalformedRequest("name the file: ?name=licence.pdf", field="name")
    return name


def _media_type(request: web.Request) -> str:
    if request.content_type not in KINDS:
        raise UnsupportedMediaType(
            f"the body must be one of {', '.join(KINDS)}", field="Content-Type"
        )
    return request.content_type


async def _read(request: web.Request) -> bytes:
    """Return the body. Raises TooLarge, BodyTimeout, and MalformedRequest if it is cut short."""
    if (request.content_length or 0) > MAX_BYTES:
        raise TooLarge(f"an attachment has at most {MAX_BYTES} bytes")
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while piece := await request.content.readany():
                data += piece
                if len(data) > MAX_BYTES:
                    raise TooLarge(f"an attachment has at most {MAX_BYTES} bytes")
    except TimeoutError:
        raise BodyTimeout(f"the body did not come within {BODY_SECONDS:g} s") from None
    except (ConnectionError, ClientPayloadError, HttpProcessingError) as error:
        raise MalformedRequest("the body ended too soon or is broken") from error
    if not data:
        raise MalformedRequest("the body is empty")
    return bytes(data)


def _body(row: Record) -> bodies.Attachment:
    return struct(bodies.Attachment, row, sha256=row.sha256.hex())


async def listed(request: web.Request) -> web.Response:
    """GET /api/v1/enterprises/{id}/attachments."""
    enterprise_id = path_uuid(request, "id")
    async with open_work(request) as work:
        rows = await attachments.listed(work, enterprise_id)
    return respond(bodies.AttachmentList([_body(row) for row in rows]))


async def get(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/enterprises/{id}/attachments/{attachment_id}: its content."""
    bearer(request)
    enterprise_id, attachment_id = path_uuid(request, "id"), path_uuid(request, "attachment_id")
    async with contextlib.AsyncExitStack() as held:
        async with open_work(request) as work:
            tenant = work.principal.enterprise_id
            await held.enter_async_context(request.app[PLACES].hold(tenant))
            row, data = await attachments.read(work, enterprise_id, attachment_id)
        named = f"attachment; filename*=UTF-8''{quote(row.name, safe='')}"  # RFC 6266, RFC 8187
        headers = {"Content-Disposition": named, **_SHOWN_AS_A_FILE}
        response = web.StreamResponse(headers={"Content-Type": row.media_type, **headers})
        response.content_length = len(data)
        await response.prepare(request)
        try:
            pace = Pace()
            for start in range(0, len(data), CHUNK_BYTES):
                await pace.write(response, data[start : start + CHUNK_BYTES])
            await pace.end(response)
        except Exception as error:  # whatever it is, an answer to it would stand within this one
            cut_off(request, error)
    return response


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/enterprises/{id}/attachments/{attachment_id}."""
    enterprise_id, attachment_id = path_uuid(request, "id"), path_uuid(request, "attachment_id")
    async with open_work(request) as work:
        await attachments.delete(work, enterprise_id, attachment_id)
    return web.Response(status=204)


_AT = "/api/v1/enterprises/{id}/attachments"

routes: list[web.RouteDef] = [
    web.post(_AT, add),
    web.get(_AT, listed, allow_head=False),
    web.get(f"{_AT}/{{attachment_id}}", get, allow_head=False),
    web.delete(f"{_AT}/{{attachment_id}}", delete),
]
