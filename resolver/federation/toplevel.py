"""A stub of the top-level node: it keeps what secondary nodes file, and shows it.

It stands in for the authority where there is none: in development, in tests, in a private
system. Whoever may file shows a bearer token, if one is set; reading is open.
"""

from __future__ import annotations

import hmac
import uuid
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import sqlalchemy as sa
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import typed
from protocol.errors import (
    AuthenticationNeeded,
    Conflict,
    IdnodeError,
    InvalidHandle,
    InvalidValue,
    MalformedRequest,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
)
from protocol.handle.service import read_service
from protocol.identifier import check_prefix
from registry.api import problems
from registry.api.requests import cut_page, decode_json, page_after, page_limit, read_whole
from registry.database import Database
from registry.outbox import PrefixFiling
from resolver.federation import toplevel_page
from resolver.federation.toplevel_schema import filings, messages, nodes, prepare

__all__ = ["make_toplevel_app", "prepare"]

log = structlog.get_logger("idnode.toplevel")

LARGEST_BODY = 256 * 1024
"""Bytes of a request's body, at most."""

_DATABASE: web.AppKey[Database] = web.AppKey("database", Database)
_SHOWN = 100
"""Rows that each table of the page has at most."""

_T = TypeVar("_T", bound=msgspec.Struct)
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Filing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of POST /filings: one message of a secondary node's outbox."""

    message_id: uuid.UUID
    node: _Name
    subject: _Name
    kind: Literal["prefix"]
    payload: PrefixFiling


