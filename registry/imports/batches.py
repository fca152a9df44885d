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
from registry.imports.mapping import NO_MAPPING, Mapping
from registry.imports.progress import Meter
from registry.imports.readers import Unreadable
from registry.imports.templates import NotRead, Templates
from registry.imports.xlsx.reader import read_xlsx
from registry.imports.xlsx.rows import xlsx_parser
from registry.templates.checker import Checker

BATCH_ROWS = 10_000
BATCH_CHARACTERS = 8 << 20
"""A batch ends at either, so that its memory is bounded."""

IDENTIFIER = "identifier"
"""The column to blame where a row names what it may not, whatever its title is."""

_MAX_COLUMN, _MAX_REASON = 255, 1000
"""Characters kept of a refusal, which may quote the file."""


@dataclass(slots=True)
class Group:
    """The rows of one prefix, by identifier: the last line and the number of its row.

    earlier: the numbers of the rows before it, of the few identifiers that have some.
    """

    lines: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    earlier: dict[str, list[int]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.rows) + sum(map(len, self.earlier.values()))

    def drop(self, suffix_key: str) -> list[int]:
        """Take out an identifier; return the numbers of its rows."""
        del self.lines[suffix_key]
        return [*self.earlier.pop(suffix_key, ()), self.rows.pop(suffix_key)]


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
    """The rows after `after` up to and with `last`.

    share: how much of the file has been read by then, 0 to 1. once: an identifier may stand in one
    row alone; otherwise the last of its rows holds.
    """

    after: int
    last: int
    share: float = 0.0
    once: bool = False
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
        group = self.groups.get(line.prefix)
        if group is None:
            group = self.groups[line.prefix] = Group()
        before = group.rows.get(line.suffix_key)
        if before is not None:
            if self.once:
                reason = f"the identifier stands in row {before} already"
                self.refusals.append(Refusal(row, IDENTIFIER, reason))
                return
            group.earlier.setdefault(line.suffix_key, []).append(before)
        group.rows[line.suffix_key] = row
        if line.checker is not None:
            self.checkers.add((line.prefix, line.checker))
            if line.named:
                self.named[line.prefix, line.suffix_key] = Named(row, line.checker, line.named)
        group.lines[line.suffix_key] = line.text
        self.size += len(line.text)

    def refuse_prefix(self, prefix: str, column: str, reason: str) -> None:
        """Turn all rows of a prefix into refusals."""
        for suffix_key in list(self.groups[prefix].lines):
            self.refuse((prefix, suffix_key), column, reason)
        del self.groups[prefix]

    def refuse(self, key: Key, column: str, reason: str) -> None:
        """Turn the rows of an identifier into refusals."""
        prefix, suffix_key = key
        self.named.pop(key, None)
        dropped = self.groups[prefix].drop(suffix_key)
        self.refusals.extend(Refusal(row, column, reason) for row in dropped)

    def keys(self) -> list[Key]:
        """Return what the rows that are right would register, in the order of the primary key."""
        return [
            (prefix, suffix_key)
            for prefix, group in sorted(self.groups.items())
            for suffix_key in sorted(group.lines)
        ]

    @property
    def accepted(self) -> int:
        """How many rows are right; of rows with one identifier each counts."""
        return sum(group.size for group in self.groups.values())

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
                prefix: group.size for prefix, group in sorted(self.groups.items()) if group.rows
            },
            "refused_sha256": hashlib.sha256(numbers.encode()).hexdigest(),
        }

    def copy_text(self) -> Iterator[bytes]:
        """Return the rows for COPY, each identifier once, in the order of the primary key."""
        for _, group in sorted(self.groups.items()):
            lines = iter([line for _, line in sorted(group.lines.items())])
            while part := "".join(itertools.islice(lines, 1000)):
                yield part.encode()


TableParser = Callable[[Any, str | None, Checker | None, Mapping], rows.Parse]
"""Takes a header and what csv_rows.csv_parser does. Raises Unreadable."""


async def read_batches(
    format_: str,
    chunks: AsyncIterator[bytes],
    *,
    prefix: str | None,
    after: int,
    clock: Callable[[], float],
    templates: Templates | None = None,
    once: bool = False,
    meter: Meter | None = None,
    mapping: Mapping = NO_MAPPING,
) -> AsyncIterator[Batch]:
    """Read a file and yield what it says after row `after`, in batches.

    format_: csv, xlsx or ndjson. prefix: see csv_rows.csv_parser. templates: those that rows name.
    once: see Batch. meter: counts what is read of the file. mapping: of the columns of a table.
    Raises Unreadable; what was read before has been yielded then.
    """
    stamp = iso_time(int(clock()))
    meter = meter or Meter(0)
    source = _Source(format_, chunks, prefix, mapping, meter)
    batch = Batch(after, after, once=once)
    unreadable: Unreadable | None = None
    try:
        templates = templates or Templates()
        async for first, block, parse in _blocks(source, templates):
            for row, content in enumerate(block, first):
                if row <= after:
                    continue
                try:
                    line = _read(batch, row, content, parse, stamp)
                except NotRead as needed:
                    await templates.read(needed.prefix, needed.text)
                    line = _read(batch, row, content, parse, stamp)
                if line is not None and batch.holds_off(line):
                    batch.share = meter.share()
                    yield batch
                    batch = Batch(batch.last, batch.last, once=once)
                batch.last = row
                if line is not None:
                    batch.add(row, line)
                if batch.full:
                    batch.share = meter.share()
                    yield batch
                    stamp = iso_time(int(clock()))
                    batch = Batch(row, row, once=once)
    except Unreadable as error:
        unreadable = error
    if batch.last > batch.after:
        batch.share = meter.share()
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


@dataclass(frozen=True, slots=True)
class _Source:
    """A file and how it is to be read: see read_batches."""

    format: str
    chunks: AsyncIterator[bytes]
    prefix: str | None
    mapping: Mapping
    meter: Meter


async def _blocks(
    source: _Source, templates: Templates
) -> AsyncIterator[tuple[int, list[Any], rows.Parse]]:
    """Yield blocks of rows, each with the number of its first row and the parser."""
    if source.format == "ndjson":
        parse = ndjson_rows.ndjson_parser(source.prefix, templates)
        async for lines in readers.read_ndjson(source.chunks):
            yield lines.first, lines.rows, parse
        return
    read, parser = _table(source)
    parse_row: rows.Parse | None = None
    async for block in read:
        if parse_row is None:
            checker = await _of_all(source.prefix, templates)
            parse_row = parser(block.rows[0], source.prefix, checker, source.mapping)
            yield block.first + 1, block.rows[1:], parse_row
        else:
            yield block.first, block.rows, parse_row
    if parse_row is None:
        raise Unreadable("the file is empty: it has no header")


def _table(source: _Source) -> tuple[AsyncIterator[readers.Block[Any]], TableParser]:
    """Return the rows of a file that has a header, and what makes the parser of the others."""
    if source.format == "xlsx":
        return read_xlsx(source.chunks, source.meter, source.mapping.sheet), xlsx_parser
    return readers.read_csv(source.chunks), csv_rows.csv_parser


async def _of_all(prefix: str | None, templates: Templates) -> Checker | None:
    """Return what checks all rows of a file. Raises Unreadable."""
    if prefix is None or templates.default is None:
        return None
    await templates.read(prefix, templates.default)
    try:
        return templates.checker(prefix, None)
    except InvalidValue as error:
        raise Unreadable(error.detail) from None
