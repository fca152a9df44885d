"""/api/v1/imports."""

from __future__ import annotations

import codecs
import datetime
import math
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from protocol.errors import InvalidValue, MalformedRequest, TooLarge, UnsupportedMediaType
from protocol.identifier import check_prefix
from registry import idempotency
from registry.api.bodies import imports as bodies
from registry.api.messages_zh import translate
from registry.api.problems import chinese_wanted
from registry.api.requests import (
    REGISTRY,
    answer,
    cut_page,
    decode_json,
    open_work,
    page_after,
    page_limit,
    path_uuid,
    post,
    read_body,
    read_query,
    respond,
    struct,
    to_response,
)
from registry.api.streams import Pace, cut_off
from registry.export import csv_lines
from registry.idempotency import Answer
from registry.imports import control, records, uploads
from registry.imports.mapping import Mapping
from registry.services import Record, Work

FORMATS = {
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}

_ERRORS_AT_ONCE = 1000
_HEADER, _ZH_HEADER = ("row", "column", "reason"), ("行", "列", "原因")
_BOM = codecs.BOM_UTF8
"""Without it a spreadsheet program takes the Chinese for another charset."""


async def create(request: web.Request) -> web.Response:
    """POST /api/v1/imports: the body is the file."""
    terms = _terms(request)
    key = request.headers.get(idempotency.HEADER)
    if key is not None:
        idempotency.check_key(key)
    maximum = uploads.maximum(terms.format)
    if (request.content_length or 0) > maximum:
        raise TooLarge(f"a file has at most {maximum} bytes")
    async with open_work(request) as work:
        import_id = await uploads.begin(work, terms)
    database = request.app[REGISTRY].database
    async with uploads.discarded_on_error(database, import_id):
        stored = await uploads.store(database, import_id, lambda: _read(request), maximum=maximum)
        async with open_work(request) as work:
            made, replayed = await _queue(request, work, key, import_id, (terms, stored))
    return to_response(made, replayed=replayed)


async def _queue(
    request: web.Request,
    work: Work,
    key: str | None,
    import_id: uuid.UUID,
    sent: tuple[uploads.Terms, uploads.Stored],
) -> tuple[Answer, bool]:
    """Queue the import, or return the answer that the same request with this key got before."""
    actor = work.principal.actor
    terms, stored = sent
    if key is not None:
        path = f"{request.path} {terms}"
        print_ = idempotency.fingerprint(request.method, path, stored.digest)
        earlier = await idempotency.claim(work.connection, actor, key, print_, work.now)
        if earlier is not None:
            await uploads.discard(work, import_id)
            return earlier, True
    await uploads.queue(work, import_id, stored)
    record = await records.get(work, import_id)
    made = answer(_body(record, request), status=202, location=f"/api/v1/imports/{import_id}")
    if key is not None:
        await idempotency.store(work.connection, actor, key, made)
    return made, False


async def _read(request: web.Request) -> bytes:
    """Return the next bytes of the body. Raises MalformedRequest if it is cut short."""
    try:
        return await request.content.readany()
    except (ConnectionError, ClientPayloadError, HttpProcessingError) as error:
        raise MalformedRequest("the body ended too soon or is broken") from error


def _terms(request: web.Request) -> uploads.Terms:
    query = read_query(request, bodies.Upload)
    return uploads.Terms(
        format=query.format or _format(request),
        prefix=None if query.prefix is None else check_prefix(query.prefix),
        template=query.template,
        mode=query.mode,
        mapping=_mapping(query.mapping),
        dry_run=query.dry_run,
    )


def _mapping(text: str | None) -> Mapping | str | None:
    """Read a mapping, which is JSON, or the name of one."""
    if text is None or not text.startswith("{"):
        return text
    try:
        return decode_json(text.encode("utf-8", "replace"), Mapping)
    except InvalidValue as error:
        raise error.at("mapping") from None
    except MalformedRequest as error:
        raise MalformedRequest(
            "neither the name of a mapping nor one in JSON", field="mapping", rule="json"
        ) from error


