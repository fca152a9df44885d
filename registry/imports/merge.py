"""One batch of an import, in one transaction; and the beginning and the end of an import."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from protocol.errors import StoreUnavailable
from registry import audit
from registry.imports import checks, modes
from registry.imports.batches import Batch, Refusal
from registry.imports.mapping import NO_MAPPING, Mapping
from registry.imports.rows import COLUMNS
from registry.prefixes import ACTIVE, HOSTED

MAX_ERRORS = 100_000
"""Refused rows whose reasons are stored for one import; the count goes on."""

_INSERT_TRIES = 5

STAGING = """
CREATE TEMPORARY TABLE import_rows (
    prefix text COLLATE "C", suffix_key text COLLATE "C", suffix text COLLATE "C",
    values jsonb, template text
) ON COMMIT DELETE ROWS
"""


def _merge(values: str) -> str:
    """Return the statement that registers rows. values: what they say, in SQL.

    A row that says what is registered already, but for the time, makes no new version.
    """
    return f"""
INSERT INTO identifiers AS i (prefix, suffix_key, suffix, values, template)
SELECT prefix, suffix_key, suffix, values, template FROM import_rows
ON CONFLICT (prefix, suffix_key) DO UPDATE
SET suffix = excluded.suffix, values = {values}, template = excluded.template
WHERE (i.suffix, i.template) IS DISTINCT FROM (excluded.suffix, excluded.template)
    OR (SELECT jsonb_agg(v - 'timestamp') FROM jsonb_array_elements(i.values) AS v)
        IS DISTINCT FROM
        (SELECT jsonb_agg(v - 'timestamp') FROM jsonb_array_elements({values}) AS v)
"""  # noqa: S608  only columns of ours


_MERGE = _merge("excluded.values")
_MERGE_TABLE = _merge("for_whom_before(i.values, excluded.values)")
"""Cells say nothing of audiences: a value stays for whom it was."""

# As `prefix_to_write` says it.
_PREFIXES = """
SELECT p.prefix, p.hosting, p.enterprise_id,
    CASE WHEN p.status = 'active' AND e.status <> 'approved'
        THEN 'of a suspended enterprise' ELSE p.status END AS status
FROM prefixes AS p JOIN enterprises AS e ON e.id = p.enterprise_id
WHERE p.prefix = ANY ($1) ORDER BY p.prefix FOR SHARE
"""

_PROGRESS = """
UPDATE imports
SET read = $3, done = done + $4, failed = failed + $5, seconds = seconds + $6, progress = $7,
    updated_at = now()
WHERE id = $1 AND read = $2 AND state = 'running'
"""

_WRITER = f"SELECT set_config('{audit.WRITER}', $1, true)"

_AUDIT = """
INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, $2, $3, $4)
"""

# A dry run begins anew: what an earlier attempt has seen went with its connection.
_BEGIN = """
UPDATE imports
SET state = 'running', updated_at = now(),
    read = CASE WHEN dry_run THEN 0 ELSE read END,
    done = CASE WHEN dry_run THEN 0 ELSE done END,
    failed = CASE WHEN dry_run THEN 0 ELSE failed END,
    seconds = CASE WHEN dry_run THEN 0 ELSE seconds END,
    progress = CASE WHEN dry_run THEN 0 ELSE progress END
WHERE id = $1 AND state IN ('queued', 'running')
RETURNING id, enterprise_id, actor, format, prefix, template, mapping, mode, dry_run, bytes, read,
    failed
"""

_FORGET = "DELETE FROM import_errors WHERE import_id = $1"

_END = """
UPDATE imports
SET state = $2, reason = $3, seconds = seconds + $4, updated_at = now(), finished_at = now(),
    progress = CASE WHEN $2 = 'failed' THEN progress ELSE 1 END
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
    mapping: Mapping
    mode: modes.Mode
    dry_run: bool
    bytes: int
    read: int
    failed: int


class Overtaken(Exception):
    """The import went on without us: another process works on it, or it was cancelled."""


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
    if job.mode == modes.INSERT and await _looks_first(connection, job, batch):
        await modes.refuse_registered(connection, batch, dry_run=job.dry_run)
    await checks.refuse_unregistered(connection, batch, dry_run=job.dry_run)
    if job.dry_run:
        await modes.see(connection, batch)
    else:
        await connection.execute(_WRITER, job.actor)
        await _register(connection, job, batch, course)
        await _audit(connection, job, "import.batch", batch.attested())
    failed = len(batch.refusals)
    if failed and course.room > 0:
        await _store_refusals(connection, job, batch.refusals[: course.room])
        course.room -= failed
    await _move_on(connection, job, batch, seconds)
    await connection.execute("COMMIT")


async def _looks_first(connection: asyncpg.Connection, job: Import, batch: Batch) -> bool:
    """Whether writing alone would not show what is registered already."""
    return job.dry_run or bool(await modes.with_ranges(connection, batch.groups))


async def _register(
    connection: asyncpg.Connection, job: Import, batch: Batch, course: Course
) -> None:
    if job.mode == modes.INSERT:
        await _insert_all(connection, batch)
    elif batch.accepted:
        course.fresh = course.fresh and await _insert(connection, batch)
        if not course.fresh:
            await connection.copy_to_table("import_rows", source=_source(batch), columns=COLUMNS)
            await connection.execute(_MERGE if job.format == "ndjson" else _MERGE_TABLE)


async def _insert_all(connection: asyncpg.Connection, batch: Batch) -> None:
    """Register a batch of which nothing may be there. Raises StoreUnavailable; later may do."""
    for _ in range(_INSERT_TRIES):
        if not batch.accepted or await _insert(connection, batch):
            return
        # One of them is registered already.
        await modes.refuse_registered(connection, batch, dry_run=False)
    raise StoreUnavailable("others register the identifiers of this import at this moment")


async def _move_on(
    connection: asyncpg.Connection, job: Import, batch: Batch, seconds: float
) -> None:
    """Move the progress on; last of all, so that who cancels need not wait for the batch."""
    moved = await connection.execute(
        _PROGRESS,
        job.id,
        batch.after,
        batch.last,
        batch.accepted,
        len(batch.refusals),
        seconds,
        batch.share,
    )
    if moved != "UPDATE 1":
        raise Overtaken


async def _refuse_prefixes(connection: asyncpg.Connection, job: Import, batch: Batch) -> None:
    """Refuse the rows under prefixes that this import may not write to.

    The lock holds off a suspension until the batch is committed.
    """
    found = {row["prefix"]: row for row in await connection.fetch(_PREFIXES, list(batch.groups))}
    for prefix in list(batch.groups):
        reason = _why_not(job, prefix, found.get(prefix))
        if reason is not None:
            batch.refuse_prefix(prefix, "prefix", reason)


def _why_not(job: Import, prefix: str, row: Any) -> str | None:
    # Whose prefix it is, or whether it exists, is nobody else's business.
    if row is None or job.enterprise_id not in (None, row["enterprise_id"]):
        return f"the prefix {prefix} is not registered for this enterprise"
    if row["status"] != ACTIVE:
        return f"the prefix {prefix} is {row['status']}"
    if row["hosting"] != HOSTED:
        return f"the prefix {prefix} is delegated: it lives on another node"
    return None


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
    async with connection.transaction():
        row = await connection.fetchrow(_BEGIN, import_id)
        if row is None:
            return None
        mapping = NO_MAPPING
        if row["mapping"] is not None:
            mapping = msgspec.json.decode(row["mapping"], type=Mapping)
        job = Import(**{**row, "mapping": mapping})
        if job.dry_run:
            await connection.execute(_FORGET, import_id)
    return job


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
