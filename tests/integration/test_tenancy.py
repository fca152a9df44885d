"""PostgreSQL itself keeps enterprises apart: no table is forgotten, and no statement crosses."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from admin.embedded import EmbeddedPostgres
from registry import tenancy
from registry.api.requests import REGISTRY
from registry.database import Database, migrate
from registry.services import work
from registry.tenancy import NODE_TABLES, ROLE, RoleMissing
from tests.conftest import with_database
from tests.integration import tenants
from tests.integration.registry_client import URL_VALUE, Node, running

_TABLES = """
SELECT c.relname, c.relrowsecurity,
    EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polroles = ARRAY[r.oid])
        AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname <> 'tenant')
        AS policy,
    ARRAY(SELECT word FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) word
          WHERE has_table_privilege(r.oid, c.oid, word)) AS allowed
FROM pg_class AS c, pg_roles AS r
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT c.relispartition AND r.rolname = $1
ORDER BY c.relname
"""


_NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def sql(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.url)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def as_tenant(sql: asyncpg.Connection, enterprise: str) -> AsyncIterator[None]:
    """Do the block in the name of an enterprise, and roll it back."""
    transaction = sql.transaction()
    await transaction.start()
    try:
        await sql.execute("SELECT set_config('idnode.tenant', $1, true)", enterprise)
        await sql.execute(f"SET LOCAL ROLE {ROLE}")
        yield
    finally:
        await transaction.rollback()


async def test_every_table_is_protected_or_of_the_node_alone(sql: asyncpg.Connection) -> None:
    tables = await sql.fetch(_TABLES, ROLE)
    assert {row["relname"] for row in tables} >= set(NODE_TABLES), "a table that is not there"
    for row in tables:
        name = row["relname"]
        if name in NODE_TABLES:
            assert row["allowed"] == [], f"{name} is the node's alone, and enterprises reach it"
            continue
        assert (row["relrowsecurity"], row["policy"]) == (True, True), (
            f"table {name} is not protected: its migration must call"
            " registry.migrations.tenancy.protect, or registry.tenancy.NODE_TABLES must say why not"
        )
        assert "TRUNCATE" not in row["allowed"], name


async def _protected(sql: asyncpg.Connection) -> dict[str, list[str]]:
    tables = await sql.fetch(_TABLES, ROLE)
    return {row["relname"]: row["allowed"] for row in tables if row["relname"] not in NODE_TABLES}


async def test_no_statement_crosses_on_any_table(
    database: Database, sql: asyncpg.Connection
) -> None:
    async with running(database) as node:
        own, other = await tenants.make(node, 1), await tenants.make(node, 2)
    for table, allowed in (await _protected(sql)).items():
        if allowed == ["INSERT"]:
            await _check_nothing_is_read(sql, table, other.enterprise)
            continue
        async with as_tenant(sql, own.enterprise):
            ours = await sql.fetch(f"SELECT ctid, to_jsonb(t) AS row FROM {table} AS t")
        assert ours, f"tests/integration/tenants.py makes no row of an enterprise in {table}"
        places = [row["ctid"] for row in ours]
        async with as_tenant(sql, other.enterprise):
            theirs = await sql.fetch(f"SELECT ctid FROM {table}")
            assert not {row["ctid"] for row in theirs} & set(places), (
                f"{table} shows rows of others"
            )
        async with as_tenant(sql, _NOBODY):
            assert await sql.fetchval(f"SELECT count(*) FROM {table}") == 0, table
        async with as_tenant(sql, ""):
            assert await sql.fetchval(f"SELECT count(*) FROM {table}") == 0, (
                f"without an enterprise {table} shows rows"
            )
        await _check_writes(sql, table, other.enterprise, ours[0]["row"], places)


async def _check_nothing_is_read(sql: asyncpg.Connection, table: str, enterprise: str) -> None:
    for statement in (
        f"SELECT * FROM {table}",
        f"DELETE FROM {table}",
        f"UPDATE {table} SET ctid = ctid",
    ):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
            async with as_tenant(sql, enterprise):
                await sql.execute(statement)


async def _check_writes(
    sql: asyncpg.Connection, table: str, enterprise: str, row: str, places: list[Any]
) -> None:
    column = await sql.fetchval(
        "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0"
        " AND attgenerated = '' AND attidentity = '' AND NOT attisdropped LIMIT 1",
        table,
    )
    for statement in (
        f"UPDATE {table} SET {column} = {column} WHERE ctid = ANY($1)",
        f"DELETE FROM {table} WHERE ctid = ANY($1)",
    ):
        with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
            async with as_tenant(sql, enterprise):
                tag = await sql.execute(statement, places)
                assert tag.split()[-1] == "0", f"{statement} reaches rows of others"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with as_tenant(sql, enterprise):
            await sql.execute(
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE"
                f" SELECT * FROM jsonb_populate_record(NULL::{table}, $1::text::jsonb)",
                row,
            )


async def test_a_query_without_a_condition_shows_an_enterprise_its_own(database: Database) -> None:
    async with running(database) as node:
        own, other = await tenants.make(node, 1), await tenants.make(node, 2)
        registry = node.client.app[REGISTRY]
        for token in (own.key, own.session):
            async with work(registry, token) as current:
                seen = await current.connection.scalars(sa.text("SELECT prefix FROM prefixes"))
                assert set(seen) == {own.prefix, own.pending}
                enterprise_id = current.principal.enterprise_id
                async with tenancy.lifted(current.connection, enterprise_id):
                    everything = await current.connection.scalars(
                        sa.text("SELECT prefix FROM prefixes")
                    )
                    assert {other.prefix, own.prefix} <= set(everything)
                seen = await current.connection.scalars(sa.text("SELECT prefix FROM prefixes"))
                assert set(seen) == {own.prefix, own.pending}
        # Connections are used again: the role must have ended with its transaction.
        for _ in range(2 * 8):
            async with database.begin() as connection:
                row = (
                    await connection.execute(
                        sa.text(
                            "SELECT current_user = session_user,"
                            " coalesce(current_setting('idnode.tenant', true), '')"
                        )
                    )
                ).one()
                assert tuple(row) == (True, "")


async def test_a_database_user_who_may_not_make_roles_is_told_what_helps(
    fresh_server: str,
) -> None:
    name, word = f"poor_{secrets.token_hex(4)}", secrets.token_hex(8)
    admin = await asyncpg.connect(fresh_server)
    try:
        await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{word}'")
        await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        url = with_database(fresh_server, name)
        poor = _as_user(url, name, word)
        with pytest.raises(RoleMissing) as caught:
            await migrate(poor)
        message = str(caught.value)
        assert "\n" not in message
        assert f"GRANT {ROLE} TO {name};" in message
        assert f"CREATE ROLE {ROLE} NOLOGIN;" in message
        await admin.execute(f"CREATE ROLE {ROLE} NOLOGIN")
        await admin.execute(f"GRANT {ROLE} TO {name}")
        await migrate(poor)
        database = Database(poor)
        try:
            async with running(database) as node:
                await _registers(node)
        finally:
            await database.close()
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.execute(f"DROP ROLE IF EXISTS {name}")
        await admin.close()


def _as_user(url: str, name: str, word: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).set(username=name, password=word).render_as_string(hide_password=False)


async def _registers(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    path = f"/identifiers/{prefix}/A"
    for status in (201, 200):
        answer, made, _ = await node.call("PUT", path, key, {"values": [URL_VALUE]})
        assert answer == status, made
    assert (await node.call("GET", f"{path}/history", key))[0] == 200


async def test_a_server_where_many_databases_migrate_at_once_has_one_role(
    fresh_server: str,
) -> None:
    admin = await asyncpg.connect(fresh_server)
    names = [f"t_{secrets.token_hex(6)}" for _ in range(4)]
    for name in names:
        await admin.execute(f"CREATE DATABASE {name}")
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _MIGRATE, with_database(fresh_server, name)
        )
        for name in names
    ]
    async with asyncio.timeout(50):
        assert [await process.wait() for process in processes] == [0] * len(names)
    await admin.close()


_MIGRATE = (
    "import asyncio, sys; from registry.database import migrate; asyncio.run(migrate(sys.argv[1]))"
)


@pytest.fixture
def fresh_server() -> Iterator[str]:
    """URL of a server on which no database was ever migrated: roles belong to the server."""
    with tempfile.TemporaryDirectory(prefix="idnode-test-") as directory:
        server = EmbeddedPostgres(Path(directory))
        try:
            yield server.start()
        finally:
            server.stop()
