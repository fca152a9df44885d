"""Makes a node out of the steps of an escrow: in one transaction, all or nothing."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import asyncpg
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.database import HEAD, Database, migrate_within, revisions
from registry.escrow import chain
from registry.escrow.files import plain
from registry.escrow.manifest import EscrowError, File, Step, Table
from registry.escrow.tables import PARTS, Part
from registry.schema import metadata
from registry.statistics import partitions

LONGEST_SECONDS = 24 * 3600

_PARTS = {part.table: part for part in PARTS}
_ROWS = "escrow_rows"
_FOREIGN_KEYS = """
    SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)
    FROM pg_constraint
    WHERE contype = 'f' AND conparentid = 0 AND connamespace = current_schema()::regnamespace
    ORDER BY 1, 2
"""


async def restore(
    database: Database,
    directory: Path,
    key: Ed25519PublicKey,
    *,
    until: str | None = None,
    node: str | None = None,
) -> list[Step]:
    """Fill an empty database with what the steps in `directory` tell; return these, in order.

    until: the digest of the last step wanted, instead of the latest. node: the prefix of the node
    whose escrow it must be. The tables are then those of
    this version. Raises EscrowError, StoreUnavailable; then the database is as it was.
    """
    steps = chain.whole(directory, key, until)
    schema, whose = steps[0].manifest.schema, steps[0].manifest.node
    if node not in (None, whose):
        raise EscrowError(f"the escrow is of the node {whose}, and IDNODE_PREFIX is {node}")
    names = [table.name for table in steps[0].manifest.tables]
    if schema not in revisions():
        raise EscrowError(
            f"{steps[0].path.name}: its tables ({schema}) are newer than this version of idnode"
        )
    for step in steps:
        if [table.name for table in step.manifest.tables] != names or not _PARTS.keys() >= {*names}:
            raise EscrowError(f"{step.path.name}: not the tables of the escrow")
    async with database.begin(within=LONGEST_SECONDS) as connection:
        await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        await _expect_empty(connection)
        await migrate_within(connection, schema)
        driver = cast(
            "asyncpg.Connection", (await connection.get_raw_connection()).driver_connection
        )
        foreign = [tuple(row) for row in await driver.fetch(_FOREIGN_KEYS)]
        await _without_checks(driver, names, foreign)
        for step in steps:
            await _apply(connection, driver, step)
        await _with_checks(driver, names, foreign)
        await _count(driver, steps[-1])
        for sequence in steps[-1].manifest.sequences:
            await driver.execute(f"SELECT setval('{sequence.name}', {sequence.value})")
        await migrate_within(connection, HEAD)
    return steps


async def _expect_empty(connection: AsyncConnection) -> None:
    found = await connection.scalar(
        sa.text(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
            " AND relkind IN ('r', 'p', 'v', 'S') ORDER BY 1 LIMIT 1"
        )
    )
    if found is not None:
        raise EscrowError(f"the database is not empty: there is {found}; restore into a new one")


async def _without_checks(
    driver: asyncpg.Connection, names: list[str], foreign: list[tuple[str, ...]]
) -> None:
    """Let rows come in any order and as they are: no trigger writes of them, none refuses them."""
    for table, name, _ in foreign:
        await driver.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for name in names:
        await driver.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER")


async def _with_checks(
    driver: asyncpg.Connection, names: list[str], foreign: list[tuple[str, ...]]
) -> None:
    for name in names:
        await driver.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER")
    for table, name, definition in foreign:
        try:
            await driver.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        except asyncpg.ForeignKeyViolationError as error:
            raise EscrowError(f"the escrow does not fit together: {error}") from None


async def _apply(connection: AsyncConnection, driver: asyncpg.Connection, step: Step) -> None:
    for table in step.manifest.tables:
        part = _PARTS[table.name]
        try:
            await _make_room(connection, driver, step, table, part)
            await _fill(driver, step, table, part)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise EscrowError(f"{step.path.name}/{table.name}: {error}") from None
    for table in step.manifest.tables:
        part = _PARTS[table.name]
        if part.parent is not None:
            await driver.execute(_orphans(part.table, part.parent))


def _orphans(table: str, parent: str) -> str:
    """Return the statement that deletes rows of `table` whose row in `parent` is gone."""
    same = " AND ".join(
        f"{parent}.{reference.column.name} = {table}.{reference.parent.name}"
        for reference in metadata.tables[table].foreign_keys
        if reference.column.table.name == parent
    )
    return f"DELETE FROM {table} WHERE NOT EXISTS (SELECT FROM {parent} WHERE {same})"  # noqa: S608


async def _make_room(
    connection: AsyncConnection,
    driver: asyncpg.Connection,
    step: Step,
    table: Table,
    part: Part,
) -> None:
    """Delete what the rows of this step replace, and make the partitions that they need."""
    name = table.name
    if table.whole and step.manifest.number > 0:
        await driver.execute(f"TRUNCATE {name}")
    elif table.since is not None and part.recent is not None:
        await driver.execute(f"DELETE FROM {name} WHERE {part.recent} >= '{table.since}'")  # noqa: S608
    if part.time is not None:
        gone = "true" if table.oldest is None else f"{part.time} < '{table.oldest}'"
        await driver.execute(f"DELETE FROM {name} WHERE {gone}")  # noqa: S608
        if table.oldest is not None:
            first = datetime.date.fromisoformat(table.oldest[:10])
            taken = datetime.datetime.fromtimestamp(step.manifest.taken_at, datetime.UTC).date()
            months = (taken.year - first.year) * 12 + taken.month - first.month
            await partitions.make(
                connection, first, months=max(months, 0) + 1 + partitions.MONTHS_AHEAD
            )
    if table.removed is not None:
        key = ", ".join(part.key)
        await driver.execute(
            f"CREATE TEMPORARY TABLE {_ROWS} ON COMMIT DROP AS SELECT {key} FROM {name} WHERE false"  # noqa: S608
        )
        await _read(driver, step, table.removed, _ROWS, part.key)
        await _delete_named(driver, name, part)
        await driver.execute(f"DROP TABLE {_ROWS}")


async def _fill(driver: asyncpg.Connection, step: Step, table: Table, part: Part) -> None:
    name, columns = table.name, tuple(table.columns)
    if table.whole or table.since is not None:
        await _read(driver, step, table.rows, name, columns)
        return
    await driver.execute(f"CREATE TEMPORARY TABLE {_ROWS} (LIKE {name}) ON COMMIT DROP")
    await _read(driver, step, table.rows, _ROWS, columns)
    await _delete_named(driver, name, part)
    listed = ", ".join(f'"{column}"' for column in columns)
    await driver.execute(
        f"INSERT INTO {name} ({listed}) OVERRIDING SYSTEM VALUE SELECT {listed} FROM {_ROWS}"  # noqa: S608
    )
    await driver.execute(f"DROP TABLE {_ROWS}")


async def _delete_named(driver: asyncpg.Connection, name: str, part: Part) -> None:
    same = " AND ".join(f"t.{column} = r.{column}" for column in part.key)
    await driver.execute(f"ANALYZE {_ROWS}")
    await driver.execute(f"DELETE FROM {name} AS t USING {_ROWS} AS r WHERE {same}")  # noqa: S608


async def _read(
    driver: asyncpg.Connection, step: Step, file: File, table: str, columns: tuple[str, ...]
) -> None:
    pieces: AsyncIterator[bytes] = plain(step.path, file)
    told = await driver.copy_to_table(
        table, source=pieces, columns=columns, timeout=LONGEST_SECONDS
    )
    if told != f"COPY {file.rows}":
        raise EscrowError(f"{step.path.name}/{file.name}: {told}, expected {file.rows} rows")


async def _count(driver: asyncpg.Connection, last: Step) -> None:
    """See that each table has the rows that it had. Raises EscrowError."""
    for table in last.manifest.tables:
        rows = await driver.fetchval(f"SELECT count(*) FROM {table.name}")  # noqa: S608
        if rows != table.total:
            raise EscrowError(f"{table.name}: {rows} rows, expected {table.total}")
