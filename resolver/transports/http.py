"""The long way over HTTP: Handle JSON at /api/handles, and /resolve for whoever scans a code."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import msgspec
from aiohttp import web

from protocol import json_api
from protocol.errors import IdnodeError, MalformedRequest, ResponseCode
from protocol.identifier import Identifier, unquote
from protocol.values import HandleValue, select
from resolver.lookup import RESULTS, Referral, Resolver
from resolver.transports import page
from resolver.transports.accept import choose
from resolver.transports.server import found_headers
from resolver.transports.short import PATH

RESOLVE_PATH = "/resolve/"

_JSON, _LINKSET, _HTML = "application/json", "application/linkset+json", "text/html"
_CALLBACK = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,63}")
_MOST_PARAMETERS = 64
_REFERRAL_STATUS = 300

Reply = tuple[ResponseCode, web.Response]


def add_routes(app: web.Application, resolver: Resolver) -> None:
    """Add GET /api/handles/{id} and GET /resolve/{id} to an application."""

    def counted(
        answer: Callable[[Resolver, web.Request], Awaitable[Reply]],
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            started = perf_counter()
            try:
                code, response = await answer(resolver, request)
            except IdnodeError as error:
                code, response = error.response_code, _failure(request, error)
            took = perf_counter() - started
            result = RESULTS.get(code, "error")
            resolver.row.add("idnode_resolutions", "http", result)
            resolver.row.observe("idnode_resolution_duration_seconds", "http", result, seconds=took)
            return response

        return handler

    app.router.add_get(PATH + "{id:.*}", counted(_handles))
    app.router.add_get(RESOLVE_PATH + "{id:.*}", counted(_resolve))


def _failure(request: web.Request, error: IdnodeError) -> web.Response:
    raw = request.rel_url.raw_path.partition("/")[2].partition("/")[2]
    try:
        handle: str | None = unquote(raw.removeprefix("handles/"))
    except IdnodeError:
        handle = None
    known = error.response_code in (ResponseCode.HANDLE_NOT_FOUND,)
    body = json_api.answer_code(handle, error.response_code, None if known else error.detail)
    response = _json(body, error.http_status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _json(body: bytes, status: int = 200, *, stale: bool = False) -> web.Response:
    headers = [*found_headers(stale=stale), ("Content-Length", str(len(body)))]
    return web.Response(body=body, status=status, headers=headers)


async def _handles(resolver: Resolver, request: web.Request) -> Reply:
    """Answer as the HTTP API of the Handle System does (Handle.Net technical manual, 14.1)."""
    identifier, asked = _identifier(request, PATH)
    query = _Query(request)
    found = await resolver.resolve(identifier, authoritative=query.flag("auth"))
    stale = not resolver.feed.fresh
    if isinstance(found, Referral):
        values = found.values()
        code, status = ResponseCode.SERVICE_REFERRAL, _REFERRAL_STATUS
    else:
        values = found.values()
        code, status = ResponseCode.SUCCESS, 200
        if query.selective:
            values = select(values, query.types, query.indexes)
        if not values:
            code = ResponseCode.VALUES_NOT_FOUND
    return code, _present(json_api.answer(asked, values, code), status, query, stale=stale)


def _identifier(request: web.Request, path: str) -> tuple[Identifier, str]:
    text = unquote(request.rel_url.raw_path.removeprefix(path))
    return Identifier.parse(text), text


class _Query:
    """The parameters of /api/handles. A flag without a value is true, as at the reference."""

    def __init__(self, request: web.Request) -> None:
        query = request.query
        if len(query) > _MOST_PARAMETERS:
            raise MalformedRequest(f"more than {_MOST_PARAMETERS} parameters", field="query")
        self._query = query
        self.types = query.getall("type", [])
        self.indexes = [self._index(text) for text in query.getall("index", [])]
        self.selective = bool(self.types or self.indexes)
        self.pretty = self.flag("pretty")
        self.callback = query.get("callback")
        if self.callback is not None and not _CALLBACK.fullmatch(self.callback):
            raise MalformedRequest("not the name of a function", field="callback")

    def flag(self, name: str) -> bool:
        """Whether a flag is set."""
        return self._query.get(name, "false").lower() in ("", "true", "1", "yes")

    @staticmethod
    def _index(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= 10):
            raise MalformedRequest("not a whole number", field="index")
        return int(text)


def _present(body: bytes, status: int, query: _Query, *, stale: bool) -> web.Response:
    if query.pretty:
        body = msgspec.json.format(body, indent=2)
    response = _json(body, status, stale=stale)
    if query.callback is not None:
        # The comment keeps the answer from being read as anything but a script.
        body = f"/**/{query.callback}(".encode() + body + b");"
        response.body = body
        response.headers["Content-Length"] = str(len(body))
        response.headers["Content-Type"] = "application/javascript;charset=UTF-8"
        response.headers["X-Content-Type-Options"] = "nosniff"
    return response


async def _resolve(resolver: Resolver, request: web.Request) -> Reply:
    """Answer by Accept: JSON, a link set, or for people a redirect or a page."""
    offer = choose(request.headers.get("Accept"), (_JSON, _LINKSET, _HTML))
    try:
        identifier, asked = _identifier(request, RESOLVE_PATH)
        found = await resolver.resolve(identifier)
    except IdnodeError as error:
        if offer != _HTML:
            raise
        return error.response_code, page.failure(error, chinese=_chinese(request))
    values = found.values()
    stale = not resolver.feed.fresh
    code = ResponseCode.SERVICE_REFERRAL if isinstance(found, Referral) else ResponseCode.SUCCESS
    if not values:
        code = ResponseCode.VALUES_NOT_FOUND
    status = _REFERRAL_STATUS if isinstance(found, Referral) else 200
    if offer == _JSON:
        return code, _vary(_json(json_api.answer(asked, values, code), status, stale=stale))
    links = [value for value in values if page.is_link(value)]
    if offer == _LINKSET:
        return code, _vary(_linkset(request, links))
    if links and "noredirect" not in request.query:
        headers = {"Location": links[0].data.decode()}
        return code, _vary(web.Response(status=302, headers=headers))
    return code, _vary(page.values(asked, values, chinese=_chinese(request), stale=stale))


def _linkset(request: web.Request, links: list[HandleValue]) -> web.Response:
    """Return a link set (RFC 9264) of the values that are web addresses."""
    context: dict[str, Any] = {"anchor": str(request.url.with_query(None))}
    if links:
        context["describedby"] = [{"href": link.data.decode()} for link in links]
    return web.Response(
        body=msgspec.json.encode({"linkset": [context]}), headers={"Content-Type": _LINKSET}
    )


def _vary(response: web.Response) -> web.Response:
    response.headers["Vary"] = "Accept, Accept-Language"
    return response


def _chinese(request: web.Request) -> bool:
    first = request.headers.get("Accept-Language", "").partition(",")[0]
    return first.strip().lower().startswith("zh")
