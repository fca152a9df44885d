"""The keys of enterprises and of accounts."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from aiohttp import web

from registry.accounts import keys
from registry.accounts.keys import Owner
from registry.api.bodies import keys as bodies
from registry.api.requests import (
    Handler,
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
from registry.principals import SCOPES
from registry.services import Record, Work

OwnerOf = Callable[[uuid.UUID], Owner]


def _key(row: Record) -> bodies.Key:
    return struct(bodies.Key, row, scopes=row.scopes or list(SCOPES))


def _issued(row: Record, token: str) -> Answer:
    scopes = row.scopes or list(SCOPES)
    return answer(
        struct(bodies.IssuedKey, row, scopes=scopes, key=token),
        kept=struct(bodies.IssuedKey, row, scopes=scopes, key=None),
    )


def _issue(owner_of: OwnerOf) -> Handler:
    async def issue(request: web.Request) -> web.Response:
        """POST /api/v1/enterprises/{id}/keys, /api/v1/accounts/{id}/keys."""
        body = await read_body(request, bodies.NewKey, optional=True)
        owner = owner_of(path_uuid(request, "id"))

        async def effect(work: Work) -> Answer:
            return _issued(
                *await keys.issue(
                    work,
                    owner,
                    label=body.label,
                    scopes=body.scopes,
                    expires_at=body.expires_at,
                )
            )

        return await post(request, effect)

    return issue


def _rotate(owner_of: OwnerOf) -> Handler:
    async def rotate(request: web.Request) -> web.Response:
        """POST /api/v1/.../{id}/keys/{key_id}/rotate."""
        body = await read_body(request, bodies.KeyRotation, optional=True)
        owner, key_id = owner_of(path_uuid(request, "id")), path_uuid(request, "key_id")

        async def effect(work: Work) -> Answer:
            return _issued(
                *await keys.rotate(
                    work, owner, key_id, grace_hours=body.grace_hours, expires_at=body.expires_at
                )
            )

        return await post(request, effect)

    return rotate


def _page(owner_of: OwnerOf) -> Handler:
    async def page(request: web.Request) -> web.Response:
        """GET /api/v1/.../{id}/keys."""
        owner_id = path_uuid(request, "id")
        kind = f"keys of {owner_id}"
        limit, after = page_limit(request), after_id(request, kind)
        async with open_work(request) as work:
            rows = await keys.page(work, owner_of(owner_id), after=after, limit=limit + 1)
        rows, cursor = cut_page(rows, limit, kind, lambda row: row.id)
        return respond(bodies.KeyPage([_key(row) for row in rows], cursor))

    return page


def _revoke(owner_of: OwnerOf) -> Handler:
    async def revoke(request: web.Request) -> web.Response:
        """DELETE /api/v1/.../{id}/keys/{key_id}."""
        owner, key_id = owner_of(path_uuid(request, "id")), path_uuid(request, "key_id")
        async with open_work(request) as work:
            await keys.revoke(work, owner, key_id)
        return web.Response(status=204)

    return revoke


def _routes(base: str, owner_of: OwnerOf) -> list[web.RouteDef]:
    one = f"{base}/{{id}}/keys"
    return [
        web.post(one, _issue(owner_of)),
        web.get(one, _page(owner_of)),
        web.delete(f"{one}/{{key_id}}", _revoke(owner_of)),
        web.post(f"{one}/{{key_id}}/rotate", _rotate(owner_of)),
    ]


routes: list[web.RouteDef] = [
    *_routes("/api/v1/enterprises", lambda id_: Owner(enterprise_id=id_)),
    *_routes("/api/v1/accounts", lambda id_: Owner(account_id=id_)),
]
