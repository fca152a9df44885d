"""The tree of the audit log: every committed line once, whatever happens to who takes it there."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from protocol import merkle, tree_head
from protocol.merkle import BadProof
from registry.database import Database
from registry.schema import audit_log
from registry.transparency import heads, leaf, proofs, tree
from registry.transparency.heads import SignedHead, run_log
from registry.transparency.keys import ensure_key, load_key
from registry.transparency.sequencer import Sequencer
from tests.integration.log_support import KEY, NOW, grow, leaves, write

DEADLINE = 30.0


async def size(database: Database) -> int:
    async with database.begin() as connection:
        return await tree.size(connection)


async def check_whole(database: Database, lines: int) -> None:
    """Check that the tree is exactly the committed lines, and that its stored nodes are right."""
    hashes = await leaves(database)
    assert len(hashes) == lines == await size(database)
    expected = merkle.Frontier()
    for each in hashes:
        expected.append(each)
    async with database.begin() as connection:
        assert (await tree.frontier(connection, lines)).root == expected.root
        taken = await connection.scalar(sa.text("SELECT count(DISTINCT seq) FROM log_entries"))
        assert taken == lines


def test_a_leaf_has_every_column() -> None:
    assert set(leaf.COLUMNS) == {column.name for column in audit_log.columns}, (
        "a column of the audit log can be altered without anybody seeing it"
    )


async def test_the_text_of_a_leaf_is_as_it_is_described(database: Database) -> None:
    odd = {"b": 'quote " \\ tab\t\u0001', "aa": "泵😀", "é": 1.50, "z": [None, True, {}], "": ""}
    async with database.begin() as connection:
        await connection.execute(
            audit_log.insert().inline(),
            {"actor": "a", "action": "b", "subject": "c", "detail": odd, "request_id": None},
        )
        await connection.exec_driver_sql("SET LOCAL timezone = 'Asia/Shanghai'")
        await connection.exec_driver_sql("SET LOCAL datestyle = 'German'")
        row = (
            await connection.execute(
                sa.text(
                    f"SELECT {leaf.TEXT}, a.seq, {leaf.HASH} AS hash,"
                    " extract(epoch FROM at)::text AS at FROM audit_log AS a"
                )
            )
        ).one()
    text = row[0]
    assert row.hash == merkle.leaf_hash(text.encode())
    assert f'"at": {row.at},' in text
    assert len(row.at.partition(".")[2]) == 6, "the time is not whole"

    def ordered(value: Any) -> Any:
        if isinstance(value, dict):
            names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
            return {name: ordered(value[name]) for name in names}
        return [ordered(each) for each in value] if isinstance(value, list) else value

    class Written(float):
        """A number that is printed as it was read."""

        def __new__(cls, text: str) -> Written:
            self = super().__new__(cls, text)
            self.text = text
            return self

        text: str

        __repr__ = lambda self: self.text  # noqa: E731

    numbers: dict[str, str] = {}

    def mark(number: str) -> str:
        numbers[f"<{len(numbers)}>"] = number
        return f"<{len(numbers) - 1}>"

    read = json.loads(text, parse_float=mark)
    again = json.dumps(ordered(read), ensure_ascii=False, separators=(", ", ": "))
    for place, number in numbers.items():
        again = again.replace(f'"{place}"', number)
    assert again == text


@pytest.mark.parametrize("batch", [1, 3, 16, 17, 1000])
async def test_the_tree_is_the_committed_lines_in_batches_of_any_size(
    database: Database, batch: int
) -> None:
    sequencer = Sequencer(database, batch=batch)
    total = 0
    for count in (1, 15, 1, 40, 0, 33):
        await write(database, count)
        total += count
        assert await sequencer.sweep() == count
        await check_whole(database, total)


async def test_a_line_that_commits_late_is_taken_and_none_is_taken_twice(
    database: Database,
) -> None:
    late = await asyncpg.connect(database.url)
    try:
        sequencer = Sequencer(database)
        await write(database, 3)
        transaction = late.transaction()
        await transaction.start()
        await late.execute("INSERT INTO audit_log (actor, action, subject) VALUES ('l', 'a', 's')")
        await write(database, 3)
        for _ in range(3):
            await sequencer.sweep()
        assert await size(database) == 6
        assert sequencer.settled <= 3, "a number counts as settled while its line may still come"
        await transaction.commit()
        assert await sequencer.sweep() == 1
        await check_whole(database, 7)
        assert await sequencer.sweep() == 0
        assert sequencer.settled == 7
    finally:
        await late.close()


async def test_numbers_of_transactions_that_were_rolled_back_hold_nothing_up(
    database: Database,
) -> None:
    sequencer = Sequencer(database)
    for _ in range(3):
        async with database.begin() as connection:
            await connection.exec_driver_sql(
                "INSERT INTO audit_log (actor, action, subject) VALUES ('r', 'a', 's')"
            )
            await connection.rollback()
    await write(database, 2)
    assert await sequencer.sweep() == 2
    await sequencer.sweep()
    assert sequencer.settled == 5


async def test_many_writers_at_once_lose_and_double_nothing(database: Database) -> None:
    sequencer = Sequencer(database, batch=7)
    lines = 0

    async def writer(number: int) -> None:
        nonlocal lines
        for round_ in range(15):
            async with database.begin() as connection:
                insert = audit_log.insert().inline()
                line = {"actor": f"w{number}", "action": "a", "subject": str(round_), "detail": {}}
                await connection.execute(insert, line)
                await asyncio.sleep(0.001 * (number % 3))
                if (number + round_) % 5 == 0:
                    await connection.rollback()
                    continue
            lines += 1

    writers = asyncio.gather(*(writer(number) for number in range(6)))
    while not writers.done():
        await sequencer.sweep()
        await asyncio.sleep(0)
    await writers
    for _ in range(3):
        await sequencer.sweep()
    await check_whole(database, lines)
    async with database.begin() as connection:
        last = await connection.scalar(sa.text("SELECT last_value FROM audit_log_seq_seq"))
    assert sequencer.settled == last


_SWEEPS = """
import asyncio, sys
from registry.database import Database
from registry.transparency.sequencer import Sequencer

