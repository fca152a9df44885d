"""How a node fares, as its heartbeat tells the top-level node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.outbox import Waiting

LONGEST_LAG = 30.0
"""Seconds without a look at the change log after which a node does not count as ready."""

_Seconds = Annotated[float, Meta(ge=0, le=1e12)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Version = Annotated[str, Meta(max_length=100)]


class Health(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Part of a heartbeat.

    ready: a worker reaches the database and follows its changes. lag_seconds: how old the oldest
    look of a worker at the change log is. errors: queries that were not answered, for want of the
    database or by a fault, since the node was started. failing: messages that were sent in vain and
    wait. waiting_seconds: how long the oldest message has waited. database: version of PostgreSQL.
    schema: migration of the tables.
    """

    ready: bool
    lag_seconds: _Seconds
    errors: _Count
    failing: _Count
    waiting_seconds: _Seconds
    database: _Version
    schema: _Version


@dataclass(frozen=True)
class Workers:
    """What the workers say of themselves: see Health. reaching: those that reach the database."""

    reaching: int
    lag_seconds: float
    errors: int


async def look(connection: AsyncConnection, workers: Workers, waiting: Waiting) -> Health:
    """Put together what is known of this node."""
    query = sa.text(
        "SELECT current_setting('server_version') AS database, version_num AS schema"
        " FROM alembic_version"
    )
    row = (await connection.execute(query)).one()
    return Health(
        ready=workers.reaching > 0 and workers.lag_seconds <= LONGEST_LAG,
        lag_seconds=round(workers.lag_seconds, 3),
        errors=workers.errors,
        failing=waiting.failing,
        waiting_seconds=round(waiting.oldest_age, 3),
        database=row.database,
        schema=row.schema,
    )
