"""/api/v1/prefixes/{prefix}/check and /hosting."""

from __future__ import annotations

from aiohttp import web

from protocol import typed
from protocol.errors import Busy, Conflict, InvalidValue
from protocol.identifier import check_prefix
from registry import hosting, site_checks
from registry.api.bodies import prefixes as prefix_bodies
from registry.api.bodies import sites as bodies
from registry.api.places import Places
from registry.api.requests import REGISTRY, bearer, open_work, read_body, respond, struct
from registry.site_checks import Place

MAX_AT_ONCE = 4
"""Checks of one process at the same time, two of one person: only staff may ask for them."""

PLACES: web.AppKey[Places] = web.AppKey("site checks", Places)


def _full() -> Busy:
    return Busy("the node checks as many sites as it does at once")


def add_places(app: web.Application) -> None:
    """Give an application the places of its checks."""
    app[PLACES] = Places(MAX_AT_ONCE, each=2, full=_full)


async def check(request: web.Request) -> web.Response:
    """POST /api/v1/prefixes/{prefix}/check."""
    body = await read_body(request, bodies.SiteToCheck, optional=True)
    prefix = check_prefix(request.match_info["prefix"])
    wished = None
    if body.site is not None:
        try:
            wished = typed.site_to_json(typed.site_from_json(body.site))
        except InvalidValue as error:
            raise error.at("site") from None
    async with open_work(request) as work:
        site, service = await hosting.site_to_check(work, prefix, wished)
        actor = work.principal.actor
    ask_site, places = request.app[REGISTRY].ask_site, request.app[PLACES]
    if ask_site is None:
        raise Conflict("this process asks no sites")
    async with places.hold(
        actor
    ):  # and no connection to the database while a stranger answers, or does not
        asked = await ask_site(prefix, site)
    async with open_work(request) as work:
        row = await site_checks.record(work, prefix, Place(site, service), asked)
    return respond(struct(bodies.SiteCheck, row))


async def last(request: web.Request) -> web.Response:
    """GET /api/v1/prefixes/{prefix}/check."""
    bearer(request)
    prefix = check_prefix(request.match_info["prefix"])
    async with open_work(request) as work:
        row = await site_checks.last(work, prefix)
    return respond(struct(bodies.SiteCheck, row))


async def change_hosting(request: web.Request) -> web.Response:
    """PUT /api/v1/prefixes/{prefix}/hosting."""
    body = await read_body(request, bodies.NewHosting)
    prefix = check_prefix(request.match_info["prefix"])
    async with open_work(request) as work:
        wish = hosting.Wish(body.hosting, body.site, body.service, body.force, body.reason)
        row = await hosting.change(work, prefix, wish)
    return respond(struct(prefix_bodies.Prefix, row))


routes: list[web.RouteDef] = [
    web.post("/api/v1/prefixes/{prefix}/check", check),
    web.get("/api/v1/prefixes/{prefix}/check", last, allow_head=False),
    web.put("/api/v1/prefixes/{prefix}/hosting", change_hosting),
]