async def main():
    sequencer = Sequencer(Database(sys.argv[1]), batch=20)
    print("begun", flush=True)
    while True:
        await sequencer.sweep()

asyncio.run(main())
"""


async def test_a_sequencer_that_is_killed_leaves_a_whole_tree(database: Database) -> None:
    await write(database, 2000)
    for round_ in range(6):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _SWEEPS, database.url, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(DEADLINE):
            assert process.stdout is not None
            assert await process.stdout.readline() == b"begun\n"
            before = await size(database)
            while await size(database) < min(before + 50 + 37 * round_, 2000):
                await asyncio.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await check_prefix(database)
    sequencer = await Sequencer.resume(database)
    await sequencer.sweep()
    await check_whole(database, 2000)


async def check_prefix(database: Database) -> None:
    await check_whole(database, await size(database))


async def test_heads_are_signed_where_something_is_new(database: Database) -> None:
    assert await heads.make(database, KEY, settled=0, now=NOW) is None
    first, second = await grow(database, 5, 20)
    assert await heads.make(database, KEY, settled=0, now=NOW) is None
    hashes = await leaves(database)
    for signed, count in ((first, 5), (second, 25)):
        expected = merkle.Frontier()
        for each in hashes[:count]:
            expected.append(each)
        assert (signed.head.size, signed.head.root) == (count, expected.root)
        signed.check()
    altered = tree_head.TreeHead(first.head.timestamp + 1, first.head.size, first.head.root)
    with pytest.raises(BadProof):
        SignedHead(altered, first.signature, first.public_key).check()


async def test_time_of_heads_never_goes_back(database: Database) -> None:
    (first,) = await grow(database, 1)
    (second,) = await grow(database, 1, now=NOW - 3600)
    assert second.head.timestamp == first.head.timestamp + 1


async def test_every_leaf_is_proved_under_every_head(database: Database) -> None:
    signed = await grow(database, 1, 2, 30, 40)
    hashes = await leaves(database)
    async with database.begin() as connection:
        for each in signed:
            size_, root = each.head.size, each.head.root
            for index in range(size_):
                path = await proofs.path(connection, index, size_)
                merkle.check_inclusion(hashes[index], index, size_, path, root)


@pytest.mark.parametrize("table", ["log_entries", "log_nodes", "log_heads"])
async def test_nothing_of_the_tree_can_be_altered(database: Database, table: str) -> None:
    await grow(database, 20)
    column = {"log_entries": "seq", "log_nodes": "number", "log_heads": "settled"}[table]
    for attempt in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append only"):
            async with database.begin() as connection:
                await connection.exec_driver_sql(attempt)


async def test_a_node_that_is_gone_is_told_and_not_made_up(database: Database) -> None:
    await grow(database, 40)
    async with database.begin() as connection:
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await connection.exec_driver_sql("DELETE FROM log_nodes WHERE number = 0")
        with pytest.raises(tree.BrokenTree, match="node 0 of level 4"):
            await tree.nodes(connection, [(4, 0)])


async def test_the_job_signs_what_is_written_and_stops_when_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.01)
    stop = asyncio.Event()
    job = asyncio.create_task(run_log(database, KEY, stop, clock=lambda: NOW))
    async with asyncio.timeout(DEADLINE):
        for total in (3, 6):
            await write(database, 3)
            while True:
                async with database.begin() as connection:
                    newest = await heads.latest(connection)
                if newest is not None and newest.head.size == total:
                    break
                await asyncio.sleep(0.01)
        stop.set()
        await job


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "log-key.pem"
    ensure_key(path)
    first = load_key(path)
    ensure_key(path)
    assert tree_head.encode_key(load_key(path).public_key()) == tree_head.encode_key(
        first.public_key()
    )
    assert path.stat().st_mode & 0o777 == 0o600
