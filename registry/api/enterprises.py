"""/api/v1/enterprises."""

from __future__ import annotations

from aiohttp import web

from registry import enterprises
from registry.api.bodies import enterprises as bodies
from registry.api.requests import (
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


async def create(request: web.Request) -> web.Response:
    """POST /api/v1/enterprises."""
    body = await read_body(request, bodies.NewEnterprise)
    contact = {name: getattr(body.contact, name) for name in body.contact.__struct_fields__}

    async def effect(work: Work) -> Answer:
        row = await enterprises.create(
            work,
            name=body.name,
            credit_code=body.credit_code,
            industry=body.industry,
            contact=contact,
        )
        location = f"/api/v1/enterprises/{row.id}"
        return answer(struct(bodies.Enterprise, row), location=location)

    return await post(request, effect)


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/enterprises/{id}."""
    enterprise_id = path_uuid(request, "id")
    async with open_work(request) as work:
        row = await enterprises.get(work, enterprise_id)
    return respond(struct(bodies.Enterprise, row))


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/enterprises."""
    limit, after = page_limit(request), after_id(request, "enterprises")
    async with open_work(request) as work:
        rows = await enterprises.page(work, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, "enterprises", lambda row: row.id)
    return respond(bodies.EnterprisePage([struct(bodies.Enterprise, row) for row in rows], cursor))


routes: list[web.RouteDef] = [
    web.post("/api/v1/enterprises", create),
    web.get("/api/v1/enterprises", page),
    web.get("/api/v1/enterprises/{id}", get),
]
