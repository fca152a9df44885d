"""Writes a step of the escrow: all of it from one moment of the database, in flat memory."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from registry.database import Database, unavailable
from registry.escrow import chain
from registry.escrow.files import Writer
from registry.escrow.manifest import (
    MANIFEST,
    SIGNATURE,
    EscrowError,
    File,
    Manifest,
    Origin,
    Sequence,
    Step,
    Table,
    digest,
    encode,
)
from registry.escrow.tables import PARTS, RECENT_DAYS, Part

LONGEST_SECONDS = 6 * 3600
"""How long one step may take; until then, PostgreSQL keeps the rows that it reads."""

_LOCK_FILE = ".lock"
_UNFINISHED = ".unfinished-"

# Row ids wrap around after 2**32 transactions; a step must follow well before half of them.
_MAX_TRANSACTIONS = 1 << 30

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


@dataclass(frozen=True)
class By:
    """Who takes a step, and when: prefix of the node, its version, Unix seconds."""

    node: str
    version: str
    now: int


class DirectoryInUse(EscrowError):
    """Another process writes into the directory."""


async def take(
    database: Database,
    directory: Path,
    key: Ed25519PrivateKey,
    *,
    node: str,
    version: str,
    clock: Callable[[], float],
    whole: bool = False,
) -> Step:
    """Write the next step into `directory` and return it.

    It is an increment where one can follow the latest step, else, or if `whole`, a snapshot. It
    appears under its name once it is on the disk, all of it. Raises EscrowError, OSError,
    StoreUnavailable.
    """
    with _alone(directory), unavailable():
        latest = None if whole else chain.latest(directory, key.public_key())
        connection = await database.connection()
        try:
            await connection.execute(f"SET statement_timeout = '{LONGEST_SECONDS}s'")
            await connection.execute("SET idle_in_transaction_session_timeout = '600s'")
            await connection.execute(_BEGIN)
            draft = _draft(directory)
            by = By(node, version, int(clock()))
            manifest = await _write(connection, draft, latest, by)
        finally:
            connection.terminate()
        return _finish(directory, draft, manifest, key)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the directory for this process, and clear away what an earlier one left unfinished."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / _LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DirectoryInUse(f"{directory}: another process writes an escrow there") from None
        _clear(directory)
        try:
            yield
        finally:
            _clear(directory)


def _draft(directory: Path) -> Path:
    draft = directory / f"{_UNFINISHED}{uuid.uuid4().hex}"
    draft.mkdir(mode=0o700)
    return draft


def _clear(directory: Path) -> None:
    for path in directory.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(path)


async def _write(
    connection: asyncpg.Connection, draft: Path, latest: Step | None, by: By
) -> Manifest:
    schema = await connection.fetchval("SELECT version_num FROM alembic_version")
    origin = await _origin(connection)
    (ids,) = await connection.fetch(
        "SELECT pg_snapshot_xmin(now)::text::bigint AS settled,"
        " pg_snapshot_xmax(now)::text::bigint AS ahead FROM pg_current_snapshot() AS now"
    )
    if latest is not None and not _follows(latest.manifest, schema, origin, ids["ahead"]):
        latest = None
    # The database may wait for its migration: what it does not have yet is not told.
    tables = [
        await _table(connection, draft, part, latest)
        for part in PARTS
        if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", part.table)
    ]
    # Read last: no row that was told has a number that is still to be given out.
    sequences = [
        Sequence(row["sequencename"], row["last_value"])
        for row in await connection.fetch(
            "SELECT sequencename, last_value FROM pg_sequences"
            " WHERE schemaname = current_schema() AND last_value IS NOT NULL ORDER BY 1"
        )
    ]
    before = None if latest is None else latest.manifest
    return Manifest(
        format="idnode-escrow-1",
        series=uuid.uuid4() if before is None else before.series,
        number=0 if before is None else before.number + 1,
        previous=None if latest is None else latest.digest,
        node=by.node,
        version=by.version,
        taken_at=by.now,
        schema=schema,
        origin=origin,
        settled=ids["settled"],
        sequences=sequences,
        tables=tables,
    )


def _follows(before: Manifest, schema: str, origin: Origin, ahead: int) -> bool:
    """Whether an increment may follow `before`: the same tables, counted by the same ids."""
    return (
        before.schema == schema
        and before.origin == origin
        and 0 <= ahead - before.settled < _MAX_TRANSACTIONS
    )


async def _origin(connection: asyncpg.Connection) -> Origin:
    (row,) = await connection.fetch(
        "SELECT (pg_control_system()).system_identifier::text,"
        " (pg_control_checkpoint()).timeline_id,"
        " (SELECT oid FROM pg_database WHERE datname = current_database())::bigint"
    )
    return Origin(*row)


async def _table(
    connection: asyncpg.Connection, draft: Path, part: Part, latest: Step | None
) -> Table:
    """Write what there is to tell of one table."""
    columns = [
        row["attname"]
        for row in await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0"
            " AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            part.table,
        )
    ]
    whole = latest is None or not part.growing
    condition, since = part.where, None
    if latest is not None and part.growing:
        condition, since = _changed(part, latest.manifest)
    listed = ", ".join(f'"{column}"' for column in columns)
    rows = await _copy(
        connection,
        draft / f"{part.table}.rows.zst",
        f"SELECT {listed} FROM {part.table} WHERE {condition}",  # noqa: S608  (names of our tables)
    )
    removed = None
    if latest is not None and part.removed is not None:
        query = part.removed.format(changed=_written_since(latest.manifest))
        removed = await _copy(connection, draft / f"{part.table}.removed.zst", query)
    total = rows.rows
    if not whole:
        total = await connection.fetchval(f"SELECT count(*) FROM {part.table}")  # noqa: S608
    oldest = None
    if part.time is not None:
        oldest = await connection.fetchval(
            f"SELECT min({part.time})::text FROM {part.table}"  # noqa: S608
        )
    return Table(part.table, columns, whole, total, rows, removed, since, oldest)


def _written_since(before: Manifest) -> str:
    """Return the condition that a row was written by a transaction that `before` did not see.

    By the oldest that was not over then, since a row may bear the id of a subtransaction, of which
    snapshots say nothing: that is younger than its transaction.
    """
    return f"age(xmin) <= age('{before.settled}'::xid8::xid)"


def _changed(part: Part, before: Manifest) -> tuple[str, str | None]:
    """Return the condition of what an increment tells, and the day it tells from, if by days."""
    if part.recent is None:
        return f"({part.where}) AND {_written_since(before)}", None
    moment = datetime.datetime.fromtimestamp(before.taken_at, datetime.UTC)
    day = (moment - datetime.timedelta(days=RECENT_DAYS)).date().isoformat()
    return f"({part.where}) AND {part.recent} >= '{day}'", day


async def _copy(connection: asyncpg.Connection, path: Path, query: str) -> File:
    with Writer(path) as writer:
        await connection.copy_from_query(query, output=writer.write, timeout=LONGEST_SECONDS)
        return await asyncio.to_thread(writer.end)


def _finish(directory: Path, draft: Path, manifest: Manifest, key: Ed25519PrivateKey) -> Step:
    """Sign what was written and let it appear."""
    octets, signature = encode(manifest, key)
    for name, content in ((MANIFEST, octets), (SIGNATURE, signature)):
        with os.fdopen(os.open(draft / name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _sync(draft)
    path = directory / chain.name_of(manifest)
    draft.rename(path)
    _sync(directory)
    return Step(path, manifest, digest(octets))


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
