"""/api/v1/prefixes/{prefix}/transfer and /api/v1/transfers."""

from __future__ import annotations

from typing import get_args

from aiohttp import web

from protocol.errors import MalformedRequest
from protocol.identifier import check_prefix
from registry import transfers
from registry.api.bodies import transfers as bodies
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
    read_body,
    respond,
    struct,
)
from registry.idempotency import Answer
from registry.services import Work

_KIND = "transfers"


async def transfer(request: web.Request) -> web.Response:
    """POST /api/v1/prefixes/{prefix}/transfer."""
    body = await read_body(request, bodies.NewTransfer)
    prefix = check_prefix(request.match_info["prefix"])
    quota = request.app[REGISTRY].prefix_quota

    async def effect(work: Work) -> Answer:
        wish = transfers.Wish(body.enterprise_id, body.reason)
        row = await transfers.transfer(work, prefix, wish, quota)
        return answer(struct(bodies.Transfer, row), status=200)

    return await post(request, effect)


async def accept(request: web.Request) -> web.Response:
    """POST /api/v1/prefixes/{prefix}/transfer/accept."""
    bearer(request)
    prefix = check_prefix(request.match_info["prefix"])
    quota = request.app[REGISTRY].prefix_quota

    async def effect(work: Work) -> Answer:
        row = await transfers.accept(work, prefix, quota)
        return answer(struct(bodies.Transfer, row), status=200)

    return await post(request, effect)


async def end_offer(request: web.Request) -> web.Response:
    """DELETE /api/v1/prefixes/{prefix}/transfer."""
    bearer(request)
    prefix = check_prefix(request.match_info["prefix"])
    async with open_work(request) as work:
        await transfers.end_offer(work, prefix)
    return web.Response(status=204)


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/transfers."""
    bearer(request)
    prefix = request.query.get("prefix")
    if prefix is not None:
        check_prefix(prefix)
    state = one_of(request, "state", get_args(bodies.State))
    limit, after = page_limit(request), _after(request)
    async with open_work(request) as work:
        rows = await transfers.page(work, prefix=prefix, state=state, after=after, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, _KIND, lambda row: f"{row.prefix} {row.number}")
    return respond(bodies.TransferPage([struct(bodies.Transfer, row) for row in rows], cursor))


def _after(request: web.Request) -> tuple[str, int]:
    position = page_after(request, _KIND)
    if position is None:
        return "", 0
    prefix, _, number = position.partition(" ")
    if not (number.isascii() and number.isdecimal() and len(number) < 9):
        raise MalformedRequest("not a cursor of this list", field="cursor")
    return prefix, int(number)


routes: list[web.RouteDef] = [
    web.post("/api/v1/prefixes/{prefix}/transfer", transfer),
    web.post("/api/v1/prefixes/{prefix}/transfer/accept", accept),
    web.delete("/api/v1/prefixes/{prefix}/transfer", end_offer),
    web.get("/api/v1/transfers", page, allow_head=False),
]
