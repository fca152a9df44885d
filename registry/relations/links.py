"""What everybody may know of the relations of one identifier: for resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from registry.relations.model import Key

# What its owner states in public, from its own side: of others it is not known if it is so.
_PUBLIC = """
SELECT kind, target FROM (
    (SELECT kind, target, version FROM relations
        WHERE prefix = $1 AND suffix_key = $2 AND valid_to IS NULL AND audience = 'public'
        ORDER BY kind, version LIMIT $3)
    UNION ALL
    (SELECT 'contains', prefix || '/' || suffix, version FROM relations
        WHERE target_prefix = $1 AND target_suffix_key = $2 AND kind = 'part-of' AND prefix = $1
            AND valid_to IS NULL AND audience = 'public'
        ORDER BY version LIMIT $3)
) AS stated ORDER BY kind, version LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Link:
    """That the identifier that was asked for is `kind` `target`."""

    kind: str
    target: str


async def public(pool: asyncpg.Pool, key: Key, limit: int) -> Sequence[Link]:
    """Return at most `limit` relations that the owner of an identifier states in public."""
    rows = await pool.fetch(_PUBLIC, *key, limit)
    return [Link(*row) for row in rows]
