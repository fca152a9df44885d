"""/api/v1/mappings."""

from __future__ import annotations

from aiohttp import web

from protocol.errors import InvalidHandle, InvalidValue, MalformedRequest, NotFound
from protocol.identifier import check_prefix
from registry.api.bodies import imports as bodies
from registry.api.requests import (
    asked_prefix,
    cut_page,
    open_work,
    page_after,
    page_limit,
    read_body,
    respond,
    struct,
)
from registry.imports import mappings
from registry.imports.mapping import Mapping
from registry.templates.names import check_name


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/mappings."""
    prefix = asked_prefix(request)
    kind = f"mappings of {prefix}"
    limit, after = page_limit(request), _position(page_after(request, kind))
    async with open_work(request) as work:
        rows = await mappings.page(work, prefix, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: f"{row.template_key}/{row.name_key}")
    items = [struct(bodies.StoredMapping, row) for row in rows]
    return respond(bodies.MappingPage(items, cursor))


def _position(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    template_key, slash, name_key = text.partition("/")
    if not slash:
        raise MalformedRequest("not a cursor of this list", field="cursor")
    return template_key, name_key


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/mappings/{prefix}/{template}/{mapping}."""
    place = _place(request)
    async with open_work(request) as work:
        row = await mappings.get(work, *place)
    return respond(struct(bodies.StoredMapping, row))


async def put(request: web.Request) -> web.Response:
    """PUT /api/v1/mappings/{prefix}/{template}/{mapping}."""
    mapping = await read_body(request, Mapping)
    place = _place(request)
    async with open_work(request) as work:
        row, created = await mappings.put(work, *place, mapping)
    return respond(struct(bodies.StoredMapping, row), status=201 if created else 200)


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/mappings/{prefix}/{template}/{mapping}."""
    place = _place(request)
    async with open_work(request) as work:
        await mappings.delete(work, *place)
    return web.Response(status=204)


def _place(request: web.Request) -> tuple[str, str, str]:
    """Read prefix, template and name out of the path. Raises NotFound for what cannot be one."""
    prefix, template, name = (request.match_info[key] for key in ("prefix", "template", "mapping"))
    try:
        return check_prefix(prefix), check_name(template), check_name(name)
    except (InvalidHandle, InvalidValue):
        raise NotFound("there is no such mapping") from None


_ONE = "/api/v1/mappings/{prefix}/{template:[^/]+}/{mapping:[^/]+}"

routes: list[web.RouteDef] = [
    web.get("/api/v1/mappings", page, allow_head=False),
    web.get(_ONE, get, allow_head=False),
    web.put(_ONE, put),
    web.delete(_ONE, delete),
]
