"""Whose import is next: enterprises take turns, so that nobody waits for all files of another."""

from __future__ import annotations

import uuid

import asyncpg

SECONDS = 300.0
"""Time for which one import keeps others waiting. What is committed by then stays, and it goes on
behind that when its enterprise has its next turn."""

# The enterprise that nothing was done for as long as for no other; of an enterprise the oldest.
# `updated_at` only grows, so no cancelling and resuming makes a turn forgotten.
_NEXT = """
    SELECT id FROM imports AS i
    WHERE state IN ('queued', 'running')
    ORDER BY (SELECT max(updated_at) FROM imports AS other
              WHERE other.enterprise_id IS NOT DISTINCT FROM i.enterprise_id
                  AND (other.seconds > 0 OR other.state NOT IN ('uploading', 'queued'))
             ) NULLS FIRST, created_at
    LIMIT 1"""

_OTHERS = """
    SELECT EXISTS (SELECT FROM imports
                   WHERE state IN ('queued', 'running')
                       AND enterprise_id IS DISTINCT FROM $1)"""


async def following(connection: asyncpg.Connection, *, within: float) -> uuid.UUID | None:
    """Return the import to work on; None if there is none. within: seconds to answer in."""
    found: uuid.UUID | None = await connection.fetchval(_NEXT, timeout=within)
    return found


async def others_wait(
    connection: asyncpg.Connection, enterprise_id: uuid.UUID | None, *, within: float
) -> bool:
    """Whether an import of another enterprise is open. within: seconds to answer in."""
    return bool(await connection.fetchval(_OTHERS, enterprise_id, timeout=within))
