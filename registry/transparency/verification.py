"""Looks at the whole audit log of a database: each line, the tree over them, and all its heads.

Everything is read once, in pages, as it was at one moment, and nothing is believed: the hash of
each line is worked out here from the line, the tree from the hashes that were kept, and both must
agree with each other, with the nodes that were kept and with what was signed. So who alters a line,
its hash and all nodes above it is still found by the next head, and who has the key, too, by a head
that is kept elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol import merkle, tree_head
from protocol.merkle import BadProof, Frontier
from protocol.tree_head import TreeHead
from registry.database import Database, unavailable
from registry.transparency import leaf
from registry.transparency.findings import MAX_FINDINGS, Finding, Kind, Report
from registry.transparency.heads import SignedHead
from registry.transparency.tree import STEP

PAGE = 10_000
"""Rows that are read at once."""

_MAX_SUSPECTS = 200
"""Altered lines among which those are looked for that only stand in each other's place."""

_BEFORE_ALL = -(2**63)

_TABLES = ("audit_log", "log_entries", "log_heads", "log_nodes")

_LINES = f"""
SELECT e.leaf_index, e.seq, e.leaf_hash, CASE WHEN a.seq IS NOT NULL THEN {leaf.TEXT} END AS text
FROM (SELECT * FROM log_entries WHERE leaf_index >= $1 ORDER BY leaf_index LIMIT $2) AS e
LEFT JOIN audit_log AS a USING (seq) ORDER BY e.leaf_index
"""  # noqa: S608

_NODES = """
SELECT n.level, n.number, n.hash
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS w (level, first, last)
JOIN log_nodes AS n ON n.level = w.level AND n.number BETWEEN w.first AND w.last
"""

_HEADS = """
SELECT tree_size, timestamp, root_hash, signature, public_key FROM log_heads
WHERE tree_size > $1 ORDER BY tree_size LIMIT $2
"""

_OUTSIDE = """
SELECT max(a.seq) AS last, count(*) AS lines,
    array_agg(a.seq ORDER BY a.seq) FILTER (WHERE e.seq IS NULL) AS missing
FROM (SELECT seq FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2) AS a
LEFT JOIN log_entries AS e USING (seq)
"""

_GUARDED = """
SELECT c.relname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.oid = ANY($1::text[]::regclass[]) AND t.tgname = c.relname || '_append_only'
    AND t.tgenabled IN ('O', 'A')
"""


@dataclass(frozen=True)
class _Suspect:
    """A line whose hash is not the one that was kept."""

    index: int
    seq: int
    text: str
    kept: bytes


async def verify(
    database: Database,
    *,
    key: Ed25519PublicKey | None = None,
    kept: SignedHead | None = None,
    page: int = PAGE,
) -> Report:
    """Check everything. key: that must have signed all heads. kept: a head that is kept elsewhere.

    Raises StoreUnavailable.
    """
    with unavailable():
        connection = await database.connection()
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await _Verification(connection, key, kept, page).run()
        finally:
            connection.terminate()


