"""/api/v1/enterprises/{id}/snms-users."""

from __future__ import annotations

from aiohttp import web

from registry.api.bodies import snms_users as bodies
from registry.api.requests import (
    REGISTRY,
    after_id,
    answer,
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
from registry.services import Work
from registry.snms import users

_PATH = "/api/v1/enterprises/{id}/snms-users"


async def create(request: web.Request) -> web.Response:
    """POST /api/v1/enterprises/{id}/snms-users."""
    body = await read_body(request, bodies.NewSnmsUser)
    registry, enterprise_id = request.app[REGISTRY], path_uuid(request, "id")

    async def effect(work: Work) -> Answer:
        row = await users.create(
            work,
            registry.passwords,
            registry.snms_key,
            enterprise_id=enterprise_id,
            name=body.name,
            password=body.password,
            hashed=body.hashed,
        )
        return answer(struct(bodies.SnmsUser, row))

    return await post(request, effect)


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/enterprises/{id}/snms-users."""
    enterprise_id = path_uuid(request, "id")
    kind = f"snms users of {enterprise_id}"
    limit, after = page_limit(request), after_id(request, kind)
    async with open_work(request) as work:
        rows = await users.page(work, enterprise_id, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.id)
    return respond(bodies.SnmsUserPage([struct(bodies.SnmsUser, row) for row in rows], cursor))


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/enterprises/{id}/snms-users/{user_id}."""
    enterprise_id, user_id = path_uuid(request, "id"), path_uuid(request, "user_id")
    async with open_work(request) as work:
        await users.delete(work, enterprise_id, user_id)
    return web.Response(status=204)


routes: list[web.RouteDef] = [
    web.post(_PATH, create),
    web.get(_PATH, page, allow_head=False),
    web.delete(f"{_PATH}/{{user_id}}", delete),
]
