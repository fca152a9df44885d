"""Imports that are told to stop, and to go on."""

from __future__ import annotations

import uuid

import sqlalchemy as sa

from protocol.errors import Conflict
from registry.imports import records, room, uploads
from registry.principals import OPERATOR
from registry.schema import import_chunks, imports
from registry.services import Record, Work

OPEN = ("queued", "running")
RESUMABLE = ("failed", "cancelled")


async def cancel(work: Work, import_id: uuid.UUID) -> Record:
    """End an import; the batch under way is given up, what is committed stays. Return the import.

    One that is cancelled already stays so. Raises InsufficientPermission, NotFound, and Conflict
    for one that has ended, or is not there yet.
    """
    if await _to_change(work, import_id) == "cancelled":
        return await records.get(work, import_id)
    ended = await work.connection.execute(
        imports.update()
        .where(imports.c.id == import_id, imports.c.state.in_(OPEN))
        .values(state="cancelled", updated_at=sa.func.now(), finished_at=sa.func.now())
    )
    record = await records.get(work, import_id)
    if not ended.rowcount:
        raise Conflict(f"the import is {record.state}: only one under way can be cancelled")
    await work.audit("import.cancel", str(import_id), {"done": record.done})
    return record


async def resume(work: Work, import_id: uuid.UUID) -> Record:
    """Let an import that failed or was cancelled go on behind its last batch. Return the import.

    Raises InsufficientPermission, NotFound, and Conflict where it is in another state, its file is
    not kept any more, or too many others are under way.
    """
    await _to_change(work, import_id)
    whose = sa.select(imports.c.enterprise_id).where(imports.c.id == import_id)
    await room.check_another(work.connection, await work.connection.scalar(whose))
    going = await work.connection.execute(
        imports.update()
        .where(imports.c.id == import_id, imports.c.state.in_(RESUMABLE))
        .values(state="queued", reason=None, updated_at=sa.func.now(), finished_at=None)
        .returning(imports.c.bytes)
    )
    size = going.scalar_one_or_none()
    record = await records.get(work, import_id)
    if size is None:
        raise Conflict(
            f"the import is {record.state}: only one that failed or was cancelled goes on"
        )
    pieces = sa.select(sa.func.count()).where(import_chunks.c.import_id == import_id)
    if await work.connection.scalar(pieces) != -(-size // uploads.CHUNK_BYTES):
        raise Conflict("the file is not kept any more: send it again")
    await work.audit("import.resume", str(import_id), {"done": record.done})
    await uploads.wake(work)
    return record


async def _to_change(work: Work, import_id: uuid.UUID) -> str:
    """Return the state of an import that the caller may change."""
    state: str = (await records.get(work, import_id)).state
    work.principal.require(OPERATOR, enterprise=work.principal.enterprise_id, scope="imports")
    return state
