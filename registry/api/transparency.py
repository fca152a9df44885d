"""/api/v1/log, and the proof of an identifier."""

from __future__ import annotations

from aiohttp import web

from protocol import tree_head
from protocol.errors import InvalidValue, MalformedRequest
from registry.api.bodies import log as bodies
from registry.api.cursors import encode
from registry.api.identifiers import PATH, path_identifier
from registry.api.requests import (
    MAX_LIMIT,
    REGISTRY,
    open_work,
    page_after,
    page_limit,
    read_query,
    respond,
)
from registry.transparency import proofs
from registry.transparency.heads import SignedHead

MAX_PROOFS = 100
"""Lines with their paths in one answer."""


async def head(request: web.Request) -> web.Response:
    """GET /api/v1/log/head."""
    async with request.app[REGISTRY].database.begin() as connection:
        newest = await proofs.head(connection)
    return respond(_head(newest))


async def entries(request: web.Request) -> web.Response:
    """GET /api/v1/log/entries."""
    asked = read_query(request, bodies.EntriesAsked)
    if asked.end < asked.start:
        raise InvalidValue("less than start", field="end")
    last = min(asked.end, asked.start + MAX_LIMIT - 1)
    async with open_work(request) as work:
        newest, found = await proofs.entries(work, asked.start, last)
    lines = [bodies.Entry(each.leaf_index, each.leaf_input) for each in found]
    return respond(bodies.Entries(lines, _head(newest)))


async def inclusion(request: web.Request) -> web.Response:
    """GET /api/v1/log/proofs/inclusion."""
    asked = read_query(request, bodies.InclusionAsked)
    async with open_work(request) as work:
        size, path = await proofs.inclusion(work, asked.leaf_index, asked.tree_size)
    return respond(bodies.Inclusion(asked.leaf_index, size, path))


async def consistency(request: web.Request) -> web.Response:
    """GET /api/v1/log/proofs/consistency."""
    asked = read_query(request, bodies.ConsistencyAsked)
    async with open_work(request) as work:
        size, path = await proofs.consistency(work, asked.first, asked.second)
    return respond(bodies.Consistency(asked.first, size, path))


async def of_identifier(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers/{prefix}/{suffix}/proof."""
    identifier = path_identifier(request, sub_resource="proof")
    kind = f"proof of {identifier.key}"
    limit, after = page_limit(request, maximum=MAX_PROOFS), _after(request, kind)
    async with open_work(request) as work:
        found = await proofs.of_identifier(work, identifier, after=after, limit=limit + 1)
    shown = found.entries[:limit]
    more = len(found.entries) > limit
    return respond(
        bodies.IdentifierProof(
            handle=str(identifier),
            head=_head(found.head),
            items=[
                bodies.ProvedEntry(each.leaf_index, each.leaf_input, each.inclusion_path)
                for each in shown
            ],
            waiting=found.waiting,
            next=encode(kind, str(shown[-1].leaf_index)) if more else None,
        )
    )


def _after(request: web.Request, kind: str) -> int:
    position = page_after(request, kind)
    if position is None:
        return -1
    if not (position.isascii() and position.isdecimal() and len(position) <= 18):
        raise MalformedRequest("not a cursor of this list", field="cursor")
    return int(position)


def _head(signed: SignedHead) -> bodies.Head:
    key = tree_head.decode_key(signed.public_key)
    return bodies.Head(
        log_id=tree_head.log_id(key),
        timestamp=signed.head.timestamp,
        tree_size=signed.head.size,
        root_hash=signed.head.root,
        signature=signed.signature,
        public_key=tree_head.pem(key),
    )


routes: list[web.RouteDef] = [
    web.get("/api/v1/log/head", head, allow_head=False),
    web.get("/api/v1/log/entries", entries, allow_head=False),
    web.get("/api/v1/log/proofs/inclusion", inclusion, allow_head=False),
    web.get("/api/v1/log/proofs/consistency", consistency, allow_head=False),
    web.get(PATH + "{prefix}/{suffix:(?s:.+)}/proof", of_identifier, allow_head=False),
]
