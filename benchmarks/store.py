"""PostgreSQL for the benchmarks: one server on the serving core, a database for each stage."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from admin.embedded import EmbeddedPostgres
from benchmarks import sample
from benchmarks.machine import pin
from registry.database import migrate

BARE = "bare"
"""Table of the same shape and indexes as `identifiers`, without its triggers."""


class StoreError(Exception):
    """A tool of PostgreSQL failed; the message is its own."""


@dataclass(frozen=True)
class Store:
    """The server."""

    url: str
    binaries: Path
    pid: int

    async def create(self, name: str, *, migrated: bool = True) -> str:
        """Make a database, migrated unless told otherwise; return its URL."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        head, question, query = self.url.partition("?")
        url = f"{head.rpartition('/')[0]}/{name}{question}{query}"
        if migrated:
            await migrate(url)
        return url


@contextlib.contextmanager
def postgres(directory: Path, core: int) -> Iterator[Store]:
    """Run the embedded PostgreSQL in `directory`, with its own defaults, on one core."""
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        assert server.process is not None
        pin(server.process.pid, core)
        yield Store(server.url, server.binaries, server.process.pid)
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection for the block."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def add_prefixes(url: str, prefixes: list[str]) -> None:
    """Register an enterprise, and these prefixes as hosted and active."""
    async with connected(url) as connection:
        enterprise = await connection.fetchval(
            "INSERT INTO enterprises (name, credit_code, industry, contact)"
            " VALUES ('Benchmark', '91110000000000000X', 'C34', '{}') RETURNING id"
        )
        await connection.executemany(
            "INSERT INTO prefixes (prefix, enterprise_id, hosting, status)"
            " VALUES ($1, $2, 'hosted', 'active')",
            [(prefix, enterprise) for prefix in prefixes],
        )


async def fill(url: str, prefix: str, count: int, *, batch: int = 100_000) -> None:
    """Put `count` identifiers straight into the table."""
    async with connected(url) as connection:
        for start in range(0, count, batch):
            numbers = range(start, min(start + batch, count))
            await copy(connection, "identifiers", sample.copy_text(prefix, numbers))
        await connection.execute("VACUUM ANALYZE identifiers")


async def make_bare(url: str) -> None:
    """Make the table that bare COPY and bare INSERT write to."""
    async with connected(url) as connection:
        await connection.execute(f"CREATE TABLE {BARE} (LIKE identifiers INCLUDING ALL)")


async def checkpoint(url: str) -> None:
    """Write all out, so that no side pays for what the other has written."""
    async with connected(url) as connection:
        await connection.execute("CHECKPOINT")


async def copy(connection: asyncpg.Connection, table: str, rows: Iterable[bytes]) -> None:
    """COPY rows of sample.copy_text into a table, in one statement."""

    async def parts() -> AsyncIterator[bytes]:
        for part in rows:
            yield part

    await connection.copy_to_table(table, source=parts(), columns=sample.COPY_COLUMNS)


def pgbench(
    store: Store, url: str, script: Path, clients: int, seconds: int, **variables: int
) -> float:
    """Run a pgbench script with prepared statements; return transactions a second.

    variables: what each client starts with.
    """
    command = [
        str(store.binaries / "pgbench"),
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={clients}",
        "--jobs=1",
        f"--time={seconds}",
        f"--file={script}",
        *(f"--define={name}={value}" for name, value in variables.items()),
        url,
    ]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    found = re.search(r"^tps = ([\d.]+)", result.stdout, re.MULTILINE)
    if result.returncode or not found:
        raise StoreError(f"pgbench: {result.stderr.strip() or result.stdout.strip()}")
    return float(found[1])
