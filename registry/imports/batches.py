"""Batches: as many rows as one transaction takes in, checked and ready for COPY."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from protocol.errors import InvalidValue
from protocol.json_api import iso_time
from registry.imports import csv_rows, ndjson_rows, readers, rows
from registry.imports.readers import Unreadable
from registry.imports.templates import NotRead, Templates
from registry.templates.checker import Checker

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


Key = tuple[str, str]
"""Prefix and canonical suffix."""


@dataclass(frozen=True, slots=True)
class Named:
    """A row whose values name identifiers that must be registered."""

    row: int
    checker: Checker
    targets: Sequence[rows.Target]


@dataclass(slots=True)
class Batch:
    """The rows after `after` up to and with `last`."""

    after: int
    last: int
    groups: dict[str, Group] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    checkers: set[tuple[str, Checker]] = field(default_factory=set)
    named: dict[Key, Named] = field(default_factory=dict)
    size: int = 0

    def holds_off(self, line: rows.Line) -> bool:
        """Whether a row must wait for the next batch.

        Whether a row that names others is right is known once the batch is written: it stands alone
        for its identifier then, so that no other row of the batch depends on the answer.
        """
        if not line.named and not self.named:
            return False
        if (line.prefix, line.suffix_key) in self.named:
            return True
        group = self.groups.get(line.prefix) if line.named else None
        return group is not None and line.suffix_key in group.lines

    def add(self, row: int, line: rows.Line) -> None:
        """Take in a row that is right."""
        if line.checker is not None:
            self.checkers.add((line.prefix, line.checker))
            if line.named:
                self.named[line.prefix, line.suffix_key] = Named(row, line.checker, line.named)
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
        self.named = {key: named for key, named in self.named.items() if key[0] != prefix}

    def refuse_named(self, key: Key, column: str, reason: str) -> None:
        """Turn a row that names others into a refusal."""
        prefix, suffix_key = key
        row = self.named.pop(key).row
        group = self.groups[prefix]
        del group.lines[suffix_key]
        group.rows.remove(row)
        self.refusals.append(Refusal(row, column, reason))

    @property
    def accepted(self) -> int:
        """How many rows are right; of rows with one identifier each counts."""
        return sum(len(group.rows) for group in self.groups.values())

    @property
    def full(self) -> bool:
        """Whether the batch is to be written now."""
        return self.last - self.after >= BATCH_ROWS or self.size >= BATCH_CHARACTERS

    def attested(self) -> dict[str, Any]:
        """Return what the audit log says of the batch.

        With the digest of the file, which the line of its upload has, it tells of each row of the
        file whether it was registered: all from `after_row` to `to_row` were but those refused,
        whose numbers in order, in decimal and each with a line feed, have `refused_sha256`.
        """
        refused = sorted(refusal.row for refusal in self.refusals)
        numbers = "".join(f"{row}\n" for row in refused)
        return {
            "after_row": self.after,
            "to_row": self.last,
            "done": self.accepted,
            "failed": len(refused),
            "prefixes": {
                prefix: len(group.rows)
                for prefix, group in sorted(self.groups.items())
                if group.rows
            },
            "refused_sha256": hashlib.sha256(numbers.encode()).hexdigest(),
        }

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
    templates: Templates | None = None,
) -> AsyncIterator[Batch]:
    """Read a file and yield what it says after row `after`, in batches.

    format_: csv or ndjson. prefix: see csv_rows.csv_parser. templates: those that rows name. Raises
    Unreadable; what was read before has been yielded then.
    """
    stamp = iso_time(int(clock()))
    batch = Batch(after, after)
    unreadable: Unreadable | None = None
    try:
        templates = templates or Templates()
        async for first, block, parse in _blocks(format_, chunks, prefix, templates):
            for row, content in enumerate(block, first):
                if row <= after:
                    continue
                try:
                    line = _read(batch, row, content, parse, stamp)
                except NotRead as needed:
                    await templates.read(needed.prefix, needed.text)
                    line = _read(batch, row, content, parse, stamp)
                if line is not None and batch.holds_off(line):
                    yield batch
                    batch = Batch(batch.last, batch.last)
                batch.last = row
                if line is not None:
                    batch.add(row, line)
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


def _read(batch: Batch, row: int, content: Any, parse: rows.Parse, stamp: str) -> rows.Line | None:
    """Return a row that is right; None for one that is blank, or that is refused now.

    Raises NotRead.
    """
    try:
        return parse(content, stamp)
    except rows.RowError as error:
        column, reason = error.column[:_MAX_COLUMN], error.reason[:_MAX_REASON]
        batch.refusals.append(Refusal(row, column, reason))
        return None


async def _blocks(
    format_: str, chunks: AsyncIterator[bytes], prefix: str | None, templates: Templates
) -> AsyncIterator[tuple[int, list[Any], rows.Parse]]:
    """Yield blocks of rows, each with the number of its first row and the parser."""
    if format_ == "ndjson":
        parse = ndjson_rows.ndjson_parser(prefix, templates)
        async for lines in readers.read_ndjson(chunks):
            yield lines.first, lines.rows, parse
        return
    header: rows.Parse | None = None
    async for block in readers.read_csv(chunks):
        if header is None:
            checker = await _of_all(prefix, templates)
            header = csv_rows.csv_parser(block.rows[0], prefix, checker)
            yield block.first + 1, block.rows[1:], header
        else:
            yield block.first, block.rows, header
    if header is None:
        raise Unreadable("the file is empty: it has no header")


async def _of_all(prefix: str | None, templates: Templates) -> Checker | None:
    """Return what checks all rows of a file. Raises Unreadable."""
    if prefix is None or templates.default is None:
        return None
    await templates.read(prefix, templates.default)
    try:
        return templates.checker(prefix, None)
    except InvalidValue as error:
        raise Unreadable(error.detail) from None
