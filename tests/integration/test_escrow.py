"""Escrow: what is restored is what was there, and nothing is restored that was not signed."""

from __future__ import annotations

import asyncio
import base64
import random
import shutil
import time
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol.identifier import Identifier
from registry.database import Database, migrate
from registry.escrow.chain import names, whole
from registry.escrow.manifest import EscrowError
from registry.escrow.restoring import restore
from registry.escrow.tables import LEFT_OUT, PARTS
from registry.escrow.taking import DirectoryInUse
from registry.metrics import private_row
from registry.schema import metadata
from registry.transparency import heads
from registry.transparency.sequencer import Sequencer
from resolver.lookup import Resolver
from tests.integration import tenants
from tests.integration.escrow_support import KEY, PUBLIC, Clock, empty, step, told
from tests.integration.log_support import grow
from tests.integration.registry_client import Node

MANY = 3000


def test_every_table_is_in_the_escrow_or_has_a_reason_not_to_be() -> None:
    kept = [part.table for part in PARTS]
    assert sorted(kept + list(LEFT_OUT)) == sorted({*metadata.tables, "alembic_version"})


async def test_a_node_with_everything_comes_back_row_by_row(
    node: Node, postgres_url: str, tmp_path: Path
) -> None:
    clock = Clock(time.time())
    await tenants.make(node, 1)
    first = await step(node.database, tmp_path, clock)
    await tenants.make(node, 2)
    sequencer = await Sequencer.resume(node.database)
    await sequencer.sweep()
    assert await heads.make(node.database, KEY, settled=sequencer.settled, now=clock())
    await _sources(node.database)
    second = await step(node.database, tmp_path, clock)
    assert (first.manifest.number, second.manifest.number) == (0, 1), "the second is no increment"
    before = await told(node.database)
    missing = [table for table, rows in before.items() if not rows]
    assert missing == [], "the node of the test has no row of these, so that they prove nothing"
    async with empty(postgres_url) as copy:
        await restore(copy, tmp_path, PUBLIC)
        assert await told(copy) == before


