"""How the rows of an import meet what is registered already."""

from __future__ import annotations

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
    found = await _ask(connection, _MISSING, keys)
    if dry_run and found:
        found = await _ask(connection, _NOT_SEEN, found)
    return set(found)


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
