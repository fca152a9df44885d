"""Rows of a table: cells become the values that its columns stand for."""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring as quote

from protocol.errors import InvalidValue
from protocol.values import MAX_TTL, is_overriding
from registry.imports.columns import Column, Layout, layout_of
from registry.imports.mapping import NO_MAPPING, Mapping
from registry.imports.rows import (
    PLAIN_LENGTH,
    Line,
    Parse,
    RowError,
    Target,
    check_name,
    check_texts,
    decoded_values,
    encoded_values,
    make_line,
    split_name,
)
from registry.templates.checker import Checker


def csv_parser(
    header: Sequence[str],
    prefix: str | None,
    checker: Checker | None = None,
    mapping: Mapping = NO_MAPPING,
) -> Parse:
    """Return the parser of the rows under `header`. Raises Unreadable, naming the column.

    prefix: the one that bare suffixes stand under, and identifiers must. checker: of the template
    of all rows. mapping: see columns.layout_of.
    """
    return row_parser(layout_of(header, prefix, checker, mapping), prefix, checker)


def row_parser(layout: Layout, prefix: str | None, checker: Checker | None) -> Parse:
    """Return the parser of rows whose columns mean what `layout` says; see csv_parser."""
    names, columns, constants = layout.names, layout.columns, layout.constants
    by_index = layout.by_index
    name_at, name_column = layout.name_at, names[layout.name_at]
    bare = None if layout.whole else prefix

    def parse(cells: list[str], stamp: str) -> Line | None:
        if not cells:
            return None
        if len(cells) != len(names):
            raise RowError("", f"the row has {len(cells)} cells, the header {len(names)}")
        if bare is not None:
            place = check_name(bare, cells[name_at], name_column)
        else:
            place = split_name(cells[name_at], prefix, name_column)
        ttl = _ttl(cells, layout)
        tail = f'}},"ttl":{ttl},"timestamp":"{stamp}"}}'
        values, texts = [], []
        if constants:
            cells = cells + constants
        for column in columns:
            cell = cells[column.position]
            if not cell:
                continue
            texts.append((column.index, column.type, cell))
            if column.plain and len(cell) <= PLAIN_LENGTH and not is_overriding(cell):
                values.append(column.head + quote(cell) + tail)
            else:
                values.append(_any_cell(column, cell, ttl, stamp))
        named: Sequence[Target] = ()
        if checker is not None:
            named = check_texts(checker, texts, lambda index: by_index.get(index, "values"))
        return make_line(place, f"[{','.join(values)}]", checker, named)

    return parse


def _ttl(cells: list[str], layout: Layout) -> int:
    cell = "" if layout.ttl_at is None else cells[layout.ttl_at]
    if not cell:
        return layout.ttl
    if not cell.isascii() or not cell.isdecimal() or len(cell) > 10 or int(cell) > MAX_TTL:
        name = layout.names[layout.ttl_at or 0]
        raise RowError(name, f"a ttl is a number of seconds, 0 to {MAX_TTL}")
    return int(cell)


def _any_cell(column: Column, cell: str, ttl: int, stamp: str) -> str:
    value = {
        "index": column.index,
        "type": column.type,
        "data": cell,
        "ttl": ttl,
        "access": {"audience": column.audience},
    }
    try:
        (text,) = encoded_values(decoded_values([value]), stamp)
    except InvalidValue as error:
        raise RowError(column.name, error.detail) from None
    return text
