"""How the rows of an import meet what is registered already."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import asyncpg

from registry.imports.batches import IDENTIFIER, Batch, Key

Mode = Literal["upsert", "insert"]

UPSERT: Mode = "upsert"
"""A row replaces what its identifier said before."""

INSERT: Mode = "insert"
"""A row registers an identifier that is not there; one that is there is refused."""

SEEN = """
CREATE TEMPORARY TABLE import_seen (
    prefix text COLLATE "C", suffix_key text COLLATE "C", PRIMARY KEY (prefix, suffix_key)
)
"""
"""What a dry run would have registered so far. It goes with the connection."""

_MISSING = "SELECT place FROM identifiers_missing($1, $2)"

# To look for the range of each identifier takes longer than all else.
_WITHOUT_ROW = """
SELECT q.place::integer AS place
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (prefix, suffix_key, place)
WHERE NOT EXISTS (
    SELECT FROM identifiers AS i WHERE i.prefix = q.prefix AND i.suffix_key = q.suffix_key)
"""
_WITH_RANGES = """
SELECT q.prefix FROM unnest($1::text[]) AS q (prefix)
WHERE EXISTS (SELECT FROM ranges AS r WHERE r.prefix = q.prefix)
"""

_NOT_SEEN = """
SELECT q.place::integer AS place
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (prefix, suffix_key, place)
WHERE NOT EXISTS (
    SELECT FROM import_seen AS s WHERE s.prefix = q.prefix AND s.suffix_key = q.suffix_key)
"""

_SEE = """
INSERT INTO import_seen SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING
"""


async def missing(connection: asyncpg.Connection, keys: list[Key], *, dry_run: bool) -> set[Key]:
    """Return which identifiers are not registered.

    dry_run: those that earlier batches would have registered count as registered.
    """
    ranged = await with_ranges(connection, {prefix for prefix, _ in keys})
    found = await _ask(connection, _MISSING, [key for key in keys if key[0] in ranged])
    others = [key for key in keys if key[0] not in ranged]
    found += await _ask(connection, _WITHOUT_ROW, others)
    if dry_run and found:
        found = await _ask(connection, _NOT_SEEN, found)
    return set(found)


async def with_ranges(connection: asyncpg.Connection, prefixes: Iterable[str]) -> set[str]:
    """Return which prefixes have ranges: identifiers that are registered without a row."""
    return {row["prefix"] for row in await connection.fetch(_WITH_RANGES, list(prefixes))}


async def refuse_registered(connection: asyncpg.Connection, batch: Batch, *, dry_run: bool) -> None:
    """Refuse the rows whose identifiers are registered already."""
    keys = batch.keys()
    new = await missing(connection, keys, dry_run=dry_run)
    for key in keys:
        if key not in new:
            batch.refuse(key, IDENTIFIER, f"{key[0]}/{key[1]} is registered already")


async def see(connection: asyncpg.Connection, batch: Batch) -> None:
    """Note what a batch of a dry run would have registered."""
    await connection.execute(_SEE, *_columns(batch.keys()))


async def _ask(connection: asyncpg.Connection, query: str, keys: list[Key]) -> list[Key]:
    """Return the keys whose places a query gives."""
    if not keys:
        return []
    return [keys[row["place"] - 1] for row in await connection.fetch(query, *_columns(keys))]


def _columns(keys: list[Key]) -> tuple[list[str], list[str]]:
    return [prefix for prefix, _ in keys], [suffix_key for _, suffix_key in keys]
