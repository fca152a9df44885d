"""What is stated: of one identifier, over its parts, and over what it is a part of.

For who may read the identifier in the registry; what others state about it, and about its parts, as
far as their audience allows. Each answer is one statement, and so of one moment.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from itertools import product
from typing import Any, Literal

import sqlalchemy as sa

from protocol.errors import InvalidValue, NotFound
from protocol.identifier import Identifier
from registry import identifiers, tenancy
from registry.relations.model import (
    CONTAINS,
    HELD,
    HOLDS,
    KINDS,
    OF_ONE_OWNER,
    PART_OF,
    VISIBLE,
    Statement,
    key,
    viewer,
)
from registry.schema import Name, Time
from registry.services import Record, Work

MAX_EDGES = 100_000
"""Relations that one look at parts goes over."""

MAX_BYTES = 128 << 20
"""Bytes of the names that it has reached, added up over its levels."""

Direction = Literal["out", "in"]
Place = tuple[int, int]
"""Where a page starts: after this level and version."""

_OWN = "r.prefix = :prefix AND r.suffix_key = :suffix_key"
_ABOUT = "r.target_prefix = :prefix AND r.target_suffix_key = :suffix_key"
_NAME = "r.prefix || '/' || r.suffix"
_TIMES = "r.audience, r.version, r.valid_from, r.valid_to, r.actor, r.ended_by"
_AS_STORED = f"SELECT {_NAME} AS subject, r.kind, r.target, {_TIMES} FROM relations AS r"  # noqa: S608
_INVERTED = f"""SELECT r.target AS subject, '{CONTAINS}' AS kind, {_NAME} AS target, {_TIMES}
    FROM relations AS r"""  # noqa: S608
_PARTS_UNDER_ONE_PREFIX = f"{_ABOUT} AND r.kind = '{PART_OF}' AND r.prefix = :prefix"


_TYPES = (
    sa.bindparam("prefix", type_=Name),
    sa.bindparam("suffix_key", type_=Name),
    sa.bindparam("at", type_=Time),
    sa.bindparam("start", type_=Name),
)


def _text(statement: str) -> sa.TextClause:
    return sa.text(statement).bindparams(
        *(parameter for parameter in _TYPES if f":{parameter.key}" in statement)
    )


def _parameters(
    work: Work, identifier: Identifier, at: datetime.datetime | None
) -> dict[str, object]:
    prefix, suffix_key = key(identifier)
    given = {"prefix": prefix, "suffix_key": suffix_key, **viewer(work.principal)}
    return given if at is None else given | {"at": at}


async def _may_read(work: Work, identifier: Identifier, at: datetime.datetime | None) -> None:
    """Refuse who may not read it, and what is not there; of the past also what was there."""
    if at is None:
        await identifiers.get(work, identifier)
        return
    await identifiers.may_read(work, identifier)
    if await work.connection.scalar(sa.select(sa.func.clock_timestamp() < at)):
        raise InvalidValue("is still to come", field="at")


async def page(
    work: Work,
    identifier: Identifier,
    *,
    direction: Direction,
    kind: str | None,
    at: datetime.datetime | None,
    after: tuple[str, int] | None,
    limit: int,
) -> Sequence[Record]:
    """Return at most `limit` statements of ("out") or about ("in") an identifier.

    They come in the order of kind and version; after: only what follows these. A part under the
    same prefix is what the whole contains. Raises HandleNotFound, and InvalidValue for a moment
    that is to come.
    """
    await _may_read(work, identifier, at)
    which = f"{HOLDS if at is None else HELD} AND {VISIBLE}"
    selects = [_listed(_AS_STORED, _OWN if direction == "out" else _ABOUT, "r.kind", which)]
    if direction == "out":
        selects.append(_listed(_INVERTED, _PARTS_UNDER_ONE_PREFIX, f"'{CONTAINS}'", which))
    listed = " UNION ALL ".join(selects)
    statement = _text(
        f"SELECT * FROM ({listed}) AS listed ORDER BY kind, version LIMIT :limit"  # noqa: S608
    )
    after_kind, after_version = after or ("", 0)
    kinds = KINDS if kind is None else (kind,)
    more = {"kinds": list(kinds), "after_kind": after_kind, "after_version": after_version}
    given = _parameters(work, identifier, at) | more | {"limit": limit}
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        rows = (await work.connection.execute(statement, given)).all()
    return rows


def _listed(select: str, whose: str, kind: str, which: str) -> str:
    """Return a statement for one page, with an order that an index has."""
    return (
        f"({select} WHERE {whose} AND {which} AND {kind} = ANY (:kinds)"
        f" AND ({kind}, r.version) > (:after_kind, :after_version)"
        " ORDER BY r.kind, r.version LIMIT :limit)"
    )


async def one(work: Work, statement: Statement) -> Record:
    """Return a statement that holds. Raises HandleNotFound, NotFound."""
    await _may_read(work, statement.subject, None)
    stored = statement.check().stored
    (prefix, suffix_key), kind, (target_prefix, target_suffix_key) = stored.key
    select = _AS_STORED if stored.kind == statement.kind else _INVERTED
    found = await work.connection.execute(
        _text(
            f"{select} WHERE {_OWN} AND r.kind = :kind AND r.target_prefix = :target_prefix"
            f" AND r.target_suffix_key = :target_suffix_key AND {HOLDS}"
        ),
        {
            "prefix": prefix,
            "suffix_key": suffix_key,
            "kind": kind,
            "target_prefix": target_prefix,
            "target_suffix_key": target_suffix_key,
        },
    )
    row: Record | None = found.one_or_none()
    if row is None:
        raise NotFound(
            f"there is no statement {statement.subject} {statement.kind} {statement.target}"
        )
    return row


def _unless_foreign(actor: str) -> str:
    """Return an SQL expression for an actor; NULL for who acts for another enterprise."""
    foreign = " OR ".join(
        f"""EXISTS (SELECT FROM {table} AS f WHERE f.enterprise_id <> :viewer
            AND f.{column} = CASE WHEN starts_with({actor}, '{kind}:')
                THEN CAST(substr({actor}, {len(kind) + 2}) AS {type_}) END)"""
        for kind, table, column, type_ in (
            ("account", "accounts", "name", "text"),
            ("key", "api_keys", "id", "uuid"),
            ("snms", "snms_users", "id", "uuid"),
        )
    )
    return f"CASE WHEN :sees_all OR NOT ({foreign}) THEN {actor} END AS {actor}"


_HISTORY = _text(
    f"""SELECT subject, kind, target, audience, version, valid_from, valid_to,
        {_unless_foreign("actor")}, {_unless_foreign("ended_by")}
    FROM (
        SELECT * FROM (
            {_AS_STORED} WHERE {_OWN} UNION ALL {_INVERTED} WHERE {_PARTS_UNDER_ONE_PREFIX}
        ) AS stated WHERE version < :before ORDER BY version DESC LIMIT :limit
    ) AS stated ORDER BY version DESC"""  # noqa: S608
)


async def history(
    work: Work, identifier: Identifier, *, before: int | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` statements that an identifier makes or made, the newest first.

    before: only versions lower than this. Staff alone are told who acted for another enterprise, as
    who deletes a target that is its own.
    """
    await identifiers.may_read(work, identifier)
    given = _parameters(work, identifier, None) | {
        "before": before if before is not None else 2**63 - 1,
        "limit": limit,
    }
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        rows = (await work.connection.execute(_HISTORY, given)).all()
    return rows


