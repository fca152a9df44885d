"""/api/v1/prefixes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import get_args

from aiohttp import web

from protocol.errors import MalformedRequest
from protocol.identifier import check_prefix
from registry import prefixes
from registry.api.bodies import prefixes as bodies
from registry.api.requests import (
    answer,
    cut_page,
    open_work,
    page_after,
    page_limit,
    post,
    read_body,
    respond,
    struct,
)
from registry.idempotency import Answer
from registry.services import Work


async def apply(request: web.Request) -> web.Response:
    """POST /api/v1/prefixes."""
    body = await read_body(request, bodies.NewPrefix)

    async def effect(work: Work) -> Answer:
        row = await prefixes.apply(
            work,
            enterprise_id=body.enterprise_id,
            hosting=body.hosting,
            prefix=body.prefix,
            site=body.site,
        )
        return answer(struct(bodies.Prefix, row), location=f"/api/v1/prefixes/{row.prefix}")

    return await post(request, effect)


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/prefixes/{prefix}."""
    prefix = check_prefix(request.match_info["prefix"])
    async with open_work(request) as work:
        row = await prefixes.get(work, prefix)
    return respond(struct(bodies.Prefix, row))


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/prefixes."""
    status = request.query.get("status")
    if status is not None and status not in get_args(bodies.PrefixStatus):
        raise MalformedRequest(
            f"not one of {', '.join(get_args(bodies.PrefixStatus))}", field="status"
        )
    kind = f"prefixes {status or ''}"
    limit, after = page_limit(request), page_after(request, kind)
    async with open_work(request) as work:
        rows = await prefixes.page(work, status=status, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.prefix)
    return respond(bodies.PrefixPage([struct(bodies.Prefix, row) for row in rows], cursor))


def _step(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = await read_body(request, bodies.StepReason, optional=True)
        prefix = check_prefix(request.match_info["prefix"])

        async def effect(work: Work) -> Answer:
            row = await prefixes.take_step(work, prefix, name, body.reason)
            return answer(struct(bodies.Prefix, row), status=200)

        return await post(request, effect)

    return handler


routes: list[web.RouteDef] = [
    web.post("/api/v1/prefixes", apply),
    web.get("/api/v1/prefixes", page),
    web.get("/api/v1/prefixes/{prefix}", get),
    *(web.post(f"/api/v1/prefixes/{{prefix}}/{name}", _step(name)) for name in prefixes.STEPS),
]
