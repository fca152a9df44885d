"""From a row to what PostgreSQL takes: a line of COPY text.

Nearly every value is a plain string. Its stored JSON is put together as text at once; a property
test holds that equal to the long way through protocol.json_api, which all other values go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring as quote
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from protocol import json_api
from protocol.errors import IdnodeError, InvalidHandle, InvalidValue
from protocol.identifier import Identifier, check_registrable, fold
from protocol.typed import JSON_FORMAT
from protocol.values import DEFAULT_TTL, MAX_DATA_BYTES, MAX_INDEX, MAX_TTL, check_values
from registry.identifiers import MAX_TEMPLATE, MAX_VALUES_BYTES
from registry.imports.readers import Unreadable
from registry.services import check_text

COLUMNS = ("prefix", "suffix_key", "suffix", "values", "template")
"""What a line holds, in this order."""

MAX_COLUMNS = 2048

_PLAIN_LENGTH = MAX_DATA_BYTES // 4
"""Characters that are within the limit of data whatever they are."""

_VALUE_HEADER = re.compile(r"(?:([0-9]{1,10}):)?([^:]+)")
# A suffix that is right under any prefix: short, visible ASCII, no space at an end.
_is_ordinary = re.compile(r"[!-~](?:[ -~]{0,125}[!-~])?").fullmatch
_RESERVED = ("identifier", "suffix", "ttl")


class Line(NamedTuple):
    """One row, ready: where it stands, and its line of COPY text."""

    prefix: str
    suffix_key: str
    text: str


class RowError(Exception):
    """A row that is refused: the column (or member) and the reason."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column = column
        self.reason = reason


Parse = Callable[[Any, str], Line | None]
"""Takes a row and the time (ISO 8601) of its values; None for a blank row. Raises RowError."""


@dataclass(frozen=True, slots=True)
class _Column:
    position: int
    name: str
    index: int
    type: str
    head: str
    plain: bool


def csv_parser(header: Sequence[str], prefix: str | None) -> Parse:
    """Return the parser of the rows under `header`. Raises Unreadable, naming the column.

    prefix: the one that bare suffixes stand under, and identifiers must.
    """
    names = [name.strip() for name in header]
    _check_header(names, prefix)
    columns = _value_columns(names)
    name_at = names.index("identifier" if "identifier" in names else "suffix")
    name_column = names[name_at]
    ttl_at = names.index("ttl") if "ttl" in names else None

    def parse(cells: list[str], stamp: str) -> Line | None:
        if not cells:
            return None
        if len(cells) != len(names):
            raise RowError("", f"the row has {len(cells)} cells, the header {len(names)}")
        if name_column == "suffix" and prefix is not None:
            place = _checked(prefix, cells[name_at], name_column)
        else:
            place = _split(cells[name_at], prefix, name_column)
        ttl = DEFAULT_TTL if ttl_at is None else _ttl(cells[ttl_at])
        tail = f'}},"ttl":{ttl},"timestamp":"{stamp}"}}'
        values = []
        for column in columns:
            cell = cells[column.position]
            if not cell:
                continue
            if column.plain and len(cell) <= _PLAIN_LENGTH:
                values.append(column.head + quote(cell) + tail)
            else:
                values.append(_any_cell(column, cell, ttl, stamp))
        return _line(place, f"[{','.join(values)}]", None)

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


def _value_columns(names: list[str]) -> list[_Column]:
    columns: list[_Column] = []
    by_index: dict[int, str] = {}
    for position, name in enumerate(names):
        if name in _RESERVED:
            continue
        match = _VALUE_HEADER.fullmatch(name)
        if match is None:
            raise Unreadable(f"the column {name!r} is neither TYPE nor index:TYPE")
        index = int(match[1] or len(columns) + 1)
        if index in by_index:
            raise Unreadable(
                f"the column {name!r} has index {index}, as {by_index[index]!r} has already"
            )
        by_index[index] = name
        columns.append(_value_column(position, name, index, match[2]))
    return columns


def _value_column(position: int, name: str, index: int, type_: str) -> _Column:
    try:
        check_values([json_api.decode_value({"index": index, "type": type_, "data": ""})])
    except InvalidValue as error:
        raise Unreadable(f"the column {name!r} is not TYPE or index:TYPE: {error.detail}") from None
    return _Column(position, name, index, type_, _head(index, type_), _is_plain(type_))


def _head(index: int, type_: str) -> str:
    return f'{{"index":{index},"type":{quote(type_)},"data":{{"format":"string","value":'


@lru_cache(4096)
def _is_plain(type_: str) -> bool:
    """Whether strings of this type may be stored as they come."""
    return (
        type_.isascii()
        and type_.isprintable()
        and " " not in type_
        and type_.upper() not in JSON_FORMAT
    )


def _ttl(cell: str) -> int:
    if not cell:
        return DEFAULT_TTL
    if not cell.isascii() or not cell.isdecimal() or len(cell) > 10 or int(cell) > MAX_TTL:
        raise RowError("ttl", f"a ttl is a number of seconds, 0 to {MAX_TTL}")
    return int(cell)


def _any_cell(column: _Column, cell: str, ttl: int, stamp: str) -> str:
    try:
        (text,) = _any_values(
            [{"index": column.index, "type": column.type, "data": cell, "ttl": ttl}], stamp
        )
    except InvalidValue as error:
        raise RowError(column.name, error.detail) from None
    return text


