"""Batches: as many rows as one transaction takes in, checked and ready for COPY."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from protocol.json_api import iso_time
from registry.imports import readers, rows
from registry.imports.readers import Unreadable

BATCH_ROWS = 10_000
BATCH_CHARACTERS = 8 << 20
"""A batch ends at either, so that its memory is bounded."""

_MAX_COLUMN, _MAX_REASON = 255, 1000
"""Characters kept of a refusal, which may quote the file."""


@dataclass(slots=True)
class Group:
    """The rows of one prefix. `lines` has the last row of each identifier, `rows` all of them."""

    lines: dict[str, str] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is not registered, the column to blame ("" for the whole row), and why."""

    row: int
    column: str
    reason: str


@dataclass(slots=True)
class Batch:
    """The rows after `after` up to and with `last`."""

    after: int
    last: int
    groups: dict[str, Group] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    size: int = 0

    def add(self, row: int, line: rows.Line) -> None:
        """Take in a row that is right."""
        group = self.groups.get(line.prefix)
        if group is None:
            group = self.groups[line.prefix] = Group()
        group.lines[line.suffix_key] = line.text
        group.rows.append(row)
        self.size += len(line.text)

    def refuse(self, prefix: str, column: str, reason: str) -> None:
        """Turn all rows of a prefix into refusals."""
        group = self.groups.pop(prefix)
        self.refusals.extend(Refusal(row, column, reason) for row in group.rows)

    @property
    def accepted(self) -> int:
        """How many rows are right; of rows with one identifier each counts."""
        return sum(len(group.rows) for group in self.groups.values())

    @property
    def full(self) -> bool:
        """Whether the batch is to be written now."""
        return self.last - self.after >= BATCH_ROWS or self.size >= BATCH_CHARACTERS

    def copy_text(self) -> Iterator[bytes]:
        """Return the rows for COPY, each identifier once, in the order of the primary key."""
        for _, group in sorted(self.groups.items()):
            lines = iter([line for _, line in sorted(group.lines.items())])
            while part := "".join(itertools.islice(lines, 1000)):
                yield part.encode()


async def read_batches(
    format_: str,
    chunks: AsyncIterator[bytes],
    *,
    prefix: str | None,
    after: int,
    clock: Callable[[], float],
) -> AsyncIterator[Batch]:
    """Read a file and yield what it says after row `after`, in batches.

    format_: csv or ndjson. prefix: see rows.csv_parser. Raises Unreadable; what was read before
    has been yielded then.
    """
    stamp = iso_time(int(clock()))
    batch = Batch(after, after)
    unreadable: Unreadable | None = None
    try:
        async for first, block, parse in _blocks(format_, chunks, prefix):
            for row, content in enumerate(block, first):
                if row <= after:
                    continue
                _take(batch, row, content, parse, stamp)
                if batch.full:
                    yield batch
                    stamp = iso_time(int(clock()))
                    batch = Batch(row, row)
    except Unreadable as error:
        unreadable = error
    if batch.last > batch.after:
        yield batch
    if unreadable is not None:
        raise unreadable


def _take(batch: Batch, row: int, content: Any, parse: rows.Parse, stamp: str) -> None:
    batch.last = row
    try:
        line = parse(content, stamp)
    except rows.RowError as error:
        column, reason = error.column[:_MAX_COLUMN], error.reason[:_MAX_REASON]
        batch.refusals.append(Refusal(row, column, reason))
    else:
        if line is not None:
            batch.add(row, line)


async def _blocks(
    format_: str, chunks: AsyncIterator[bytes], prefix: str | None
) -> AsyncIterator[tuple[int, list[Any], rows.Parse]]:
    """Yield blocks of rows, each with the number of its first row and the parser."""
    if format_ == "ndjson":
        parse = rows.ndjson_parser(prefix)
        async for lines in readers.read_ndjson(chunks):
            yield lines.first, lines.rows, parse
        return
    header: rows.Parse | None = None
    async for block in readers.read_csv(chunks):
        if header is None:
            header = rows.csv_parser(block.rows[0], prefix)
            yield block.first + 1, block.rows[1:], header
        else:
            yield block.first, block.rows, header
    if header is None:
        raise Unreadable("the file is empty: it has no header")
