"""Counts of resolutions reach PostgreSQL once each, whatever fails, in the hour they belong to."""

from __future__ import annotations

import asyncio
import datetime
import fcntl
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from protocol.errors import StoreUnavailable
from protocol.identifier import Identifier
from registry.database import Database
from registry.metrics import private_row
from registry.schema import resolution_hours, resolution_sources, top_names, top_sources
from registry.statistics import cells, counter
from registry.statistics.cells import FOUND, CountFile
from registry.statistics.counter import SAMPLE, Counter, Sample
from registry.statistics.flush import flush
from registry.statistics.registrations import clean_up
from resolver.lookup import Resolver
from tests.integration.registry_client import running

NOON = datetime.datetime(2027, 3, 4, 12, 0, tzinfo=datetime.UTC)
AWAY = "postgresql://nobody@127.0.0.1:1/none"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON.timestamp() + 60

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def files(directory: Path) -> int:
    return len(list(directory.iterdir()))


async def rows(database: Database, table: sa.Table) -> list[Any]:
    async with database.begin() as connection:
        return list((await connection.execute(sa.select(table))).all())


async def hours(database: Database) -> dict[tuple[str, int], int]:
    """Return what was found by prefix and hour of the day."""
    return {
        (row.prefix, row.hour.hour): row.found for row in await rows(database, resolution_hours)
    }


