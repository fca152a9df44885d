"""Rows of CSV: what the columns of a header mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quote

from protocol import json_api
from protocol.errors import InvalidValue
from protocol.values import DEFAULT_TTL, MAX_TTL, PUBLIC, check_values
from registry.imports.readers import Unreadable
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
    head_of,
    is_plain,
    make_line,
    split_name,
)
from registry.templates.checker import Checker

MAX_COLUMNS = 2048

_VALUE_HEADER = re.compile(r"(?:([0-9]{1,10}):)?([^:]+)")
_RESERVED = ("identifier", "suffix", "ttl")


@dataclass(frozen=True, slots=True)
class _Column:
    position: int
    name: str
    index: int
    type: str
    head: str
    plain: bool
    audience: str


def csv_parser(header: Sequence[str], prefix: str | None, checker: Checker | None = None) -> Parse:
    """Return the parser of the rows under `header`. Raises Unreadable, naming the column.

    prefix: the one that bare suffixes stand under, and identifiers must. checker: of the template
    of all rows; a column may then be named as an item is.
    """
    names = [name.strip() for name in header]
    _check_header(names, prefix)
    columns = _value_columns(names, checker)
    by_index = {column.index: column.name for column in columns}
    name_at = names.index("identifier" if "identifier" in names else "suffix")
    name_column = names[name_at]
    ttl_at = names.index("ttl") if "ttl" in names else None

    def parse(cells: list[str], stamp: str) -> Line | None:
        if not cells:
            return None
        if len(cells) != len(names):
            raise RowError("", f"the row has {len(cells)} cells, the header {len(names)}")
        if name_column == "suffix" and prefix is not None:
            place = check_name(prefix, cells[name_at], name_column)
        else:
            place = split_name(cells[name_at], prefix, name_column)
        ttl = DEFAULT_TTL if ttl_at is None else _ttl(cells[ttl_at])
        tail = f'}},"ttl":{ttl},"timestamp":"{stamp}"}}'
        values, texts = [], []
        for column in columns:
            cell = cells[column.position]
            if not cell:
                continue
            texts.append((column.index, column.type, cell))
            if column.plain and len(cell) <= PLAIN_LENGTH:
                values.append(column.head + quote(cell) + tail)
            else:
                values.append(_any_cell(column, cell, ttl, stamp))
        named: Sequence[Target] = ()
        if checker is not None:
            named = check_texts(checker, texts, lambda index: by_index.get(index, "values"))
        return make_line(place, f"[{','.join(values)}]", checker, named)

    return parse


def _check_header(names: list[str], prefix: str | None) -> None:
    if len(names) > MAX_COLUMNS:
        raise Unreadable(f"the header has more than {MAX_COLUMNS} columns")
    seen: set[str] = set()
    for position, name in enumerate(names, 1):
        if not name:
            raise Unreadable(f"column {position} has no name in the header")
        if name in seen:
            raise Unreadable(f"the column {name!r} stands twice in the header")
        seen.add(name)
    if ("identifier" in seen) == ("suffix" in seen):
        raise Unreadable("the header needs one column named 'identifier' or one named 'suffix'")
    if "suffix" in seen and prefix is None:
        raise Unreadable("the column 'suffix' needs the import to name a prefix")


def _value_columns(names: list[str], checker: Checker | None) -> list[_Column]:
    columns: list[_Column] = []
    by_index: dict[int, str] = {}
    for position, name in enumerate(names):
        if name in _RESERVED:
            continue
        index, type_ = _place(name, len(columns) + 1, checker)
        if index in by_index:
            raise Unreadable(
                f"the column {name!r} has index {index}, as {by_index[index]!r} has already"
            )
        by_index[index] = name
        audience = PUBLIC if checker is None else checker.audience(index)
        columns.append(_value_column(position, name, index, type_, audience))
    return columns


def _place(name: str, number: int, checker: Checker | None) -> tuple[int, str]:
    """Return index and type of the values in the column `name`, the value column `number`."""
    if checker is not None:
        for item in checker.definition.items:
            if name in (item.name, item.type):
                return item.index, item.type
    match = _VALUE_HEADER.fullmatch(name)
    if match is None:
        raise Unreadable(f"the column {name!r} is neither TYPE nor index:TYPE")
    if match[1] is None and checker is not None:
        raise Unreadable(f"the column {name!r} is no item of the template {checker.reference}")
    return int(match[1] or number), match[2]


def _value_column(position: int, name: str, index: int, type_: str, audience: str) -> _Column:
    try:
        check_values([json_api.decode_value({"index": index, "type": type_, "data": ""})])
    except InvalidValue as error:
        raise Unreadable(f"the column {name!r} is not TYPE or index:TYPE: {error.detail}") from None
    head = head_of(index, type_, audience)
    return _Column(position, name, index, type_, head, is_plain(type_), audience)


def _ttl(cell: str) -> int:
    if not cell:
        return DEFAULT_TTL
    if not cell.isascii() or not cell.isdecimal() or len(cell) > 10 or int(cell) > MAX_TTL:
        raise RowError("ttl", f"a ttl is a number of seconds, 0 to {MAX_TTL}")
    return int(cell)


def _any_cell(column: _Column, cell: str, ttl: int, stamp: str) -> str:
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