def _any_values(values: object, stamp: str) -> list[str]:
    """Return the stored JSON of values of any kind. Raises InvalidValue."""
    decoded = json_api.decode_values(values, timestamp=0)
    check_values(decoded)
    encoded = [json_api.encode_value(value) | {"timestamp": stamp} for value in decoded]
    return [msgspec.json.encode(value).decode() for value in encoded]


def _split(text: str, prefix: str | None, column: str) -> tuple[str, str]:
    """Return prefix and suffix of an identifier, which must stand under `prefix` if given."""
    found, slash, suffix = text.partition("/")
    if not slash:
        raise RowError(column, "not of the form prefix/suffix")
    if prefix is not None and found != prefix:
        raise RowError(column, f"does not stand under the prefix {prefix} of this import")
    return _checked(found, suffix, column)


def _checked(prefix: str, suffix: str, column: str) -> tuple[str, str]:
    if not (_is_registrable(prefix) and _is_ordinary(suffix)):
        try:
            check_registrable(Identifier.of(prefix, suffix))
        except InvalidHandle as error:
            raise RowError(column, error.detail) from None
    return prefix, suffix


@lru_cache(4096)
def _is_registrable(prefix: str) -> bool:
    try:
        check_registrable(Identifier.of(prefix, "X"))
    except InvalidHandle:
        return False
    return True


def _line(place: tuple[str, str], values: str, template: str | None) -> Line:
    if len(values) > MAX_VALUES_BYTES // 4 and len(values.encode()) > MAX_VALUES_BYTES:
        raise RowError("values", f"the values have more than {MAX_VALUES_BYTES} bytes of JSON")
    prefix, suffix = place
    suffix_key = fold(suffix)
    # No field can hold a tab or a line break: suffixes have no controls, JSON escapes them.
    text = f"{suffix_key}\t{suffix}\t{values}"
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    last = _NULL if template is None else template.replace("\\", "\\\\")
    return Line(prefix, suffix_key, f"{prefix}\t{text}\t{last}\n")


_NULL = "\\N"


class _Data(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    format: Literal["string"]
    value: Annotated[str, msgspec.Meta(max_length=_PLAIN_LENGTH)]


class _Value(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    index: Annotated[int, msgspec.Meta(ge=1, le=MAX_INDEX)]
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    data: _Data
    ttl: Annotated[int, msgspec.Meta(ge=0, le=MAX_TTL)] = DEFAULT_TTL


class _Row(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A row whose values are all plain strings."""

    values: Annotated[list[_Value], msgspec.Meta(max_length=2048)]
    identifier: str | None = None
    suffix: str | None = None
    template: str | None = None


class _AnyRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    values: list[Any]
    identifier: str | None = None
    suffix: str | None = None
    template: str | None = None


_plain_row = msgspec.json.Decoder(_Row)
_any_row = msgspec.json.Decoder(_AnyRow)


def ndjson_parser(prefix: str | None) -> Parse:
    """Return the parser of lines such as {"identifier": "88.118.35/SN-1", "values": [...]}.

    prefix: the one that bare suffixes stand under, and identifiers must.
    """

    def parse(line: bytes, stamp: str) -> Line | None:
        if not line or line.isspace():
            return None
        row, values = _plain(line, stamp) or _any(line, stamp)
        return _line(_named(row, prefix), f"[{','.join(values)}]", _template(row.template))

    return parse


def _plain(line: bytes, stamp: str) -> tuple[_Row, list[str]] | None:
    """Return the row with the stored JSON of each value; None if it needs the long way."""
    try:
        row = _plain_row.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    values = _plain_values(row, stamp)
    return None if values is None else (row, values)


def _any(line: bytes, stamp: str) -> tuple[_AnyRow, list[str]]:
    row = _decode_any(line)
    try:
        return row, _any_values(row.values, stamp)
    except IdnodeError as error:
        raise RowError(error.field or "values", error.detail) from None


def _plain_values(row: _Row, stamp: str) -> list[str] | None:
    values = []
    for value in row.values:
        text = value.data.value
        if not _is_plain(value.type) or "\0" in text:
            return None
        tail = f'}},"ttl":{value.ttl},"timestamp":"{stamp}"}}'
        values.append(_head(value.index, value.type) + quote(text) + tail)
    return values if len({value.index for value in row.values}) == len(values) else None


def _decode_any(line: bytes) -> _AnyRow:
    try:
        return _any_row.decode(line)
    except UnicodeDecodeError:
        raise RowError("", "the line is not UTF-8") from None
    except msgspec.ValidationError as error:
        raise RowError("", str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise RowError("", f"not JSON: {error}") from None


def _named(row: _Row | _AnyRow, prefix: str | None) -> tuple[str, str]:
    if row.identifier is not None and row.suffix is None:
        return _split(row.identifier, prefix, "identifier")
    if row.suffix is not None and row.identifier is None:
        if prefix is None:
            raise RowError("suffix", "a bare suffix needs the import to name a prefix")
        return _checked(prefix, row.suffix, "suffix")
    raise RowError("identifier", "one of identifier and suffix is needed")


def _template(template: str | None) -> str | None:
    if template is None:
        return None
    try:
        return check_text(template, "template", maximum=MAX_TEMPLATE)
    except InvalidValue as error:
        raise RowError("template", error.detail) from None
