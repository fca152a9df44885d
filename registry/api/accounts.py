"""/api/v1/accounts, /api/v1/sessions, /api/v1/password-resets and /api/v1/me."""

from __future__ import annotations

import msgspec
from aiohttp import web

from registry.accounts import people, sessions
from registry.api.bodies import accounts as bodies
from registry.api.requests import (
    REGISTRY,
    REQUEST_ID,
    after_id,
    answer,
    bearer,
    cut_page,
    open_work,
    page_limit,
    path_uuid,
    post,
    query_uuid,
    read_body,
    read_open_body,
    respond,
    struct,
)
from registry.idempotency import Answer
from registry.principals import SCOPES
from registry.services import Work


async def create(request: web.Request) -> web.Response:
    """POST /api/v1/accounts."""
    body = await read_body(request, bodies.NewAccount)
    passwords = request.app[REGISTRY].passwords

    async def effect(work: Work) -> Answer:
        row = await people.create(
            work,
            passwords,
            name=body.name,
            role=body.role,
            enterprise_id=body.enterprise_id,
            password=body.password,
        )
        return answer(struct(bodies.Account, row), location=f"/api/v1/accounts/{row.id}")

    return await post(request, effect)


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/accounts/{id}."""
    account_id = path_uuid(request, "id")
    async with open_work(request) as work:
        row = await people.get(work, account_id)
    return respond(struct(bodies.Account, row))


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/accounts."""
    limit, after = page_limit(request), after_id(request, "accounts")
    enterprise_id = query_uuid(request, "enterprise_id")
    async with open_work(request) as work:
        rows = await people.page(work, enterprise_id=enterprise_id, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, "accounts", lambda row: row.id)
    return respond(bodies.AccountPage([struct(bodies.Account, row) for row in rows], cursor))


async def change(request: web.Request) -> web.Response:
    """PATCH /api/v1/accounts/{id}."""
    body = await read_body(request, bodies.AccountPatch)
    account_id = path_uuid(request, "id")
    async with open_work(request) as work:
        row = await people.change(work, account_id, role=body.role, status=body.status)
    return respond(struct(bodies.Account, row))


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/accounts/{id}."""
    account_id = path_uuid(request, "id")
    async with open_work(request) as work:
        await people.delete(work, account_id)
    return web.Response(status=204)


async def reset(request: web.Request) -> web.Response:
    """POST /api/v1/accounts/{id}/password-reset."""
    account_id = path_uuid(request, "id")

    async def effect(work: Work) -> Answer:
        made = await people.reset(work, account_id)
        return answer(
            bodies.PasswordReset(made.token, made.expires_at),
            kept=bodies.PasswordReset(None, made.expires_at),
        )

    return await post(request, effect)


async def use_reset(request: web.Request) -> web.Response:
    """POST /api/v1/password-resets, without a bearer token."""
    body = await read_open_body(request, bodies.UsedReset)
    registry, request_id = request.app[REGISTRY], request.get(REQUEST_ID)
    await people.use_reset(registry, body.token, body.password, request_id)
    return web.Response(status=204)


async def sign_in(request: web.Request) -> web.Response:
    """POST /api/v1/sessions, without a bearer token."""
    body = await read_open_body(request, bodies.Credentials)
    registry, request_id = request.app[REGISTRY], request.get(REQUEST_ID)
    begun = await sessions.sign_in(registry, body.name, body.password, request.remote, request_id)
    session = {
        "token": begun.token,
        "name": begun.principal.name,
        "role": begun.principal.role,
        "enterprise_id": begun.principal.enterprise_id,
        "expires_at": begun.ends_at,
    }
    headers = {"Cache-Control": "no-store"}
    return respond(msgspec.convert(session, bodies.Session), status=201, headers=headers)


async def sign_out(request: web.Request) -> web.Response:
    """DELETE /api/v1/sessions/current."""
    async with open_work(request) as work:
        await sessions.sign_out(work, bearer(request))
    return web.Response(status=204)


async def me(request: web.Request) -> web.Response:
    """GET /api/v1/me."""
    async with open_work(request) as work:
        who = work.principal
    caller = {
        "kind": who.kind,
        "role": who.role,
        "id": who.id,
        "name": who.name,
        "enterprise_id": who.enterprise_id,
        "scopes": [scope for scope in SCOPES if scope in who.scopes],
    }
    return respond(msgspec.convert(caller, bodies.Me))


async def change_password(request: web.Request) -> web.Response:
    """PUT /api/v1/me/password."""
    body = await read_body(request, bodies.PasswordChange)
    await people.change_password(
        request.app[REGISTRY],
        bearer(request),
        current=body.password,
        new=body.new_password,
        address=request.remote,
        request_id=request.get(REQUEST_ID),
    )
    return web.Response(status=204)


routes: list[web.RouteDef] = [
    web.post("/api/v1/accounts", create),
    web.get("/api/v1/accounts", page),
    web.get("/api/v1/accounts/{id}", get),
    web.patch("/api/v1/accounts/{id}", change),
    web.delete("/api/v1/accounts/{id}", delete),
    web.post("/api/v1/accounts/{id}/password-reset", reset),
    web.post("/api/v1/password-resets", use_reset),
    web.post("/api/v1/sessions", sign_in),
    web.delete("/api/v1/sessions/current", sign_out),
    web.get("/api/v1/me", me),
    web.put("/api/v1/me/password", change_password),
]
