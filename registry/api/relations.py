"""Relations of identifiers: one of them, all of one identifier, its parts and its uses, and many.

In ``/api/v1/identifiers/SUBJECT/relations/KIND/TARGET`` the first ``/relations/KIND/`` after plain
slashes parts the two identifiers; see registry/api/identifiers.py for a suffix that holds it.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from protocol.errors import IdnodeError, InvalidValue, MalformedRequest, NotFound
from protocol.identifier import Identifier, check_registrable, unquote
from registry.api.bodies import relations as bodies
from registry.api.identifiers import PATH, RELATION, path_identifier
from registry.api.requests import (
    answer,
    cut_page,
    open_work,
    page_after,
    page_limit,
    post,
    query_moment,
    read_body,
    read_query,
    respond,
    struct,
)
from registry.idempotency import Answer
from registry.relations import reading, statements
from registry.relations.model import KINDS, Statement
from registry.services import Work

MAX_PARTS = 10_000
"""Items on a page of parts or uses."""


async def put(request: web.Request) -> web.Response:
    """PUT /api/v1/identifiers/{prefix}/{suffix}/relations/{kind}/{target}."""
    body = await read_body(request, bodies.RelationAudience, optional=True)
    said = _path_statement(request, body.audience)
    async with open_work(request) as work:
        outcome = await statements.put(work, [said])
        row = await reading.one(work, said)
    return respond(struct(bodies.Relation, row), status=201 if outcome.created else 200)


async def get(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers/{prefix}/{suffix}/relations/{kind}/{target}."""
    said = _path_statement(request)
    async with open_work(request) as work:
        row = await reading.one(work, said)
    return respond(struct(bodies.Relation, row))


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/identifiers/{prefix}/{suffix}/relations/{kind}/{target}."""
    said = _path_statement(request)
    async with open_work(request) as work:
        if await statements.remove(work, [said]) is not None:
            raise NotFound(f"there is no statement {said.subject} {said.kind} {said.target}")
    return web.Response(status=204)


async def change(request: web.Request) -> web.Response:
    """POST /api/v1/relations."""
    body = await read_body(request, bodies.RelationChanges)
    if not body.put and not body.remove:
        raise InvalidValue("nothing to put or to remove", field="put")
    if len(body.put) + len(body.remove) > statements.MAX_STATEMENTS:
        raise InvalidValue(f"at most {statements.MAX_STATEMENTS} relations at once", field="remove")
    puts = [_statement(each, f"put[{n}]", each.audience) for n, each in enumerate(body.put)]
    removes = [_statement(each, f"remove[{n}]") for n, each in enumerate(body.remove)]

    async def effect(work: Work) -> Answer:
        if removes:
            absent = await statements.remove(work, removes, within="remove")
            if absent is not None:
                raise InvalidValue("there is no such relation", field=f"remove[{absent}]")
        outcome = statements.Outcome(0, 0, 0)
        if puts:
            outcome = await statements.put(work, puts, within="put")
        counts = bodies.RelationCounts(
            outcome.created, outcome.changed, outcome.unchanged, len(removes)
        )
        return answer(counts, status=200)

    return await post(request, effect)


def _statement(
    named: bodies.StatedRelation | bodies.NamedRelation, place: str, audience: str | None = None
) -> Statement:
    ends = []
    for name, text in (("subject", named.subject), ("target", named.target)):
        try:
            ends.append(Identifier.parse(text))
            if name == "subject":
                check_registrable(ends[0])
        except IdnodeError as error:
            error.field = name
            raise error.at(place) from None
    return Statement(ends[0], named.kind, ends[1], audience)


def _path_statement(request: web.Request, audience: str | None = None) -> Statement:
    raw = request.rel_url.raw_path.removeprefix(PATH)
    found = RELATION.search(raw, raw.index("/") + 1)
    assert found is not None  # noqa: S101  (the route has it)
    raw_prefix, _, raw_suffix = raw[: found.start()].partition("/")
    subject = check_registrable(Identifier.of(unquote(raw_prefix), unquote(raw_suffix)))
    try:
        target = Identifier.from_url(raw[found.end() :])
    except IdnodeError as error:
        error.field = "target"
        raise
    return Statement(subject, found["kind"], target, audience)


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers/{prefix}/{suffix}/relations."""
    identifier = path_identifier(request, sub_resource="relations")
    query, moment = read_query(request, bodies.RelationsQuery), query_moment(request)
    name = f"relations {query.direction} {query.kind} {moment} of {identifier.key}"
    limit, position = page_limit(request), page_after(request, name)
    async with open_work(request) as work:
        rows = await reading.page(
            work,
            identifier,
            direction=query.direction,
            kind=query.kind,
            at=moment,
            after=None if position is None else _kind_and_version(position),
            limit=limit + 1,
        )
    rows, cursor = cut_page(rows, limit, name, lambda row: f"{row.kind} {row.version}")
    return respond(bodies.RelationPage([struct(bodies.Relation, row) for row in rows], cursor))


