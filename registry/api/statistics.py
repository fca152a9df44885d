"""/api/v1/statistics."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from protocol.errors import MalformedRequest
from registry.api import cursors
from registry.api.bodies import statistics as bodies
from registry.api.requests import cut_page, open_work, read_query, respond
from registry.services import Record, Work
from registry.statistics import day_of, queries, ranking
from registry.statistics.queries import Position, Wanted

Group = TypeVar("Group", bound=bodies.Group)
Query = Callable[[Work, Wanted], Awaitable[Sequence[Record]]]

_NO_TIME = "-"


async def resolutions(request: web.Request) -> web.Response:
    """GET /api/v1/statistics/resolutions."""
    asked = read_query(request, bodies.HoursQuery)
    items, cursor = await _page(request, asked, queries.resolutions, bodies.Resolutions)
    return respond(bodies.ResolutionsPage(items, cursor))


async def registrations(request: web.Request) -> web.Response:
    """GET /api/v1/statistics/registrations."""
    asked = read_query(request, bodies.HoursQuery)
    items, cursor = await _page(request, asked, queries.registrations, bodies.Registrations)
    return respond(bodies.RegistrationsPage(items, cursor))


async def identifiers(request: web.Request) -> web.Response:
    """GET /api/v1/statistics/identifiers."""
    asked = read_query(request, bodies.NowQuery)
    items, cursor = await _page(request, asked, queries.identifiers, bodies.Identifiers)
    return respond(bodies.IdentifiersPage(items, cursor))


async def top(request: web.Request) -> web.Response:
    """GET /api/v1/statistics/top."""
    asked = read_query(request, bodies.TopQuery)
    async with open_work(request) as work:
        last = asked.last or day_of(work.now.timestamp())
        found = await ranking.ranking(
            work,
            asked.kind,
            asked.first or last,
            last,
            prefix=asked.prefix,
            enterprise_id=asked.enterprise_id,
            limit=asked.limit,
        )
    items = [
        bodies.TopName(
            f"{each.prefix}/{each.name}" if each.prefix else each.name,
            each.at_least,
            each.at_most,
        )
        for each in found.names
    ]
    return respond(bodies.TopNames(items, found.others))


async def _page(
    request: web.Request,
    asked: bodies.NowQuery | bodies.HoursQuery,
    query: Query,
    body: type[Group],
) -> tuple[list[Group], str | None]:
    fields = {name: getattr(asked, name) for name in asked.__struct_fields__}
    limit, cursor = fields.pop("limit"), fields.pop("cursor")
    kind = f"{request.path} {sorted((name, str(value)) for name, value in fields.items())}"
    after = None if cursor is None else _position(cursors.decode(kind, cursor))
    async with open_work(request) as work:
        rows = await query(work, Wanted(**fields, after=after, limit=limit + 1))
    rows, following = cut_page(rows, limit, kind, _written)
    return [_item(row, body) for row in rows], following


def _written(row: Record) -> str:
    time = _NO_TIME if row.time_ is None else row.time_.isoformat()
    return f"{time} {row.group_}"


def _position(text: str) -> Position:
    time, _, group = text.partition(" ")
    try:
        return None if time == _NO_TIME else datetime.datetime.fromisoformat(time), group
    except ValueError:
        raise MalformedRequest("not a cursor of this list", field="cursor") from None


def _item(row: Record, body: type[Group]) -> Group:
    told: dict[str, Any] = dict(row._mapping)
    told["enterprise"] = told.pop("name", None)
    told["time"] = queries.in_china(told.pop("time_"))
    return msgspec.convert({name: told.get(name) for name in body.__struct_fields__}, body)


routes: list[web.RouteDef] = [
    web.get("/api/v1/statistics/resolutions", resolutions, allow_head=False),
    web.get("/api/v1/statistics/registrations", registrations, allow_head=False),
    web.get("/api/v1/statistics/identifiers", identifiers, allow_head=False),
    web.get("/api/v1/statistics/top", top, allow_head=False),
]
