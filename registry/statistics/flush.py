"""From the files of counts into PostgreSQL: every count once, whatever fails in between.

The counts of a file only grow. What of them has been added to the hours stands in
`resolution_sources`, written in the transaction that adds them; so the next time only the
difference is added, whether or not anybody has learned that the transaction was committed.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.metrics import RESULTS
from registry.schema import resolution_hours, resolution_sources
from registry.statistics import hour_of, partitions
from registry.statistics.cells import CountFile, Counts

_NEW_HOURS = insert(resolution_hours)
_ADD = _NEW_HOURS.on_conflict_do_update(
    index_elements=["prefix", "hour"],
    set_={name: resolution_hours.c[name] + _NEW_HOURS.excluded[name] for name in RESULTS},
)
_NEW_SOURCE = insert(resolution_sources)
_REMEMBER = _NEW_SOURCE.on_conflict_do_update(
    index_elements=["source"],
    set_={
        "counts": _NEW_SOURCE.excluded.counts,
        "ended": _NEW_SOURCE.excluded.ended,
        "updated_at": sa.func.now(),
    },
)
_KNOWN = (
    sa.select(resolution_sources.c.counts, resolution_sources.c.ended)
    .where(
        resolution_sources.c.source == sa.bindparam("at", type_=resolution_sources.c.source.type)
    )
    .with_for_update()
)


async def flush(
    connection: AsyncConnection, file: CountFile, counts: Counts, *, ended: bool = False
) -> None:
    """Add what of the counts of a file is not added yet to the hours, in this transaction.

    ended: nothing will be counted in the file any more.
    """
    known = (await connection.execute(_KNOWN, {"at": file.source})).one_or_none()
    if known is not None and known.ended:
        return
    before = {} if known is None else known.counts
    now = {prefix: list(each) for prefix, each in counts.items()}
    hour = hour_of(file.hour)
    added = _added(before, now)
    if added:
        await partitions.make(connection, hour.date())
        rows = [{"prefix": prefix, "hour": hour, **each} for prefix, each in added]
        await connection.execute(_ADD, rows)
    kept = {} if ended else now
    await connection.execute(_REMEMBER, {"source": file.source, "counts": kept, "ended": ended})


def _added(
    before: dict[str, list[int]], now: dict[str, list[int]]
) -> list[tuple[str, dict[str, Any]]]:
    """Return what has come by prefix, in order: writers who meet wait in no circle."""
    nothing = [0] * len(RESULTS)
    added = []
    for prefix in sorted(now):
        earlier = before.get(prefix, nothing)
        if now[prefix] != earlier:
            differences = (new - old for new, old in zip(now[prefix], earlier, strict=True))
            added.append((prefix, dict(zip(RESULTS, differences, strict=True))))
    return added
