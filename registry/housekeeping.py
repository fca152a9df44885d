"""Housekeeping: what has served its time is deleted, a little at a time."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from protocol.errors import StoreUnavailable
from registry.accounts.throttle import KNOWN
from registry.database import Database
from registry.idempotency import KEPT
from registry.principals import SESSION_IDLE
from registry.store import CHANGES_KEPT_SECONDS

log = structlog.get_logger("idnode.housekeeping")

EVERY_SECONDS = 60.0

ABANDONED_SECONDS = 3600
"""An upload that has not grown for so long is given up."""

DELIVERED_SECONDS = 30 * 86_400
"""How long the outbox still shows what the top-level node has."""

ENDED_IMPORT_SECONDS = 180 * 86_400
"""How long an import that has ended can be asked for, with its errors."""

RESUMABLE_SECONDS = 7 * 86_400
"""How long the file of an import that failed or was cancelled is kept, so that it may go on."""

MAX_BATCHES = 1000
"""Transactions for one task in one round; what is left is the next round's."""

_BATCH_SECONDS = 30.0


@dataclass(frozen=True)
class Task:
    """One thing to clean up: `statement` deletes at most `rows` rows, older than `age` seconds."""

    name: str
    statement: str
    rows: int
    age: float = 0


TASKS = (
    Task(
        "change_log",
        """DELETE FROM change_log WHERE seq IN (
               SELECT seq FROM change_log
               WHERE created_at < now() - make_interval(secs => :age)
               ORDER BY seq LIMIT :rows)""",
        rows=1000,
        age=CHANGES_KEPT_SECONDS,
    ),
    Task(
        "idempotency_keys",
        """DELETE FROM idempotency_keys
           WHERE created_at < now() - make_interval(secs => :age)
               AND (actor, key) IN (
                   SELECT actor, key FROM idempotency_keys
                   WHERE created_at < now() - make_interval(secs => :age)
                   ORDER BY created_at LIMIT :rows)""",
        rows=1000,
        age=KEPT.total_seconds(),
    ),
    Task(
        "handle_challenges",
        """DELETE FROM handle_challenges WHERE id IN (
               SELECT id FROM handle_challenges
               WHERE expires_at < now() - make_interval(secs => :age) LIMIT :rows)""",
        rows=1000,
    ),
    # A session that goes on has just got a later end: the condition is looked at again.
    Task(
        "handle_sessions",
        """DELETE FROM handle_sessions
           WHERE expires_at < now() - make_interval(secs => :age)
               AND id IN (
                   SELECT id FROM handle_sessions
                   WHERE expires_at < now() - make_interval(secs => :age) LIMIT :rows)""",
        rows=1000,
    ),
    # The conditions stand outside too, where they are looked at again if somebody else has just
    # changed the row: an upload that goes on after all is not cut off. Its chunks go with it.
    Task(
        "abandoned_uploads",
        """DELETE FROM imports
           WHERE state = 'uploading' AND updated_at < now() - make_interval(secs => :age)
               AND id IN (
                   SELECT id FROM imports
                   WHERE state = 'uploading' AND updated_at < now() - make_interval(secs => :age)
                   LIMIT :rows)""",
        rows=1,
        age=ABANDONED_SECONDS,
    ),
    Task(
        "files_of_ended_imports",
        """DELETE FROM import_chunks WHERE (import_id, number) IN (
               SELECT c.import_id, c.number
               FROM import_chunks AS c JOIN imports AS i ON i.id = c.import_id
               WHERE i.finished_at < now() - make_interval(
                   secs => CASE WHEN i.state IN ('failed', 'cancelled') THEN :age ELSE 0 END)
               LIMIT :rows)""",
        rows=64,
        age=RESUMABLE_SECONDS,
    ),
    # Of an import, the errors go first: there may be millions, too many for one transaction.
    Task(
        "errors_of_old_imports",
        """DELETE FROM import_errors WHERE (import_id, row) IN (
               SELECT e.import_id, e.row
               FROM import_errors AS e JOIN imports AS i ON i.id = e.import_id
               WHERE i.finished_at < now() - make_interval(secs => :age)
               LIMIT :rows)""",
        rows=1000,
        age=ENDED_IMPORT_SECONDS,
    ),
    Task(
        "old_imports",
        """DELETE FROM imports WHERE id IN (
               SELECT id FROM imports AS i
               WHERE finished_at < now() - make_interval(secs => :age)
                   AND NOT EXISTS (SELECT FROM import_errors WHERE import_id = i.id)
                   AND NOT EXISTS (SELECT FROM import_chunks WHERE import_id = i.id)
               LIMIT :rows)""",
        rows=1000,
        age=ENDED_IMPORT_SECONDS,
    ),
    Task(
        "outbox",
        """DELETE FROM outbox WHERE id IN (
               SELECT id FROM outbox
               WHERE delivered_at < now() - make_interval(secs => :age) LIMIT :rows)""",
        rows=1000,
        age=DELIVERED_SECONDS,
    ),
    Task(
        "handle_http_sessions",
        """DELETE FROM handle_http_sessions
           WHERE expires_at < now() - make_interval(secs => :age)
               AND digest IN (
                   SELECT digest FROM handle_http_sessions
                   WHERE expires_at < now() - make_interval(secs => :age)
                   LIMIT :rows)""",
        rows=1000,
    ),
    # A session that goes on has just been used: the condition is looked at again.
    Task(
        "sessions",
        """DELETE FROM sessions
           WHERE (ends_at < now() OR used_at < now() - make_interval(secs => :age))
               AND id IN (
                   SELECT id FROM sessions
                   WHERE ends_at < now() OR used_at < now() - make_interval(secs => :age)
                   LIMIT :rows)""",
        rows=1000,
        age=SESSION_IDLE.total_seconds(),
    ),
    Task(
        "snms_tokens",
        """DELETE FROM snms_tokens WHERE token_key IN (
               SELECT token_key FROM snms_tokens
               WHERE ends_at < now() - make_interval(secs => :age) LIMIT :rows)""",
        rows=1000,
    ),
    Task(
        "password_resets",
        """DELETE FROM password_resets
           WHERE expires_at < now() - make_interval(secs => :age)
               AND account_id IN (
                   SELECT account_id FROM password_resets
                   WHERE expires_at < now() - make_interval(secs => :age) LIMIT :rows)""",
        rows=1000,
    ),
    # What is known of sources where somebody has signed in is kept as long as it counts.
    Task(
        "sign_in_attempts",
        """DELETE FROM sign_in_attempts
           WHERE since < now() - interval '1 hour'
               AND coalesce(signed_in_at, since) < now() - make_interval(
                   secs => CASE WHEN signed_in_at IS NULL THEN 3600 ELSE :age END)
               AND (name, source) IN (
                   SELECT name, source FROM sign_in_attempts
                   WHERE since < now() - interval '1 hour'
                       AND coalesce(signed_in_at, since) < now() - make_interval(
                           secs => CASE WHEN signed_in_at IS NULL THEN 3600 ELSE :age END)
                   LIMIT :rows)""",
        rows=1000,
        age=KNOWN.total_seconds(),
    ),
)


async def run_housekeeping(database: Database, stop: asyncio.Event) -> None:
    """Clean up each minute until `stop` is set. While PostgreSQL is away, wait for it."""
    while not stop.is_set():
        try:
            await clean_up(database, stop)
        except StoreUnavailable as error:
            log.warning("housekeeping_put_off", error=repr(error.__cause__ or error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY_SECONDS):
                await stop.wait()


async def clean_up(database: Database, stop: asyncio.Event | None = None) -> dict[str, int]:
    """Do one round; return how many rows each task has deleted. Raises StoreUnavailable."""
    deleted = {}
    for task in TASKS:
        count = await _run(database, task, stop)
        if count:
            log.info("cleaned_up", what=task.name, rows=count)
        deleted[task.name] = count
    return deleted


async def _run(database: Database, task: Task, stop: asyncio.Event | None) -> int:
    total = 0
    for _ in range(MAX_BATCHES):
        if stop is not None and stop.is_set():
            break
        async with database.begin(within=_BATCH_SECONDS) as connection:
            result = await connection.execute(
                sa.text(task.statement), {"rows": task.rows, "age": task.age}
            )
        total += result.rowcount
        if result.rowcount < task.rows:
            break
    return total
