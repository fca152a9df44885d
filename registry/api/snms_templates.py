"""The templates of the SNMS API on the wire, versions 3 and 5."""

from __future__ import annotations

from aiohttp import web

from protocol.errors import InvalidValue
from registry.api import snms_answers
from registry.api.requests import Handler, bearer, convert
from registry.api.snms import answered, open_work, read_body
from registry.snms import template_wire as wire
from registry.snms import templates

V3, V5 = "/snms/api/v3/template", "/snms/api/v5/template"


async def show_v3(request: web.Request) -> web.Response:
    """GET /snms/api/v3/template."""
    named = _named(request)
    async with open_work(request) as work:
        shown, _ = await templates.show(work, named)
    return snms_answers.succeeded(shown)


async def show_v5(request: web.Request) -> web.Response:
    """GET /snms/api/v5/template."""
    named = _named(request)
    async with open_work(request) as work:
        _, shown = await templates.show(work, named)
    return snms_answers.succeeded(shown)


def _named(request: web.Request) -> wire.SnmsTemplateName:
    bearer(request)
    query = {name: request.query.get(name, "") for name in ("prefix", "version")}
    for name, text in query.items():
        if not text:
            raise InvalidValue("missing", field=name)
        if "\0" in text:
            raise InvalidValue("holds U+0000", field=name)
    return convert(query, wire.SnmsTemplateName)


async def create(request: web.Request) -> web.Response:
    """POST /snms/api/v3/template, /snms/api/v5/template."""
    body = await read_body(request, wire.SnmsTemplate)
    async with open_work(request) as work:
        await templates.create(work, body)
    return snms_answers.succeeded(True)


async def change(request: web.Request) -> web.Response:
    """PUT /snms/api/v5/template."""
    body = await read_body(request, wire.SnmsTemplateChange)
    async with open_work(request) as work:
        await templates.change(work, body)
    return snms_answers.succeeded(True)


async def delete(request: web.Request) -> web.Response:
    """DELETE /snms/api/v3/template, /snms/api/v5/template."""
    body = await read_body(request, wire.SnmsTemplateName)
    async with open_work(request) as work:
        await templates.delete(work, body)
    return snms_answers.succeeded(True)


def _answered(handler: Handler) -> Handler:
    return answered(handler, snms_answers.failed_template)


routes: list[web.RouteDef] = [
    web.get(V3, _answered(show_v3), allow_head=False),
    web.get(V5, _answered(show_v5), allow_head=False),
    *(web.post(path, _answered(create)) for path in (V3, V5)),
    *(web.delete(path, _answered(delete)) for path in (V3, V5)),
    web.put(V5, _answered(change)),
]
