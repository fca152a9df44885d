"""Counts outlive the process that made them, and belong to one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry.metrics import RESULTS
from registry.statistics.cells import FOUND, CountFile, Full, left_behind

HOUR = 1_800_000_000

_COUNTING = """
import sys, time
from pathlib import Path
from registry.statistics.cells import CountFile
file = CountFile.create(Path(sys.argv[1]), 1_800_000_000)
for prefix, times in (("88.118.35", 3), ("", 2), ("88.118.36", 5)):
    cells = file.cells(prefix)
    for _ in range(times):
        cells[1] += 1
print("counted", flush=True)
time.sleep(600)
"""


@pytest.fixture
def counting(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A process that has counted and lives on."""
    process = subprocess.Popen(
        [sys.executable, "-c", _COUNTING, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"counted\n"
    return process


def test_what_a_killed_process_has_counted_is_there(
    tmp_path: Path, counting: subprocess.Popen[bytes]
) -> None:
    assert list(left_behind(tmp_path)) == [], "the file of a process that lives is its own"
    counting.kill()
    counting.wait()
    (file,) = left_behind(tmp_path)
    assert file.hour == HOUR
    nothing = (0,) * (len(RESULTS) - 2)
    assert file.counts() == {
        "": (0, 2, *nothing),
        "88.118.35": (0, 3, *nothing),
        "88.118.36": (0, 5, *nothing),
    }
    assert list(left_behind(tmp_path)) == [], "one process takes it over"
    file.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_prefix_has_one_place_and_a_full_file_says_so(tmp_path: Path) -> None:
    file = CountFile.create(tmp_path, HOUR, capacity=3)
    file.cells("a")[FOUND] += 1
    file.cells("a")[FOUND] += 1
    file.cells("b")[FOUND] += 1
    with pytest.raises(Full):
        file.cells("c")
    assert {prefix: counts[FOUND] for prefix, counts in file.counts().items()} == {"a": 2, "b": 1}
    assert file.counts()["b"] == (1, *(0,) * (len(RESULTS) - 1))
    file.remove()


def test_what_is_no_file_of_counts_is_left_alone_until_it_is_old(tmp_path: Path) -> None:
    new, old = tmp_path / "new.counts", tmp_path / "old.counts"
    for path in (new, old):
        path.write_bytes(b"idnode01, cut off")
    os.utime(old, (time.time() - 7200,) * 2)
    assert list(left_behind(tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["new.counts"]


def test_without_a_directory_counting_goes_on_in_memory(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    file = CountFile.create(in_the_way, HOUR)
    file.cells("88.118.35")[FOUND] += 1
    assert file.counts()["88.118.35"][FOUND] == 1
    file.remove()
    assert in_the_way.exists()


def test_a_long_name_does_not_reach_into_the_next_block(tmp_path: Path) -> None:
    file = CountFile.create(tmp_path, HOUR, capacity=3)
    file.cells("1" * 200)[FOUND] += 1
    assert [counts[FOUND] for counts in file.counts().values()] == [1]
    file.remove()