async def history(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers/{prefix}/{suffix}/relations/history."""
    identifier = path_identifier(request, sub_resource="relations/history")
    name = f"history of relations of {identifier.key}"
    limit, position = page_limit(request), page_after(request, name)
    before = None if position is None else _number(position)
    async with open_work(request) as work:
        rows = await reading.history(work, identifier, before=before, limit=limit + 1)
    rows, cursor = cut_page(rows, limit, name, lambda row: row.version)
    items = [struct(bodies.RelationVersion, row) for row in rows]
    return respond(bodies.RelationHistory(items, cursor))


async def parts(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers/{prefix}/{suffix}/parts."""
    rows, cursor = await _walk(request, "parts", down=True)
    return respond(bodies.PartPage([bodies.Part(*row[:6]) for row in rows], cursor))


async def uses(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers/{prefix}/{suffix}/where-used."""
    rows, cursor = await _walk(request, "where-used", down=False)
    return respond(bodies.UsePage([bodies.Use(*row[:6]) for row in rows], cursor))


async def _walk(request: web.Request, name: str, *, down: bool) -> tuple[Any, str | None]:
    identifier = path_identifier(request, sub_resource=name)
    query, moment = read_query(request, bodies.WalkQuery), query_moment(request)
    kind = f"{name} {query.depth} {query.agreed} {moment} of {identifier.key}"
    limit, position = page_limit(request, maximum=MAX_PARTS), page_after(request, kind)
    async with open_work(request) as work:
        rows = await reading.walk(
            work,
            identifier,
            down=down,
            depth=query.depth,
            agreed=query.agreed,
            at=moment,
            after=None if position is None else _level_and_version(position),
            limit=limit + 1,
        )
    return cut_page(rows, limit, kind, lambda row: f"{row.depth} {row.version}")


def _level_and_version(position: str) -> tuple[int, int]:
    level, _, version = position.partition(" ")
    return _number(level), _number(version)


def _kind_and_version(position: str) -> tuple[str, int]:
    kind, _, version = position.partition(" ")
    if kind not in KINDS:
        raise _not_a_cursor()
    return kind, _number(version)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise _not_a_cursor()
    return int(text)


def _not_a_cursor() -> MalformedRequest:
    return MalformedRequest("not a cursor of this list", field="cursor")


# Of the two identifiers in such a path the first is as short as can be.
_ONE = PATH + "{prefix}/{suffix:(?s:.+?)}"
_RELATION = _ONE + "/relations/{kind:" + "|".join(KINDS) + "}/{target:(?s:.+)}"

routes: list[web.RouteDef] = [
    web.put(_RELATION, put),
    web.get(_RELATION, get),
    web.delete(_RELATION, delete),
    web.get(f"{_ONE}/relations", page),
    web.get(f"{_ONE}/relations/history", history),
    web.get(f"{_ONE}/parts", parts),
    web.get(f"{_ONE}/where-used", uses),
    web.post("/api/v1/relations", change),
]