def _format(request: web.Request) -> str:
    if request.content_type not in FORMATS:
        raise UnsupportedMediaType(
            f"the body must be one of {', '.join(FORMATS)}; or ?format= must say what it is",
            field="Content-Type",
        )
    return FORMATS[request.content_type]


def _body(record: Record, request: web.Request) -> bodies.Import:
    rate = round(record.rows / record.seconds, 1) if record.seconds > 0 else None
    eta = None
    if record.state in control.OPEN and record.progress > 0:
        eta = math.ceil(10 * record.seconds * (1 - record.progress) / record.progress) / 10
    reason = record.reason
    if reason is not None and chinese_wanted(request):
        reason = translate(reason)
    return struct(bodies.Import, record, rate=rate, eta=eta, reason=reason)


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/imports/{id}."""
    import_id = path_uuid(request, "id")
    async with open_work(request) as work:
        record = await records.get(work, import_id)
    return respond(_body(record, request))


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/imports."""
    wanted = read_query(request, bodies.Listing)
    prefix = None if wanted.prefix is None else check_prefix(wanted.prefix)
    kind = f"imports {wanted.state or ''} {prefix or ''}"
    limit, before = page_limit(request), _position(page_after(request, kind))
    async with open_work(request) as work:
        rows = await records.page(
            work, before=before, limit=limit + 1, state=wanted.state, prefix=prefix
        )
    rows, cursor = cut_page(rows, limit, kind, lambda row: f"{row.created_at.isoformat()} {row.id}")
    return respond(bodies.ImportPage([_body(row, request) for row in rows], cursor))


def _position(text: str | None) -> tuple[datetime.datetime, uuid.UUID] | None:
    if text is None:
        return None
    time, _, id_ = text.partition(" ")
    try:
        return datetime.datetime.fromisoformat(time), uuid.UUID(id_)
    except ValueError:
        raise MalformedRequest("not a cursor of this list", field="cursor") from None


async def cancel(request: web.Request) -> web.Response:
    """POST /api/v1/imports/{id}/cancel."""
    return await _step(request, control.cancel)


async def resume(request: web.Request) -> web.Response:
    """POST /api/v1/imports/{id}/resume."""
    return await _step(request, control.resume)


async def _step(
    request: web.Request, step: Callable[[Work, uuid.UUID], Awaitable[Record]]
) -> web.Response:
    import_id = path_uuid(request, "id")
    await read_body(request, bodies.Nothing, optional=True)

    async def effect(work: Work) -> Answer:
        return answer(_body(await step(work, import_id), request), status=200)

    return await post(request, effect)


async def errors(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/imports/{id}/errors: row, column and reason of each refused row, as CSV."""
    chinese = chinese_wanted(request)
    import_id = path_uuid(request, "id")
    async with open_work(request) as work:
        await records.get(work, import_id)
        rows = await records.errors(work.connection, import_id, after=0, limit=_ERRORS_AT_ONCE)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8; header=present",
            "Content-Language": "zh" if chinese else "en",
            "Vary": "Accept-Language",
            "Content-Disposition": f'attachment; filename="errors-{import_id}.csv"',
            "X-Content-Type-Options": "nosniff",
        }
    )
    await response.prepare(request)
    pace = Pace()
    try:
        header = _BOM + csv_lines([_ZH_HEADER]) if chinese else csv_lines([_HEADER])
        await pace.write(response, header)
        while rows:
            told = translate if chinese else str
            lines = csv_lines([(str(row.row), row.column, told(row.reason)) for row in rows])
            await pace.write(response, lines)
            async with request.app[REGISTRY].database.begin() as connection:
                rows = await records.errors(
                    connection, import_id, after=rows[-1].row, limit=_ERRORS_AT_ONCE
                )
        await pace.end(response)
    except Exception as error:  # whatever it is, an answer to it would stand within this one
        cut_off(request, error)
    return response


routes: list[web.RouteDef] = [
    web.post("/api/v1/imports", create),
    web.get("/api/v1/imports", page, allow_head=False),
    web.get("/api/v1/imports/{id}", get, allow_head=False),
    web.get("/api/v1/imports/{id}/errors", errors, allow_head=False),
    web.post("/api/v1/imports/{id}/cancel", cancel),
    web.post("/api/v1/imports/{id}/resume", resume),
]
