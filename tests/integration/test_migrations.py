"""The migrations make exactly what registry.schema says, up and down, with data in the tables."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from registry.database import Database, migrate
from registry.schema import metadata

_MONTH = re.compile(r"_[0-9]{4}_[0-9]{2}$")
"""A partition: there is one for each month."""


def _differences(connection: sa.Connection) -> list[Any]:
    options = {"include_name": lambda name, kind, _: not (kind == "table" and _MONTH.search(name))}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_migrated_database_has_the_tables_that_the_code_expects(database: Database) -> None:
    async with database.begin() as connection:
        differences = await connection.run_sync(_differences)
    # SQLAlchemy has no xid8: this one difference is known.
    assert [d for d in differences if "txid" not in str(d)] == []


async def _fill(database: Database) -> None:
    async with database.begin() as connection:
        await connection.exec_driver_sql(
            """
            WITH e AS (
                INSERT INTO enterprises (name, credit_code, industry, contact)
                VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
            INSERT INTO prefixes (prefix, enterprise_id, hosting, status)
                SELECT '88.118.35', id, 'hosted', 'active' FROM e"""
        )
        await connection.exec_driver_sql(
            """
            INSERT INTO identifiers (prefix, suffix_key, suffix, values)
            SELECT '88.118.35', 'SN-' || n, 'SN-' || n, '[]' FROM generate_series(1, 100) AS n"""
        )
        await connection.exec_driver_sql(
            """
            INSERT INTO relations (prefix, suffix_key, kind, target_prefix, target_suffix_key,
                suffix, target, audience)
            SELECT '88.118.35', 'SN-' || n, 'part-of', '88.118.35', 'SN-99', 'SN-' || n,
                '88.118.35/SN-99', 'public' FROM generate_series(1, 98) AS n"""
        )
        await connection.exec_driver_sql("UPDATE identifiers SET template = 't'")
        await connection.exec_driver_sql("DELETE FROM identifiers WHERE suffix_key < 'SN-5'")
        await connection.exec_driver_sql(
            "INSERT INTO audit_log (actor, action, subject) VALUES ('a', 'b', 'c')"
        )


async def test_migrations_go_down_and_up_on_a_filled_database(database: Database) -> None:
    await _fill(database)
    await migrate(database.url, "base")
    async with database.begin() as connection:
        left = await connection.exec_driver_sql(
            """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
               AND relname NOT LIKE 'alembic%%' UNION ALL
               SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"""
        )
        assert left.scalars().all() == []
    await migrate(database.url)
    await _fill(database)


async def test_triggers_keep_history_and_change_log_whoever_writes(database: Database) -> None:
    await _fill(database)
    async with database.begin() as connection:
        rows = await connection.exec_driver_sql(
            "SELECT deleted, count(*) FROM identifier_history GROUP BY deleted ORDER BY deleted"
        )
        deleted = sum(1 for n in range(1, 101) if f"SN-{n}" < "SN-5")
        assert rows.all() == [(False, 100), (True, deleted)]
        rows = await connection.exec_driver_sql(
            "SELECT cardinality(suffix_keys) FROM change_log ORDER BY seq"
        )
        assert rows.scalars().all() == [None, 100, 100, deleted]


async def test_what_is_deleted_ends_its_relations_whoever_deletes(database: Database) -> None:
    await _fill(database)
    async with database.begin() as connection:
        holding = "SELECT count(*) FROM relations WHERE valid_to IS NULL"
        kept = sum(1 for n in range(1, 99) if f"SN-{n}" >= "SN-5")
        assert (await connection.exec_driver_sql(holding)).scalar_one() == kept
        await connection.exec_driver_sql("TRUNCATE identifiers")
        assert (await connection.exec_driver_sql(holding)).scalar_one() == 0
        ended = "SELECT count(*) FROM relations WHERE ended_by LIKE 'database:%%'"
        assert (await connection.exec_driver_sql(ended)).scalar_one() == 98


async def test_audit_log_can_not_be_altered(database: Database) -> None:
    await _fill(database)
    for attempt in (
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append only"):
            async with database.begin() as connection:
                await connection.exec_driver_sql(attempt)


async def test_errors_of_the_database_do_not_tell_what_was_to_be_written(
    database: Database,
) -> None:
    statement = sa.text("INSERT INTO sessions (source, token_key) VALUES (:name, :key)")
    with pytest.raises(sa.exc.DBAPIError) as raised:
        async with database.begin() as connection:
            await connection.execute(statement, {"name": "n", "key": b"a-secret"})
    assert "a-secret" not in str(raised.value)
