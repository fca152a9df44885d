"""A stub of the top-level node: it keeps what secondary nodes file, and shows it.

It stands in for the authority where there is none: in development, in tests, in a private
system. Whoever may file shows a bearer token, if one is set; reading is open.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
import sqlalchemy as sa
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from sqlalchemy.dialects import postgresql as pg

from protocol.errors import AuthenticationNeeded, IdnodeError, NotFound
from protocol.identifier import check_prefix
from registry.api import problems
from registry.api.requests import cut_page, decode_json, page_after, page_limit
from registry.database import Database
from resolver.federation.certificates import Authority
from resolver.federation.health import Health
from resolver.federation.toplevel import kinds, overview, page, refusals
from resolver.federation.toplevel.bodies import LARGEST_BODY, json_body, json_response
from resolver.federation.toplevel.enrolment import add_enrolment
from resolver.federation.toplevel.faults import Faults, Place, meet
from resolver.federation.toplevel.gate import Gate, check_sender, sender
from resolver.federation.toplevel.messages import Name, check_named_prefix, take
from resolver.federation.toplevel.operators import FAULTS, add_operators
from resolver.federation.toplevel.schema import filings, nodes

log = structlog.get_logger("idnode.toplevel")

_DATABASE: web.AppKey[Database] = web.AppKey("database", Database)
_CHANGED: web.AppKey[Callable[[], None]] = web.AppKey("changed")
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Heartbeat(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of POST /heartbeats."""

    node: Name
    version: Name
    outbox_depth: _Count
    prefixes: _Count
    identifiers: _Count
    health: Health | None = None


def make_toplevel_app(
    database: Database,
    *,
    token: str | None,
    authority: Authority | None = None,
    plain: bool = False,
    changed: Callable[[], None] = lambda: None,
    operator: str | None = None,
    faults: Faults | None = None,
) -> web.Application:
    """Return the application; `prepare` must have made its tables.

    token: what a node that is taken at its word shows as a bearer token; None: nothing.
    authority: who issues certificates, without which no node may file then; None: nodes are taken
    at their word. plain: so they are in any case, from this machine and without TLS.
    changed: told after each message that took effect. operator: what an operator shows as a bearer
    token; None: there are no operations for one. faults: those that nodes meet.
    Raises ValueError for an empty token, which would guard nothing.
    """
    if token == "":
        raise ValueError("the token of the top-level node is empty")
    app = web.Application(
        client_max_size=LARGEST_BODY,
        middlewares=[_problems, _guard(database, Gate(token, authority, plain)), _meet_faults],
    )
    app[_DATABASE] = database
    app[_CHANGED] = changed
    app[FAULTS] = faults or Faults()
    if operator is not None:
        add_operators(app, operator)
    if authority is not None:
        add_enrolment(app, database, authority, operator)
    app.router.add_post("/filings", _post_filing)
    app.router.add_get("/filings", _list_filings)
    app.router.add_get("/filings/{prefix}", _get_filing)
    app.router.add_post("/heartbeats", _post_heartbeat)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/nodes", _list_nodes, allow_head=False)
    app.router.add_get("/figures", _list_figures, allow_head=False)
    app.router.add_get("/refusals", _list_refusals, allow_head=False)
    app.router.add_get("/", _page)
    return app


async def _post_filing(request: web.Request) -> web.Response:
    body, database = await json_body(request), request.app[_DATABASE]
    try:
        kind, message = kinds.read(body)
        check_sender(request, message.node)
        new = await take(database, kind, message)
    except IdnodeError as error:
        if error.http_status < 500:
            await refusals.keep(database, body, sender(request), error)
        raise
    if new:
        request.app[_CHANGED]()
        log.info("filed", node=message.node, kind=message.kind, subject=message.subject)
    return json_response({"message_id": message.message_id, "duplicate": not new})


async def _post_heartbeat(request: web.Request) -> web.Response:
    heartbeat = decode_json(await json_body(request), Heartbeat)
    check_named_prefix(heartbeat.node, "node")
    check_sender(request, heartbeat.node)
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
    shown, cursor = cut_page(rows, limit, "filings", lambda row: row.prefix)
    return json_response({"items": [dict(row._mapping) for row in shown], "next": cursor})


async def _get_filing(request: web.Request) -> web.Response:
    prefix = check_prefix(request.match_info["prefix"])
    async with request.app[_DATABASE].begin() as connection:
        result = await connection.execute(sa.select(filings).where(filings.c.prefix == prefix))
        row = result.one_or_none()
    if row is None:
        raise NotFound("this prefix has not been filed", field="prefix")
    return json_response(dict(row._mapping))


async def _list_nodes(request: web.Request) -> web.Response:
    async with request.app[_DATABASE].begin() as connection:
        return _listed(await overview.read_nodes(connection))


async def _list_figures(request: web.Request) -> web.Response:
    async with request.app[_DATABASE].begin() as connection:
        return _listed(await overview.read_figures(connection))


async def _list_refusals(request: web.Request) -> web.Response:
    async with request.app[_DATABASE].begin() as connection:
        return _listed(await overview.read_refusals(connection))


def _listed(rows: Sequence[overview.Row]) -> web.Response:
    return json_response({"items": [dict(row._mapping) for row in rows]})


async def _page(request: web.Request) -> web.Response:
    async with request.app[_DATABASE].begin() as connection:
        seen = await overview.read_overview(connection)
    body = page.render(seen, chinese=_chinese(request))
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
    return json_response({"status": "ok"})


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
        answer = problems.of_error(error, request, request_id)
        if isinstance(error, AuthenticationNeeded):
            log.warning("sender_refused", remote=request.remote, error=error.detail)
            # A node with a newer certificate shows it on a connection of its own.
            answer.force_close()
        return answer
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return problems.of_status(405, error.reason, request, request_id, allow=allowed)
    except web.HTTPException as error:
        return problems.of_status(error.status, error.reason, request, request_id)
    except Exception:
        log.exception("request_failed", request_id=request_id, path=request.rel_url.raw_path)
        detail = "the stub failed; its log says more under this requestId"
        return problems.of_status(500, detail, request, request_id)


_FROM_NODES: dict[str, Place] = {
    "/filings": "filings",
    "/heartbeats": "heartbeats",
    "/certificates": "certificates",
}
"""What nodes post who have shown who they are, and where faults meet it."""


def _guard(database: Database, gate: Gate) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "POST" and request.path in _FROM_NODES:
            await gate.admit(request, database)
        return await handler(request)

    return guard


@web.middleware
async def _meet_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    place = _FROM_NODES.get(request.path) if request.method == "POST" else None
    fault = None if place is None else request.app[FAULTS].take(place)
    return await (handler(request) if fault is None else meet(fault, request, handler))
