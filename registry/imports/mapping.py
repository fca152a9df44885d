"""Mappings: which column of a table becomes which value of a template."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.errors import InvalidValue
from protocol.identifier import fold
from protocol.values import MAX_INDEX, MAX_TTL
from registry.templates.checker import Checker
from registry.templates.definition import MAX_CHARACTERS, MAX_ITEMS, Item

MAX_TITLE = 255

_Title = Annotated[str, Meta(min_length=1, max_length=MAX_TITLE)]
_Index = Annotated[int, Meta(ge=1, le=MAX_INDEX)]
_Constant = Annotated[str, Meta(min_length=1, max_length=MAX_CHARACTERS)]


class Mapping(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the columns of a table are. Columns are named by their titles in the header."""

    identifier: Annotated[
        _Title | None, Meta(description="The column of whole identifiers; or else `suffix`")
    ] = None
    suffix: Annotated[_Title | None, Meta(description="The column of suffixes")] = None
    columns: Annotated[
        dict[_Title, _Title | _Index | None],
        Meta(
            max_length=2 * MAX_ITEMS,
            description="Title -> item of the template, by its Chinese name, its type or its index;"
            " null leaves the column out",
            examples=[{"产品编号": "PRODUCT_NO", "厂家": 2003, "备注": None}],
        ),
    ] = {}
    constants: Annotated[
        dict[_Title, _Constant],
        Meta(
            max_length=MAX_ITEMS,
            description="Item of the template, by name or type -> the value that all rows have",
        ),
    ] = {}
    ttl: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_TTL)] | None,
        Meta(description="Seconds for values of rows without a ttl of their own"),
    ] = None
    ttl_column: Annotated[_Title | None, Meta(description="The column of ttls")] = None
    others: Annotated[
        Literal["match", "ignore"],
        Meta(
            description="What becomes of columns that are not named here: `match` takes each for"
            " the item that has its title, `ignore` leaves them out"
        ),
    ] = "match"
    sheet: Annotated[_Title | None, Meta(description="Of a workbook; the first one otherwise")] = (
        None
    )


_TITLES = ("identifier", "suffix", "ttl_column", "sheet")
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

NO_MAPPING = Mapping()


def find_item(checker: Checker, target: str | int) -> Item | None:
    """Return the item that has this name, type (without ASCII case) or index."""
    for item in checker.definition.items:
        if target in (item.index, item.name, item.type):
            return item
    if isinstance(target, int):
        return None
    key = fold(target)
    return next((item for item in checker.definition.items if fold(item.type) == key), None)


def check_mapping(mapping: Mapping, checker: Checker) -> None:
    """Raise InvalidValue, with the member, unless the mapping fits the template."""
    if mapping.identifier is not None and mapping.suffix is not None:
        raise InvalidValue(
            "name a column of identifiers or one of suffixes, not both", field="suffix"
        )
    special = (mapping.identifier, mapping.suffix, mapping.ttl_column)
    titles = [title for title in (*special, *mapping.columns) if title is not None]
    _check_direction(mapping)
    for title in titles:
        if titles.count(title) > 1:
            raise InvalidValue(f"the column {title!r} stands for two things", field="columns")
    taken: dict[int, str] = {}
    for member, target in _targets(mapping):
        item = find_item(checker, target)
        if item is None:
            raise InvalidValue(
                f"{target} is no item of the template {checker.reference}", field=member
            )
        if item.index in taken:
            raise InvalidValue(f"the item {target} is given twice", field=member)
        taken[item.index] = member
    for target, text in mapping.constants.items():
        _check_constant(checker, target, text)


def _check_direction(mapping: Mapping) -> None:
    """Refuse titles that are shown in another order than they are written in."""
    members = {name: getattr(mapping, name) or "" for name in _TITLES}
    for member, text in (*members.items(), *(("columns", title) for title in mapping.columns)):
        if _TURNING.search(text):
            raise InvalidValue("holds a character that turns the direction of text", field=member)


def _targets(mapping: Mapping) -> Iterator[tuple[str, str | int]]:
    for target in mapping.columns.values():
        if target is not None:
            yield "columns", target
    for name in mapping.constants:
        yield "constants", name


def _check_constant(checker: Checker, target: str, text: str) -> None:
    item = find_item(checker, target)
    if item is None:
        raise AssertionError(f"{target} was found a moment ago")
    fault = checker.fault([(item.index, item.type, text)])
    # What others the template requires is a matter of each row.
    if fault is not None and fault.index == item.index:
        raise InvalidValue(fault.reason, field="constants")