class Heartbeat(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of POST /heartbeats."""

    node: _Name
    version: _Name
    outbox_depth: _Count
    prefixes: _Count
    identifiers: _Count


def make_toplevel_app(database: Database, *, token: str | None) -> web.Application:
    """Return the application; `prepare` must have made its tables.

    token: what a node that files must show as a bearer token; None lets every node file.
    Raises ValueError for an empty token, which would guard nothing.
    """
    if token == "":
        raise ValueError("the token of the top-level node is empty")
    app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_problems, _guard(token)])
    app[_DATABASE] = database
    app.router.add_post("/filings", _post_filing)
    app.router.add_get("/filings", _list_filings)
    app.router.add_get("/filings/{prefix}", _get_filing)
    app.router.add_post("/heartbeats", _post_heartbeat)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/", _page)
    return app


async def take(database: Database, filing: Filing) -> bool:
    """Commit the message and its effect; False if it was taken before, and nothing is done.

    Raises Conflict if the prefix is not the node's to file, or if the message_id came with
    something else before; StoreUnavailable.
    """
    async with database.begin() as connection:
        taken = await connection.execute(
            pg.insert(messages)
            .values(**_columns(filing))
            .on_conflict_do_nothing(index_elements=[messages.c.message_id])
            .returning(messages.c.arrival)
        )
        if taken.one_or_none() is None:
            await _check_same(connection, filing)
            return False
        await _file(connection, filing)
        return True


def _columns(filing: Filing) -> dict[str, Any]:
    return {
        "message_id": filing.message_id,
        "node": filing.node,
        "subject": filing.subject,
        "kind": filing.kind,
        "payload": msgspec.to_builtins(filing.payload),
    }


async def _check_same(connection: AsyncConnection, filing: Filing) -> None:
    """To say "I have it" of a message that differs would lose it."""
    same = [messages.c[name] == value for name, value in _columns(filing).items()]
    if await connection.scalar(sa.select(messages.c.arrival).where(*same)) is None:
        raise Conflict("another message came with this message_id", field="message_id")


async def _file(connection: AsyncConnection, filing: Filing) -> None:
    payload = filing.payload
    state = {
        "enterprise_name": payload.enterprise.name,
        "credit_code": payload.enterprise.credit_code,
        "industry": payload.enterprise.industry,
        "hosting": payload.hosting,
        "site": payload.site,
        "service": payload.service,
        "status": payload.status,
        "updated_at": sa.func.now(),
    }
    filed = await connection.execute(
        pg.insert(filings)
        .values(prefix=payload.prefix, node=filing.node, **state)
        .on_conflict_do_update(
            index_elements=[filings.c.prefix], set_=state, where=filings.c.node == filing.node
        )
        .returning(filings.c.prefix)
    )
    if filed.one_or_none() is None:
        raise Conflict("another node has filed this prefix", field="payload.prefix")


async def _post_filing(request: web.Request) -> web.Response:
    filing = await _read(request, Filing)
    _check(filing)
    new = await take(request.app[_DATABASE], filing)
    if new:
        log.info(
            "filed",
            node=filing.node,
            prefix=filing.payload.prefix,
            status=filing.payload.status,
        )
    return _json({"message_id": filing.message_id, "duplicate": not new})


def _check(filing: Filing) -> None:
    prefix = filing.payload.prefix
    _check_prefix(filing.node, "node")
    _check_prefix(prefix, "payload.prefix")
    if filing.subject != prefix:
        raise InvalidValue("not the prefix that is filed", field="subject")
    if not prefix.startswith(f"{filing.node}."):
        raise Conflict(f"the prefix is not under {filing.node}", field="payload.prefix")
    _check_site(filing.payload)


def _check_site(payload: PrefixFiling) -> None:
    places = (payload.site is not None) + (payload.service is not None)
    if places != (payload.hosting == "delegated"):
        raise InvalidValue(
            "a delegated prefix has a site or a service, a hosted one none", field="payload.site"
        )
    if payload.service is not None:
        try:
            read_service(payload.service)
        except InvalidValue as error:
            raise error.at("payload.service") from None
    if payload.site is not None:
        try:
            typed.site_from_json(payload.site)
        except InvalidValue as error:
            raise error.at("payload.site") from None


def _check_prefix(prefix: str, field: str) -> str:
    try:
        return check_prefix(prefix)
    except InvalidHandle as error:
        error.field = field
        raise


async def _post_heartbeat(request: web.Request) -> web.Response:
    heartbeat = await _read(request, Heartbeat)
    _check_prefix(heartbeat.node, "node")
    state = msgspec.to_builtins(heartbeat) | {"last_heartbeat_at": sa.func.now()}
    async with request.app[_DATABASE].begin() as connection:
        await connection.execute(
            pg.insert(nodes)
            .values(**state)
            .on_conflict_do_update(index_elements=[nodes.c.node], set_=state)
        )
    return web.Response(status=204)


async def _list_filings(request: web.Request) -> web.Response:
    after, limit = page_after(request, "filings"), page_limit(request)
    query = sa.select(filings).order_by(filings.c.prefix).limit(limit + 1)
    if after is not None:
        query = query.where(filings.c.prefix > after)
    async with request.app[_DATABASE].begin() as connection:
        rows = (await connection.execute(query)).all()
    page, cursor = cut_page(rows, limit, "filings", lambda row: row.prefix)
    return _json({"items": [dict(row._mapping) for row in page], "next": cursor})


async def _get_filing(request: web.Request) -> web.Response:
    prefix = check_prefix(request.match_info["prefix"])
    async with request.app[_DATABASE].begin() as connection:
        result = await connection.execute(sa.select(filings).where(filings.c.prefix == prefix))
        row = result.one_or_none()
    if row is None:
        raise NotFound("this prefix has not been filed", field="prefix")
    return _json(dict(row._mapping))


async def _page(request: web.Request) -> web.Response:
    async with request.app[_DATABASE].begin() as connection:
        seen = await connection.execute(
            sa.select(
                nodes,
                sa.cast(
                    sa.extract("epoch", sa.func.now() - nodes.c.last_heartbeat_at), sa.Double
                ).label("age"),
            )
            .order_by(nodes.c.last_heartbeat_at.desc())
            .limit(_SHOWN)
        )
        filed = await connection.execute(
            sa.select(filings).order_by(filings.c.updated_at.desc()).limit(_SHOWN)
        )
    body = toplevel_page.render(seen.all(), filed.all(), chinese=_chinese(request))
    return web.Response(
        text=body,
        content_type="text/html",
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            "Content-Language": "zh" if _chinese(request) else "en",
            "Vary": "Accept-Language",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _healthz(_: web.Request) -> web.Response:
    return _json({"status": "ok"})


async def _read(request: web.Request, kind: type[_T]) -> _T:
    """Read a JSON body strictly. Raises InvalidValue with the field, MalformedRequest, others."""
    if request.content_type != "application/json":
        raise UnsupportedMediaType("the body must be application/json", field="Content-Type")
    try:
        body = await read_whole(request)
    except web.RequestPayloadError as error:
        raise MalformedRequest(f"the body can not be read: {error}") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"the body has more than {LARGEST_BODY} bytes") from None
    return decode_json(body, kind)


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _chinese(request: web.Request) -> bool:
    asked = request.query.get("lang") or request.headers.get("Accept-Language") or ""
    return problems.prefers_chinese(asked)


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let every error leave as application/problem+json (RFC 9457)."""
    request_id = uuid.uuid4().hex
    try:
        return await handler(request)
    except IdnodeError as error:
        if error.http_status >= 500:
            log.warning("request_failed", request_id=request_id, error=error.detail)
        return problems.of_error(error, request, request_id)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return problems.of_status(405, error.reason, request, request_id, allow=allowed)
    except web.HTTPException as error:
        return problems.of_status(error.status, error.reason, request, request_id)
    except Exception:
        log.exception("request_failed", request_id=request_id, path=request.rel_url.raw_path)
        detail = "the stub failed; its log says more under this requestId"
        return problems.of_status(500, detail, request, request_id)


def _guard(token: str | None) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if token is not None and request.method == "POST":
            scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
            octets = shown.strip().encode("utf-8", "surrogateescape")
            same = hmac.compare_digest(octets, token.encode())
            if scheme.lower() != "bearer" or not same:
                raise AuthenticationNeeded("the bearer token is missing or not the one set")
        return await handler(request)

    return guard
