"""The SNMS API on the wire: /identity/… and /identityv2/…, see docs/snms.md."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import msgspec
import structlog
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import BodyTimeout, IdnodeError, InvalidValue, MalformedRequest, TooLarge
from registry.api import snms_answers
from registry.api.requests import (
    REGISTRY,
    REQUEST_ID,
    Handler,
    bearer,
    check_content_type,
    convert,
    decode_anything,
    read_whole,
)
from registry.principals import Principal
from registry.services import Work, work_as
from registry.snms import records, tokens, wire

log = structlog.get_logger("idnode.api")

PATHS = ("/identity/", "/identityv2/", "/snms/api/")
"""How the paths of this API begin."""

T = TypeVar("T", bound=msgspec.Struct)


def answered(
    handler: Handler, fail: Callable[[IdnodeError], web.Response] = snms_answers.failed
) -> Handler:
    """Return `handler` with its errors answered as this API does, by `fail`."""

    async def answering(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BodyTimeout:  # the connection is closed, as everywhere
            raise
        except IdnodeError as error:
            if error.http_status >= 500:
                cause = repr(error.__cause__)
                log.warning(
                    "request_failed", request_id=_id(request), error=str(error), cause=cause
                )
            return fail(error)
        except web.RequestPayloadError as error:
            return fail(MalformedRequest(f"the body cannot be read: {error}"))
        except Exception:
            log.exception("request_failed", request_id=_id(request), path=request.path)
            return snms_answers.broken()

    return answering


def _id(request: web.Request) -> str | None:
    return request.get(REQUEST_ID)


@contextlib.asynccontextmanager
async def open_work(request: web.Request, within: float | None = None) -> AsyncIterator[Work]:
    """Open a transaction of who asks; read the body first. within: see services.work_as."""
    registry, token = request.app[REGISTRY], bearer(request)

    database = registry.database
    async with database.shares.hold(token, wait=database.timeout) as tell:

        async def authenticate(connection: AsyncConnection) -> Principal:
            principal = await tokens.authenticate(connection, token, registry.clock())
            tell(principal.enterprise_id or principal.actor)
            return principal

        # Not services.work: only work_as enters the tenant of a token that does not do so itself.
        async with work_as(registry, authenticate, _id(request), within=within) as current:
            yield current


async def read_body(request: web.Request, type_: type[T], *, open_: bool = False) -> T:
    """Read the body of a request. open_: it needs no bearer token. Raises InvalidValue."""
    if not open_:
        bearer(request)
    return convert(decode_anything(await read_raw(request, request.client_max_size)), type_)


async def read_raw(request: web.Request, maximum: int) -> bytes:
    """Return the body of a request, JSON of at most `maximum` bytes. Raises TooLarge."""
    check_content_type(request)
    try:
        raw = await read_whole(request.clone(client_max_size=maximum))
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"the body has more than {maximum} bytes") from None
    if not raw:
        raise MalformedRequest("the body is empty")
    return raw


async def token(request: web.Request) -> web.Response:
    """POST /identity/token."""
    body = await read_body(request, wire.SnmsCredentials, open_=True)
    given = await tokens.sign_in(
        request.app[REGISTRY], body.username, body.password, request.remote, _id(request)
    )
    return _token(given)


async def token_hashed(request: web.Request) -> web.Response:
    """POST /identity/token/v1."""
    body = await read_body(request, wire.SnmsCredentials, open_=True)
    given = await tokens.sign_in_hashed(
        request.app[REGISTRY], body.username, body.password, request.remote, _id(request)
    )
    return _token(given)


def _token(given: str) -> web.Response:
    return snms_answers.succeeded(wire.SnmsToken(given), Cache_Control="no-store")


async def detail(request: web.Request) -> web.Response:
    """GET /identityv2/data/detail."""
    bearer(request)
    handle = request.query.get("handle")
    if not handle:
        raise InvalidValue("missing", field="handle")
    async with open_work(request) as work:
        found = await records.detail(work, handle)
    return snms_answers.succeeded(found)


async def create(request: web.Request) -> web.Response:
    """POST /identityv2/data."""
    body = await read_body(request, wire.SnmsRecord)
    async with open_work(request) as work:
        await records.create(work, body)
    return snms_answers.succeeded(True)


async def update(request: web.Request) -> web.Response:
    """PUT /identityv2/data."""
    body = await read_body(request, wire.SnmsRecord)
    async with open_work(request) as work:
        await records.update(work, body)
    return snms_answers.succeeded(True)


async def delete(request: web.Request) -> web.Response:
    """DELETE /identityv2/data."""
    body = await read_body(request, wire.SnmsHandle)
    async with open_work(request) as work:
        await records.delete(work, body.handle)
    return snms_answers.succeeded(True)


routes: list[web.RouteDef] = [
    web.post("/identity/token", answered(token)),
    web.post("/identity/token/v1", answered(token_hashed)),
    web.get("/identityv2/data/detail", answered(detail), allow_head=False),
    web.post("/identityv2/data", answered(create, snms_answers.failed_write)),
    web.put("/identityv2/data", answered(update, snms_answers.failed_write)),
    web.delete("/identityv2/data", answered(delete, snms_answers.failed_write)),
]
