"""How many files one enterprise may have waiting, and how large they may be together.

Files stand in the database that everybody uses: what one enterprise sends must not fill it.
"""

from __future__ import annotations

import datetime
import uuid

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import Conflict
from registry.housekeeping import RESUMABLE_SECONDS
from registry.schema import imports

MAX_OPEN = 50
"""Imports of one enterprise that are not at their end."""

MAX_BYTES = 16 << 30
"""Bytes of the files of one enterprise that are kept: of open imports, and of those that failed or
were cancelled and may be resumed."""

_OPEN = ("uploading", "queued", "running")
_RESUMABLE = ("failed", "cancelled")
_ONE_AT_A_TIME = sa.text("SELECT pg_advisory_xact_lock(hashtext('imports of ' || :whose))")


async def check_another(connection: AsyncConnection, enterprise_id: uuid.UUID | None) -> None:
    """Let pass another import of an enterprise; None: of the node's own people, together.

    Requests of one enterprise wait here for each other's commit. Raises Conflict.
    """
    await connection.execute(_ONE_AT_A_TIME, {"whose": str(enterprise_id)})
    count = sa.select(sa.func.count()).where(_of(enterprise_id), imports.c.state.in_(_OPEN))
    if (await connection.scalar(count) or 0) >= MAX_OPEN:
        raise Conflict(f"{MAX_OPEN} imports are under way: wait for one of them, or cancel it")


async def check_bytes(connection: AsyncConnection, enterprise_id: uuid.UUID | None) -> None:
    """Let pass what is stored of an enterprise's files by now. Raises Conflict."""
    kept_since = sa.func.now() - datetime.timedelta(seconds=RESUMABLE_SECONDS)
    kept = sa.or_(
        imports.c.state.in_(_OPEN),
        sa.and_(imports.c.state.in_(_RESUMABLE), imports.c.finished_at > kept_since),
    )
    stored = sa.select(sa.func.sum(imports.c.bytes)).where(_of(enterprise_id), kept)
    if (await connection.scalar(stored) or 0) > MAX_BYTES:
        raise Conflict(
            f"the files that are kept have more than {MAX_BYTES} bytes: those of failed and"
            " cancelled imports are kept for 7 days"
        )


def _of(enterprise_id: uuid.UUID | None) -> sa.ColumnElement[bool]:
    return imports.c.enterprise_id.is_not_distinct_from(enterprise_id)
