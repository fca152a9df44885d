"""From a row to what PostgreSQL takes: a line of COPY text.

Nearly every value is a plain string. Its stored JSON is put together as text at once; a property
test holds that equal to the long way through protocol.json_api, which all other values go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring as quote
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from protocol import json_api
from protocol.errors import IdnodeError, InvalidHandle, InvalidValue
from protocol.identifier import Identifier, check_registrable, fold
from protocol.typed import JSON_FORMAT
from protocol.values import (
    DEFAULT_PERMISSIONS,
    DEFAULT_TTL,
    MAX_DATA_BYTES,
    MAX_INDEX,
    MAX_TTL,
    PUBLIC_READ,
    HandleValue,
    check_values,
)
from registry.identifiers import MAX_VALUES_BYTES
from registry.imports.readers import Unreadable
from registry.imports.templates import Templates
from registry.templates.checker import Checker, Text, text_of
from registry.templates.names import check_not_reserved

COLUMNS = ("prefix", "suffix_key", "suffix", "values", "template")
"""What a line holds, in this order."""

MAX_COLUMNS = 2048

_PLAIN_LENGTH = MAX_DATA_BYTES // 4
"""Characters that are within the limit of data whatever they are."""

_VALUE_HEADER = re.compile(r"(?:([0-9]{1,10}):)?([^:]+)")
# A suffix that is right under any prefix: short, visible ASCII, no space at an end, not reserved.
_is_ordinary = re.compile(r"(?!(?i:template/))[!-~](?:[ -~]{0,125}[!-~])?").fullmatch
_RESERVED = ("identifier", "suffix", "ttl")


@dataclass(frozen=True, slots=True)
class Target:
    """An identifier that must be registered for a row, and where the row names it."""

    column: str
    index: int
    identifier: Identifier

    @property
    def key(self) -> tuple[str, str]:
        """Prefix and canonical suffix."""
        return self.identifier.prefix_key, self.identifier.suffix_key


class Line(NamedTuple):
    """One row, ready: where it stands, and its line of COPY text.

    checker: of the template that it was checked by. named: what must be registered for it.
    """

    prefix: str
    suffix_key: str
    text: str
    checker: Checker | None = None
    named: Sequence[Target] = ()


class RowError(Exception):
    """A row that is refused: the column (or member) and the reason."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column = column
        self.reason = reason


Parse = Callable[[Any, str], Line | None]
"""Takes a row and the time (ISO 8601) of its values; None for a blank row.

Raises RowError, and NotRead where the row names a template that is still to be read."""


@dataclass(frozen=True, slots=True)
class _Column:
    position: int
    name: str
    index: int
    type: str
    head: str
    plain: bool
    restricted: bool


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
            place = _checked(prefix, cells[name_at], name_column)
        else:
            place = _split(cells[name_at], prefix, name_column)
        ttl = DEFAULT_TTL if ttl_at is None else _ttl(cells[ttl_at])
        tail = f'}},"ttl":{ttl},"timestamp":"{stamp}"}}'
        values, texts = [], []
        for column in columns:
            cell = cells[column.position]
            if not cell:
                continue
            texts.append((column.index, column.type, cell))
            if column.plain and len(cell) <= _PLAIN_LENGTH:
                values.append(column.head + quote(cell) + tail)
            else:
                values.append(_any_cell(column, cell, ttl, stamp))
        named = _check(checker, texts, lambda index: by_index.get(index, "values"))
        return _line(place, f"[{','.join(values)}]", checker, named)

    return parse


def _check(
    checker: Checker | None, texts: Sequence[Text], where: Callable[[int], str]
) -> Sequence[Target]:
    """Return what must be registered for a row whose values are right. Raises RowError.

    where: tells the column of the value with an index.
    """
    if checker is None:
        return ()
    fault = checker.fault(texts)
    if fault is not None:
        raise RowError(where(fault.index), fault.reason)
    return [
        Target(where(index), index, identifier)
        for index, identifier in checker.to_be_registered(texts)
    ]


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
        restricted = checker is not None and index in checker.restricted
        columns.append(_value_column(position, name, index, type_, restricted))
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


def _value_column(position: int, name: str, index: int, type_: str, restricted: bool) -> _Column:
    try:
        check_values([json_api.decode_value({"index": index, "type": type_, "data": ""})])
    except InvalidValue as error:
        raise Unreadable(f"the column {name!r} is not TYPE or index:TYPE: {error.detail}") from None
    head = _head(index, type_, restricted)
    return _Column(position, name, index, type_, head, _is_plain(type_), restricted)