_WALK = """
WITH RECURSIVE walk AS (
    SELECT 0 AS level, jsonb_build_object(:start, NULL) AS fresh,
        jsonb_build_object(:start, NULL) AS reached, 0 AS seen, 0 AS bytes,
        CAST(NULL AS record[]) AS found
    UNION ALL
    SELECT w.level + 1, n.fresh, w.reached || n.fresh, w.seen + cardinality(n.found),
        w.bytes + pg_column_size(w.reached), n.found
    FROM walk AS w CROSS JOIN LATERAL (
        SELECT array_agg(f) AS found,
            coalesce(jsonb_object_agg(f.at, NULL) FILTER (WHERE NOT f.again), '{{}}') AS fresh
        FROM (
            SELECT q.name AS from_at, e.prefix || '/' || e.suffix_key AS at, e.name, e.from_name,
                e.version, e.since, e.by_whole, e.by_part,
                w.reached ? (e.prefix || '/' || e.suffix_key) AS again
            FROM (
                SELECT name, split_part(name, '/', 1) COLLATE "C",
                    substr(name, strpos(name, '/') + 1) COLLATE "C"
                FROM jsonb_object_keys(w.fresh) AS name
            ) AS q (name, prefix, suffix_key)
            CROSS JOIN LATERAL ({selects})
                AS e (prefix, suffix_key, name, from_name, version, since, by_whole, by_part)
            LIMIT :most
        ) AS f
    ) AS n
    WHERE w.level < :depth AND w.seen < :most AND w.bytes <= :bytes AND n.found IS NOT NULL
), listed AS (
    SELECT min(name) AS name, min(level) AS depth, min(from_name) AS from_name,
        CASE WHEN bool_or(by_whole) AND bool_or(by_part) THEN 'both'
            WHEN bool_or(by_whole) THEN 'whole' ELSE 'part' END AS stated_by,
        min(since) AS since, bool_or(again) AS again, min(version) AS version
    FROM walk CROSS JOIN LATERAL unnest(found) AS f (
        from_at text COLLATE "C", at text COLLATE "C", name text COLLATE "C",
        from_name text COLLATE "C", version bigint, since timestamptz, by_whole boolean,
        by_part boolean, again boolean)
    GROUP BY from_at, at
)
SELECT *, (SELECT max(seen) FROM walk) AS seen, (SELECT max(bytes) FROM walk) AS bytes FROM listed
WHERE (depth, version) > (:after_level, :after_version)
ORDER BY depth, version LIMIT :limit
"""


