"""A PostgreSQL for each process of the test run, a fresh database for each test that wants it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from admin.embedded import EmbeddedPostgres
from registry.database import Database, migrate


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a server: IDNODE_TEST_DATABASE_URL, or an embedded one that ends with the run.

    POSTGRES_BINARIES: directory of the binaries of another PostgreSQL than the wheel's. Of tests
    that run side by side, each process has a server of its own.
    """
    given = os.environ.get("IDNODE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    directory = Path(tempfile.mkdtemp(prefix="idnode-test-"))
    binaries = os.environ.get("POSTGRES_BINARIES")
    server = EmbeddedPostgres(directory, binaries=Path(binaries) if binaries else None)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(directory)


def with_database(url: str, name: str) -> str:
    """Return `url` with another database name."""
    head, question, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}{question}{query}"


@pytest.fixture(scope="session")
async def template_url(postgres_url: str) -> str:
    """A migrated database that the tests' own are copied from: a copy takes milliseconds."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    url = with_database(postgres_url, name)
    await migrate(url)
    return url


@contextlib.asynccontextmanager
async def copied(postgres_url: str, template_url: str) -> AsyncIterator[str]:
    """Copy the migrated database; yield the copy's URL and drop it afterwards."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    template = template_url.partition("?")[0].rpartition("/")[2]
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield with_database(postgres_url, name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture
async def database_url(postgres_url: str, template_url: str) -> AsyncIterator[str]:
    """URL of a migrated, empty database of the test's own."""
    async with copied(postgres_url, template_url) as url:
        yield url


@pytest.fixture
async def other_database(postgres_url: str, template_url: str) -> AsyncIterator[Database]:
    """A Database on a second one, for tests of two nodes."""
    async with copied(postgres_url, template_url) as url:
        database = Database(url)
        yield database
        await database.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A Database on the test's own database."""
    database = Database(database_url)
    yield database
    await database.close()
