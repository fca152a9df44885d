"""/api/v1/outbox."""

from __future__ import annotations

from aiohttp import web

from protocol.errors import MalformedRequest
from registry import outbox_control
from registry.api.bodies import outbox as bodies
from registry.api.requests import (
    answer,
    cut_page,
    open_work,
    page_after,
    page_limit,
    path_uuid,
    post,
    read_body,
    read_query,
    respond,
    struct,
)
from registry.idempotency import Answer
from registry.services import Work

_KIND = "outbox"
_AT = "/api/v1/outbox"


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/outbox."""
    asked = read_query(request, bodies.WaitingAsked)
    limit, after = page_limit(request), page_after(request, _KIND) or "0"
    if not (after.isascii() and after.isdecimal() and len(after) <= 18):
        raise MalformedRequest("not a cursor of this list", field="cursor")
    async with open_work(request) as work:
        rows = await outbox_control.waiting(
            work, after=int(after), limit=limit + 1, subject=asked.subject, kind=asked.kind
        )
    rows, cursor = cut_page(rows, limit, _KIND, lambda row: row.number)
    return respond(bodies.WaitingPage([struct(bodies.Waiting, row) for row in rows], cursor))


async def retry(request: web.Request) -> web.Response:
    """POST /api/v1/outbox/{id}/retry."""
    message_id = path_uuid(request, "id")

    async def effect(work: Work) -> Answer:
        row = await outbox_control.retry(work, message_id)
        return answer(struct(bodies.Waiting, row), status=200)

    return await post(request, effect)


async def retry_all(request: web.Request) -> web.Response:
    """POST /api/v1/outbox/retry."""

    async def effect(work: Work) -> Answer:
        return answer(bodies.Hastened(await outbox_control.retry_all(work)), status=200)

    return await post(request, effect)


async def drop(request: web.Request) -> web.Response:
    """POST /api/v1/outbox/{id}/drop."""
    body = await read_body(request, bodies.Drop)
    message_id = path_uuid(request, "id")

    async def effect(work: Work) -> Answer:
        await outbox_control.drop(work, message_id, body.reason)
        return Answer(204, {}, b"")

    return await post(request, effect)


routes: list[web.RouteDef] = [
    web.get(_AT, page, allow_head=False),
    web.post(f"{_AT}/retry", retry_all),
    web.post(f"{_AT}/{{id}}/retry", retry),
    web.post(f"{_AT}/{{id}}/drop", drop),
]
