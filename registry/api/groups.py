"""/api/v1/groups and /api/v1/shared: to whom values are shown, and what is shown."""

from __future__ import annotations

import uuid

from aiohttp import web

from protocol.errors import MalformedRequest
from protocol.identifier import Identifier, unquote
from registry import groups, sharing
from registry.access import is_group_name
from registry.api.bodies import groups as bodies
from registry.api.conditions import condition, unmodified
from registry.api.requests import (
    bearer,
    cut_page,
    open_work,
    page_after,
    page_limit,
    read_body,
    respond,
    struct,
)
from registry.identifiers import etag
from registry.services import Record

SHARED = "/api/v1/shared/"


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/groups."""
    owner = _enterprise(request)
    kind = f"groups of {owner}"
    limit, after = page_limit(request), page_after(request, kind)
    if after is not None and not is_group_name(after):
        raise MalformedRequest("not a cursor of this list", field="cursor")
    async with open_work(request) as work:
        rows = await groups.page(work, owner, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.name)
    return respond(bodies.GroupPage([struct(bodies.Group, row) for row in rows], cursor))


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/groups/{group}."""
    owner, when = _enterprise(request), condition(request, "group")
    async with open_work(request) as work:
        row = await groups.get(work, owner, request.match_info["group"])
    return unmodified(when, row.version) or _respond(row, 200)


async def put(request: web.Request) -> web.Response:
    """PUT /api/v1/groups/{group}."""
    body = await read_body(request, bodies.NewGroup)
    owner, when = _enterprise(request), condition(request, "group")
    async with open_work(request) as work:
        row, created = await groups.put(
            work, owner, request.match_info["group"], members=body.members, when=when
        )
    return _respond(row, 201 if created else 200)


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/groups/{group}."""
    owner, when = _enterprise(request), condition(request, "group")
    async with open_work(request) as work:
        await groups.delete(work, owner, request.match_info["group"], when=when)
    return web.Response(status=204)


async def shared(request: web.Request) -> web.Response:
    """GET /api/v1/shared/{prefix}/{suffix}."""
    bearer(request)
    prefix, _, suffix = request.rel_url.raw_path.removeprefix(SHARED).partition("/")
    identifier = Identifier.of(unquote(prefix), unquote(suffix))
    async with open_work(request) as work:
        values = await sharing.read(work, identifier)
    return respond(bodies.Shared(str(identifier), values))


def _enterprise(request: web.Request) -> uuid.UUID | None:
    bearer(request)
    given = request.query.get("enterprise_id")
    try:
        return None if given is None else uuid.UUID(given)
    except ValueError:
        raise MalformedRequest("not the id of an enterprise", field="enterprise_id") from None


def _respond(row: Record, status: int) -> web.Response:
    body = struct(bodies.Group, row)
    return respond(body, status=status, headers={"ETag": etag(row.version)})


_ONE = "/api/v1/groups/{group}"

routes: list[web.RouteDef] = [
    web.get("/api/v1/groups", page, allow_head=False),
    web.get(_ONE, get, allow_head=False),
    web.put(_ONE, put),
    web.delete(_ONE, delete),
    web.get(SHARED + "{prefix}/{suffix:(?s:.+)}", shared, allow_head=False),
]