async def test_each_flush_adds_what_has_come_since_the_one_before(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    counting = Counter(database, private_row(), tmp_path, clock=clock)
    for times in (3, 0, 4):
        for _ in range(times):
            counting.cells("88.118.35")[FOUND] += 1
        await counting.flush()
    assert await hours(database) == {("88.118.35", 12): 7}
    await counting.close()
    assert await hours(database) == {("88.118.35", 12): 7}
    assert files(tmp_path) == 0, "what is written needs no file"


async def test_a_commit_of_which_nobody_learned_is_not_added_again(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    counting = Counter(database, private_row(), tmp_path, clock=clock)
    counting.cells("88.118.35")[FOUND] += 5
    (file,) = counting._files
    for ended in (False, False, True, True):
        async with database.begin() as connection:
            await flush(connection, file, file.counts(), ended=ended)
    await counting.close()
    assert await hours(database) == {("88.118.35", 12): 5}


async def test_a_flush_that_fails_adds_nothing_and_the_next_one_all(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    counting = Counter(database, private_row(), tmp_path, clock=clock)
    counting.cells("88.118.35")[FOUND] += 5
    (file,) = counting._files

    async def fail() -> None:
        async with database.begin() as connection:
            await flush(connection, file, file.counts())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await hours(database) == {}
    await counting.flush()
    assert await hours(database) == {("88.118.35", 12): 5}


async def test_files_of_workers_that_are_gone_are_written_by_those_that_are_not(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    other = Database(AWAY)
    gone = Counter(other, private_row(), tmp_path, clock=clock)
    gone.cells("88.118.35")[FOUND] += 2
    clock.now += 3600
    gone.roll()
    gone.cells("88.118.35")[FOUND] += 3
    await gone.close()  # its database is away
    assert files(tmp_path) == 2, "what is not written stays"
    for file in gone._ended:
        assert file._file is not None
        fcntl.flock(file._file, fcntl.LOCK_UN)  # as when its process ends
    await other.close()

    stop = asyncio.Event()
    counting = Counter(database, private_row(), tmp_path, clock=clock)
    counting.cells("88.118.35")[FOUND] += 4
    running_ = asyncio.create_task(counting.run(stop))
    wanted = {("88.118.35", 12): 2, ("88.118.35", 13): 7}
    async with asyncio.timeout(30):
        while await hours(database) != wanted:
            await asyncio.sleep(0.01)
    stop.set()
    await running_
    await counting.close()
    assert await hours(database) == wanted
    assert files(tmp_path) == 0


async def test_a_new_hour_has_counts_of_its_own_and_cells_in_use_are_renewed(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    counting = Counter(database, private_row(), tmp_path, clock=clock)
    in_use = {"cells": counting.cells("88.118.35")}
    counting.rolled = lambda: in_use.update(cells=counting.cells("88.118.35"))
    for hour in range(3):
        in_use["cells"][FOUND] += hour + 1
        clock.now += 3600
        counting.roll()
    await counting.flush()
    assert await hours(database) == {("88.118.35", 12 + hour): hour + 1 for hour in range(3)}
    await counting.close()


async def test_more_prefixes_than_a_file_has_room_for(
    database: Database, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = CountFile.create.__func__  # type: ignore[attr-defined]
    small = classmethod(lambda cls, directory, hour: create(cls, directory, hour, capacity=4))
    monkeypatch.setattr(CountFile, "create", small)
    counting = Counter(database, private_row(), tmp_path, clock=clock)
    for number in range(10):
        counting.cells(f"88.118.{number}")[FOUND] += number + 1
    assert files(tmp_path) == 4
    await counting.flush()
    wanted = {(f"88.118.{number}", 12): number + 1 for number in range(10)}
    assert await hours(database) == wanted
    await counting.close()
    assert await hours(database) == wanted


async def test_many_workers_add_to_the_same_rows(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    workers = [Counter(database, private_row(), tmp_path, clock=clock) for _ in range(4)]
    for _ in range(5):
        for worker in workers:
            for prefix in ("88.118.35", "88.118.36", "88.118.37"):
                worker.cells(prefix)[FOUND] += 1
        await asyncio.gather(*(worker.flush() for worker in workers))
    await asyncio.gather(*(worker.close() for worker in workers))
    assert set((await hours(database)).values()) == {20}


async def test_files_that_wait_are_bounded(
    database: Database, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counter, "MAX_FILES", 3)
    other = Database(AWAY)
    counting = Counter(other, private_row(), tmp_path, clock=clock)
    for _ in range(6):
        clock.now += 3600
        counting.roll()
    await counting._adopt()
    assert files(tmp_path) == 1 + 3
    with pytest.raises(StoreUnavailable):
        await counting.flush()
    assert files(tmp_path) == 1 + 3
    await other.close()


def test_a_sample_is_exact_until_it_is_full_and_stands_for_all_then() -> None:
    sample: Sample[str] = Sample()
    for name in ("a", "b", "a"):
        sample.note(name)
    sample.note("not sent")
    sample.forget("not sent")
    sample.forget("not noted")
    assert sample.take(1000) == {"a": 2, "b": 1}
    assert sample.take(0) == {}
    for number in range(4 * SAMPLE):
        sample.note("even" if number % 2 == 0 else "odd")
    assert sample.take(4 * SAMPLE) == {"even": 2 * SAMPLE, "odd": 2 * SAMPLE}


async def test_estimates_are_written_by_worker_and_day(database: Database, clock: Clock) -> None:
    counting = Counter(database, private_row(), clock=clock)
    for name, times in ((b"88.118.35/A", 3), (b"88.118.35/B/C", 1)):
        for _ in range(times):
            counting.found.note(name)
    counting.missing.note(("88.118.35", "NONE"))
    counting.missing.note(("", "88.709/NONE"))
    counting.sample()
    await counting.flush_tops()
    counting.found.note(b"88.118.35/A")
    clock.now += 86_400
    counting.sample()  # in the day in which it is taken
    counting.found.note(b"88.118.35/A")
    counting.sample()
    await counting.close()
    found = {
        (row.kind, row.day.day, row.prefix, row.name): row.hits
        for row in await rows(database, top_names)
    }
    assert found == {
        ("found", 4, "88.118.35", "A"): 3,
        ("found", 4, "88.118.35", "B/C"): 1,
        ("found", 5, "88.118.35", "A"): 2,
        ("missing", 4, "88.118.35", "NONE"): 1,
        ("missing", 4, "", "88.709/NONE"): 1,
    }
    totals = {(row.kind, row.day.day): row.total for row in await rows(database, top_sources)}
    assert totals == {("found", 4): 4, ("found", 5): 2, ("missing", 4): 2}


async def test_a_name_that_is_pushed_out_is_taken_back(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counter(database, private_row(), clock=clock)
    sketch = counting._tops["found"]._days[-1].sketch
    sketch.size = 2
    for name in (b"1/A", b"1/B"):
        counting.found.note(name)
    counting.sample()
    await counting.flush_tops()
    for _ in range(2):
        counting.found.note(b"1/C")
    counting.sample()
    await counting.flush_tops()
    stored = {row.name: (row.hits, row.error) for row in await rows(database, top_names)}
    assert stored == {"C": (2, 0), "B": (1, 0)}
    (source,) = await rows(database, top_sources)
    assert (source.total, source.floor) == (4, 1)


async def test_what_a_resolver_answers_is_counted_by_prefix_and_outcome(
    database: Database, clock: Clock
) -> None:
    async with running(database) as node:
        enterprise, key = await node.enterprise(1)
        prefix = await node.prefix(enterprise, key)
        await node.call("PUT", f"/identifiers/{prefix}/A", key, {"values": []})
    row = private_row()
    counting = Counter(database, row, clock=clock)
    resolver = Resolver(
        database, row=row, cache_bytes=1 << 20, node_prefix="88.118", counter=counting
    )
    await resolver.start()
    async with asyncio.timeout(10):
        while not resolver.ready:
            await asyncio.sleep(0.01)
    name = Identifier.of(prefix, "a")
    await resolver.resolve(name)
    for result, times in (("found", 3), ("not_found", 2), ("referral", 1)):
        for _ in range(times):
            resolver.count(name, result)
    resolver.count(Identifier.parse("88.999/x"), "not_found")
    resolver.count(None, "invalid")
    clock.now += 3600
    counting.roll()
    resolver.count(name, "found")
    await counting.close()
    await resolver.close()
    found = {(row.prefix, row.hour.hour): row for row in await rows(database, resolution_hours)}
    own, nowhere = found[prefix, 12], found["", 12]
    assert (own.found, own.not_found, own.referral) == (3, 2, 1)
    assert (nowhere.not_found, nowhere.invalid) == (1, 1)
    assert found[prefix, 13].found == 1


async def test_what_is_old_goes_by_the_month_and_what_comes_is_made_ahead(
    database: Database, clock: Clock
) -> None:
    async def partitions() -> set[str]:
        async with database.begin() as connection:
            found = await connection.execute(
                sa.text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
            )
            return {name for name in found.scalars() if name.startswith("resolution_hours")}

    def name(month: str) -> str:
        return f"resolution_hours_{month}"

    for days in (0, 170, 200, 250, 400):
        counting = Counter(database, private_row(), clock=lambda days=days: clock() - days * 86_400)
        counting.cells("88.118.35")[FOUND] += 1
        await counting.close()
    kept = {row.hour.date() for row in await rows(database, resolution_hours)}
    assert len(kept) == 5
    dropped = await clean_up(database, 180, NOON)
    # 180 days before is the 5th of September: that month is not over by then.
    hours_dropped = [each for each in dropped if each.startswith("resolution_hours")]
    assert hours_dropped == [name("2026_01"), name("2026_06"), name("2026_08")]
    left = {row.hour.date() for row in await rows(database, resolution_hours)}
    assert left == {day for day in kept if day >= datetime.date(2026, 9, 1)}
    assert {name(month) for month in ("2027_03", "2027_04", "2027_05")} <= await partitions()
    assert name("2027_06") not in await partitions()
    assert await clean_up(database, 180, NOON) == []


async def test_ended_sources_are_remembered_as_long_as_statistics(
    database: Database, clock: Clock
) -> None:
    counting = Counter(database, private_row(), clock=clock)
    counting.cells("88.118.35")[FOUND] += 1
    await counting.close()
    await clean_up(database, 180, datetime.datetime.now(datetime.UTC))
    assert len(await rows(database, resolution_sources)) == 1
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=181)
    await clean_up(database, 180, later)
    assert await rows(database, resolution_sources) == []


def test_results_fit_into_a_block() -> None:
    assert len(counter.RESULTS) <= cells.COUNTS
