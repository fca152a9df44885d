"""The tree as it is stored: the hashes of all leaves, and every fourth level of nodes above them.

The levels between are worked out from at most eight hashes of the stored level below. Nothing that
is stored changes any more: the tree only grows, and so do its tables.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import merkle
from protocol.merkle import HASH_BYTES, Frontier, Node, Span

STEP = 4
"""Of so many levels one is stored."""

_SIZE = sa.text("SELECT coalesce(max(leaf_index) + 1, 0) FROM log_entries")

_HASHES = sa.text(
    """
    SELECT CASE asked.level
        WHEN 0 THEN (SELECT string_agg(leaf_hash, '' ORDER BY leaf_index) FROM log_entries
                     WHERE leaf_index BETWEEN asked.first AND asked.last)
        ELSE (SELECT string_agg(hash, '' ORDER BY number) FROM log_nodes
              WHERE level = asked.level AND number BETWEEN asked.first AND asked.last)
        END
    FROM unnest(:levels, :firsts, :lasts)
        WITH ORDINALITY AS asked (level, first, last, place)
    ORDER BY asked.place"""
).bindparams(
    sa.bindparam("levels", type_=pg.ARRAY(sa.SmallInteger)),
    sa.bindparam("firsts", type_=pg.ARRAY(sa.BigInteger)),
    sa.bindparam("lasts", type_=pg.ARRAY(sa.BigInteger)),
)


class BrokenTree(Exception):
    """Hashes that were stored are not there; `idnode audit verify` says more."""


async def size(connection: AsyncConnection) -> int:
    """Return how many leaves the tree has."""
    return int((await connection.execute(_SIZE)).scalar_one())


async def nodes(connection: AsyncConnection, wanted: Sequence[Node]) -> list[bytes]:
    """Return the hashes of nodes, in one round trip. Raises BrokenTree."""
    if not wanted:
        return []
    above = [level % STEP for level, _ in wanted]
    firsts = [number << up for (_, number), up in zip(wanted, above, strict=True)]
    counts = [1 << up for up in above]
    found = await connection.scalars(
        _HASHES,
        {
            "levels": [level - up for (level, _), up in zip(wanted, above, strict=True)],
            "firsts": firsts,
            "lasts": [first + count - 1 for first, count in zip(firsts, counts, strict=True)],
        },
    )
    hashes = []
    for node, count, octets in zip(wanted, counts, found, strict=True):
        if octets is None or len(octets) != count * HASH_BYTES:
            raise BrokenTree(f"the tree has no complete node {node[1]} of level {node[0]}")
        hashes.append(merkle.complete(cut(octets)))
    return hashes


async def subtrees(connection: AsyncConnection, spans: Sequence[Span]) -> list[bytes]:
    """Return the hashes of subtrees, in one round trip. Raises BrokenTree."""
    parts = [merkle.nodes_of(span) for span in spans]
    hashes = iter(await nodes(connection, [node for part in parts for node in part]))
    return [merkle.join([next(hashes) for _ in part]) for part in parts]


async def frontier(connection: AsyncConnection, leaves: int) -> Frontier:
    """Return the right edge of the tree of so many leaves. Raises BrokenTree."""
    return Frontier(leaves, await nodes(connection, merkle.nodes_of((0, leaves))))


def cut(octets: bytes) -> list[bytes]:
    """Return the hashes that stand one after the other in `octets`."""
    return [octets[at : at + HASH_BYTES] for at in range(0, len(octets), HASH_BYTES)]
