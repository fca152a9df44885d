"""The narrow read side that the resolver uses: identifiers by key, and what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from protocol.json_api import decode_values
from protocol.values import HandleValue

CHANNEL = "idnode_changes"
"""NOTIFY channel that wakes readers of the change log; the payload is empty."""

CHANGES_KEPT_SECONDS = 3600
"""How long change_log lines stay at least. A reader that was away longer starts anew."""

Key = tuple[str, str]
"""Prefix and canonical suffix."""

_READ = """
SELECT p.status, p.hosting, p.site, p.service,
    coalesce(i.suffix, m.suffix), coalesce(i.values, m.values)
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (prefix, suffix_key, position)
LEFT JOIN prefixes AS p ON p.prefix = CASE q.prefix WHEN '0.NA' THEN q.suffix_key ELSE q.prefix END
LEFT JOIN identifiers AS i ON i.prefix = q.prefix AND i.suffix_key = q.suffix_key
LEFT JOIN LATERAL (
    SELECT * FROM range_member(q.prefix, q.suffix_key) WHERE i.prefix IS NULL
) AS m ON true
ORDER BY q.position
"""

# One statement sees one snapshot, which is also the one that it returns.
_CHANGES = """
SELECT pg_current_snapshot()::text, extract(epoch FROM clock_timestamp())::float8,
    c.seq, c.prefix, c.suffix_keys
FROM (VALUES (1)) AS always (one)
LEFT JOIN change_log AS c
    ON c.txid >= pg_snapshot_xmin($1::text::pg_snapshot)
    AND NOT pg_visible_in_snapshot(c.txid, $1::text::pg_snapshot)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What the registry says of one key. Without `status` the prefix is not registered."""

    status: str | None
    hosting: str | None
    site: dict[str, Any] | None
    service: str | None
    suffix: str | None
    values: tuple[HandleValue, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What to forget: the suffixes, all of the prefix if there are none, all without a prefix."""

    prefix: str | None
    suffix_keys: Sequence[str] | None


async def read(pool: asyncpg.Pool, keys: Sequence[Key]) -> list[Found]:
    """Look up keys in one round trip; the answers come in the order of the keys."""
    rows = await pool.fetch(_READ, [key[0] for key in keys], [key[1] for key in keys])
    return [_found(row) for row in rows]


# In the order of bytes a slash comes next after a dot.
_BELOW = """
SELECT EXISTS (SELECT FROM identifiers
    WHERE prefix = $1 AND suffix_key >= $2 || '.' AND suffix_key < $2 || '/')
OR EXISTS (SELECT FROM ranges WHERE prefix = $1 AND head >= $2 || '.' AND head < $2 || '/')
"""


async def has_below(pool: asyncpg.Pool, prefix: str, suffix_key: str) -> bool:
    """Whether identifiers are registered whose suffix goes on after this one and a dot."""
    return bool(await pool.fetchval(_BELOW, prefix, suffix_key))


def _found(row: asyncpg.Record) -> Found:
    status, hosting, site, service, suffix, values = row
    return Found(
        status,
        hosting,
        None if site is None else msgspec.json.decode(site),
        service,
        suffix,
        () if values is None else decode_values(msgspec.json.decode(values)),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader of the change log has come.

    snapshot: what it has seen, as PostgreSQL writes a pg_snapshot. at: Unix seconds by the clock
    of the server, which also counts while a reader is paused or its machine asleep.
    """

    snapshot: str
    at: float


async def place(connection: asyncpg.Connection) -> Place:
    """Return the present place, from which `changes` can go on."""
    rows = await connection.fetch(
        "SELECT pg_current_snapshot()::text, extract(epoch FROM clock_timestamp())::float8"
    )
    return Place(rows[0][0], rows[0][1])


async def changes(connection: asyncpg.Connection, since: Place) -> tuple[Place, list[Change]]:
    """Return the present place and what was committed between `since` and it.

    Exact in whatever order transactions commit: a line is returned by the first call whose
    snapshot sees it, and by no other.
    """
    rows = await connection.fetch(_CHANGES, since.snapshot)
    now = Place(rows[0][0], rows[0][1])
    return now, [Change(row[3], row[4]) for row in rows if row[2] is not None]


def may_have_missed(before: Place, after: Place) -> bool:
    """Whether lines between two places may be gone, or never were in this database.

    Lines are deleted some time after CHANGES_KEPT_SECONDS. The transaction counter falls when
    the database is another one or was restored.
    """
    return after.at - before.at > CHANGES_KEPT_SECONDS / 2 or counter(after) < counter(before)


def counter(place: Place) -> int:
    """Return the first transaction that the snapshot of a place does not see."""
    return int(place.snapshot.split(":")[1])
