"""Making and taking back statements: all of one request, or none.

Locks are taken in one order, so that writers do not wait for each other in a circle: prefixes,
identifiers, kinds of relations, rows of relations. Whoever deletes an identifier begins with the
second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from protocol.errors import Conflict, IdnodeError, InvalidValue
from protocol.identifier import Identifier
from registry import audit, identifiers, tenancy
from registry.prefixes import HOSTED
from registry.principals import OPERATOR
from registry.relations import circles
from registry.relations.model import CONTAINS, PART_OF, PUBLIC, Key, Statement, key
from registry.schema import Name
from registry.services import Work

MAX_STATEMENTS = 10_000
"""Statements of one request."""

_NAMED = 12
"""Identifiers of a circle that an error names."""

_COLUMNS = ("prefix", "suffix_key", "kind", "target_prefix", "target_suffix_key")
_SPELLED = ("suffix", "target", "audience")
_SAME = " AND ".join(f"r.{column} = g.{column}" for column in _COLUMNS)
_RETURNED = ", ".join(f"r.{column}" for column in _COLUMNS)


def _given(*names: str) -> str:
    lists = ", ".join(f":{name}" for name in names)
    return f"unnest({lists}) WITH ORDINALITY AS g ({', '.join(names)}, position)"


def _statement(text: str, *lists: str) -> sa.TextClause:
    names = sa.ARRAY(Name)
    return sa.text(text).bindparams(*(sa.bindparam(name, type_=names) for name in lists))


_END = (
    "UPDATE relations AS r SET valid_to = greatest(statement_timestamp(), r.valid_from),"
    " ended_by = current_writer()"
)
_ALL = (*_COLUMNS, *_SPELLED)


def _new(column: str) -> str:
    return f"coalesce(g.audience, '{PUBLIC}')" if column == "audience" else f"g.{column}"


_PREFIXES = _statement(
    f"""SELECT g.prefix, o.enterprise_id, o.hosting, o.status,
        set_config('{audit.WRITER}', :actor, true) AS writer
    FROM {_given("prefix")} LEFT JOIN LATERAL prefix_to_write(g.prefix) AS o ON true
    ORDER BY g.position""",  # noqa: S608
    "prefix",
)
_ENDS = _statement(
    "SELECT place, hosting FROM identifiers_to_relate(:prefixes, :suffix_keys) ORDER BY place",
    "prefixes",
    "suffix_keys",
)
_CHANGE = _statement(
    f"{_END} FROM {_given(*_ALL)}"
    f" WHERE {_SAME} AND r.valid_to IS NULL AND r.audience <> g.audience RETURNING {_RETURNED}",
    *_ALL,
)
_INSERT = _statement(
    f"""INSERT INTO relations AS r ({", ".join(_ALL)})
    SELECT {", ".join(map(_new, _ALL))} FROM {_given(*_ALL)}
    ON CONFLICT ({", ".join(_COLUMNS)}) WHERE valid_to IS NULL DO NOTHING
    RETURNING {_RETURNED}""",  # noqa: S608
    *_ALL,
)
_REMOVE = _statement(
    f"{_END} FROM {_given(*_COLUMNS)} WHERE {_SAME} AND r.valid_to IS NULL RETURNING {_RETURNED}",
    *_COLUMNS,
)
_LOG = _statement(
    f"""INSERT INTO audit_log (actor, action, subject, detail, request_id)
    SELECT :actor, :action, g.subject,
        jsonb_strip_nulls(jsonb_build_object(
            'kind', g.kind, 'target', g.target, 'audience', g.audience)), :request_id
    FROM {_given("subject", "kind", "target", "audience")} ORDER BY g.position""",  # noqa: S608
    "subject",
    "kind",
    "target",
    "audience",
)

_Row = tuple[Key, str, Key]


@dataclass(frozen=True)
class Outcome:
    """How many statements are new, have another audience now, and said nothing new."""

    created: int
    changed: int
    unchanged: int


async def put(work: Work, statements: Sequence[Statement], *, within: str | None = None) -> Outcome:
    """Make statements; one that holds already gets the audience that is given, or keeps its own.

    For the owners of their subjects. within: the list in the request, for the field of an error.
    Raises the errors of `identifiers.put` about prefixes, InvalidHandle and InvalidValue for what
    cannot be related or is not registered, Conflict for what closes a circle.
    """
    stored = _stored(statements, within)
    await _hold(work, statements, stored, within)
    await _lock_kinds(work, stored)
    changed = await _run(work, _CHANGE, stored, _ALL)
    inserted = await _run(work, _INSERT, stored, _ALL)
    positions = {each.key: position for position, each in enumerate(stored)}
    # An audience that grows shows a relation to who has others.
    for kind in sorted({kind for _, kind, _ in inserted}):
        await _refuse_circles(work, kind, inserted, positions, within)
    news = [said for said, each in zip(statements, stored, strict=True) if each.key in inserted]
    await _log(work, "relation.put", news, with_audience=True)
    return Outcome(len(inserted - changed), len(changed), len(stored) - len(inserted))


async def remove(
    work: Work, statements: Sequence[Statement], *, within: str | None = None
) -> int | None:
    """Take statements back; return the position of one that does not hold, None if all did.

    For the owners of their subjects. Where a position is returned, the caller raises an error.
    Raises as `put` does.
    """
    stored = _stored(statements, within)
    await _hold(work, statements, stored, within, removing=True)
    await _lock_kinds(work, stored)
    ended = await _run(work, _REMOVE, stored, _COLUMNS)
    for position, each in enumerate(stored):
        if each.key not in ended:
            return position
    await _log(work, "relation.remove", statements, with_audience=False)
    return None


def _stored(statements: Sequence[Statement], within: str | None) -> list[Statement]:
    first: dict[_Row, int] = {}
    stored = []
    for position, statement in enumerate(statements):
        try:
            each = statement.check().stored
            earlier = first.setdefault(each.key, position)
            if earlier != position:
                raise InvalidValue(f"says the same as number {earlier} of the list")
        except IdnodeError as error:
            raise _placed(error, within, position) from None
        stored.append(each)
    return stored


def _placed(error: IdnodeError, within: str | None, position: int) -> IdnodeError:
    return error if within is None else error.at(f"{within}[{position}]")


async def _hold(
    work: Work,
    statements: Sequence[Statement],
    stored: Sequence[Statement],
    within: str | None,
    *,
    removing: bool = False,
) -> None:
    """Check who may state this, and that it is there; nothing of it changes until the end."""
    await _hold_prefixes(work, {each.subject.prefix_key for each in stored})
    ends = [end for each in statements for end in (each.subject, each.target)]
    keys = [key(end) for end in ends]
    missing = await work.connection.execute(
        _ENDS,
        {"prefixes": [each for each, _ in keys], "suffix_keys": [each for _, each in keys]},
    )
    for place, hosting in missing.all():
        position, is_target = divmod(place - 1, 2)
        if removing or (is_target and _elsewhere(work, ends[place - 1], hosting)):
            continue
        field = "target" if is_target else "subject"
        refusal = InvalidValue(f"{ends[place - 1]} is not registered", field=field)
        raise _placed(refusal, within, position)


def _elsewhere(work: Work, end: Identifier, hosting: str | None) -> bool:
    """Whether another node says if an identifier is there."""
    if hosting is not None:
        return hosting != HOSTED
    return not f"{end.prefix_key}.".startswith(f"{work.node_prefix}.")


async def _hold_prefixes(work: Work, prefixes: set[str]) -> None:
    rows = await work.connection.execute(
        _PREFIXES, {"prefix": sorted(prefixes), "actor": work.principal.actor}
    )
    for row in rows.all():
        if row.prefix == work.node_prefix:
            work.principal.require(OPERATOR, scope="identifiers:write")
        else:
            identifiers.check_writable(work, row.prefix, row)


async def _lock_kinds(work: Work, stored: Sequence[Statement]) -> None:
    for kind in sorted({PART_OF if each.kind == CONTAINS else each.kind for each in stored}):
        await circles.lock(work, kind)


async def _run(
    work: Work, statement: sa.TextClause, stored: Sequence[Statement], columns: Iterable[str]
) -> set[_Row]:
    """Run a statement with lists of what is stored; return the keys of the rows it wrote."""
    lists: dict[str, list[str] | list[str | None]] = {
        "prefix": [each.subject.prefix_key for each in stored],
        "suffix_key": [each.subject.suffix_key for each in stored],
        "kind": [each.kind for each in stored],
        "target_prefix": [each.target.prefix_key for each in stored],
        "target_suffix_key": [each.target.suffix_key for each in stored],
        "suffix": [each.subject.suffix for each in stored],
        "target": [str(each.target) for each in stored],
        "audience": [each.audience for each in stored],
    }
    rows = await work.connection.execute(statement, {name: lists[name] for name in columns})
    return {((row[0], row[1]), row[2], (row[3], row[4])) for row in rows}


async def _refuse_circles(
    work: Work,
    kind: str,
    inserted: set[_Row],
    positions: Mapping[_Row, int],
    within: str | None,
) -> None:
    new = {(row[0], row[2]): positions[row] for row in inserted if row[1] == kind}
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        circle = await circles.find(work, kind, new)
    if circle is not None:
        names = list(circle.names)
        if len(names) > _NAMED:
            names[_NAMED // 2 : -_NAMED // 2] = ["…"]
        way = f" {kind} ".join(names)
        raise _placed(Conflict(f"closes a circle: {way}", field="target"), within, circle.position)


async def _log(
    work: Work, action: str, statements: Sequence[Statement], *, with_audience: bool
) -> None:
    if not statements:
        return
    lists: dict[str, Any] = {
        "subject": [str(each.subject) for each in statements],
        "kind": [each.kind for each in statements],
        "target": [str(each.target) for each in statements],
        "audience": [(each.audience or PUBLIC) if with_audience else None for each in statements],
    }
    line = {"actor": work.principal.actor, "action": action, "request_id": work.request_id}
    await work.connection.execute(_LOG, lists | line)
