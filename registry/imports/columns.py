"""What the columns of a table mean, by its header and a mapping."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol import json_api
from protocol.errors import InvalidValue
from protocol.values import DEFAULT_TTL, PUBLIC, check_values
from registry.imports.mapping import NO_MAPPING, Mapping, find_item
from registry.imports.readers import Unreadable
from registry.imports.rows import head_of, is_plain
from registry.templates.checker import Checker

MAX_COLUMNS = 2048

_VALUE_HEADER = re.compile(r"(?:([0-9]{1,10}):)?([^:]+)")

IDENTIFIER, SUFFIX, TTL, VALUE, IGNORED = "identifier", "suffix", "ttl", "value", "ignored"
_RESERVED = (IDENTIFIER, SUFFIX, TTL)
_CHINESE = {"标识": IDENTIFIER, "后缀": SUFFIX, "标识后缀": SUFFIX}
"""What a title means that is no item of the template."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of values. position: in the row, behind which its constants stand."""

    position: int
    name: str
    index: int
    type: str
    head: str
    plain: bool
    audience: str


@dataclass(slots=True)
class Layout:
    """What the columns of a table mean.

    names: titles, also `by_index` of what stands under them. name_at: the column of identifiers, or
    of suffixes unless they are `whole`. ttl: seconds, for rows without one at `ttl_at`. constants:
    cells that stand behind those of each row.
    """

    names: list[str]
    ttl: int
    name_at: int = -1
    whole: bool = True
    ttl_at: int | None = None
    columns: list[Column] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    by_index: dict[int, str] = field(default_factory=dict)

    @property
    def read(self) -> frozenset[int]:
        """Positions of the columns that something is read from."""
        places = {self.name_at, *(column.position for column in self.columns)}
        return frozenset(places if self.ttl_at is None else places | {self.ttl_at})


def layout_of(
    header: Sequence[str],
    prefix: str | None,
    checker: Checker | None = None,
    mapping: Mapping = NO_MAPPING,
) -> Layout:
    """Return what the columns under `header` mean. Raises Unreadable, naming the column.

    prefix: of the import, if it names one. checker: of the template of all rows; a column may then
    be titled as an item is. mapping: fits the template.
    """
    names = [name.strip() for name in header]
    if len(names) > MAX_COLUMNS:
        raise Unreadable(f"the header has more than {MAX_COLUMNS} columns")
    layout = Layout(names, DEFAULT_TTL if mapping.ttl is None else mapping.ttl)
    roles = [_role(name, checker, mapping) for name in names]
    _check_titles(names, roles, mapping)
    places = [position for position, role in enumerate(roles) if role in (IDENTIFIER, SUFFIX)]
    if len(places) != 1:
        raise Unreadable("the header needs one column named 'identifier' or one named 'suffix'")
    layout.name_at = places[0]
    layout.whole = roles[places[0]] == IDENTIFIER
    if not layout.whole and prefix is None:
        raise Unreadable(f"the column {names[places[0]]!r} needs the import to name a prefix")
    if TTL in roles:
        layout.ttl_at = roles.index(TTL)
    for position, role in enumerate(roles):
        if role == VALUE:
            name = names[position]
            _add(layout, checker, position, name, mapping.columns.get(name))
    for name, text in mapping.constants.items():
        _add(layout, checker, len(names) + len(layout.constants), name, name)
        layout.constants.append(text)
    return layout


def _role(name: str, checker: Checker | None, mapping: Mapping) -> str:
    if name in mapping.columns:
        return IGNORED if mapping.columns[name] is None else VALUE
    for role, title in (
        (IDENTIFIER, mapping.identifier),
        (SUFFIX, mapping.suffix),
        (TTL, mapping.ttl_column),
    ):
        if name == title:
            return role
    role = name if name in _RESERVED else _CHINESE.get(name, VALUE)
    is_item = name not in _RESERVED and checker is not None and find_item(checker, name) is not None
    if role != VALUE and not is_item and _open(role, mapping):
        return role
    return VALUE if mapping.others == "match" else IGNORED


def _open(role: str, mapping: Mapping) -> bool:
    """Whether the mapping leaves it to the titles which column has a role."""
    if role == TTL:
        return mapping.ttl_column is None
    return mapping.identifier is None and mapping.suffix is None


def _check_titles(names: list[str], roles: list[str], mapping: Mapping) -> None:
    for title in (mapping.identifier, mapping.suffix, mapping.ttl_column, *mapping.columns):
        if title is not None and title not in names:
            raise Unreadable(f"the column {title!r} of the mapping is not in the header")
    counts = Counter(names)
    for position, (name, role) in enumerate(zip(names, roles, strict=True), 1):
        if role == IGNORED:
            continue
        if not name:
            raise Unreadable(f"column {position} has no name in the header")
        if counts[name] > 1:
            raise Unreadable(f"the column {name!r} stands twice in the header")


def _add(
    layout: Layout, checker: Checker | None, position: int, name: str, target: str | int | None
) -> None:
    index, type_ = _place(name, target, len(layout.columns) + 1, checker)
    earlier = layout.by_index.setdefault(index, name)
    if earlier is not name:
        raise Unreadable(f"the column {name!r} has index {index}, as {earlier!r} has already")
    try:
        check_values([json_api.decode_value({"index": index, "type": type_, "data": ""})])
    except InvalidValue as error:
        raise Unreadable(f"the column {name!r} is not TYPE or index:TYPE: {error.detail}") from None
    audience = PUBLIC if checker is None else checker.audience(index)
    head = head_of(index, type_, audience)
    layout.columns.append(Column(position, name, index, type_, head, is_plain(type_), audience))


def _place(
    name: str, target: str | int | None, number: int, checker: Checker | None
) -> tuple[int, str]:
    """Return index and type of the values in the column `name`, the value column `number`."""
    if checker is not None:
        item = find_item(checker, name if target is None else target)
        if item is not None:
            return item.index, item.type
    match = _VALUE_HEADER.fullmatch(name)
    if match is None:
        raise Unreadable(f"the column {name!r} is neither TYPE nor index:TYPE")
    if match[1] is None and checker is not None:
        raise Unreadable(f"the column {name!r} is no item of the template {checker.reference}")
    return int(match[1] or number), match[2]
