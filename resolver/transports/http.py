"""The long way over HTTP: Handle JSON at /api/handles, and /resolve for whoever scans a code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import msgspec
from aiohttp import web
from multidict import MultiDict

from protocol import json_api
from protocol.errors import HandleNotFound, IdnodeError, ResponseCode, StoreUnavailable
from protocol.identifier import Identifier, unquote
from protocol.values import HandleValue, select
from registry.access import together
from registry.relations.links import Link
from registry.relations.model import CONTAINS, DERIVED_FROM, PART_OF, REPLACED_BY
from resolver.cache import Answer
from resolver.links import Links
from resolver.lookup import RESULTS, Resolver
from resolver.recursion.front import Client, find
from resolver.recursion.model import Found
from resolver.recursion.service import Recursion
from resolver.referrals import Referral
from resolver.transports import page, rest_body
from resolver.transports.accept import choose
from resolver.transports.query import Query
from resolver.transports.server import STALE, found_headers
from resolver.transports.short import PATH

RESOLVE_PATH = "/resolve/"

_JSON, _LINKSET, _HTML = "application/json", "application/linkset+json", "text/html"
_RELATION_TYPES = {
    CONTAINS: "item",
    PART_OF: "collection",
    REPLACED_BY: "successor-version",
    DERIVED_FROM: "http://www.w3.org/ns/prov#wasDerivedFrom",
}
"""Link relation types: RFC 6573, RFC 5829, and where none is registered PROV-O by its URI (RFC 8288
section 2.1.2)."""

MAX_LINKS = 1000
"""Relations in a link set."""

_REFERRAL_STATUS = 300
_WHO_ASKS = 401
_CREDENTIALS = "Authorization"

Reply = tuple[ResponseCode, web.Response]


class Private(Protocol):
    """What a request that says who sends it gets beyond what everybody gets: see rest.py."""

    async def hidden(
        self, request: web.Request, identifier: Identifier
    ) -> Sequence[HandleValue] | None:
        """Return the values that not everybody, but the sender may see; None for nobody known."""

    async def refuse(self, request: web.Request, error: IdnodeError) -> web.Response:
        """Return the answer where that failed."""


def add_routes(
    app: web.Application,
    resolver: Resolver,
    private: Private | None = None,
    recursion: Recursion | None = None,
) -> None:
    """Add GET and POST /api/handles/{id} and GET /resolve/{id} to an application.

    private: for what is not public; without it nothing of that is shown. recursion: asks other
    nodes for clients that may have it ask.
    """
    relations = Links(resolver)
    front = _Front(resolver, private, recursion)

    async def handles(request: web.Request) -> Reply:
        return await _handles(front, request)

    async def resolve(request: web.Request) -> Reply:
        return await _resolve(front, relations, request)

    def counted(
        answer: Callable[[web.Request], Awaitable[Reply]],
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            started = perf_counter()
            try:
                code, response = await answer(request)
            except IdnodeError as error:
                code = error.response_code
                if private is not None and error.http_status == _WHO_ASKS:
                    response = await private.refuse(request, error)
                else:
                    response = _apart(request, _failure(request, error))
            took = perf_counter() - started
            result = RESULTS.get(code, "error")
            resolver.row.add("idnode_resolutions", "http", result)
            resolver.count(_asked(request), result)
            resolver.row.observe("idnode_resolution_duration_seconds", "http", result, seconds=took)
            return response

        return handler

    app.router.add_get(PATH + "{id:.*}", counted(handles))
    app.router.add_post(PATH + "{id:.*}", counted(handles))
    app.router.add_get(RESOLVE_PATH + "{id:.*}", counted(resolve))


def _asked(request: web.Request) -> Identifier | None:
    """Return the identifier that a request is about; None if it is none."""
    _, _, path = request.rel_url.raw_path.partition("/")
    try:
        return Identifier.from_url(path.partition("/")[2].removeprefix("handles/"))
    except IdnodeError:
        return None


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


@dataclass(frozen=True)
class _Front:
    """What the handlers share, as `add_routes` takes it."""

    resolver: Resolver
    private: Private | None
    recursion: Recursion | None

    async def find(
        self, request: web.Request, identifier: Identifier, *, recursive: bool, fresh: bool
    ) -> Answer | Referral | Found:
        """Return the answer, also that of another node if the sender may have it asked."""
        client = Client(request.remote) if recursive and request.remote else None
        return await find(self.resolver, self.recursion, identifier, client, authoritative=fresh)

    async def hidden(
        self, request: web.Request, identifier: Identifier
    ) -> Sequence[HandleValue] | None:
        """Return what the sender of a request sees beyond what everybody does; None for nobody.

        That is read now: so must be what it stands beside, whether or not it is anything. While
        the database is away everybody is nobody known: what is public and in memory is answered,
        marked stale, and who is asking is not looked at.
        """
        if self.private is None or _CREDENTIALS not in request.headers:
            return None
        if not self.resolver.feed.fresh:
            return None
        try:
            return await self.private.hidden(request, identifier)
        except StoreUnavailable:
            if self.resolver.feed.fresh:  # overloaded, not away: an answer would not be marked
                raise
            return None

    def is_stale(self, found: Answer | Referral | Found) -> bool:
        """Whether what was found may be out of date."""
        return found.stale if isinstance(found, Found) else not self.resolver.feed.fresh


async def _handles(front: _Front, request: web.Request) -> Reply:
    """Answer as the HTTP API of the Handle System does (Handle.Net technical manual, 14.1)."""
    identifier, asked = _identifier(request, PATH)
    parameters = MultiDict(request.query)
    if request.method == "POST":
        parameters.extend(await rest_body.read_parameters(request))
    query = Query(parameters)
    # A script may be loaded by a page of any origin: it shows what everybody may see.
    everybody = query.flag("publicOnly") or query.callback is not None
    hidden = None if everybody else await front.hidden(request, identifier)
    found = await front.find(
        request,
        identifier,
        recursive=query.flag("recursive", default=True) and not query.flag("doNotRefer"),
        fresh=query.flag("auth") or hidden is not None,
    )
    stale = front.is_stale(found)
    if isinstance(found, Found) and found.code == ResponseCode.HANDLE_NOT_FOUND:
        raise HandleNotFound(f"{identifier} is not registered", field="identifier")
    if isinstance(found, Referral):
        if query.flag("doNotRefer"):
            raise HandleNotFound(f"{identifier} is served elsewhere", field="identifier")
        values = found.values()
        code, status = found.code, _REFERRAL_STATUS
    else:
        values = together(found.values(), hidden or ())
        code, status = ResponseCode.SUCCESS, 200
        if query.selective:
            values = select(values, query.types, query.indexes)
        if not values:
            code = ResponseCode.VALUES_NOT_FOUND
    response = _present(json_api.answer(asked, values, code), status, query, stale=stale)
    return code, _apart(request, response)


def _apart(request: web.Request, response: web.Response) -> web.Response:
    """Keep answers to those who say who they are out of caches: they are for them alone."""
    if _CREDENTIALS in request.headers:
        response.headers["Cache-Control"] = "no-store"
    return response


def _identifier(request: web.Request, path: str) -> tuple[Identifier, str]:
    text = unquote(request.rel_url.raw_path.removeprefix(path))
    return Identifier.parse(text), text


def _present(body: bytes, status: int, query: Query, *, stale: bool) -> web.Response:
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


async def _resolve(front: _Front, relations: Links, request: web.Request) -> Reply:
    """Answer by Accept: JSON, a link set, or for people a redirect or a page."""
    offer = choose(request.headers.get("Accept"), (_JSON, _LINKSET, _HTML))
    try:
        identifier, asked = _identifier(request, RESOLVE_PATH)
        hidden = await front.hidden(request, identifier)
        found = await front.find(request, identifier, recursive=True, fresh=hidden is not None)
        if isinstance(found, Found) and found.code == ResponseCode.HANDLE_NOT_FOUND:
            raise HandleNotFound(f"{identifier} is not registered", field="identifier")
    except IdnodeError as error:
        if offer != _HTML or error.http_status == _WHO_ASKS:
            raise
        return error.response_code, page.failure(error, chinese=_chinese(request))
    known = not isinstance(found, Referral)
    own = isinstance(found, Answer)
    values = together(found.values(), hidden or () if own else ())
    stale = front.is_stale(found)
    code = found.code if isinstance(found, Referral) else ResponseCode.SUCCESS
    if not values:
        code = ResponseCode.VALUES_NOT_FOUND
    status = 200 if known else _REFERRAL_STATUS
    if offer == _JSON:
        return code, _vary(
            request, _json(json_api.answer(asked, values, code), status, stale=stale)
        )
    addresses = [value for value in values if page.is_link(value)]
    if offer == _LINKSET:
        # A set without the relations would say that there are none.
        stated = await relations.of(identifier, MAX_LINKS) if own else []
        return code, _vary(request, _linkset(request, addresses, stated))
    if addresses and "noredirect" not in request.query:
        headers = dict((STALE,) if stale else ()) | {"Location": addresses[0].data.decode()}
        return code, _vary(request, web.Response(status=302, headers=headers))
    shown = page.Shown(asked, values, await _relations(relations, identifier) if own else ())
    return code, _vary(request, page.values(shown, chinese=_chinese(request), stale=stale))


async def _relations(relations: Links, identifier: Identifier) -> Sequence[Link] | None:
    """Return what the page shows of relations; None where it cannot be read."""
    try:
        return await relations.of(identifier, page.MAX_LINKS + 1)
    except StoreUnavailable:
        return None


def _linkset(
    request: web.Request, addresses: Sequence[HandleValue], stated: Sequence[Link]
) -> web.Response:
    """Return a link set (RFC 9264) of the values that are web addresses, and of relations."""
    context: dict[str, Any] = {"anchor": str(request.url.with_query(None))}
    if addresses:
        context["describedby"] = [{"href": value.data.decode()} for value in addresses]
    here = request.url.origin()
    for link in stated:
        path = RESOLVE_PATH + Identifier.parse(link.target).to_url()
        context.setdefault(_RELATION_TYPES[link.kind], []).append({"href": f"{here}{path}"})
    return web.Response(
        body=msgspec.json.encode({"linkset": [context]}), headers={"Content-Type": _LINKSET}
    )


def _vary(request: web.Request, response: web.Response) -> web.Response:
    response.headers["Vary"] = "Accept, Accept-Language, Authorization"
    return _apart(request, response)


def _chinese(request: web.Request) -> bool:
    first = request.headers.get("Accept-Language", "").partition(",")[0]
    return first.strip().lower().startswith("zh")
