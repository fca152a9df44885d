"""The aiohttp application of the registry: routes, and what every request goes through."""

from __future__ import annotations

import re
import time

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from protocol.errors import BodyTimeout, IdnodeError, MalformedRequest, TooLarge
from protocol.identifier import unquote
from registry.api import (
    accounts,
    attachments,
    docs,
    enterprises,
    exports,
    groups,
    identifier_batches,
    identifiers,
    imports,
    keys,
    labels,
    mappings,
    numbers,
    openapi,
    outbox,
    parameters,
    prefixes,
    problems,
    proxies,
    ranges,
    relations,
    sites,
    snms,
    snms_answers,
    snms_batches,
    snms_templates,
    snms_users,
    statistics,
    templates,
    transfers,
    transparency,
)
from registry.api.requests import REGISTRY, REQUEST_ID, Handler, new_request_id
from registry.batch.groups import Groups
from registry.metrics import Row
from registry.networks import Networks
from registry.services import Registry

__all__ = ["MAX_BODY_BYTES", "REGISTRY", "make_app"]

log = structlog.get_logger("idnode.api")

MAX_BODY_BYTES = 1024 * 1024
"""Longest body that is read whole; imports read theirs as a stream and have their own bound."""

API = "/api/v1/"
HANDLES = "/api/handles/"
_WRITES = ("PUT", "DELETE")

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")


def make_app(registry: Registry, trusted: Networks = ()) -> web.Application:
    """Return the application: /api/v1/*, the SNMS API, /openapi.json and /docs.

    trusted: where proxies are that are believed whom a request is from; see proxies.py.
    Other parts may add routes; these too get problem+json for what aiohttp itself refuses.
    """
    middlewares: list[Middleware] = [_observe, _problems, _unambiguous]
    if trusted:
        middlewares.insert(0, proxies.middleware(trusted))
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=middlewares)
    app[REGISTRY] = registry
    for busy in (attachments, exports, identifier_batches, labels, sites):
        busy.add_places(app)
    writers = app[identifiers.GROUPS] = Groups(registry)
    app.on_cleanup.append(lambda _: writers.close())
    app.on_response_prepare.extend((_name_request, _close_if_late, _keep_apart))
    for resource in (
        accounts,
        enterprises,
        attachments,
        keys,
        prefixes,
        numbers,
        sites,
        transfers,
        templates,
        labels,
        mappings,
        relations,
        transparency,
        identifiers,
        groups,
        identifier_batches,
        ranges,
        exports,
        imports,
        snms_users,
        snms,
        snms_batches,
        snms_templates,
        statistics,
        outbox,
    ):
        app.add_routes(resource.routes)
    document = openapi.document()
    app.add_routes(
        [
            web.get("/openapi.json", _fixed(msgspec.json.encode(document), "application/json")),
            web.get("/docs", _fixed(docs.page(document).encode(), "text/html")),
        ]
    )
    return app


def _fixed(body: bytes, content_type: str) -> Handler:
    headers = {
        "Content-Type": f"{content_type}; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
    }
    if content_type == "text/html":
        headers["Content-Security-Policy"] = docs.POLICY

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers=headers)

    return handler


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _SANE_ID.fullmatch(given) else new_request_id()


def _is_registry(request: web.Request) -> bool:
    """Whether it is one of ours, or a write by another API that the services of ours do."""
    return request.path.startswith((API, *snms.PATHS)) or (
        request.path.startswith(HANDLES) and request.method in _WRITES
    )


@web.middleware
async def _observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give each request of the registry an id, and count, time and log it."""
    if not _is_registry(request):
        return await handler(request)
    started = time.perf_counter()
    request[REQUEST_ID] = _request_id(request)
    response = await handler(request)
    observe(
        request.app[REGISTRY].row,
        request[REQUEST_ID],
        request.method,
        request.rel_url.raw_path,
        response.status,
        time.perf_counter() - started,
    )
    return response


def observe(  # noqa: PLR0917
    row: Row, request_id: str, method: str, path: str, status: int, seconds: float
) -> None:
    """Count, time and log a request of the registry that is answered."""
    kind = f"{status // 100}xx"
    row.add("idnode_api_requests", kind)
    row.observe("idnode_api_duration_seconds", kind, seconds=seconds)
    log.info(
        "api_request",
        request_id=request_id,
        method=method,
        path=path,
        status=status,
        seconds=round(seconds, 6),
    )


async def _name_request(request: web.Request, response: web.StreamResponse) -> None:
    if REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[REQUEST_ID]


async def _close_if_late(request: web.Request, response: web.StreamResponse) -> None:
    """Close a connection on which the rest of a body may still come (RFC 9110 section 15.5.9)."""
    if response.status == BodyTimeout.http_status:
        response.force_close()
        response.headers["Connection"] = "close"


async def _keep_apart(request: web.Request, response: web.StreamResponse) -> None:
    """Keep answers to those who say who they are out of caches: they may be for them alone."""
    if "Authorization" in request.headers:
        response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into problem+json."""
    try:
        return await handler(request)
    except IdnodeError as error:
        if error.http_status >= 500:
            cause = repr(error.__cause__)
            log.warning("request_failed", request_id=_id_of(request), error=str(error), cause=cause)
        return problems.of_error(error, request, _id_of(request))
    except web.HTTPRequestEntityTooLarge:
        large = TooLarge(f"the body has more than {MAX_BODY_BYTES} bytes")
        return problems.of_error(large, request, _id_of(request))
    except web.RequestPayloadError as error:
        broken = MalformedRequest(f"the body cannot be read: {error}")
        return problems.of_error(broken, request, _id_of(request))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        if request.path.startswith(snms.PATHS):
            return snms_answers.no_call(405, allow=allowed)
        detail = f"{request.method} is not one of {allowed}"
        return problems.of_status(405, detail, request, _id_of(request), allow=allowed)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        if isinstance(error, web.HTTPNotFound) and request.path.startswith(snms.PATHS):
            return snms_answers.no_call(404)
        return problems.of_status(error.status, error.reason, request, _id_of(request))
    except Exception:
        log.exception("request_failed", request_id=_id_of(request), path=request.rel_url.raw_path)
        detail = "the node failed; its log says more under this requestId"
        return problems.of_status(500, detail, request, _id_of(request))


@web.middleware
async def _unambiguous(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a target of the registry API that is read as something else than it says.

    aiohttp leaves in a path what is not UTF-8 or no escape as it is, and takes the first of two
    parameters of one name; a parameter that nobody reads would change nothing.
    """
    if request.path.startswith(API):
        path = unquote(request.rel_url.raw_path)
        if "\0" in path and not path.startswith(identifiers.PATH):  # which says it of the suffix
            raise MalformedRequest("holds U+0000", field="path")
        for name, value in request.query.items():
            if not value.isprintable():
                raise MalformedRequest("holds a character that cannot be printed", field=name)
        if len(set(request.query)) < len(request.query):
            twice = next(name for name in request.query if len(request.query.getall(name)) > 1)
            raise MalformedRequest("given twice", field=twice)
        parameters.check(request)
    return await handler(request)


def _id_of(request: web.Request) -> str:
    if REQUEST_ID not in request:
        request[REQUEST_ID] = _request_id(request)
    return request[REQUEST_ID]
