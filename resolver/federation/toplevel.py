"""A stub of the top-level node: it keeps what secondary nodes file, and shows it.

It stands in for the authority where there is none: in development, in tests, in a private
system. Whoever may file shows a bearer token, if one is set; reading is open.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

import asyncpg
import msgspec
import sqlalchemy as sa
import structlog
from aiohttp import web
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

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
from protocol.identifier import check_prefix
from registry.database import Database
from registry.outbox import PrefixFiling
from resolver.federation import toplevel_page
from resolver.federation.toplevel_schema import filings, messages, nodes, prepare

__all__ = ["make_toplevel_app", "prepare"]

log = structlog.get_logger("idnode.toplevel")

LARGEST_BODY = 256 * 1024
"""Bytes of a request's body, at most."""

_DATABASE: web.AppKey[Database] = web.AppKey("database", Database)
_BODY_SECONDS = 30
_PAGE, _LARGEST_PAGE = 100, 1000
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PLACE = re.compile(r"(?P<rule>.*) - at `\$\.?(?P<field>.*)`", re.DOTALL)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_T = TypeVar("_T")
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
    something else before; InvalidValue for text that can not be stored; StoreUnavailable.
    """
    try:
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
    except sa.exc.DBAPIError as error:
        if error.orig and isinstance(error.orig.__cause__, asyncpg.DataError):
            raise InvalidValue("holds a character that is not stored") from error
        raise


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
    if (filing.payload.hosting == "delegated") != (filing.payload.site is not None):
        raise InvalidValue("a delegated prefix has a site, a hosted one none", field="payload.site")


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
    cursor, limit = request.query.get("cursor"), _limit(request.query.get("limit"))
    after = "" if cursor is None else _check_prefix(cursor, "cursor")
    async with request.app[_DATABASE].begin() as connection:
        result = await connection.execute(
            sa.select(filings)
            .where(filings.c.prefix > after)
            .order_by(filings.c.prefix)
            .limit(limit + 1)
        )
        rows = [dict(row._mapping) for row in result]
    more = len(rows) > limit
    items = rows[:limit]
    return _json({"items": items, "next": items[-1]["prefix"] if more else None})


def _limit(text: str | None) -> int:
    if text is None:
        return _PAGE
    if not re.fullmatch("[1-9][0-9]{0,3}", text) or int(text) > _LARGEST_PAGE:
        raise InvalidValue(f"not a number from 1 to {_LARGEST_PAGE}", field="limit")
    return int(text)


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
            .limit(_PAGE)
        )
        filed = await connection.execute(
            sa.select(filings).order_by(filings.c.updated_at.desc()).limit(_PAGE)
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
    """Read a JSON body strictly. Raises MalformedRequest with the field, and others."""
    if request.content_type != "application/json":
        raise UnsupportedMediaType("the body must be application/json")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await request.read()
    except TimeoutError:
        raise MalformedRequest(f"the body did not come within {_BODY_SECONDS} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"the body has at most {LARGEST_BODY} bytes") from None
    try:
        return msgspec.json.decode(body, type=kind)
    except (UnicodeDecodeError, RecursionError):
        raise MalformedRequest("the body is not JSON in UTF-8 that can be read") from None
    except msgspec.MsgspecError as error:
        place = _PLACE.fullmatch(str(error))
        if place is None:
            raise MalformedRequest(str(error)) from None
        raise MalformedRequest(place["rule"], field=place["field"] or None) from None


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def _chinese(request: web.Request) -> bool:
    """Whether Chinese is asked for: by ?lang=, or else as the first of Accept-Language."""
    asked = request.query.get("lang") or request.headers.get("Accept-Language") or ""
    return asked.strip().lower().startswith("zh")


@web.middleware
async def _problems(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Let every error leave as application/problem+json (RFC 9457)."""
    try:
        return await handler(request)
    except IdnodeError as error:
        response = _problem(error.problem(chinese=_chinese(request)))
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, AuthenticationNeeded):
            response.headers["WWW-Authenticate"] = "Bearer"
        return response
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = _problem({"title": error.reason, "status": error.status})
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        log.exception("request_failed", method=request.method, path=request.path)
        return _problem(IdnodeError("the request failed here").problem())


def _problem(problem: dict[str, Any]) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(problem),
        status=problem["status"],
        content_type="application/problem+json",
    )


def _guard(token: str | None) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if token is not None and request.method in _WRITES:
            scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
            same = hmac.compare_digest(
                shown.strip().encode("utf-8", "surrogateescape"), token.encode()
            )
            if scheme.lower() != "bearer" or not same:
                raise AuthenticationNeeded("the bearer token is missing or not the one set")
        return await handler(request)

    return guard
