"""/api/v1/exports."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import Busy
from protocol.identifier import Identifier, check_prefix
from registry import export, identifiers, tenancy
from registry.api.bodies import exports as bodies
from registry.api.places import Places
from registry.api.requests import REGISTRY, open_work, read_query
from registry.api.streams import Pace, cut_off

MAX_AT_ONCE = 2
"""Exports of one process, one of a tenant: each keeps a connection to the database."""

SECONDS = 1800.0
"""Time in which an export must have been taken."""

PLACES: web.AppKey[Places] = web.AppKey("exports", Places)

_TYPES = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def _full() -> Busy:
    return Busy("the node makes as many exports as it does at once")


def add_places(app: web.Application) -> None:
    """Give an application the places of its exports."""
    app[PLACES] = Places(MAX_AT_ONCE, each=1, full=_full)


async def identifiers_of(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/exports/identifiers."""
    how = read_query(request, bodies.Export)
    prefix = check_prefix(how.prefix)
    async with open_work(request) as work:
        await identifiers.may_read(work, Identifier.of(prefix, "0"), field="prefix")
        tenant = work.principal.enterprise_id
    database = request.app[REGISTRY].database
    response = web.StreamResponse(
        headers={
            "Content-Type": _TYPES[how.format],
            "Content-Disposition": f'attachment; filename="{prefix}.{how.format}"',
            "X-Content-Type-Options": "nosniff",
        }
    )
    if how.format != "xlsx":  # which is compressed already
        response.enable_compression()
    try:
        async with (
            request.app[PLACES].hold(tenant),
            database.begin(within=SECONDS, snapshot=True) as connection,
        ):
            await tenancy.enter(connection, tenant)
            parts = await _parts(connection, prefix, how)
            await response.prepare(request)
            pace = Pace()
            async for part in parts:
                await pace.write(response, part)
            await pace.end(response)
    except Exception as error:  # whatever it is, an answer to it would stand within this one
        if not response.prepared:
            raise
        cut_off(request, error)
    return response


async def _parts(
    connection: AsyncConnection, prefix: str, how: bodies.Export
) -> AsyncIterator[bytes]:
    if how.format == "ndjson":
        return export.ndjson(connection, prefix, members=how.members)
    columns = await export.csv_columns(connection, prefix, members=how.members)
    rows = export.xlsx_book if how.format == "xlsx" else export.csv_text
    return rows(connection, prefix, columns, members=how.members)


routes: list[web.RouteDef] = [
    web.get("/api/v1/exports/identifiers", identifiers_of, allow_head=False),
]
