"""/api/v1/prefixes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import get_args

from aiohttp import web

from protocol.errors import MalformedRequest
from protocol.identifier import check_prefix
from registry import prefix_steps, prefixes
from registry.api.bodies import prefixes as bodies
from registry.api.requests import (
    REGISTRY,
    answer,
    bearer,
    cut_page,
    one_of,
    open_work,
    page_after,
    page_limit,
    post,
    query_uuid,
    read_body,
    respond,
    struct,
)
from registry.idempotency import Answer
from registry.services import Work

_BEGINNING = re.compile(r"[0-9.]{1,80}")


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
            quota=request.app[REGISTRY].prefix_quota,
            service=body.service,
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
    bearer(request)
    wanted = prefixes.Wanted(
        status=one_of(request, "status", get_args(bodies.PrefixStatus)),
        hosting=one_of(request, "hosting", get_args(bodies.Hosting)),
        enterprise_id=query_uuid(request, "enterprise_id"),
        beginning=request.query.get("q"),
    )
    if wanted.beginning is not None and not _BEGINNING.fullmatch(wanted.beginning):
        raise MalformedRequest("not the beginning of a prefix, such as 88.118.3", field="q")
    kind = f"prefixes {wanted}"
    limit, after = page_limit(request), page_after(request, kind)
    async with open_work(request) as work:
        rows = await prefixes.page(work, wanted, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.prefix)
    return respond(bodies.PrefixPage([struct(bodies.Prefix, row) for row in rows], cursor))


async def step_page(request: web.Request) -> web.Response:
    """GET /api/v1/prefixes/{prefix}/steps."""
    bearer(request)
    prefix = check_prefix(request.match_info["prefix"])
    kind = f"steps {prefix}"
    limit, after = page_limit(request), page_after(request, kind) or "0"
    if not (after.isascii() and after.isdecimal() and len(after) < 9):
        raise MalformedRequest("not a cursor of this list", field="cursor")
    async with open_work(request) as work:
        rows = await prefix_steps.page(work, prefix, after=int(after), limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.number)
    return respond(bodies.PrefixStepPage([struct(bodies.PrefixStep, row) for row in rows], cursor))


def _step(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        body: bodies.Approval | bodies.StepReason
        if name == "approve":
            body = await read_body(request, bodies.Approval, optional=True)
        else:
            body = await read_body(request, bodies.StepReason, optional=True)
        force = isinstance(body, bodies.Approval) and body.force
        prefix = check_prefix(request.match_info["prefix"])

        async def effect(work: Work) -> Answer:
            row = await prefixes.take_step(work, prefix, name, body.reason, force=force)
            return answer(struct(bodies.Prefix, row), status=200)

        return await post(request, effect)

    return handler


routes: list[web.RouteDef] = [
    web.post("/api/v1/prefixes", apply),
    web.get("/api/v1/prefixes", page),
    web.get("/api/v1/prefixes/{prefix}", get),
    web.get("/api/v1/prefixes/{prefix}/steps", step_page, allow_head=False),
    *(web.post(f"/api/v1/prefixes/{{prefix}}/{name}", _step(name)) for name in prefixes.STEPS),
]
