"""Takes committed lines of the audit log into the tree, each once, in an order that is fixed so.

Lines are committed in another order than that of their `seq`, so a place in the tree is given when
a line is first seen committed. A *sweep* looks at all lines after the number up to which everything
is *settled*: taken into the tree, or never to come because its transaction was rolled back. To know
that a number is settled without slowing down who writes, the sequencer notes the last number that
was given out, and then who holds the lock that every INSERT takes on the table before it draws a
number. Once all of those have let go of it, no line up to that number can come any more, and the
sweep that begins then sees all that are there.

What is settled is kept with each head, and is but a place to begin: a batch is one transaction, and
what is in the tree is never taken again, so that a process may be killed at any moment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.database import Database
from registry.transparency import leaf, tree

BATCH = 10_000
"""Lines taken in one transaction."""

BATCH_SECONDS = 30.0

_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtext('idnode log'))")

_SETTLED = sa.text("SELECT settled FROM log_heads ORDER BY tree_size DESC LIMIT 1")

_LAST = sa.text(
    "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('audit_log', 'seq')), 0)"
)

_WRITERS = sa.text(
    """
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock'
        AND relation = 'audit_log'::regclass
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
)

_TAKE = sa.text(
    f"""
    WITH fresh AS (
        SELECT a.seq, {leaf.HASH} AS hash FROM audit_log AS a
        WHERE a.seq > :after AND NOT EXISTS (SELECT FROM log_entries AS e WHERE e.seq = a.seq)
        ORDER BY a.seq LIMIT :rows
    ), taken AS (
        INSERT INTO log_entries (leaf_index, seq, leaf_hash)
        SELECT :size - 1 + row_number() OVER (ORDER BY seq), seq, hash FROM fresh
        RETURNING leaf_index, seq, leaf_hash
    )
    SELECT max(seq) AS last, string_agg(leaf_hash, '' ORDER BY leaf_index) AS hashes
    FROM taken"""  # noqa: S608
).bindparams(
    sa.bindparam("after", type_=sa.BigInteger),
    sa.bindparam("rows", type_=sa.BigInteger),
    sa.bindparam("size", type_=sa.BigInteger),
)

_KEEP_NODES = sa.text(
    "INSERT INTO log_nodes (level, number, hash) SELECT * FROM unnest(:levels, :numbers, :hashes)"
).bindparams(
    sa.bindparam("levels", type_=pg.ARRAY(sa.SmallInteger)),
    sa.bindparam("numbers", type_=pg.ARRAY(sa.BigInteger)),
    sa.bindparam("hashes", type_=pg.ARRAY(pg.BYTEA)),
)


@dataclass(frozen=True)
class Mark:
    """The last number given out at a moment, and who was writing then."""

    last: int
    writers: frozenset[str]


async def hold(connection: AsyncConnection) -> None:
    """Let nobody else work on the tree until the transaction ends."""
    await connection.execute(_LOCK)


class Sequencer:
    """Takes lines into the tree of one database.

    settled: number of the last line up to which all are in the tree, or will never come.
    """

    def __init__(self, database: Database, *, settled: int = 0, batch: int = BATCH) -> None:
        self.settled = settled
        self._database = database
        self._batch = batch
        self._mark: Mark | None = None

    @classmethod
    async def resume(cls, database: Database) -> Sequencer:
        """Go on where the last head was made. Raises StoreUnavailable."""
        async with database.begin() as connection:
            settled = await connection.scalar(_SETTLED)
        return cls(database, settled=settled or 0)

    async def sweep(self, stop: asyncio.Event | None = None) -> int:
        """Take all lines that are committed; return how many. Raises StoreUnavailable."""
        settling = await self._settling()
        total, after = 0, self.settled
        while stop is None or not stop.is_set():
            count, after = await self._take(after)
            total += count
            if count < self._batch:
                if settling is not None:
                    self.settled, self._mark = settling, None
                break
        return total

    async def _settling(self) -> int | None:
        """Return up to which number all is settled once a sweep that begins now is done."""
        async with self._database.begin() as connection:
            last = int((await connection.execute(_LAST)).scalar_one())
            writers = frozenset(await connection.scalars(_WRITERS))  # after `last`: see above
        if self._mark is None:
            self._mark = Mark(last, writers)
        return None if self._mark.writers & writers else self._mark.last

    async def _take(self, after: int) -> tuple[int, int]:
        """Take one batch; return how many lines it has, and the number of the last one."""
        async with self._database.begin(within=BATCH_SECONDS) as connection:
            await hold(connection)
            edge = await tree.frontier(connection, await tree.size(connection))
            asked = {"after": after, "rows": self._batch, "size": edge.size}
            taken = (await connection.execute(_TAKE, asked)).one()
            if taken.last is None:
                return 0, after
            hashes = tree.cut(taken.hashes)
            made: list[tuple[int, int, bytes]] = []

            def keep(level: int, number: int, value: bytes) -> None:
                if level % tree.STEP == 0:
                    made.append((level, number, value))

            for each in hashes:
                edge.append(each, keep)
            if made:
                levels, numbers, values = (list(column) for column in zip(*made, strict=True))
                await connection.execute(
                    _KEEP_NODES, {"levels": levels, "numbers": numbers, "hashes": values}
                )
        return len(hashes), taken.last
