"""What the tests of the escrow share: an empty database, and a look at all rows of two."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from registry.database import Database
from registry.escrow.manifest import Step
from registry.escrow.tables import PARTS
from registry.escrow.taking import take
from tests.conftest import with_database

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()


@contextlib.asynccontextmanager
async def empty(postgres_url: str) -> AsyncIterator[Database]:
    """A database in which there is nothing."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        database = Database(with_database(postgres_url, name))
        try:
            yield database
        finally:
            await database.close()
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


class Clock:
    """Time that goes on by a second with each look, so that steps have names of their own."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        self.now += 1
        return self.now


async def step(database: Database, directory: Path, clock: Clock, *, whole: bool = False) -> Step:
    return await take(
        database, directory, KEY, node="88.118", version="1", clock=clock, whole=whole
    )


async def told(database: Database) -> dict[str, list[str]]:
    """Return all rows of all tables of the escrow, as PostgreSQL writes them, in order."""
    connection = await database.connection()
    try:
        return {
            part.table: [
                row[0]
                for row in await connection.fetch(
                    f"SELECT t::text FROM {part.table} AS t WHERE {part.where} ORDER BY 1"
                )
            ]
            for part in PARTS
        }
    finally:
        await connection.close()
