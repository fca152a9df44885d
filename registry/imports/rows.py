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
from typing import Any, NamedTuple

import msgspec

from protocol import json_api
from protocol.errors import InvalidHandle
from protocol.identifier import Identifier, check_registrable, fold
from protocol.typed_check import CHECKS, check_typed
from protocol.values import (
    DEFAULT_PERMISSIONS,
    MAX_DATA_BYTES,
    PARTNERS,
    PRIVATE,
    PUBLIC,
    PUBLIC_READ,
    HandleValue,
    check_values,
)
from registry import access
from registry.identifiers import MAX_VALUES_BYTES
from registry.templates.checker import Checker, Text
from registry.templates.names import check_not_reserved

COLUMNS = ("prefix", "suffix_key", "suffix", "values", "template")
"""What a line holds, in this order."""

PLAIN_LENGTH = MAX_DATA_BYTES // 4
"""Characters that are within the limit of data whatever they are."""

_RESTRICTED = f'"permissions":"{DEFAULT_PERMISSIONS & ~PUBLIC_READ:04b}",'
_PARTNERS = msgspec.json.encode({"audience": PARTNERS, "partners": json_api.DEFAULT_PARTNERS})
_ACCESS = {
    PUBLIC: "",
    PARTNERS: f'{_RESTRICTED}"access":{_PARTNERS.decode()},',
    PRIVATE: _RESTRICTED,
}
"""What the stored JSON of a value says of its audience."""

# A suffix that is right under any prefix: short, visible ASCII, no space at an end, not reserved.
_is_ordinary = re.compile(r"(?!(?i:template/))[!-~](?:[ -~]{0,125}[!-~])?").fullmatch
_NULL = "\\N"


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


@lru_cache(4096)
def head_of(index: int, type_: str, audience: str) -> str:
    """Return the stored JSON of a string value for `audience` up to the string."""
    head = f'{{"index":{index},"type":{quote(type_)},{_ACCESS[audience]}'
    return f'{head}"data":{{"format":"string","value":'


@lru_cache(4096)
def is_plain(type_: str) -> bool:
    """Whether strings of this type may be stored as they come."""
    return (
        type_.isascii() and type_.isprintable() and " " not in type_ and type_.upper() not in CHECKS
    )


def decoded_values(values: object) -> Sequence[HandleValue]:
    """Read values of any kind. Raises InvalidValue."""
    decoded = json_api.decode_values(values, timestamp=0)
    check_values(decoded)
    check_typed(decoded)
    return access.checked(decoded)


def encoded_values(values: Iterable[HandleValue], stamp: str) -> list[str]:
    """Return the stored JSON of each value."""
    encoded = (json_api.encode_stored(value) | {"timestamp": stamp} for value in values)
    return [msgspec.json.encode(value).decode() for value in encoded]


def split_name(text: str, prefix: str | None, column: str) -> tuple[str, str]:
    """Return prefix and suffix of an identifier, which must stand under `prefix` if given."""
    found, slash, suffix = text.partition("/")
    if not slash:
        raise RowError(column, "not of the form prefix/suffix")
    if prefix is not None and found != prefix:
        raise RowError(column, f"does not stand under the prefix {prefix} of this import")
    return check_name(found, suffix, column)


def check_name(prefix: str, suffix: str, column: str) -> tuple[str, str]:
    """Return prefix and suffix if they may be registered. Raises RowError at `column`."""
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


def check_texts(
    checker: Checker, texts: Sequence[Text], where: Callable[[int], str]
) -> Sequence[Target]:
    """Return what must be registered for a row whose values are right. Raises RowError.

    where: tells the column of the value with an index.
    """
    fault = checker.fault(texts)
    if fault is not None:
        raise RowError(where(fault.index), fault.reason)
    return [
        Target(where(index), index, identifier)
        for index, identifier in checker.to_be_registered(texts)
    ]


def make_line(
    place: tuple[str, str], values: str, checker: Checker | None, named: Sequence[Target]
) -> Line:
    """Put a row together. values: a JSON list. Raises RowError where they are too long."""
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
    last = checker.text.replace("\\", "\\\\")
    return Line(prefix, suffix_key, f"{prefix}\t{text}\t{last}\n", checker, named)
