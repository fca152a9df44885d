"""/api/v1/reserved-numbers, and quotas of enterprises."""

from __future__ import annotations

from aiohttp import web

from protocol.errors import MalformedRequest, NotFound
from registry import prefix_numbers
from registry.api.bodies import enterprises as enterprise_bodies
from registry.api.bodies import numbers as bodies
from registry.api.requests import (
    answer,
    cut_page,
    open_work,
    page_after,
    page_limit,
    path_uuid,
    post,
    read_body,
    respond,
    struct,
)
from registry.idempotency import Answer
from registry.services import Work

_KIND = "reserved numbers"
_DIGITS = 9


async def reserve(request: web.Request) -> web.Response:
    """POST /api/v1/reserved-numbers."""
    body = await read_body(request, bodies.NewReservation)

    async def effect(work: Work) -> Answer:
        row = await prefix_numbers.reserve(work, body.first, body.last, body.reason)
        location = f"/api/v1/reserved-numbers/{row.first}"
        return answer(struct(bodies.Reservation, row), location=location)

    return await post(request, effect)


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/reserved-numbers."""
    limit, after = page_limit(request), page_after(request, _KIND) or "-1"
    if after != "-1" and not _is_number(after):
        raise MalformedRequest("not a cursor of this list", field="cursor")
    async with open_work(request) as work:
        rows = await prefix_numbers.reserved(work, after=int(after), limit=limit + 1)
    rows, cursor = cut_page(rows, limit, _KIND, lambda row: row.first)
    return respond(
        bodies.ReservationPage([struct(bodies.Reservation, row) for row in rows], cursor)
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


async def release(request: web.Request) -> web.Response:
    """DELETE /api/v1/reserved-numbers/{number}."""
    first = request.match_info["number"]
    async with open_work(request) as work:
        if not _is_number(first):
            raise NotFound(f"no reservation begins with {first}")
        await prefix_numbers.release(work, int(first))
    return web.Response(status=204)


async def set_quota(request: web.Request) -> web.Response:
    """PUT /api/v1/enterprises/{id}/prefix-quota."""
    body = await read_body(request, bodies.Quota)
    enterprise_id = path_uuid(request, "id")
    async with open_work(request) as work:
        row = await prefix_numbers.set_quota(work, enterprise_id, body.quota)
    return respond(struct(enterprise_bodies.Enterprise, row))


routes: list[web.RouteDef] = [
    web.post("/api/v1/reserved-numbers", reserve),
    web.get("/api/v1/reserved-numbers", page, allow_head=False),
    web.delete("/api/v1/reserved-numbers/{number}", release),
    web.put("/api/v1/enterprises/{id}/prefix-quota", set_quota),
]