class _Verification:
    """One walk through the log."""

    def __init__(
        self,
        sql: asyncpg.Connection,
        key: Ed25519PublicKey | None,
        kept: SignedHead | None,
        page: int,
    ) -> None:
        self.sql, self.key, self.kept, self.page = sql, key, kept, page
        self.report = Report()
        self.tree = Frontier()
        self.whole_tree = True
        self.agreed = 0
        self.suspects: list[_Suspect] = []
        self.made: dict[merkle.Node, bytes] = {}
        self.wrong: list[merkle.Span] = []
        self.told: set[Kind] = set()

    async def run(self) -> Report:
        await self._guards()
        heads = self._heads()
        pending = await anext(heads, None)
        start = 0
        while rows := await self.sql.fetch(_LINES, start, self.page):
            for row in rows:
                self._line(row)
                while pending is not None and pending.head.size <= self.tree.size:
                    self._root(pending)
                    pending = await anext(heads, None)
            await self._nodes(start, self.tree.size)
            start = rows[-1]["leaf_index"] + 1
        self.report.entries = self.tree.size
        while pending is not None:
            self._shrunk(pending)
            pending = await anext(heads, None)
        self._sort_suspects()
        await self._outside()
        return self.report

    def _line(self, row: Any) -> None:
        index, expected = row["leaf_index"], self.tree.size
        if index != expected:
            self.whole_tree = False
            low, high = sorted((index, expected))
            self._found(Kind.ENTRY, first=low, last=max(low, high - 1))
            self.tree = Frontier(index, [merkle.EMPTY_ROOT] * index.bit_count())
        text, kept = row["text"], row["leaf_hash"]
        if text is None:
            self._found(Kind.DELETED, seq=row["seq"], first=index, last=index)
        elif merkle.leaf_hash(text.encode()) != kept:
            if len(self.suspects) < _MAX_SUSPECTS:
                self.suspects.append(_Suspect(index, row["seq"], text, kept))
            else:
                self._found(Kind.ALTERED, seq=row["seq"], first=index, last=index)
        self.tree.append(kept, self._keep)

    def _keep(self, level: int, number: int, value: bytes) -> None:
        if level % STEP == 0:
            self.made[level, number] = value

    async def _nodes(self, start: int, end: int) -> None:
        """Compare the nodes that these leaves complete with those that were kept."""
        levels = range(STEP, max(end.bit_length(), STEP) + 1, STEP)
        kept = await self.sql.fetch(
            _NODES,
            list(levels),
            [start >> level for level in levels],
            [(end >> level) - 1 for level in levels],
        )
        found = {(row["level"], row["number"]): row["hash"] for row in kept}
        for (level, number), value in sorted(self.made.items()):
            span = (number << level, (number + 1) << level)
            told = any(first < span[1] and last > span[0] for first, last in self.wrong)
            if (
                self.whole_tree
                and not told
                and len(self.wrong) < MAX_FINDINGS
                and found.get((level, number)) != value
            ):
                self.wrong.append(span)
                self._found(Kind.NODE, first=span[0], last=span[1] - 1)
        self.made.clear()

    async def _heads(self) -> AsyncIterator[SignedHead]:
        """Yield all heads in the order of their sizes, with the one that is kept elsewhere."""
        kept, after, moment, ids = self.kept, 0, 0, dict[str, None]()
        while rows := await self.sql.fetch(_HEADS, after, self.page):
            for row in rows:
                head = TreeHead(row["timestamp"], row["tree_size"], row["root_hash"])
                signed = SignedHead(head, row["signature"], row["public_key"])
                if kept is not None and kept.head.size <= signed.head.size:
                    self._signature(kept)
                    yield kept
                    kept = None
                if signed.head.timestamp <= moment:
                    self._of_head(Kind.ORDER, signed.head)
                ids[self._signature(signed)] = None
                moment = signed.head.timestamp
                self.report.signed = signed.head.size
                yield signed
            after = rows[-1]["tree_size"]
        if kept is not None:
            self._signature(kept)
            yield kept
        self.report.log_ids = list(ids)

    def _signature(self, signed: SignedHead) -> str:
        """Check who signed a head; return the log's id."""
        self.report.heads += 1
        try:
            signed.check()
            key = tree_head.decode_key(signed.public_key)
        except BadProof:
            self._of_head(Kind.SIGNATURE, signed.head)
            return ""
        if self.key is not None and tree_head.log_id(self.key) != tree_head.log_id(key):
            self._of_head(Kind.KEY, signed.head)
        return tree_head.log_id(key).hex()

    def _root(self, signed: SignedHead) -> None:
        """Compare the tree with what was signed at this size."""
        size = signed.head.size
        if not self.whole_tree or size != self.tree.size:
            return
        if self.tree.root == signed.head.root:
            self.agreed = size
        elif not self._told(Kind.HEAD, signed):
            self._found(
                Kind.HEAD, first=self.agreed, last=size - 1, timestamp=signed.head.timestamp
            )

    def _told(self, kind: Kind, signed: SignedHead) -> bool:
        """Whether it follows from what was found: a tree that differs once differs ever after."""
        follows = kind in self.told and signed is not self.kept
        self.told.add(kind)
        return follows

    def _shrunk(self, signed: SignedHead) -> None:
        if not self._told(Kind.SHRUNK, signed):
            self._found(
                Kind.SHRUNK,
                first=self.tree.size,
                last=signed.head.size - 1,
                timestamp=signed.head.timestamp,
            )

    def _sort_suspects(self) -> None:
        """Tell lines that stand in each other's place from those that say something else."""
        by_hash = {each.kept: each.seq for each in self.suspects}
        for each in self.suspects:
            origin = next(
                (
                    other.seq
                    for other in self.suspects
                    if other is not each and _moved(each, other.seq) == other.kept
                ),
                by_hash.get(merkle.leaf_hash(each.text.encode())),
            )
            kind = Kind.ALTERED if origin is None else Kind.REORDERED
            self._found(kind, seq=each.seq, other=origin, first=each.index, last=each.index)

    async def _outside(self) -> None:
        """Look for lines that are not in the tree: they came late, or past it."""
        settled = await self.sql.fetchval(
            "SELECT coalesce((SELECT settled FROM log_heads ORDER BY tree_size DESC LIMIT 1), 0)"
        )
        after: int | None = _BEFORE_ALL
        while after is not None:
            (row,) = await self.sql.fetch(_OUTSIDE, after, self.page)
            for seq in row["missing"] or ():
                if seq <= settled:
                    self._found(Kind.INSERTED, seq=seq)
                else:
                    self.report.waiting += 1
            after = row["last"]

    async def _guards(self) -> None:
        guarded = {row["relname"] for row in await self.sql.fetch(_GUARDED, list(_TABLES))}
        for table in sorted(set(_TABLES) - guarded):
            self._found(Kind.UNGUARDED, table=table)

    def _of_head(self, kind: Kind, head: TreeHead) -> None:
        self._found(kind, first=0, last=head.size - 1, timestamp=head.timestamp)

    def _found(self, kind: Kind, **what: Any) -> None:
        self.report.add(Finding(kind, **what))


def _moved(suspect: _Suspect, seq: int) -> bytes:
    """Return the hash of a line as it would be under another number."""
    return merkle.leaf_hash(
        suspect.text.replace(f'"seq": {suspect.seq},', f'"seq": {seq},', 1).encode()
    )