async def test_increments_follow_changes_deletions_and_what_is_gone_and_back(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    chance, clock = random.Random(7), Clock(time.time())
    await _enterprise(database)
    for _ in range(5):
        await _change_at_random(database, chance)
        await step(database, tmp_path, clock)
    async with empty(postgres_url) as copy:
        steps = await restore(copy, tmp_path, PUBLIC)
        assert [found.manifest.number for found in steps] == [0, 1, 2, 3, 4]
        assert await told(copy) == await told(database)


async def test_what_a_transaction_wrote_that_was_open_at_a_step_is_in_the_next(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    """Also with savepoints, whose ids no snapshot names."""
    clock = Clock(time.time())
    await _enterprise(database)
    slow = await database.connection()
    try:
        await slow.execute("BEGIN")
        await _put(slow, "OUTER", "one")
        await slow.execute("SAVEPOINT within")
        await _put(slow, "INNER", "one")
        await step(database, tmp_path, clock)
        await slow.execute("COMMIT")
    finally:
        await slow.close()
    await step(database, tmp_path, clock)
    async with empty(postgres_url) as copy:
        await restore(copy, tmp_path, PUBLIC)
        found = (await told(copy))["identifiers"]
    assert len(found) == 2, "what was under way during the first step was lost"


async def test_a_step_is_of_one_moment_while_others_write(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    clock = Clock(time.time())
    await _enterprise(database)
    writer = asyncio.create_task(_write_pairs(database))
    try:
        for _ in range(3):
            await step(database, tmp_path, clock)
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
    async with empty(postgres_url) as copy:
        await restore(copy, tmp_path, PUBLIC)
        connection = await copy.connection()
        odd = await connection.fetchval(
            "SELECT count(*) % 2 FROM identifiers WHERE suffix_key LIKE 'PAIR%'"
        )
        await connection.close()
    assert odd == 0, "half of a transaction was taken"


async def test_answers_of_the_restored_node_are_the_same_byte_for_byte(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    await _enterprise(database)
    connection = await database.connection()
    await connection.execute(
        """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
           SELECT '88.118.35', 'SN-' || n, 'sn-' || n, jsonb_build_array(jsonb_build_object(
               'index', 1, 'type', 'URL', 'ttl', n % 1000 + 60, 'data', jsonb_build_object(
                   'format', 'string', 'value', 'https://a.example/\\' || n || E'\\t泵\\n')))
           FROM generate_series(1, $1::int) AS n""",
        MANY,
    )
    await connection.close()
    await step(database, tmp_path, Clock(time.time()))
    async with empty(postgres_url) as copy:
        await restore(copy, tmp_path, PUBLIC)
        assert await _answers(copy) == await _answers(database)


async def test_the_restored_node_goes_on(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    """Triggers, keys and sequences are in force again; the tree of the log goes on to grow."""
    await _enterprise(database)
    connection = await database.connection()
    await _put(connection, "SN-1", "one")
    await connection.close()
    await grow(database, 5)
    await step(database, tmp_path, Clock(time.time()))
    async with empty(postgres_url) as copy:
        await restore(copy, tmp_path, PUBLIC)
        again = await copy.connection()
        before = await again.fetchval("SELECT version FROM identifiers")
        await _put(again, "SN-1", "two")
        assert await again.fetchval("SELECT version FROM identifiers") > before
        assert await again.fetchval("SELECT count(*) FROM identifier_history") == 1
        assert await again.fetchval("SELECT count(*) FROM change_log") == 1
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await again.execute("DELETE FROM enterprises")
        with pytest.raises(asyncpg.PostgresError, match="append"):
            await again.execute("DELETE FROM log_heads")
        await again.close()
        # Its own ids count from another beginning, so it begins a series of its own.
        follows = await step(copy, tmp_path, Clock(time.time() + 60))
        assert follows.manifest.number == 0


def test_a_file_that_was_touched_is_refused(chain: Path) -> None:
    file = max(chain.glob("*-00001/identifiers.rows.zst"))
    octets = bytearray(file.read_bytes())
    octets[len(octets) // 2] ^= 1
    file.write_bytes(octets)
    _refused(chain, "not the file that was signed")


def test_a_manifest_that_was_touched_is_refused(chain: Path) -> None:
    file = max(chain.glob("*-00001/manifest.json"))
    file.write_bytes(file.read_bytes().replace(b'"88.118"', b'"88.119"'))
    _refused(chain, "the signature is not that of the key given")


def test_steps_of_another_key_are_refused(chain: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    with pytest.raises(EscrowError, match="the signature is not that of the key given"):
        whole(chain, key)


def test_a_missing_increment_is_refused(chain: Path) -> None:
    shutil.rmtree(max(chain.glob("*-00001")))
    _refused(chain, "the step before it is missing")


def test_a_missing_file_is_refused(chain: Path) -> None:
    max(chain.glob("*-00001/prefixes.rows.zst")).unlink()
    _refused(chain, "prefixes.rows.zst: No such file")


def test_steps_whose_directories_changed_places_keep_their_order(chain: Path) -> None:
    """The chain of digests says which follows which, not the names; the last name ends it."""
    first, second, _ = sorted(chain.glob("*-0000?"))
    places = first.name, second.name
    first.rename(chain / "held")
    second.rename(chain / places[0])
    (chain / "held").rename(chain / places[1])
    assert [found.manifest.number for found in whole(chain, PUBLIC)] == [0, 1, 2]


def test_an_increment_alone_is_refused(chain: Path) -> None:
    for found in sorted(chain.glob("*-0000?"))[:-1]:
        shutil.rmtree(found)
    _refused(chain, "the step before it is missing")


async def test_an_earlier_step_can_be_asked_for(chain: Path, postgres_url: str) -> None:
    earlier = whole(chain, PUBLIC)[1]
    async with empty(postgres_url) as copy:
        steps = await restore(copy, chain, PUBLIC, until=earlier.digest)
        assert [found.manifest.number for found in steps] == [0, 1]
        assert len((await told(copy))["identifiers"]) == 2
    _refused(chain, "there is no step with the digest", until="0" * 64)


async def test_tables_of_a_newer_version_are_refused(chain: Path, postgres_url: str) -> None:
    for found in whole(chain, PUBLIC)[1:]:
        shutil.rmtree(found.path)
    _forge(chain, f'"schema": "{found.manifest.schema}"', '"schema": "9999"')
    async with empty(postgres_url) as copy:
        with pytest.raises(EscrowError, match="newer than this version"):
            await restore(copy, chain, PUBLIC)


async def test_tables_of_an_older_version_are_brought_to_this_one(
    postgres_url: str, tmp_path: Path
) -> None:
    async with empty(postgres_url) as old:
        await migrate(old.url, "0020")
        await _enterprise(old)
        connection = await old.connection()
        await _put(connection, "SN-1", "one")
        await connection.close()
        await step(old, tmp_path, Clock(time.time()))
        async with empty(postgres_url) as copy:
            await restore(copy, tmp_path, PUBLIC)
            found = await told(copy)
            assert [len(found[name]) for name in ("prefixes", "identifiers")] == [1, 1]


async def test_a_database_that_is_not_empty_is_refused(
    chain: Path, other_database: Database
) -> None:
    with pytest.raises(EscrowError, match="the database is not empty"):
        await restore(other_database, chain, PUBLIC)


async def test_it_is_all_or_nothing(chain: Path, postgres_url: str) -> None:
    """A step that is signed but does not fit, found last, leaves nothing in the database."""
    _forge(chain, '"total": 3', '"total": 4')
    async with empty(postgres_url) as copy:
        with pytest.raises(EscrowError, match="3 rows, expected 4"):
            await restore(copy, chain, PUBLIC)
        connection = await copy.connection()
        left = await connection.fetchval(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        await connection.close()
        assert left == 0, "a restoration that failed left tables"


async def test_a_new_snapshot_begins_where_an_increment_cannot_follow(
    database: Database, chain: Path
) -> None:
    clock = Clock(time.time() + 3600)
    assert (await step(database, chain, clock)).manifest.number == 3
    assert (await step(database, chain, clock, whole=True)).manifest.number == 0
    await migrate(database.url, "-1")
    assert (await step(database, chain, clock)).manifest.number == 0, "the tables have changed"


async def test_two_do_not_write_into_one_directory(database: Database, chain: Path) -> None:
    clock = Clock(time.time() + 3600)
    results = await asyncio.gather(
        step(database, chain, clock), step(database, chain, clock), return_exceptions=True
    )
    assert sum(isinstance(result, DirectoryInUse) for result in results) == 1


async def test_what_was_left_unfinished_is_cleared_away(database: Database, chain: Path) -> None:
    left = chain / ".unfinished-0123"
    await asyncio.to_thread(left.mkdir)
    (left / "identifiers.rows.zst").write_bytes(b"half")
    await step(database, chain, Clock(time.time() + 3600))
    assert not left.exists()


def test_only_the_owner_can_read_the_files(chain: Path) -> None:
    for path in chain.glob("*-0000?/*"):
        assert path.stat().st_mode & 0o077 == 0, f"{path.name} can be read by others"


@pytest.fixture
async def chain(database: Database, tmp_path: Path) -> Path:
    """A snapshot and two increments, each with an identifier more: SN-0, SN-1, SN-2."""
    clock = Clock(time.time())
    await _enterprise(database)
    connection = await database.connection()
    for number in range(3):
        await _put(connection, f"SN-{number}", "one")
        await step(database, tmp_path, clock)
    await connection.close()
    return tmp_path


def _refused(directory: Path, reason: str, until: str | None = None) -> None:
    """It is refused before the database is looked at."""
    with pytest.raises(EscrowError, match=reason):
        whole(directory, PUBLIC, until)


def _forge(directory: Path, old: str, new: str) -> None:
    """Let the latest manifest say something else, and sign it as the node would."""
    path = directory / names(directory)[-1]
    octets = (path / "manifest.json").read_bytes()
    other = octets.replace(old.encode(), new.encode())
    assert other != octets
    (path / "manifest.json").write_bytes(other)
    (path / "manifest.sig").write_bytes(base64.b64encode(KEY.sign(b"idnode escrow 1\n" + other)))


async def _enterprise(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(
            sa.text(
                """WITH e AS (
                       INSERT INTO enterprises (name, credit_code, industry, contact)
                       VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
                   INSERT INTO prefixes (prefix, enterprise_id, hosting, status)
                       SELECT '88.118.35', id, 'hosted', 'active' FROM e"""
            )
        )


async def _sources(database: Database) -> None:
    """What a worker leaves beside its counts."""
    async with database.begin() as connection:
        for statement in (
            "INSERT INTO resolution_sources (source, counts, ended)"
            " VALUES (gen_random_uuid(), '{}', true)",
            "INSERT INTO top_sources (source, day, kind, total, floor)"
            " VALUES (gen_random_uuid(), now()::date, 'found', 7, 1)",
            "INSERT INTO reports (subject, digest, revision) VALUES ('an hour', '00', 2)",
        ):
            await connection.execute(sa.text(statement))


async def _put(connection: asyncpg.Connection, suffix: str, text: str) -> None:
    await connection.execute(
        """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
           VALUES ('88.118.35', upper($1), $1, jsonb_build_array(jsonb_build_object('index', 1,
               'type', 'URL', 'data', jsonb_build_object('format', 'string', 'value', $2::text))))
           ON CONFLICT (prefix, suffix_key) DO UPDATE SET values = EXCLUDED.values""",
        suffix,
        text,
    )


async def _change_at_random(database: Database, chance: random.Random) -> None:
    """Write, change and delete some of 200 names, so that many are gone and back again."""
    connection = await database.connection()
    for _ in range(150):
        suffix = f"SN-{chance.randrange(200)}"
        if chance.random() < 0.4:
            await connection.execute(
                "DELETE FROM identifiers WHERE prefix = '88.118.35' AND suffix_key = $1", suffix
            )
        else:
            await _put(connection, suffix, str(chance.random()))
    await connection.close()


async def _write_pairs(database: Database) -> None:
    """Write two identifiers in each transaction, until cancelled."""
    connection = await database.connection()
    try:
        number = 0
        while True:
            async with connection.transaction():
                await _put(connection, f"PAIR-{number}-A", "one")
                await _put(connection, f"PAIR-{number}-B", "one")
            number += 1
    finally:
        connection.terminate()


async def _answers(database: Database) -> list[bytes]:
    """Return what the node answers over HTTP for each of the names."""
    resolver = Resolver(database, row=private_row(), cache_bytes=1 << 26, node_prefix="88.118")
    await resolver.start()
    try:
        async with asyncio.timeout(20):
            while not resolver.ready:
                await asyncio.sleep(0.01)
        found = []
        for number in range(1, MANY + 1):
            answer = await resolver.resolve(Identifier.parse(f"88.118.35/sn-{number}"))
            found.append(answer.http)  # type: ignore[union-attr]
        return found
    finally:
        await resolver.close()
