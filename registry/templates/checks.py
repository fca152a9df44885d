"""What a definition must hold to beside the types of its members."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocol import json_api
from protocol.errors import IdnodeError, InvalidValue
from protocol.identifier import check_prefix, fold
from protocol.values import check_values
from registry.enterprises.codes import industries
from registry.services import check_text
from registry.templates.definition import (
    Data,
    DecimalData,
    Definition,
    EnumData,
    IdentifierData,
    Industry,
    Item,
    StringData,
)
from registry.templates.rules import compile_rule

MAX_PATTERNS = 50
"""Of one template: each may take memory, see registry.templates.patterns."""

MAX_BYTES = 60_000
"""Of a definition in JSON, so that a handle value can hold it."""


def check(definition: Definition) -> bytes:
    """Return a definition in JSON, as it is stored, if it may be. Raises InvalidValue."""
    if definition.description is not None:
        check_text(definition.description, "description", maximum=1000)
    if definition.industry is not None:
        _check_industry(definition.industry)
    patterns = 0
    for position, item in enumerate(definition.items):
        try:
            _check_item(item)
        except IdnodeError as error:
            raise error.at(f"items[{position}]") from None
        patterns += isinstance(item.data, StringData) and item.data.pattern is not None
    _check_unique(definition.items)
    if patterns > MAX_PATTERNS:
        raise InvalidValue(f"a template has at most {MAX_PATTERNS} patterns", field="items")
    encoded = msgspec.json.encode(definition)
    if len(encoded) > MAX_BYTES:
        raise InvalidValue(f"a template has at most {MAX_BYTES} bytes of JSON", field="items")
    return encoded


def check_successor(earlier: Mapping[int, str], definition: Definition) -> None:
    """Refuse a version that gives an index to another type than an earlier one did.

    Values of both may stand side by side. earlier: types by index. Raises InvalidValue.
    """
    for position, item in enumerate(definition.items):
        before = earlier.get(item.index, item.type)
        if fold(before) != fold(item.type):
            raise InvalidValue(
                f"index {item.index} is that of {before} in an earlier version; take another",
                field=f"items[{position}].index",
            )


def _check_industry(industry: Industry) -> None:
    levels = (
        ("division", industry.division, "category", ""),
        ("group", industry.group, "division", industry.division),
        ("class", industry.class_, "group", industry.group),
    )
    for name, code, above, start in levels:
        if code is None:
            continue
        if start is None:
            raise InvalidValue(f"needs the {above} too", field=f"industry.{name}")
        if not code.startswith(start):
            raise InvalidValue(f"does not begin with the {above}", field=f"industry.{name}")
        full = industry.category + code
        if full not in industries():
            raise InvalidValue(f"{full} is not a code of GB/T 4754-2017", field=f"industry.{name}")


def _check_item(item: Item) -> None:
    check_text(item.name, "name", maximum=100)
    if fold(item.type).startswith("HS_"):
        raise InvalidValue("types that begin with HS_ are the Handle System's own", field="type")
    try:
        check_values([json_api.decode_value({"index": item.index, "type": item.type, "data": ""})])
    except InvalidValue as error:
        error.field = "type"
        raise
    try:
        _check_data(item.data)
    except IdnodeError as error:
        raise error.at("data") from None


def _check_data(data: Data) -> None:
    match data:
        case StringData(min_length=least, max_length=most) if least > most:
            raise InvalidValue("more than max_length", field="min_length")
        case DecimalData(digits=digits, fraction_digits=int(after)) if after >= digits:
            raise InvalidValue("not less than digits", field="fraction_digits")
        case EnumData(values=values):
            _check_choices(values)
        case IdentifierData(prefix=str(prefix)):
            check_prefix(prefix)
    compile_rule(data)


def _check_choices(values: list[str]) -> None:
    for position, text in enumerate(values):
        check_text(text, f"values[{position}]", maximum=255)
    if len(set(values)) < len(values):
        raise InvalidValue("the same text stands twice", field="values")


def _check_unique(items: list[Item]) -> None:
    seen: dict[tuple[str, object], int] = {}
    for position, item in enumerate(items):
        for field, value in (
            ("index", item.index),
            ("type", fold(item.type)),
            ("name", item.name),
        ):
            first = seen.setdefault((field, value), position)
            if first != position:
                raise InvalidValue(
                    f"the {field} stands at items[{first}] already",
                    field=f"items[{position}].{field}",
                )
