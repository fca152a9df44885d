"""What is stated: of one identifier, over its parts, and over what it is a part of.

For who may read the identifier in the registry; what others state about it, and about its parts, as
far as their audience allows. Each answer is one statement, and so of one moment.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
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
        raise NotFound(f"{statement.subject} does not state that it is {statement.kind} this")
    return row


_HISTORY = _text(
    f"""SELECT * FROM (
        {_AS_STORED} WHERE {_OWN} UNION ALL {_INVERTED} WHERE {_PARTS_UNDER_ONE_PREFIX}
    ) AS stated WHERE version < :before ORDER BY version DESC LIMIT :limit"""  # noqa: S608
)


async def history(
    work: Work, identifier: Identifier, *, before: int | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` statements that an identifier makes or made, the newest first.

    before: only versions lower than this.
    """
    await identifiers.may_read(work, identifier)
    given = _parameters(work, identifier, None) | {
        "before": before if before is not None else 2**63 - 1,
        "limit": limit,
    }
    return (await work.connection.execute(_HISTORY, given)).all()


def _walk(*, down: bool, past: bool) -> sa.TextClause:
    """Return the statement that goes from one identifier to its parts, or to its wholes.

    A relation is stated by the part or by the whole; under one prefix that is the same owner.
    """
    which = f"{HELD if past else HOLDS} AND {VISIBLE}"
    target = "r.target_prefix, r.target_suffix_key, r.target"
    subject = f"r.prefix, r.suffix_key, {_NAME}"
    from_target = "r.target_prefix = w.prefix AND r.target_suffix_key = w.suffix_key"
    from_subject = "r.prefix = w.prefix AND r.suffix_key = w.suffix_key"
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
        FROM relations AS r WHERE {joined} AND r.kind = '{kind}' AND {which}"""  # noqa: S608
        for kind, joined, found in steps
    )
    none = "CAST('' AS text) COLLATE \"C\""
    return _text(
        f"""
WITH RECURSIVE walk (level, from_prefix, from_key, prefix, suffix_key, name, from_name, version,
        valid_from, by_whole, by_part) AS (
    SELECT 0, {none}, {none}, CAST(:prefix AS text) COLLATE "C",
        CAST(:suffix_key AS text) COLLATE "C", {none}, {none},
        CAST(0 AS bigint), CAST('-infinity' AS timestamptz), false, false
    UNION
    SELECT w.level + 1, w.prefix, w.suffix_key, e.* FROM walk AS w
        CROSS JOIN LATERAL ({selects}) AS e
        WHERE w.level < :depth
), bounded AS (SELECT * FROM walk OFFSET 1 LIMIT :most)
SELECT min(name) AS name, min(level) AS depth, min(from_name) AS from_name,
    CASE WHEN bool_or(by_whole) AND bool_or(by_part) THEN 'both'
        WHEN bool_or(by_whole) THEN 'whole' ELSE 'part' END AS stated_by,
    min(valid_from) AS since, min(version) AS version, (SELECT count(*) FROM bounded) AS seen
FROM bounded GROUP BY from_prefix, from_key, prefix, suffix_key
HAVING (min(level), min(version)) > (:after_level, :after_version)
ORDER BY min(level), min(version) LIMIT :limit
"""  # noqa: S608
    )


_WALKS = {
    (down, past): _walk(down=down, past=past) for down in (True, False) for past in (True, False)
}


async def walk(
    work: Work,
    identifier: Identifier,
    *,
    down: bool,
    depth: int,
    at: datetime.datetime | None,
    after: Place | None,
    limit: int,
) -> Sequence[Any]:
    """Return at most `limit` parts of an identifier, or (not `down`) what it is a part of.

    Down to `depth` levels, in the order of level and version; each pair of a part and its whole
    once, at its least level. A row: name, depth, name of where it hangs, who states it, since when,
    version, and how many relations were gone over. Raises HandleNotFound, InvalidValue for a moment
    to come, and where that would be more than MAX_EDGES.
    """
    await _may_read(work, identifier, at)
    level, version = after or (0, 0)
    given = _parameters(work, identifier, at) | {
        "depth": depth,
        "most": MAX_EDGES + 1,
        "after_level": level,
        "after_version": version,
        "limit": limit,
    }
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        rows = (await work.connection.execute(_WALKS[down, at is not None], given)).all()
    if rows and rows[0].seen > MAX_EDGES:
        raise InvalidValue(
            f"so deep there are more than {MAX_EDGES} relations; ask for fewer levels, or for the"
            " list of relations",
            field="depth",
        )
    return rows
