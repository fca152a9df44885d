"""/api/v1/templates."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import quote

from aiohttp import web

from protocol.errors import InvalidHandle, InvalidValue, MalformedRequest, NotFound
from protocol.identifier import check_prefix
from registry.api.bodies import templates as bodies
from registry.api.conditions import condition, unmodified
from registry.api.requests import (
    answer,
    cut_page,
    one_of,
    open_work,
    page_after,
    page_limit,
    post,
    read_body,
    read_whole,
    respond,
    struct,
)
from registry.idempotency import Answer
from registry.identifiers import etag
from registry.services import Record, Work
from registry.templates import service
from registry.templates.definition import Definition
from registry.templates.names import Reference
from registry.templates.service import Place

_STATES = ("draft", "published", "withdrawn")
_LATEST = "latest"


async def create(request: web.Request) -> web.Response:
    """POST /api/v1/templates."""
    body = await read_body(request, bodies.NewTemplate)
    definition = _definition(body)

    async def effect(work: Work) -> Answer:
        return _made(await service.create(work, body.prefix, body.name, definition))

    return await post(request, effect)


async def draft_next(request: web.Request) -> web.Response:
    """POST /api/v1/templates/{prefix}/{template}."""
    definition = None
    if request.body_exists and await read_whole(request):
        definition = await read_body(request, Definition)
    prefix, reference = _template(request)

    async def effect(work: Work) -> Answer:
        return _made(await service.draft_next(work, prefix, reference.name, definition))

    return await post(request, effect)


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/templates."""
    prefix, state = request.query.get("prefix"), one_of(request, "state", _STATES)
    if prefix is not None:
        check_prefix(prefix)
    kind = f"templates {prefix} {state}"
    limit, after = page_limit(request), _place(page_after(request, kind))
    async with open_work(request) as work:
        rows = await service.page(work, prefix=prefix, state=state, after=after, limit=limit + 1)
    rows, cursor = cut_page(
        rows, limit, kind, lambda row: f"{row.prefix} {row.version} {row.name_key}"
    )
    return respond(bodies.TemplatePage([_summary(row) for row in rows], cursor))


def _place(position: str | None) -> Place | None:
    if position is None:
        return None
    prefix, _, rest = position.partition(" ")
    version, _, name_key = rest.partition(" ")
    return Place(prefix, name_key, _number(version))


async def page_versions(request: web.Request) -> web.Response:
    """GET /api/v1/templates/{prefix}/{template}."""
    prefix, reference = _template(request)
    kind = f"versions of {reference.identifier(prefix).key}"
    limit, position = page_limit(request), page_after(request, kind)
    before = None if position is None else _number(position)
    async with open_work(request) as work:
        rows = await service.versions(work, prefix, reference.name, before=before, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.version)
    return respond(bodies.TemplatePage([_summary(row) for row in rows], cursor))


def _number(position: str) -> int:
    if not (position.isascii() and position.isdecimal() and len(position) <= 4):
        raise MalformedRequest("not a cursor of this list", field="cursor")
    return int(position)


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/templates/{prefix}/{template}/{version}."""
    prefix, reference = _version(request, or_latest=True)
    when = condition(request, "template")
    async with open_work(request) as work:
        row = await service.get(work, prefix, reference)
    return unmodified(when, row.revision) or _respond(row)


async def replace(request: web.Request) -> web.Response:
    """PUT /api/v1/templates/{prefix}/{template}/{version}."""
    definition = await read_body(request, Definition)
    prefix, reference = _version(request)
    when = condition(request, "template")
    async with open_work(request) as work:
        row = await service.replace(work, prefix, reference, definition, when)
    return _respond(row)


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/templates/{prefix}/{template}/{version}."""
    prefix, reference = _version(request)
    when = condition(request, "template")
    async with open_work(request) as work:
        await service.delete(work, prefix, reference, when)
    return web.Response(status=204)


async def publish(request: web.Request) -> web.Response:
    """POST /api/v1/templates/{prefix}/{template}/{version}/publish."""
    await read_whole(request)
    prefix, reference = _version(request)

    async def effect(work: Work) -> Answer:
        return _stepped(await service.publish(work, prefix, reference))

    return await post(request, effect)


async def withdraw(request: web.Request) -> web.Response:
    """POST /api/v1/templates/{prefix}/{template}/{version}/withdraw."""
    body = await read_body(request, bodies.WithdrawalReason)
    prefix, reference = _version(request)

    async def effect(work: Work) -> Answer:
        return _stepped(await service.withdraw(work, prefix, reference, body.reason))

    return await post(request, effect)


def _definition(body: Definition) -> Definition:
    members = Definition.__struct_fields__
    return Definition(**{name: getattr(body, name) for name in members})


def _template(request: web.Request) -> tuple[str, Reference]:
    """Read prefix and name out of the path. Raises NotFound for what cannot be one."""
    prefix, name = request.match_info["prefix"], request.match_info["template"]
    try:
        check_prefix(prefix)
        reference = Reference.parse(name)
    except (InvalidHandle, InvalidValue):
        raise NotFound("there is no such template") from None
    if reference.version is not None:
        raise NotFound("there is no such template")
    return prefix, reference


def _version(request: web.Request, *, or_latest: bool = False) -> tuple[str, Reference]:
    prefix, template = _template(request)
    number = request.match_info["version"]
    if or_latest and number == _LATEST:
        return prefix, template
    try:
        return prefix, Reference.parse(f"{template.name}/{number}")
    except InvalidValue:
        raise NotFound(f"{number!r} is not the number of a version", field="version") from None


def _members(row: Record) -> dict[str, Any]:
    reference = Reference(row.name, row.version)
    return {
        **row.definition,
        "reference": str(reference),
        "handle": str(reference.identifier(row.prefix)),
    }


def _summary(row: Record) -> bodies.TemplateSummary:
    return struct(bodies.TemplateSummary, row, **_members(row))


def _body(row: Record) -> bodies.Template:
    return struct(bodies.Template, row, **_members(row))


def _respond(row: Record) -> web.Response:
    return respond(_body(row), headers={"ETag": etag(row.revision)})


def _made(row: Record) -> Answer:
    location = f"{_PATH}/{row.prefix}/{quote(row.name, safe='')}/{row.version}"
    return _with_tag(answer(_body(row), location=location), row)


def _stepped(row: Record) -> Answer:
    return _with_tag(answer(_body(row), status=200), row)


def _with_tag(made: Answer, row: Record) -> Answer:
    return dataclasses.replace(made, headers={**made.headers, "ETag": etag(row.revision)})


_PATH = "/api/v1/templates"
_NAMED = f"{_PATH}/{{prefix}}/{{template:[^/]+}}"
_ONE = f"{_NAMED}/{{version}}"

routes: list[web.RouteDef] = [
    web.post(_PATH, create),
    web.get(_PATH, page),
    web.get(_NAMED, page_versions),
    web.post(_NAMED, draft_next),
    web.get(_ONE, get),
    web.put(_ONE, replace),
    web.delete(_ONE, delete),
    web.post(f"{_ONE}/publish", publish),
    web.post(f"{_ONE}/withdraw", withdraw),
]
