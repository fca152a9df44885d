"""What is known of imports: their progress, and the rows that were refused."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import NotFound
from registry.principals import AUDITOR, OPERATOR, STAFF
from registry.schema import import_errors, imports
from registry.services import Record, Work

_RECORD = (
    imports.c.id,
    imports.c.state,
    imports.c.format,
    imports.c.prefix,
    imports.c.template,
    imports.c.mapping,
    imports.c.mode,
    imports.c.dry_run,
    (imports.c.done + imports.c.failed).label("rows"),
    imports.c.done,
    imports.c.failed,
    imports.c.seconds,
    imports.c.progress,
    imports.c.reason,
    imports.c.created_at,
    imports.c.finished_at,
)


async def get(work: Work, import_id: uuid.UUID) -> Record:
    """Return an import that the caller may see. Raises NotFound, also for one of others."""
    query = sa.select(*_RECORD).where(imports.c.id == import_id, *_visible(work))
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no import {import_id}")
    return row


async def page(
    work: Work,
    *,
    before: tuple[datetime.datetime, uuid.UUID] | None,
    limit: int,
    state: str | None = None,
    prefix: str | None = None,
) -> Sequence[Record]:
    """Return at most `limit` imports that the caller may see, the newest first.

    before: creation time and id of the last one of the page before. state, prefix: only imports of
    this state, and that name this prefix.
    """
    query = (
        sa.select(*_RECORD)
        .where(*_visible(work))
        .order_by(imports.c.created_at.desc(), imports.c.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(imports.c.state == state)
    if prefix is not None:
        query = query.where(imports.c.prefix == prefix)
    if before is not None:
        position = sa.tuple_(sa.literal(before[0]), sa.literal(before[1]))
        query = query.where(sa.tuple_(imports.c.created_at, imports.c.id) < position)
    return (await work.connection.execute(query)).all()


def _visible(work: Work) -> list[sa.ColumnElement[bool]]:
    """Operators and auditors see all imports, an enterprise its own, anybody else none."""
    own = work.principal.enterprise_id
    work.principal.require(*STAFF, enterprise=own, scope="imports")
    if work.principal.role in (OPERATOR, AUDITOR):
        return []
    # The import of an operator has no enterprise; neither has a reviewer, who shall not see it.
    if own is None:
        return [sa.false()]
    return [imports.c.enterprise_id == own]


async def errors(
    connection: AsyncConnection, import_id: uuid.UUID, *, after: int, limit: int
) -> Sequence[Record]:
    """Return at most `limit` refused rows after row `after`: row, column, reason."""
    query = (
        sa.select(import_errors.c.row, import_errors.c.column, import_errors.c.reason)
        .where(import_errors.c.import_id == import_id, import_errors.c.row > after)
        .order_by(import_errors.c.row)
        .limit(limit)
    )
    return (await connection.execute(query)).all()
