"""/api/v1/enterprises, /api/v1/filings, and the codes that enterprises are filed by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from protocol.errors import MalformedRequest, NotFound
from registry.api.bodies import enterprises as bodies
from registry.api.bodies.prefixes import StepReason
from registry.api.requests import (
    REGISTRY,
    REQUEST_ID,
    after_id,
    answer,
    bearer,
    cut_page,
    open_work,
    page_after,
    page_limit,
    path_uuid,
    post,
    read_body,
    read_open_body,
    respond,
    struct,
)
from registry.enterprises import codes, filing, service, steps
from registry.enterprises.service import Facts, Wanted
from registry.idempotency import Answer
from registry.services import Work

_DAY = {"Cache-Control": "public, max-age=86400"}


def _facts(body: bodies.NewEnterprise | bodies.Filing) -> Facts:
    contact = {name: getattr(body.contact, name) for name in body.contact.__struct_fields__}
    return Facts(body.name, body.credit_code, body.industry, body.region, contact)


async def create(request: web.Request) -> web.Response:
    """POST /api/v1/enterprises."""
    body = await read_body(request, bodies.NewEnterprise)

    async def effect(work: Work) -> Answer:
        row = await service.create(work, _facts(body))
        location = f"/api/v1/enterprises/{row.id}"
        return answer(struct(bodies.Enterprise, row), location=location)

    return await post(request, effect)


async def file(request: web.Request) -> web.Response:
    """POST /api/v1/filings, without a bearer token."""
    body = await read_open_body(request, bodies.Filing)
    row = await filing.file(
        request.app[REGISTRY],
        _facts(body),
        filing.Administrator(body.administrator.name, body.administrator.password),
        address=request.remote,
        request_id=request.get(REQUEST_ID),
    )
    location = {"Location": f"/api/v1/enterprises/{row.id}"}
    return respond(struct(bodies.Filed, row), status=201, headers=location)


async def change(request: web.Request) -> web.Response:
    """PUT /api/v1/enterprises/{id}."""
    body = await read_body(request, bodies.NewEnterprise)
    enterprise_id = path_uuid(request, "id")
    async with open_work(request) as work:
        row = await service.change(work, enterprise_id, _facts(body))
    return respond(struct(bodies.Enterprise, row))


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/enterprises/{id}."""
    enterprise_id = path_uuid(request, "id")
    async with open_work(request) as work:
        row = await service.get(work, enterprise_id)
    return respond(struct(bodies.Enterprise, row))


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/enterprises."""
    bearer(request)
    query = request.query
    wanted = Wanted(query.get("status"), query.get("q"), query.get("industry"), query.get("region"))
    limit, after = page_limit(request), after_id(request, "enterprises")
    async with open_work(request) as work:
        rows = await service.page(work, wanted, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, "enterprises", lambda row: row.id)
    return respond(bodies.EnterprisePage([struct(bodies.Enterprise, row) for row in rows], cursor))


def _step(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = await read_body(request, StepReason, optional=True)
        enterprise_id = path_uuid(request, "id")

        async def effect(work: Work) -> Answer:
            row = await steps.take(work, enterprise_id, name, body.reason)
            return answer(struct(bodies.Enterprise, row), status=200)

        return await post(request, effect)

    return handler


async def step_page(request: web.Request) -> web.Response:
    """GET /api/v1/enterprises/{id}/steps."""
    bearer(request)
    enterprise_id = path_uuid(request, "id")
    kind = f"steps {enterprise_id}"
    limit, after = page_limit(request), page_after(request, kind) or "0"
    if not (after.isascii() and after.isdecimal() and len(after) < 9):
        raise MalformedRequest("not a cursor of this list", field="cursor")
    async with open_work(request) as work:
        rows = await steps.page(work, enterprise_id, after=int(after), limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.number)
    items = [struct(bodies.EnterpriseStep, row) for row in rows]
    return respond(bodies.EnterpriseStepPage(items, cursor))


def _listed(
    known: Callable[[], Mapping[str, codes.Code]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        parent = request.query.get("parent")
        if parent is not None and parent not in known():
            raise NotFound(f"no code {parent}", field="parent")
        items = [
            bodies.Code(each.code, each.name, each.name_en)
            for each in known().values()
            if each.parent == parent
        ]
        return respond(bodies.CodeList(items), headers=_DAY)

    return handler


routes: list[web.RouteDef] = [
    web.post("/api/v1/enterprises", create),
    web.post("/api/v1/filings", file),
    web.get("/api/v1/enterprises", page, allow_head=False),
    web.get("/api/v1/enterprises/{id}", get, allow_head=False),
    web.put("/api/v1/enterprises/{id}", change),
    web.get("/api/v1/enterprises/{id}/steps", step_page, allow_head=False),
    *(web.post(f"/api/v1/enterprises/{{id}}/{name}", _step(name)) for name in steps.STEPS),
    web.get("/api/v1/industries", _listed(codes.industries), allow_head=False),
    web.get("/api/v1/regions", _listed(codes.regions), allow_head=False),
]
