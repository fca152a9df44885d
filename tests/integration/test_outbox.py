from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from registry import outbox
from registry.database import Database
from registry.schema import outbox as table

_ENTERPRISE = """
    WITH e AS (INSERT INTO enterprises (name, credit_code, industry, contact)
        VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
    INSERT INTO prefixes (prefix, enterprise_id, hosting, status, site)
        SELECT p, id, h, s, site::jsonb FROM e, (VALUES
            ('88.118.35', 'hosted', 'active', NULL),
            ('88.118.36', 'delegated', 'suspended', '{"version": 1}'),
            ('88.118.37', 'hosted', 'pending', NULL)) AS new (p, h, s, site)"""


async def put(database: Database, subject: str, number: int) -> None:
    async with database.begin() as connection:
        await outbox.enqueue(connection, subject=subject, kind="test", payload={"n": number})


async def due(database: Database, **options: Any) -> list[tuple[str, int]]:
    async with database.begin() as connection:
        messages = await outbox.take_due(connection, **{"limit": 100, **options})
    return [(message.subject, message.payload["n"]) for message in messages]


async def until_one_waits_for_a_lock(database: Database) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with asyncio.timeout(4):
        while True:
            async with database.begin() as connection:
                if (await connection.exec_driver_sql(query)).scalar_one():
                    return
            await asyncio.sleep(0.01)


async def test_message_of_a_rolled_back_transaction_is_never_there(database: Database) -> None:
    async with database.begin() as connection:
        await outbox.enqueue(connection, subject="a", kind="test", payload={"n": 1})
        await connection.rollback()
    assert await due(database) == []


async def test_commit_wakes_the_sender(database: Database) -> None:
    woken = asyncio.Event()
    listener: asyncpg.Connection = await database.connection()
    try:
        await listener.add_listener(outbox.CHANNEL, lambda *_: woken.set())
        await put(database, "a", 1)
        async with asyncio.timeout(10):
            await woken.wait()
    finally:
        await listener.close()


async def test_later_message_of_a_subject_waits_for_the_earlier(database: Database) -> None:
    for number in range(3):
        await put(database, "a", number)
        await put(database, "b", number)
    assert await due(database) == [("a", 0), ("b", 0)]
    assert await due(database, limit=1) == [("a", 0)]
    assert await due(database, except_subjects=["a"]) == [("b", 0)]
    async with database.begin() as connection:
        first, second = await outbox.take_due(connection, limit=2)
        await outbox.mark_failed(connection, first, error="away", delay=3600)
        await outbox.mark_delivered(connection, second)
    assert await due(database) == [("b", 1)]


async def test_failure_is_recorded_and_put_off(database: Database) -> None:
    await put(database, "a", 1)
    async with database.begin() as connection:
        (message,) = await outbox.take_due(connection, limit=1)
        await outbox.mark_failed(connection, message, error="bad\0" + "x" * 9999, delay=0.0)
    async with database.begin() as connection:
        row = (await connection.execute(sa.select(table))).one()
        (again,) = await outbox.take_due(connection, limit=1)
        state = await outbox.waiting(connection)
    assert (row.attempts, again.attempts) == (1, 1)
    assert row.last_error.startswith("bad\ufffdxxx")
    assert len(row.last_error) == 500
    assert (state.depth, state.failing) == (1, 1)
    assert again.message_id == message.message_id


async def test_delivered_message_no_longer_waits(database: Database) -> None:
    async with database.begin() as connection:
        assert await outbox.waiting(connection) == outbox.Waiting(0, 0, 0.0)
    await put(database, "a", 1)
    async with database.begin() as connection:
        await connection.execute(
            table.update().values(created_at=sa.func.now() - sa.text("interval '90 s'"))
        )
    async with database.begin() as connection:
        state = await outbox.waiting(connection)
        (message,) = await outbox.take_due(connection, limit=1)
        await outbox.mark_delivered(connection, message)
    assert (state.depth, state.failing) == (1, 0)
    assert 90 <= state.oldest_age < 600
    async with database.begin() as connection:
        assert (await outbox.waiting(connection)).depth == 0
        # A late failure of a second sender must not bring it back.
        await outbox.mark_failed(connection, message, error="late", delay=0)
    assert await due(database) == []


async def test_ids_of_a_subject_grow_in_order_of_commit(database: Database) -> None:
    """The earlier writer holds the subject until it has committed, even if it is slow."""
    async with database.begin() as connection:
        await outbox.enqueue(connection, subject="a", kind="test", payload={"n": 1})
        later = asyncio.create_task(put(database, "a", 2))
        await put(database, "b", 1)
        await until_one_waits_for_a_lock(database)
        assert await due(database) == [("b", 1)]
    await later
    assert sorted(await due(database)) == [("a", 1), ("b", 1)]
    async with database.begin() as connection:
        rows = await connection.execute(
            sa.select(table.c.payload).where(table.c.subject == "a").order_by(table.c.id)
        )
        assert [payload["n"] for payload in rows.scalars()] == [1, 2]


async def test_filing_is_the_state_in_the_callers_transaction(database: Database) -> None:
    async with database.begin() as connection:
        await connection.exec_driver_sql(_ENTERPRISE)
    async with database.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE prefixes SET status = 'revoked' WHERE prefix = '88.118.35'"
        )
        await outbox.enqueue_prefix(connection, "88.118.35")
        await outbox.enqueue_prefix(connection, "88.118.36")
    enterprise = {
        "name": "Pump Works",
        "credit_code": "91350211M000100Y46",
        "industry": "C3441",
    }
    async with database.begin() as connection:
        messages = await outbox.take_due(connection, limit=9)
    assert [(message.subject, message.kind, message.payload) for message in messages] == [
        (
            "88.118.35",
            "prefix",
            {
                "prefix": "88.118.35",
                "status": "revoked",
                "enterprise": enterprise,
                "hosting": "hosted",
                "site": None,
            },
        ),
        (
            "88.118.36",
            "prefix",
            {
                "prefix": "88.118.36",
                "status": "suspended",
                "enterprise": enterprise,
                "hosting": "delegated",
                "site": {"version": 1},
            },
        ),
    ]


@pytest.mark.parametrize("prefix", ["88.118.37", "88.118.99"])
async def test_prefix_never_approved_is_not_filed(database: Database, prefix: str) -> None:
    async with database.begin() as connection:
        await connection.exec_driver_sql(_ENTERPRISE)
    with pytest.raises(ValueError, match="nothing to file"):
        async with database.begin() as connection:
            await outbox.enqueue_prefix(connection, prefix)
    assert await due(database) == []
