"""No circles: nothing is part of itself, replaced by itself or derived from itself, by any way.

A new relation from `u` to `v` closes a circle if a way leads from `v` back to `u`: both are then in
one strongly connected component, which lies in what can be reached from `v`, and in what `u` can be
reached from. Both sides are looked through in turn, the narrower one first, until one of them has
no more: a part that nothing is known of is decided at once, however large the whole is.

Anybody may state that what is his is a part of yours and contains something else of yours. Such a
statement must not forbid you to say what is true of yours, so a way counts only where each link is
agreed to: one that the maker of the new relation states, or, from `v` on, what the owner of each
thing says that it is a part of, or, from `u` on, what the owner of each says that it contains. The
last two are looked for one after the other: a stranger gets into neither unless somebody on the way
names him.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from protocol.errors import Conflict
from registry.relations.model import HOLDS, INVERSE, OF_ONE_OWNER, VISIBLE, Key, viewer
from registry.schema import Name
from registry.services import Work

Graph = Mapping[Key, Sequence[Key]]
"""What follows what."""

MAX_NODES = 100_000
"""Identifiers that are looked at for one check."""

MAX_STEPS = 1000
"""Looks into the database for one check: as deep as both sides together may be."""

_LOCK = "idnode relations"

_LISTS = ("prefixes", "suffix_keys", "makers")

_AHEAD = (
    "r.prefix = q.prefix AND r.suffix_key = q.suffix_key",
    "r.target_prefix, r.target_suffix_key",
)
_BACK = (
    "r.target_prefix = q.prefix AND r.target_suffix_key = q.suffix_key",
    "r.prefix, r.suffix_key",
)


_MAKERS = """ANY (ARRAY(SELECT unnest(:makers) UNION ALL
    SELECT p.prefix FROM prefixes AS m JOIN prefixes AS p ON p.enterprise_id = m.enterprise_id
    WHERE m.prefix = ANY (:makers)))"""


def _neighbours(way: tuple[str, str], inverse_way: tuple[str, str]) -> sa.TextClause:
    """Return the statement that finds the next identifiers of many, by a kind and its inverse."""
    selects = (
        f"""SELECT q.prefix AS at_prefix, q.suffix_key AS at_key, {found}
        FROM unnest(:prefixes, :suffix_keys) AS q (prefix, suffix_key)
        JOIN relations AS r ON {joined}
        WHERE r.kind = :{kind} AND {HOLDS} AND {VISIBLE}
            AND (r.kind = :of_all OR r.prefix = {_MAKERS} OR {OF_ONE_OWNER})"""  # noqa: S608
        for kind, (joined, found) in (("kind", way), ("inverse", inverse_way))
    )
    lists = (sa.bindparam(name, type_=sa.ARRAY(Name)) for name in _LISTS)
    return sa.text(" UNION ".join(selects)).bindparams(*lists)


_FORWARD = _neighbours(_AHEAD, _BACK)
_BACKWARD = _neighbours(_BACK, _AHEAD)


@dataclass(frozen=True)
class _Links:
    """Which relations count: of `kind` or its inverse, stated by `makers`.

    makers: prefixes, which stand for all of their owners. of_all: one of the two kinds, of which
    all that is stated counts.
    """

    kind: str
    of_all: str
    makers: Sequence[str]


@dataclass
class _Side:
    """What was seen so far of one side, and where to look next."""

    statement: sa.TextClause
    frontier: set[Key]
    seen: set[Key] = field(default_factory=set)
    next_of: dict[Key, list[Key]] = field(default_factory=dict)

    async def look(self, work: Work, links: _Links) -> None:
        """Go one step on."""
        self.seen |= self.frontier
        at = sorted(self.frontier)
        rows = await work.connection.execute(
            self.statement,
            {
                "prefixes": [prefix for prefix, _ in at],
                "suffix_keys": [suffix_key for _, suffix_key in at],
                "kind": links.kind,
                "inverse": INVERSE.get(links.kind, ""),
                "of_all": links.of_all,
                "makers": links.makers,
                **viewer(work.principal),
            },
        )
        self.frontier = set()
        for at_prefix, at_key, prefix, suffix_key in rows:
            self.next_of.setdefault((at_prefix, at_key), []).append((prefix, suffix_key))
            self.frontier.add((prefix, suffix_key))
        self.frontier -= self.seen


async def lock(work: Work, kind: str) -> None:
    """Let nobody else state relations of this kind before the transaction ends.

    Two transactions that close a circle together would not see each other.
    """
    name = sa.func.pg_advisory_xact_lock(sa.func.hashtext(_LOCK), sa.func.hashtext(kind))
    await work.connection.execute(sa.select(name))


@dataclass(frozen=True)
class Circle:
    """A circle that a new relation closes.

    position: of the relation. names: the identifiers on the way, the first one again at the end.
    """

    position: int
    names: tuple[str, ...]


async def find(work: Work, kind: str, new: Mapping[tuple[Key, Key], int]) -> Circle | None:
    """Return a circle that new relations of one kind, already written, close; None without one.

    new: from which identifier to which, with its position. The caller has `lock`, and sees what
    others have stated. Raises Conflict where too much would have to be looked at.
    """
    makers = sorted({prefix for (prefix, _), _ in new})
    for of_all in (kind, INVERSE[kind]) if kind in INVERSE else (kind,):
        circle = await _find(work, _Links(kind, of_all, makers), new)
        if circle is not None:
            return circle
    return None


async def _find(work: Work, links: _Links, new: Mapping[tuple[Key, Key], int]) -> Circle | None:
    ahead = _Side(_FORWARD, {end for _, end in new})
    back = _Side(_BACKWARD, {start for start, _ in new})
    for _ in range(MAX_STEPS):
        side = min((ahead, back), key=lambda each: (len(each.frontier), len(each.seen)))
        if not side.frontier:
            # A long look at what is in memory must not keep other requests waiting.
            return await asyncio.to_thread(_circle, side.next_of, new, reverse=side is back)
        await side.look(work, links)
        if len(ahead.seen) + len(back.seen) > MAX_NODES:
            break
    raise Conflict(
        f"too much hangs together to see that there is no circle: more than {MAX_NODES}"
        f" identifiers, or {MAX_STEPS} levels",
        field="target",
    )


def _circle(next_of: Graph, new: Mapping[tuple[Key, Key], int], *, reverse: bool) -> Circle | None:
    """Find a circle through a new relation; there may be others, of what somebody has hidden."""
    component = components(next_of)
    for (start, end), position in sorted(new.items(), key=lambda each: each[1]):
        if start in component and component[start] == component.get(end):
            way = _way(next_of, start, end)[::-1] if reverse else _way(next_of, end, start)
            return Circle(position, tuple("/".join(each) for each in (*way, end)))
    return None


def components(next_of: Graph) -> dict[Key, int]:
    """Return for each node the number of its strongly connected component.

    Two nodes have the same number if each can be reached from the other. H. N. Gabow, "Path-based
    depth-first search for strong and biconnected components", Information Processing Letters 74
    (2000), without recursion.
    """
    order: dict[Key, int] = {}
    component: dict[Key, int] = {}
    path: list[Key] = []
    bounds: list[Key] = []
    ways: list[tuple[Key, Iterator[Key]]] = []

    def enter(node: Key) -> None:
        order[node] = len(order)
        path.append(node)
        bounds.append(node)
        ways.append((node, iter(next_of.get(node, ()))))

    for root in next_of:
        if root not in order:
            enter(root)
        while ways:
            node, rest = ways[-1]
            following = next(rest, None)
            if following is None:
                ways.pop()
                if bounds[-1] == node:
                    bounds.pop()
                    while node not in component:
                        component[path.pop()] = order[node]
            elif following not in order:
                enter(following)
            elif following not in component:
                while order[bounds[-1]] > order[following]:
                    bounds.pop()
    return component


def _way(next_of: Graph, start: Key, end: Key) -> list[Key]:
    """Return a shortest way; there is one."""
    came_from: dict[Key, Key] = {}
    waiting = deque([start])
    while end not in came_from and end != start:
        node = waiting.popleft()
        for following in next_of.get(node, ()):
            if following != start and following not in came_from:
                came_from[following] = node
                waiting.append(following)
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]