def _walk(*, down: bool, past: bool, agreed: bool) -> sa.TextClause:
    """Return the statement that goes from one identifier to its parts, or to its wholes.

    A relation is stated by the part or by the whole; under one prefix that is the same owner. Each
    row of `walk` is a level, with all relations that lead to it in parallel lists, and what is new
    there: no identifier is left twice, so what goes round in a circle ends. agreed: only by what
    the owner of the identifier that is left states.
    """
    which = f"{HELD if past else HOLDS} AND {VISIBLE}"
    own_kind = CONTAINS if down else PART_OF
    target = "r.target_prefix, r.target_suffix_key, r.target"
    subject = f"r.prefix, r.suffix_key, {_NAME}"
    from_target = "r.target_prefix = q.prefix AND r.target_suffix_key = q.suffix_key"
    from_subject = "r.prefix = q.prefix AND r.suffix_key = q.suffix_key"
    steps = (
        (PART_OF, from_target, f"{subject}, r.target")
        if down
        else (PART_OF, from_subject, f"{target}, {_NAME}"),
        (CONTAINS, from_subject, f"{target}, {_NAME}")
        if down
        else (CONTAINS, from_target, f"{subject}, r.target"),
    )
    selects = " UNION ALL ".join(
        f"""SELECT {found}, r.version, r.valid_from,
            r.kind = '{CONTAINS}' OR r.prefix = r.target_prefix, r.kind = '{PART_OF}'
        FROM relations AS r WHERE {joined} AND r.kind = '{kind}' AND {which}
            AND {"true" if kind == own_kind or not agreed else OF_ONE_OWNER}"""  # noqa: S608
        for kind, joined, found in steps
    )
    return _text(_WALK.format(selects=selects))


_WALKS = {
    (down, past, agreed): _walk(down=down, past=past, agreed=agreed)
    for down, past, agreed in product((True, False), repeat=3)
}


async def walk(
    work: Work,
    identifier: Identifier,
    *,
    down: bool,
    depth: int,
    agreed: bool,
    at: datetime.datetime | None,
    after: Place | None,
    limit: int,
) -> Sequence[Any]:
    """Return at most `limit` parts of an identifier, or (not `down`) what it is a part of.

    Down to `depth` levels, in the order of level and version; each pair of a part and its whole
    once, at its least level; agreed: without what strangers claim, see `_walk`. A row: name, depth,
    name of where it hangs, who states it, since when, whether it stands at a lesser depth or is
    where the walk began, version, and how many relations were gone over. Raises HandleNotFound,
    InvalidValue for a moment to come, and where that would be more than MAX_EDGES or MAX_BYTES.
    """
    await _may_read(work, identifier, at)
    level, version = after or (0, 0)
    given = _parameters(work, identifier, at) | {
        "start": "/".join(key(identifier)),
        "depth": depth,
        "most": MAX_EDGES + 1,
        "bytes": MAX_BYTES,
        "after_level": level,
        "after_version": version,
        "limit": limit,
    }
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        rows = (await work.connection.execute(_WALKS[down, at is not None, agreed], given)).all()
    if rows and (rows[0].seen > MAX_EDGES or rows[0].bytes > MAX_BYTES):
        raise InvalidValue(
            f"so deep there are more than {MAX_EDGES} relations, or very long names; ask for fewer"
            " levels, for agreed ones alone, or for the list of relations",
            field="depth",
        )
    return rows
