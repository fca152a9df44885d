"""Rows of NDJSON: a JSON object a line, with values in Handle JSON."""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring as quote
from typing import Annotated, Any, Literal

import msgspec

from protocol.errors import IdnodeError, InvalidValue
from protocol.values import DEFAULT_TTL, MAX_INDEX, MAX_TTL, PUBLIC, is_overriding
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
from registry.imports.templates import Templates
from registry.reading import fault, misfit
from registry.templates.checker import Checker, Text, text_of


class _Data(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    format: Literal["string"]
    value: Annotated[str, msgspec.Meta(max_length=PLAIN_LENGTH)]


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
        return _plain_line(line, stamp, prefix, templates) or _any_line(
            line, stamp, prefix, templates
        )

    return parse


def _plain_line(line: bytes, stamp: str, prefix: str | None, templates: Templates) -> Line | None:
    """Return a row whose values are all plain strings; None if it needs the long way."""
    try:
        row = _plain_row.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    place = _named(row, prefix)
    checker = _checker(templates, place[0], row.template)
    values = _plain_values(row, stamp, checker)
    if values is None:
        return None
    named: Sequence[Target] = ()
    if checker is not None:
        named = _check_in_place(checker, [(v.index, v.type, v.data.value) for v in row.values])
    return make_line(place, f"[{','.join(values)}]", checker, named)


def _any_line(line: bytes, stamp: str, prefix: str | None, templates: Templates) -> Line:
    row = _decode_any(line)
    place = _named(row, prefix)
    checker = _checker(templates, place[0], row.template)
    try:
        decoded = decoded_values(row.values)
    except IdnodeError as error:
        raise RowError(error.field or "values", error.detail) from None
    named: Sequence[Target] = ()
    if checker is not None:
        named = _check_in_place(checker, [text_of(value) for value in decoded])
        decoded = checker.restrict(decoded)
    return make_line(place, f"[{','.join(encoded_values(decoded, stamp))}]", checker, named)


def _checker(templates: Templates, prefix: str, template: str | None) -> Checker | None:
    try:
        return templates.checker(prefix, template)
    except InvalidValue as error:
        raise RowError("template", error.detail) from None


def _check_in_place(checker: Checker, texts: Sequence[Text]) -> Sequence[Target]:
    def where(index: int) -> str:
        indexes = [each for each, _, _ in texts]
        return f"values[{indexes.index(index)}]" if index in indexes else "values"

    return check_texts(checker, texts, where)


def _plain_values(row: _Row, stamp: str, checker: Checker | None) -> list[str] | None:
    """Return the stored JSON of each value; None if one is not plain, or an index stands twice."""
    values = []
    for value in row.values:
        text = value.data.value
        if not is_plain(value.type) or "\0" in text or is_overriding(text):
            return None
        audience = PUBLIC if checker is None else checker.audience(value.index)
        head = head_of(value.index, value.type, audience)
        values.append(f'{head}{quote(text)}}},"ttl":{value.ttl},"timestamp":"{stamp}"}}')
    return values if len({value.index for value in row.values}) == len(values) else None


def _decode_any(line: bytes) -> _AnyRow:
    try:
        return _any_row.decode(line)
    except UnicodeDecodeError:
        raise RowError("", "the line is not UTF-8") from None
    except msgspec.ValidationError as error:
        refusal = misfit(error, _AnyRow)
        raise RowError(refusal.field or "", refusal.detail) from None
    except msgspec.DecodeError as error:
        raise RowError("", f"not JSON: {fault(error)}") from None
    except RecursionError:
        raise RowError("", "the line is nested too deeply") from None


def _named(row: _Row | _AnyRow, prefix: str | None) -> tuple[str, str]:
    if row.identifier is not None and row.suffix is None:
        return split_name(row.identifier, prefix, "identifier")
    if row.suffix is not None and row.identifier is None:
        if prefix is None:
            raise RowError("suffix", "a bare suffix needs the import to name a prefix")
        return check_name(prefix, row.suffix, "suffix")
    raise RowError("identifier", "one of identifier and suffix is needed")
