"""/api/v1/ranges."""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from protocol.identifier import check_prefix
from registry import ranges
from registry.api.bodies import ranges as bodies
from registry.api.conditions import condition, unmodified
from registry.api.requests import (
    after_id,
    answer,
    asked_prefix,
    cut_page,
    open_work,
    page_limit,
    path_uuid,
    post,
    read_body,
    respond,
    struct,
)
from registry.idempotency import Answer
from registry.identifiers import etag
from registry.services import Record, Work


async def create(request: web.Request) -> web.Response:
    """POST /api/v1/ranges."""
    body = await read_body(request, bodies.NewRange)
    prefix = check_prefix(body.prefix)

    async def effect(work: Work) -> Answer:
        row = await ranges.create(
            work,
            prefix,
            first=body.first,
            last=body.last,
            values=body.values,
            substitute=body.substitute,
            template=body.template,
        )
        return answer(
            _body(row),
            location=f"/api/v1/ranges/{prefix}/{row.id}",
            headers={"ETag": etag(row.version)},
        )

    return await post(request, effect)


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/ranges."""
    prefix = asked_prefix(request)
    kind = f"ranges {prefix}"
    limit, after = page_limit(request), after_id(request, kind)
    async with open_work(request) as work:
        rows = await ranges.page(work, prefix, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.id)
    return respond(bodies.RangePage([_body(row) for row in rows], cursor))


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/ranges/{prefix}/{id}."""
    prefix, range_id = _place(request)
    when = condition(request, "range")
    async with open_work(request) as work:
        row = await ranges.get(work, prefix, range_id)
    return unmodified(when, row.version) or _respond(row)


async def put(request: web.Request) -> web.Response:
    """PUT /api/v1/ranges/{prefix}/{id}."""
    body = await read_body(request, bodies.RangeValues)
    prefix, range_id = _place(request)
    when = condition(request, "range")
    async with open_work(request) as work:
        row = await ranges.change(
            work,
            prefix,
            range_id,
            values=body.values,
            substitute=body.substitute,
            template=body.template,
            when=when,
        )
    return _respond(row)


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/ranges/{prefix}/{id}."""
    prefix, range_id = _place(request)
    when = condition(request, "range")
    async with open_work(request) as work:
        await ranges.delete(work, prefix, range_id, when=when)
    return web.Response(status=204)


def _place(request: web.Request) -> tuple[str, uuid.UUID]:
    return check_prefix(request.match_info["prefix"]), path_uuid(request, "id")


def _body(row: Record) -> Any:
    span = ranges.span_of(row)
    return struct(
        bodies.Range,
        row,
        first=span.suffix(span.first),
        last=span.suffix(span.last),
        count=span.count,
        values=row.values_,
    )


def _respond(row: Record) -> web.Response:
    return respond(_body(row), headers={"ETag": etag(row.version)})


_ONE = "/api/v1/ranges/{prefix}/{id}"

routes: list[web.RouteDef] = [
    web.post("/api/v1/ranges", create),
    web.get("/api/v1/ranges", page, allow_head=False),
    web.get(_ONE, get, allow_head=False),
    web.put(_ONE, put),
    web.delete(_ONE, delete),
]
