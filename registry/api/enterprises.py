"""/api/v1/enterprises and their keys."""

from __future__ import annotations

import uuid

from aiohttp import web

from protocol.errors import MalformedRequest
from registry import enterprises
from registry.api.bodies import enterprises as bodies
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
    limit, after = page_limit(request), _after_id(request, "enterprises")
    async with open_work(request) as work:
        rows = await enterprises.page(work, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, "enterprises", lambda row: row.id)
    return respond(bodies.EnterprisePage([struct(bodies.Enterprise, row) for row in rows], cursor))


async def issue_key(request: web.Request) -> web.Response:
    """POST /api/v1/enterprises/{id}/keys."""
    body = await read_body(request, bodies.NewKey, optional=True)
    enterprise_id = path_uuid(request, "id")

    async def effect(work: Work) -> Answer:
        row, token = await enterprises.issue_key(
            work, enterprise_id, label=body.label, expires_at=body.expires_at
        )
        return answer(
            struct(bodies.IssuedKey, row, key=token),
            kept=struct(bodies.IssuedKey, row, key=None),
        )

    return await post(request, effect)


async def page_keys(request: web.Request) -> web.Response:
    """GET /api/v1/enterprises/{id}/keys."""
    enterprise_id = path_uuid(request, "id")
    kind = f"keys of {enterprise_id}"
    limit, after = page_limit(request), _after_id(request, kind)
    async with open_work(request) as work:
        rows = await enterprises.page_keys(work, enterprise_id, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.id)
    return respond(bodies.KeyPage([struct(bodies.Key, row) for row in rows], cursor))


async def revoke_key(request: web.Request) -> web.Response:
    """DELETE /api/v1/enterprises/{id}/keys/{key_id}."""
    enterprise_id, key_id = path_uuid(request, "id"), path_uuid(request, "key_id")
    async with open_work(request) as work:
        await enterprises.revoke_key(work, enterprise_id, key_id)
    return web.Response(status=204)


def _after_id(request: web.Request, kind: str) -> uuid.UUID | None:
    position = page_after(request, kind)
    try:
        return None if position is None else uuid.UUID(position)
    except ValueError:
        raise MalformedRequest("not a cursor of this list", field="cursor") from None


routes: list[web.RouteDef] = [
    web.post("/api/v1/enterprises", create),
    web.get("/api/v1/enterprises", page),
    web.get("/api/v1/enterprises/{id}", get),
    web.post("/api/v1/enterprises/{id}/keys", issue_key),
    web.get("/api/v1/enterprises/{id}/keys", page_keys),
    web.delete("/api/v1/enterprises/{id}/keys/{key_id}", revoke_key),
]