def _head(index: int, type_: str, restricted: bool) -> str:
    more = _RESTRICTED_JSON if restricted else ""
    return f'{{"index":{index},"type":{quote(type_)},{more}"data":{{"format":"string","value":'


_RESTRICTED = f"{DEFAULT_PERMISSIONS & ~PUBLIC_READ:04b}"
_RESTRICTED_JSON = f'"permissions":"{_RESTRICTED}",'


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
    value = {"index": column.index, "type": column.type, "data": cell, "ttl": ttl}
    if column.restricted:
        value["permissions"] = _RESTRICTED
    try:
        (text,) = _encoded(_decoded([value]), stamp)
    except InvalidValue as error:
        raise RowError(column.name, error.detail) from None
    return text


def _decoded(values: object) -> Sequence[HandleValue]:
    """Read values of any kind. Raises InvalidValue."""
    decoded = json_api.decode_values(values, timestamp=0)
    check_values(decoded)
    return decoded


def _encoded(values: Iterable[HandleValue], stamp: str) -> list[str]:
    """Return the stored JSON of each value."""
    encoded = (json_api.encode_value(value) | {"timestamp": stamp} for value in values)
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
            check_not_reserved(fold(suffix))
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


def _line(
    place: tuple[str, str], values: str, checker: Checker | None, named: Sequence[Target]
) -> Line:
    if len(values) > MAX_VALUES_BYTES // 4 and len(values.encode()) > MAX_VALUES_BYTES:
        raise RowError("values", f"the values have more than {MAX_VALUES_BYTES} bytes of JSON")
    prefix, suffix = place
    suffix_key = fold(suffix)
    # No field can hold a tab or a line break: suffixes have no controls, JSON escapes them.
    text = f"{suffix_key}\t{suffix}\t{values}"
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if checker is None:
        return Line(prefix, suffix_key, f"{prefix}\t{text}\t{_NULL}\n")
    last = str(checker.reference).replace("\\", "\\\\")
    return Line(prefix, suffix_key, f"{prefix}\t{text}\t{last}\n", checker, named)


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


def ndjson_parser(prefix: str | None, templates: Templates) -> Parse:
    """Return the parser of lines such as {"identifier": "88.118.35/SN-1", "values": [...]}.

    prefix: the one that bare suffixes stand under, and identifiers must. templates: those that the
    rows may name.
    """

    def parse(line: bytes, stamp: str) -> Line | None:
        if not line or line.isspace():
            return None
        row = _plain(line) or _decode_any(line)
        place = _named(row, prefix)
        checker = _checker(templates, place[0], row.template)
        values, named = _values(row, stamp, checker)
        return _line(place, f"[{','.join(values)}]", checker, named)

    return parse


def _checker(templates: Templates, prefix: str, template: str | None) -> Checker | None:
    try:
        return templates.checker(prefix, template)
    except InvalidValue as error:
        raise RowError("template", error.detail) from None


def _plain(line: bytes) -> _Row | None:
    """Return the row if all of its values are plain strings; None if it needs the long way."""
    try:
        row = _plain_row.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    plain = all(_is_plain(value.type) and "\0" not in value.data.value for value in row.values)
    unique = len({value.index for value in row.values}) == len(row.values)
    return row if plain and unique else None


def _values(
    row: _Row | _AnyRow, stamp: str, checker: Checker | None
) -> tuple[list[str], Sequence[Target]]:
    """Return the stored JSON of the values of a row, and what must be registered for it."""
    if isinstance(row, _Row):
        named = _check_in_place(checker, [(v.index, v.type, v.data.value) for v in row.values])
        return _plain_values(row, stamp, checker), named
    try:
        decoded = _decoded(row.values)
    except IdnodeError as error:
        raise RowError(error.field or "values", error.detail) from None
    if checker is None:
        return _encoded(decoded, stamp), ()
    named = _check_in_place(checker, [text_of(value) for value in decoded])
    return _encoded(checker.restrict(decoded), stamp), named


def _check_in_place(checker: Checker | None, texts: Sequence[Text]) -> Sequence[Target]:
    def where(index: int) -> str:
        indexes = [each for each, _, _ in texts]
        return f"values[{indexes.index(index)}]" if index in indexes else "values"

    return _check(checker, texts, where)


def _plain_values(row: _Row, stamp: str, checker: Checker | None) -> list[str]:
    restricted = frozenset[int]() if checker is None else checker.restricted
    values = []
    for value in row.values:
        head = _head(value.index, value.type, value.index in restricted)
        tail = f'}},"ttl":{value.ttl},"timestamp":"{stamp}"}}'
        values.append(head + quote(value.data.value) + tail)
    return values


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
