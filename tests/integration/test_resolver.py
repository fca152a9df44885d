"""Lookup and change feed against a real PostgreSQL: one read for many, no change lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from protocol import typed
from protocol.errors import HandleNotFound, ServerNotResponsible, StoreUnavailable
from protocol.identifier import Identifier
from registry import store
from registry.database import Database
from registry.metrics import private_row, slot
from resolver import lookup
from resolver.cache import Answer
from resolver.lookup import Resolver
from resolver.referrals import Referral

NAME = Identifier.parse("88.118.35/SN-1")
SITE = {
    "servers": [
        {
            "serverId": 1,
            "address": "192.0.2.7",
            "interfaces": [{"query": True, "protocol": "UDP", "port": 2641}],
        }
    ]
}


@asynccontextmanager
async def following(database_url: str) -> AsyncIterator[Resolver]:
    """A resolver as a worker has it, that has reached the database."""
    database = Database(database_url)
    resolver = Resolver(database, row=private_row(), cache_bytes=1 << 20, node_prefix="88.118")
    await resolver.start()
    await until(lambda: resolver.ready)
    try:
        yield resolver
    finally:
        await resolver.close()
        await database.close()


@pytest.fixture
async def sql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """WITH e AS (
               INSERT INTO enterprises (name, credit_code, industry, contact)
               VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
           INSERT INTO prefixes (prefix, enterprise_id, hosting, status)
               SELECT unnest(ARRAY['88.118.35', '88.118.36']), id, 'hosted', 'active' FROM e"""
    )
    await put(connection, "SN-1", "one")
    yield connection
    await connection.close()


@pytest.fixture
async def resolver(database_url: str, sql: asyncpg.Connection) -> AsyncIterator[Resolver]:
    async with following(database_url) as resolver:
        yield resolver


async def put(
    sql: asyncpg.Connection, suffix: str, text: str, prefix: str = "88.118.35", index: int = 1
) -> None:
    await sql.execute(
        """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
           VALUES ($1, upper($2), $2, jsonb_build_array(jsonb_build_object('index', $4::int,
               'type', 'URL', 'data', jsonb_build_object('format', 'string', 'value', $3::text))))
           ON CONFLICT (prefix, suffix_key) DO UPDATE SET values = EXCLUDED.values""",
        prefix,
        suffix,
        text,
        index,
    )


async def seen(resolver: Resolver, sql: asyncpg.Connection) -> None:
    """Wait until the feed has seen all that is committed by now."""
    before = store.counter(await store.place(sql))
    await until(lambda: store.counter(resolver.feed.place or store.Place("0:0:", 0)) >= before)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def text(resolver: Resolver, name: Identifier = NAME) -> str | None:
    """What the name says now, None if it is not found."""
    try:
        found = await resolver.resolve(name)
    except HandleNotFound:
        return None
    assert isinstance(found, Answer)
    return found.values()[0].data.decode(errors="replace")


async def until_says(resolver: Resolver, wanted: str | None, name: Identifier = NAME) -> None:
    async with asyncio.timeout(20):
        while await text(resolver, name) != wanted:
            await asyncio.sleep(0.005)


def reads(resolver: Resolver) -> float:
    return resolver.row.cells[slot("idnode_database_reads")]


class Gate:
    """Holds what a read has found until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        read = store.read

        async def slow(pool: asyncpg.Pool, keys: Sequence[store.Key]) -> list[store.Found]:
            found = await read(pool, keys)
            self.reached.set()
            await self.opened.wait()
            return found

        monkeypatch.setattr(lookup.store, "read", slow)


async def test_many_queries_for_one_name_are_one_read(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    answers = await asyncio.gather(*(text(resolver) for _ in range(200)))
    assert answers == ["one"] * 200
    assert reads(resolver) == 1


async def test_many_names_that_wait_together_share_reads(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    names = [Identifier.parse(f"88.118.35/N-{n}") for n in range(1000)]
    answers = await asyncio.gather(*(text(resolver, name) for name in names))
    assert answers == [None] * 1000
    assert reads(resolver) <= 10


async def test_a_name_that_is_not_there_is_asked_for_once_and_found_when_it_comes(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    name = Identifier.parse("88.118.35/NEW")
    for _ in range(5):
        assert await text(resolver, name) is None
    assert reads(resolver) == 1
    await put(sql, "NEW", "born")
    await until_says(resolver, "born", name)


async def test_any_spelling_finds_it_and_the_registered_one_is_kept(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    await put(sql, "Pump-7a", "seven")
    await seen(resolver, sql)
    for spelling in ("PUMP-7A", "pump-7a", "Pump-7a"):
        found = await resolver.resolve(Identifier.of("88.118.35", spelling))
        assert isinstance(found, Answer)
        assert b'"88.118.35/Pump-7a"' in found.body
    assert reads(resolver) == 1


async def test_an_update_and_a_deletion_reach_the_cache(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    assert await text(resolver) == "one"
    await put(sql, "SN-1", "two")
    await until_says(resolver, "two")
    await sql.execute("DELETE FROM identifiers")
    await until_says(resolver, None)
    await put(sql, "SN-1", "three")
    await until_says(resolver, "three")
    await sql.execute("TRUNCATE identifiers")
    await until_says(resolver, None)


async def test_no_change_is_lost_when_transactions_commit_out_of_order(
    sql: asyncpg.Connection, resolver: Resolver, database_url: str
) -> None:
    await put(sql, "SN-2", "one")
    second = Identifier.parse("88.118.35/SN-2")
    assert await text(resolver) == await text(resolver, second) == "one"
    early = await asyncpg.connect(database_url)
    transaction = early.transaction()
    await transaction.start()
    await put(early, "SN-1", "two")  # has the lower place in the log, and is not committed
    await put(sql, "SN-2", "two")
    await until_says(resolver, "two", second)
    assert await text(resolver) == "one"
    await transaction.commit()
    await until_says(resolver, "two")
    await early.close()


async def test_changes_made_while_the_feed_was_cut_off_are_caught_up_with(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    assert await text(resolver) == "one"
    # One transaction: the feed cannot come back between the cut and the change.
    async with sql.transaction():
        await put(sql, "SN-1", "two")
        await sql.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )
        await until(lambda: not resolver.feed.connected)
    await until_says(resolver, "two")
    assert resolver.ready


async def test_a_change_that_overtakes_a_read_is_not_covered_by_the_old_answer(
    sql: asyncpg.Connection, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    asked = asyncio.create_task(text(resolver))
    await gate.reached.wait()  # the read has seen "one"
    before = resolver.row.cells[slot("idnode_feed_changes")]
    await put(sql, "SN-1", "two")
    await until(lambda: resolver.row.cells[slot("idnode_feed_changes")] > before)
    gate.opened.set()
    assert await asked == "one"  # who asked before the change may hear what was true then
    assert await text(resolver) == "two"


async def test_no_read_in_the_air_brings_back_what_has_changed(
    sql: asyncpg.Connection, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two reads of one name are in the air, for an authoritative query joins no other."""
    gate = Gate(monkeypatch)
    plain = asyncio.create_task(text(resolver))
    await gate.reached.wait()
    gate.reached.clear()
    authoritative = asyncio.create_task(resolver.resolve(NAME, authoritative=True))
    await gate.reached.wait()
    await sql.execute("UPDATE prefixes SET status = 'suspended' WHERE prefix = '88.118.35'")
    await seen(resolver, sql)
    gate.opened.set()
    await asyncio.gather(plain, authoritative)
    assert await text(resolver) is None, "a suspended prefix resolves"
    assert await text(resolver, Identifier.parse("88.118.35/OTHER")) is None


async def test_a_reader_that_was_paused_for_too_long_forgets_everything(
    sql: asyncpg.Connection, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await text(resolver) == "one"
    place = resolver.feed.place
    assert place is not None
    later = store.Place(place.snapshot, place.at + store.CHANGES_KEPT_SECONDS)
    assert store.may_have_missed(place, later)
    assert not store.may_have_missed(place, store.Place(place.snapshot, place.at + 60))

    changes = store.changes

    async def as_if_paused(
        connection: asyncpg.Connection, since: store.Place
    ) -> tuple[store.Place, list[store.Change]]:
        now, _ = await changes(connection, since)  # and the lines have been deleted
        return store.Place(now.snapshot, since.at + store.CHANGES_KEPT_SECONDS), []

    monkeypatch.setattr(store, "changes", as_if_paused)
    await put(sql, "SN-1", "two")
    await until_says(resolver, "two")


async def test_a_query_waits_no_longer_for_a_stopped_database_than_the_limit(
    sql: asyncpg.Connection, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "_READ_SECONDS", 0.05)
    gate = Gate(monkeypatch)
    with pytest.raises(StoreUnavailable):
        await resolver.resolve(NAME)
    assert not resolver._flying, "a later query would join a flight that is lost"
    gate.opened.set()


async def test_suspension_stops_all_names_of_a_prefix_on_every_worker(
    sql: asyncpg.Connection, resolver: Resolver, database_url: str
) -> None:
    other = Identifier.parse("88.118.36/X")
    await put(sql, "X", "other", prefix="88.118.36")
    async with following(database_url) as second:
        for worker in (resolver, second):
            assert await text(worker) == "one"
            assert await text(worker, other) == "other"
        await sql.execute("UPDATE prefixes SET status = 'suspended' WHERE prefix = '88.118.35'")
        for worker in (resolver, second):
            await until_says(worker, None)
            assert await text(worker, other) == "other"
        await sql.execute("UPDATE prefixes SET status = 'active' WHERE prefix = '88.118.35'")
        for worker in (resolver, second):
            await until_says(worker, "one")


async def test_the_short_way_does_not_answer_for_a_suspended_prefix(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    assert await text(resolver) == "one"
    kept = resolver.cache.answers[NAME.key.encode()]
    resolver.forget("88.118.35", None)
    assert not kept.prefix.live


async def test_a_delegated_prefix_refers_to_the_enterprise_node(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    await sql.execute(
        "UPDATE prefixes SET hosting = 'delegated', site = $1 WHERE prefix = '88.118.36'",
        json.dumps(SITE),
    )
    await seen(resolver, sql)
    for suffix in ("A", "B"):
        found = await resolver.resolve(Identifier.of("88.118.36", suffix))
        assert isinstance(found, Referral)
        assert found.values()[0].type == "HS_SITE"
    assert reads(resolver) == 1, "the prefix alone says where to go"


async def test_a_foreign_prefix_is_not_ours_to_answer(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    with pytest.raises(ServerNotResponsible):
        await resolver.resolve(Identifier.parse("10.1000/182"))


async def test_a_private_value_is_not_in_the_public_answer(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    await sql.execute(
        """UPDATE identifiers SET values = values || '[{"index": 2, "type": "KEY",
           "permissions": "1100", "data": {"format": "string", "value": "secret"}}]'"""
    )
    await until_says(resolver, "one")
    found = await resolver.resolve(NAME, authoritative=True)
    assert isinstance(found, Answer)
    assert b"secret" not in found.body


async def test_without_a_database_the_unknown_is_refused_at_once_and_the_known_goes_on(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    assert await text(resolver) == "one"
    await resolver.feed.close()
    resolver.feed.connected = False
    assert await text(resolver) == "one"
    with pytest.raises(StoreUnavailable):
        await resolver.resolve(Identifier.parse("88.118.35/OTHER"))


async def test_no_more_queries_wait_than_the_limit(
    sql: asyncpg.Connection, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "MAX_WAITING", 3)
    gate = Gate(monkeypatch)
    names = [Identifier.parse(f"88.118.35/N-{n}") for n in range(10)]
    tasks = [asyncio.create_task(text(resolver, name)) for name in names]
    await gate.reached.wait()
    gate.opened.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(result, StoreUnavailable) for result in results)
    assert all(result is None or isinstance(result, StoreUnavailable) for result in results)


async def test_the_pools_tell_what_they_hold(
    sql: asyncpg.Connection, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    asked = asyncio.create_task(text(resolver))
    await gate.reached.wait()
    async with resolver.database.begin():
        assert resolver.database.connections == (1, 2)  # the read has given its own back
    gate.opened.set()
    assert await asked == "one"
    assert resolver.database.connections == (0, 2)


async def test_a_prefix_handle_says_where_the_prefix_is_served(
    sql: asyncpg.Connection, resolver: Resolver
) -> None:
    await sql.execute(
        "UPDATE prefixes SET hosting = 'delegated', site = $1 WHERE prefix = '88.118.36'",
        json.dumps(SITE),
    )
    await put(sql, "88.118.35", "our own", prefix="0.NA", index=2)
    await seen(resolver, sql)
    resolver._site = here = typed.site_from_json(SITE | {"serialNumber": 7})
    for name, wanted in (
        ("0.NA/88.118.35", [here, b"our own"]),
        ("0.na/88.118.35", [here, b"our own"]),
        ("0.NA/88.118", [here]),
        ("0.NA/88.118.36", [typed.site_from_json(SITE)]),
    ):
        found = await resolver.resolve(Identifier.parse(name))
        assert isinstance(found, Answer)
        assert [value.data for value in found.values()] == wanted, name
    with pytest.raises(HandleNotFound):
        await resolver.resolve(Identifier.parse("0.NA/88.118.99"))
    with pytest.raises(ServerNotResponsible):
        await resolver.resolve(Identifier.parse("0.NA/10.1000"))
    await sql.execute("UPDATE prefixes SET status = 'suspended' WHERE prefix = '88.118.35'")
    await until_says(resolver, None, Identifier.parse("0.NA/88.118.35"))
