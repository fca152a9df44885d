"""/api/v1/identifiers.

The suffix of an identifier may hold slashes, so a name of a sub-resource at the end of the path
could be a part of it. The names in RESERVED, written after a plain slash, are the sub-resources;
where one of them is the end of a suffix, that slash is written ``%2F``. So it is in a suffix that
holds what RELATION finds, which parts the two identifiers of a relation.
"""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from protocol.errors import InvalidHandle, MalformedRequest
from protocol.identifier import Identifier, check_registrable, unquote
from registry import history, identifiers, listing
from registry.api import cursors
from registry.api.bodies import identifiers as bodies
from registry.api.conditions import condition, unmodified
from registry.api.requests import (
    REQUEST_ID,
    asked_prefix,
    bearer,
    cut_page,
    open_work,
    page_after,
    page_limit,
    query_moment,
    read_body,
    respond,
    struct,
)
from registry.batch import Done, Put
from registry.batch.groups import Groups
from registry.identifiers import etag
from registry.relations.model import KINDS

PATH = "/api/v1/identifiers/"
RESERVED = ("history", "label", "parts", "proof", "relations", "where-used")
GROUPS: web.AppKey[Groups] = web.AppKey("groups", Groups)
"""Writes single registrations."""
REFUSED: web.RequestKey[BaseException] = web.RequestKey("refused", BaseException)
"""Why a PUT was refused already, on the short way (resolver/transports/short_put.py): it is left to
say so."""

RELATION = re.compile(f"/relations/(?P<kind>{'|'.join(KINDS)})/")


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers."""
    prefix = asked_prefix(request)
    members = request.query.get("members", "true")
    if members not in ("true", "false"):
        raise MalformedRequest("not true or false", field="members")
    kind = f"identifiers {prefix} {members}"
    limit, after = page_limit(request), page_after(request, kind)
    async with open_work(request) as work:
        found, more = await listing.page(
            work, prefix, after=after or "", limit=limit, members=members == "true"
        )
    cursor = cursors.encode(kind, found[-1].suffix_key) if more else None
    items = [
        bodies.Identifier(
            handle=f"{prefix}/{one.suffix}",
            prefix=prefix,
            suffix=one.suffix,
            values=one.values,
            template=one.template,
            version=one.version,
            created_at=one.created_at,
            updated_at=one.updated_at,
        )
        for one in found
    ]
    return respond(bodies.IdentifierPage(items, cursor))


async def put(request: web.Request) -> web.Response:
    """PUT /api/v1/identifiers/{prefix}/{suffix}."""
    body = await read_body(request, bodies.NewIdentifier)
    identifier, when = path_identifier(request), condition(request)
    wanted = Put(identifier, body.values, body.template, when, request.get(REQUEST_ID))
    refused = request.get(REFUSED)
    if refused is not None:
        raise refused
    done = await request.app[GROUPS].put(bearer(request), wanted)
    status = 201 if done.what == "created" else 200
    return respond(registered(done), status=status, headers={"ETag": etag(done.version)})


def registered(done: Done) -> bodies.Identifier:
    """Return what is answered about an identifier that was put."""
    identifier, stored = done.identifier, done.stored
    assert stored is not None  # noqa: S101  (it is no deletion)
    return bodies.Identifier(
        handle=f"{identifier.prefix_key}/{identifier.suffix}",
        prefix=identifier.prefix_key,
        suffix=identifier.suffix,
        values=stored.values,
        template=stored.template,
        version=done.version,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers/{prefix}/{suffix}."""
    identifier, when, moment = path_identifier(request), condition(request), query_moment(request)
    async with open_work(request) as work:
        row = await (
            identifiers.get(work, identifier)
            if moment is None
            else history.at(work, identifier, moment)
        )
    return unmodified(when, row.version) or _respond(row)


async def patch(request: web.Request) -> web.Response:
    """PATCH /api/v1/identifiers/{prefix}/{suffix}."""
    body = await read_body(request, bodies.IdentifierPatch)
    identifier, when = path_identifier(request), condition(request)
    async with open_work(request) as work:
        row = await identifiers.patch(
            work, identifier, values=body.values, remove=body.remove, when=when
        )
    return _respond(row)


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/identifiers/{prefix}/{suffix}."""
    identifier, when = path_identifier(request), condition(request)
    async with open_work(request) as work:
        await identifiers.delete(work, identifier, when=when)
    return web.Response(status=204)


async def versions(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers/{prefix}/{suffix}/history."""
    identifier = path_identifier(request, sub_resource="history")
    kind = f"history of {identifier.key}"
    limit, position = page_limit(request), page_after(request, kind)
    before = None if position is None else _version(position)
    async with open_work(request) as work:
        rows = await history.page(work, identifier, before=before, limit=limit + 1)
    short = bool(rows) and len(rows) < rows[0].in_page
    rows, cursor = cut_page(rows, limit, kind, lambda row: row.version, more=short)
    items = [
        struct(
            bodies.IdentifierVersion,
            row,
            values=row.values_,
            handle=f"{row.prefix}/{row.suffix}",
        )
        for row in rows
    ]
    return respond(bodies.HistoryPage(items, cursor))


def _version(position: str) -> int:
    if not (position.isascii() and position.isdecimal() and len(position) <= 18):
        raise MalformedRequest("not a cursor of this list", field="cursor")
    return int(position)


def path_identifier(request: web.Request, *, sub_resource: str | None = None) -> Identifier:
    """Return the identifier out of the path as it was sent: aiohttp's own decoding is lenient.

    sub_resource: the name after it. Raises InvalidHandle.
    """
    raw_prefix, _, raw_suffix = request.rel_url.raw_path.removeprefix(PATH).partition("/")
    if sub_resource is not None:
        raw_suffix = raw_suffix.removesuffix(f"/{sub_resource}")
    for name in RESERVED:
        if raw_suffix.endswith(f"/{name}"):
            raise InvalidHandle(
                f"a suffix that ends in /{name} is written with %2F{name} here", field="suffix"
            )
    relation = RELATION.search(raw_suffix)
    if relation:
        kind = relation["kind"]
        raise InvalidHandle(
            f"a suffix that holds /relations/{kind}/ is written with %2Frelations here",
            field="suffix",
        )
    return check_registrable(Identifier.of(unquote(raw_prefix), unquote(raw_suffix)))


def _respond(row: Any) -> web.Response:
    body = struct(bodies.Identifier, row, values=row.values_, handle=f"{row.prefix}/{row.suffix}")
    return respond(body, headers={"ETag": etag(row.version)})


_ONE = PATH + "{prefix}/{suffix:(?s:.+)}"

routes: list[web.RouteDef] = [
    web.get("/api/v1/identifiers", page, allow_head=False),
    web.get(f"{_ONE}/history", versions),
    web.get(_ONE, get),
    web.put(_ONE, put),
    web.patch(_ONE, patch),
    web.delete(_ONE, delete),
]
