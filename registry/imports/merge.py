"""One batch of an import, in one transaction; and the beginning and the end of an import."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from registry import audit
from registry.imports import checks
from registry.imports.batches import Batch, Refusal
from registry.imports.rows import COLUMNS
from registry.prefixes import ACTIVE, HOSTED

MAX_ERRORS = 100_000
"""Refused rows whose reasons are stored for one import; the count goes on."""

STAGING = """
CREATE TEMPORARY TABLE import_rows (
    prefix text COLLATE "C", suffix_key text COLLATE "C", suffix text COLLATE "C",
    values jsonb, template text
) ON COMMIT DELETE ROWS
"""

# A row that says what is registered already, but for the time, makes no new version.
_MERGE = """
INSERT INTO identifiers AS i (prefix, suffix_key, suffix, values, template)
SELECT prefix, suffix_key, suffix, values, template FROM import_rows
ON CONFLICT (prefix, suffix_key) DO UPDATE
SET suffix = excluded.suffix, values = excluded.values, template = excluded.template
WHERE (i.suffix, i.template) IS DISTINCT FROM (excluded.suffix, excluded.template)
    OR (SELECT jsonb_agg(v - 'timestamp') FROM jsonb_array_elements(i.values) AS v)
        IS DISTINCT FROM
        (SELECT jsonb_agg(v - 'timestamp') FROM jsonb_array_elements(excluded.values) AS v)
"""

_PREFIXES = """
SELECT prefix, status, hosting, enterprise_id FROM prefixes WHERE prefix = ANY ($1) FOR SHARE
"""

_PROGRESS = """
UPDATE imports
SET read = $3, done = done + $4, failed = failed + $5, seconds = seconds + $6, updated_at = now()
WHERE id = $1 AND read = $2 AND state = 'running'
"""

_WRITER = f"SELECT set_config('{audit.WRITER}', $1, true)"

_AUDIT = """
INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, $2, $3, $4)
"""

_END = """
UPDATE imports
SET state = $2, reason = $3, seconds = seconds + $4, updated_at = now(), finished_at = now()
WHERE id = $1 AND state = 'running'
"""


@dataclass(frozen=True, slots=True)
class Import:
    """An import as it stood when work on it began."""

    id: uuid.UUID
    enterprise_id: uuid.UUID | None
    actor: str
    format: str
    prefix: str | None
    template: str | None
    bytes: int
    read: int
    failed: int


class Overtaken(Exception):
    """The import went on without us: another process works on it, or it is gone."""


@dataclass(slots=True)
class Course:
    """What one attempt at an import learns on its way.

    room: for how many refusals there is still space. fresh: so far nothing in the file was
    registered already.
    """

    room: int
    fresh: bool = True


async def write(
    connection: asyncpg.Connection, job: Import, batch: Batch, course: Course, *, seconds: float
) -> None:
    """Commit one batch; on any error the caller drops the connection.

    Raises Overtaken, and checks.TemplateWithdrawn: the rows from here on must be read anew.

    seconds: how long the batch took.
    """
    await connection.execute("BEGIN")
    await checks.hold_templates(connection, batch)  # before the lock of any prefix
    await _refuse_prefixes(connection, job, batch)
    await checks.refuse_unregistered(connection, batch)
    done, failed = batch.accepted, len(batch.refusals)
    moved = await connection.execute(
        _PROGRESS, job.id, batch.after, batch.last, done, failed, seconds
    )
    if moved != "UPDATE 1":
        raise Overtaken
    if done:
        await connection.execute(_WRITER, job.actor)
        course.fresh = course.fresh and await _insert(connection, batch)
        if not course.fresh:
            await connection.copy_to_table("import_rows", source=_source(batch), columns=COLUMNS)
            await connection.execute(_MERGE)
    if failed and course.room > 0:
        await _store_refusals(connection, job, batch.refusals[: course.room])
        course.room -= failed
    await _audit(connection, job, "import.batch", batch.attested())
    await connection.execute("COMMIT")


async def _refuse_prefixes(connection: asyncpg.Connection, job: Import, batch: Batch) -> None:
    """Refuse the rows under prefixes that this import may not write to.

    The lock holds off a suspension until the batch is committed.
    """
    found = {row["prefix"]: row for row in await connection.fetch(_PREFIXES, list(batch.groups))}
    for prefix in list(batch.groups):
        reason = _why_not(job, found.get(prefix))
        if reason is not None:
            batch.refuse(prefix, "prefix", f"the prefix {prefix} {reason}")


def _why_not(job: Import, prefix: Any) -> str | None:
    # Whose prefix it is, or whether it exists, is nobody else's business.
    if prefix is None or job.enterprise_id not in (None, prefix["enterprise_id"]):
        return "is not registered for this enterprise"
    if prefix["status"] != ACTIVE:
        return f"is {prefix['status']}"
    return None if prefix["hosting"] == HOSTED else "is delegated: it lives on another node"


async def _insert(connection: asyncpg.Connection, batch: Batch) -> bool:
    """Register a batch of new identifiers, twice as fast as by merging; False if one was there."""
    await connection.execute("SAVEPOINT fresh")
    try:
        await connection.copy_to_table("identifiers", source=_source(batch), columns=COLUMNS)
    except asyncpg.UniqueViolationError:
        await connection.execute("ROLLBACK TO SAVEPOINT fresh")
        return False
    return True


async def _source(batch: Batch) -> AsyncIterator[bytes]:
    for part in batch.copy_text():
        yield part


async def _store_refusals(
    connection: asyncpg.Connection, job: Import, refusals: list[Refusal]
) -> None:
    await connection.copy_records_to_table(
        "import_errors",
        records=[(job.id, each.row, _clean(each.column), _clean(each.reason)) for each in refusals],
        columns=("import_id", "row", "column", "reason"),
    )


def _clean(text: str) -> str:
    """Return `text` without what PostgreSQL cannot store: NUL and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


async def begin(connection: asyncpg.Connection, import_id: uuid.UUID) -> Import | None:
    """Mark an import as running; None if it is not open."""
    row = await connection.fetchrow(
        """UPDATE imports SET state = 'running', updated_at = now()
           WHERE id = $1 AND state IN ('queued', 'running')
           RETURNING id, enterprise_id, actor, format, prefix, template, bytes, read,
               failed""",
        import_id,
    )
    return None if row is None else Import(**row)


async def end(
    connection: asyncpg.Connection, job: Import, state: str, reason: str | None, seconds: float
) -> None:
    """End an import and say so in the audit log; its file is left to housekeeping.

    seconds: of work that no batch has counted.
    """
    await connection.execute("BEGIN")
    if await connection.execute(_END, job.id, state, reason, seconds) == "UPDATE 1":
        await _audit(connection, job, f"import.{state}", {"reason": reason} if reason else {})
    await connection.execute("COMMIT")


async def _audit(
    connection: asyncpg.Connection, job: Import, action: str, detail: dict[str, Any]
) -> None:
    text = msgspec.json.encode(detail).decode()
    await connection.execute(_AUDIT, job.actor, action, str(job.id), text)
