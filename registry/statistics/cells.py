"""Counts of one process in a file that is mapped into its memory.

What is counted is in the file at once, with one addition, so it outlives a process that is killed:
whoever finds the file afterwards writes on what it holds. (What a machine that loses its power has
not written to its disk is lost with it.) A file is of one process and of one hour; the process
holds a lock on it as long as it lives.

The file has a header of 64 octets, and for each prefix a block of 160: its name in 96, filled up
with zeros, and eight counts, unsigned, of eight octets in the order of the machine, one for each of
RESULTS.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import structlog

from registry.metrics import RESULTS

log = structlog.get_logger("idnode.statistics")

NAME_BYTES = 96
"""Longest name of a prefix. One that may be registered has 79."""

CAPACITY = 1024
"""Prefixes that one file has room for; with more of them there are several files."""

COUNTS = 8
FOUND = RESULTS.index("found")

_MAGIC = b"idnode01"
_HEADER = struct.Struct("=8s16sq32x")  # magic, source, hour in Unix seconds
_BLOCK_BYTES = NAME_BYTES + 8 * COUNTS
_SUFFIX = ".counts"
_ABANDONED_SECONDS = 3600.0

Cells = memoryview
"""Counts of one prefix, in the order of RESULTS."""

Counts = Mapping[str, tuple[int, ...]]
"""Counts by prefix, in the order of RESULTS."""


class Full(Exception):
    """There is no room for one more prefix."""


class CountFile:
    """Counts of an hour. Make one with `create` or `adopt`.

    written: the counts that are known to be written on.
    """

    def __init__(
        self, source: uuid.UUID, hour: int, memory: memoryview, file: BinaryIO | None, path: Path
    ) -> None:
        self.source = source
        self.hour = hour
        self._memory = memory
        self.written: Counts = {}
        self._file = file  # holds the lock
        self._path = path
        self._blocks = dict(self._read_names())

    @classmethod
    def create(cls, directory: Path, hour: int, *, capacity: int = CAPACITY) -> CountFile:
        """Make the file of an hour, given in Unix seconds, for this process.

        Where there can be no file, the counts are in memory alone, and the log says so.
        """
        source = uuid.uuid4()
        size = _HEADER.size + capacity * _BLOCK_BYTES
        header = _HEADER.pack(_MAGIC, source.bytes, hour)
        path = directory / f"{source}{_SUFFIX}"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = path.open("x+b", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A page that the disk has no room for would kill the process when it is written to.
            os.posix_fallocate(file.fileno(), 0, size)
            mapped = memoryview(mmap.mmap(file.fileno(), size))
        except OSError as error:
            log.error("statistics_in_memory_alone", directory=str(directory), error=str(error))
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return cls.in_memory(hour, capacity=capacity)
        mapped[: len(header)] = header
        return cls(source, hour, mapped, file, path)

    @classmethod
    def in_memory(cls, hour: int, *, capacity: int = CAPACITY) -> CountFile:
        """Make one that is no file, and ends with the process."""
        size = _HEADER.size + capacity * _BLOCK_BYTES
        return cls(uuid.uuid4(), hour, memoryview(bytearray(size)), None, Path())

    @classmethod
    def adopt(cls, path: Path) -> CountFile | None:
        """Open a file whose process is gone; None if it is not gone, or if it is no such file."""
        with contextlib.ExitStack() as opened:
            try:
                file = opened.enter_context(path.open("r+b", buffering=0))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                state = os.fstat(file.fileno())
            except (FileNotFoundError, BlockingIOError):
                return None
            header = file.read(_HEADER.size)
            magic, source, hour = (
                _HEADER.unpack(header) if len(header) == _HEADER.size else (b"", b"", 0)
            )
            if magic != _MAGIC or (state.st_size - _HEADER.size) % _BLOCK_BYTES:
                # Either it is being made, or its maker died then, and had not counted yet.
                if time.time() - state.st_mtime > _ABANDONED_SECONDS:
                    path.unlink(missing_ok=True)
                return None
            memory = memoryview(mmap.mmap(file.fileno(), state.st_size))
            opened.pop_all()
            return cls(uuid.UUID(bytes=source), hour, memory, file, path)
        return None

    def cells(self, prefix: str) -> Cells:
        """Return where to count what was asked for under a prefix. Raises Full."""
        start = self._blocks.get(prefix)
        if start is None:
            start = _HEADER.size + len(self._blocks) * _BLOCK_BYTES
            name = prefix.encode()[:NAME_BYTES]
            if start + _BLOCK_BYTES > len(self._memory):
                raise Full
            # The name of no prefix is empty, like that of a free block: it is always the first.
            self._memory[start : start + len(name)] = name
            self._blocks[prefix] = start
        counts = start + NAME_BYTES
        return self._memory[counts : counts + 8 * COUNTS].cast("Q")

    def counts(self) -> Counts:
        """Return what has been counted so far, of the prefixes with any count."""
        found = {}
        for prefix in self._blocks:
            counts = tuple(self.cells(prefix)[: len(RESULTS)])
            if any(counts):
                found[prefix] = counts
        return found

    def remove(self) -> None:
        """Delete the file: all of its counts are kept elsewhere."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _read_names(self) -> Iterator[tuple[str, int]]:
        yield "", _HEADER.size
        for start in range(_HEADER.size + _BLOCK_BYTES, len(self._memory), _BLOCK_BYTES):
            name = bytes(self._memory[start : start + NAME_BYTES]).rstrip(b"\0")
            if not name:
                return
            yield name.decode(), start


def left_behind(directory: Path) -> Iterator[CountFile]:
    """Yield the files of processes that are gone, each locked by this one from now on."""
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        adopted = CountFile.adopt(path)
        if adopted is not None:
            yield adopted
