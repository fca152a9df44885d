"""/api/v1/identifiers:batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import msgspec
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from protocol.errors import (
    BodyTimeout,
    Busy,
    IdnodeError,
    InvalidValue,
    MalformedRequest,
    TooLarge,
    UnsupportedMediaType,
)
from protocol.identifier import Identifier, check_registrable
from registry import batch
from registry.api import problems
from registry.api.bodies import batch as bodies
from registry.api.bodies.problems import Problem
from registry.api.places import Places, Tenant
from registry.api.requests import (
    BODY_SECONDS,
    REQUEST_ID,
    answer,
    check_content_type,
    decode_as,
    decode_json,
    open_work,
    post,
    read_query,
)
from registry.batch import Done, Operation
from registry.idempotency import Answer
from registry.identifiers import Condition, parse_tags
from registry.services import Work

MAX_BODY_BYTES = 8 * 1024 * 1024

MAX_AT_ONCE = 2
"""Batches that one process works on, one of a tenant: each holds a connection to the database."""

MAX_BODIES = 16
"""Batches that one process reads or has read, MAX_BODIES_EACH of a tenant."""

MAX_BODIES_EACH = 4

WAIT_SECONDS = 10.0
"""How long a batch waits for those before it."""

BODIES: web.AppKey[Places] = web.AppKey("bodies of batches", Places)
PLACES: web.AppKey[Places] = web.AppKey("batches", Places)


NDJSON = "application/x-ndjson"

_AT_ONCE = 500
"""Operations that are read until others on the event loop have their turn."""

Read = Sequence[Operation | IdnodeError]


async def change(request: web.Request) -> web.Response:
    """POST /api/v1/identifiers:batch."""
    how = read_query(request, bodies.How)
    _check_content_type(request)
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    async with open_work(request) as work:  # who may not has not to send
        batch.require_writer(work)
        tenant = work.principal.enterprise_id
    async with reading(request, tenant):
        raw = await _body(request)
        operations = await _read(_parts(request, raw))

        async def effect(work: Work) -> Answer:
            result = await batch.run(work, operations, atomic=how.atomic)
            return answer(_result(request, result, operations), status=200)

        async with place(request, tenant):
            return await post(request, effect, body=raw, within=batch.SECONDS)


def _check_content_type(request: web.Request) -> None:
    if request.content_type not in ("application/json", NDJSON):
        raise UnsupportedMediaType(
            "the body must be application/json or application/x-ndjson", field="Content-Type"
        )
    if request.content_type != NDJSON:
        check_content_type(request)


def _too_large() -> TooLarge:
    return TooLarge(f"a batch has at most {MAX_BODY_BYTES} bytes")


def add_places(app: web.Application) -> None:
    """Give an application the places of its batches."""
    app[BODIES] = Places(MAX_BODIES, each=MAX_BODIES_EACH, full=_full)
    app[PLACES] = Places(MAX_AT_ONCE, each=1, full=_full)


def _full() -> Busy:
    return Busy("the node works on as many batches as it does at once")


def reading(request: web.Request, tenant: Tenant) -> AbstractAsyncContextManager[None]:
    """Hold the room for the body of a batch, which may come slowly. Raises Busy."""
    return request.app[BODIES].hold(tenant, wait=WAIT_SECONDS)


def place(request: web.Request, tenant: Tenant) -> AbstractAsyncContextManager[None]:
    """Hold one of the places that all batches of a process share. Raises Busy."""
    return request.app[PLACES].hold(tenant, wait=WAIT_SECONDS)


async def _body(request: web.Request) -> bytes:
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while part := await request.content.readany():
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                parts.append(part)
    except TimeoutError:
        raise BodyTimeout(f"the body did not come within {BODY_SECONDS:g} s") from None
    except (ConnectionError, ClientPayloadError, HttpProcessingError) as error:
        raise MalformedRequest("the body ended too soon or is broken") from error
    return b"".join(parts)


def _parts(request: web.Request, raw: bytes) -> Sequence[bytes | msgspec.Raw]:
    """Return the JSON of each operation."""
    if request.content_type == NDJSON:
        found: Sequence[bytes | msgspec.Raw] = [line for line in raw.split(b"\n") if line.strip()]
    else:
        found = decode_json(raw, bodies.RawBatch).operations
    return batch.check_count(found)


async def _read(parts: Sequence[bytes | msgspec.Raw]) -> Read:
    """Read the operations; an error stands for one that cannot be read."""
    read: list[Operation | IdnodeError] = []
    for position, part in enumerate(parts):
        if position % _AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            read.append(_operation(decode_as(bytes(part), bodies.Operation)))
        except IdnodeError as error:
            read.append(error)
    return read


def _operation(body: bodies.Operation) -> Operation:
    try:
        identifier = check_registrable(_identifier(body.identifier))
    except IdnodeError as error:
        error.field = "identifier"
        raise
    when = Condition(_tags(body.if_match, "if_match"), _tags(body.if_none_match, "if_none_match"))
    if isinstance(body, bodies.BatchDelete):
        return batch.Delete(identifier, when)
    return batch.Put(identifier, body.values, body.template, when)


def _identifier(text: str) -> Identifier:
    if "/" not in text:
        raise InvalidValue("not of the form prefix/suffix", field="identifier")
    return Identifier.parse(text)


def _tags(text: str | None, field: str) -> tuple[str, ...] | None:
    return None if text is None else parse_tags(text, field)


def _result(request: web.Request, result: batch.Result, operations: Read) -> bodies.BatchResult:
    return bodies.BatchResult(
        id=str(result.id),
        created=result.count("created"),
        replaced=result.count("replaced"),
        deleted=result.count("deleted"),
        failed=result.failed,
        results=[
            _outcome(request, each, operation)
            for each, operation in zip(result.outcomes, operations, strict=True)
        ],
    )


def _outcome(
    request: web.Request, outcome: Done | IdnodeError, operation: Operation | IdnodeError
) -> bodies.BatchOutcome:
    named = None if isinstance(operation, IdnodeError) else str(operation.identifier)
    if isinstance(outcome, IdnodeError):
        problem = msgspec.convert(problems.of_part(outcome, request, request[REQUEST_ID]), Problem)
        return bodies.BatchOutcome(named, "refused", None, problem)
    return bodies.BatchOutcome(named, outcome.what, outcome.version, None)


routes: list[web.RouteDef] = [web.post("/api/v1/identifiers:batch", change)]
