"""The compiled form of one version of a template: checks the values of identifiers by it.

Beside its items an identifier may have values for its administration (types that begin with
``HS_``, below index 2000) and, at index 1001, the template itself (type TEMPLATE, as in the SNMS
API).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protocol.errors import InvalidValue
from protocol.identifier import Identifier, fold
from protocol.json_api import DEFAULT_PARTNERS
from protocol.values import PUBLIC_READ, HandleValue
from registry.templates.definition import (
    FIRST_INDEX,
    PARTNERS,
    PUBLIC,
    Data,
    Definition,
    IdentifierData,
    Item,
)
from registry.templates.names import Reference
from registry.templates.rules import Rule, compile_rule

TEMPLATE_INDEX, TEMPLATE_TYPE = 1001, "TEMPLATE"

Text = tuple[int, str, str | None]
"""Index, type and data of a value; None for data that is not text."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the values of an identifier.

    index: of the value, or of the item that lacks one. rule: the rule that is broken, such as
    ``required``. reason: a sentence that names the item.
    """

    index: int
    rule: str
    reason: str


class InvalidItem(InvalidValue):
    """Values that break a rule of their template. index, rule: see Fault."""

    def __init__(self, fault: Fault, *, field: str | None = None) -> None:
        super().__init__(fault.reason, field=field)
        self.index = fault.index
        self.rule = fault.rule

    @classmethod
    def at_value(
        cls, fault: Fault, values: Sequence[HandleValue], positions: Mapping[int, int] | None
    ) -> InvalidItem:
        """Return the error, placed at the value: see Checker.check."""
        if positions is None:
            positions = {value.index: position for position, value in enumerate(values)}
        position = positions.get(fault.index)
        return cls(fault, field="values" if position is None else f"values[{position}]")


class _Compiled(NamedTuple):
    """An item, as its check needs it."""

    type: str
    type_key: str
    enabled: bool
    required: bool
    rule: Rule
    label: str


class Checker:
    """Checks values by one version of a template; made once, used for any number of identifiers.

    reference: name and version; text: the same as identifiers hold it. restricted: the indexes of
    values that are not for everybody. `definition` must have passed checks.check.
    """

    def __init__(self, reference: Reference, definition: Definition) -> None:
        self.reference = reference
        self.text = str(reference)
        self.definition = definition
        self._items = {item.index: _compile(item) for item in definition.items}
        self._required = [index for index, item in self._items.items() if item.required]
        self._data = {item.index: item.data for item in definition.items}
        self._audiences = {item.index: item.audience for item in definition.items}
        self.restricted = frozenset(
            index for index, audience in self._audiences.items() if audience != PUBLIC
        )
        self._to_be_registered = frozenset(
            item.index
            for item in definition.items
            if isinstance(item.data, IdentifierData) and item.data.registered
        )
        self._names = frozenset({fold(reference.name), fold(str(reference))})

    def fault(self, values: Sequence[Text]) -> Fault | None:
        """Return the first thing that is wrong with the values of one identifier, or None.

        Their indexes must be unique.
        """
        items, found = self._items, 0
        for index, type_, text in values:
            item = items.get(index)
            if item is None:
                fault = self._fault_outside(index, type_, text)
            elif type_ != item.type and fold(type_) != item.type_key:
                fault = Fault(index, "type", f"value {index} has type {type_}, not {item.type}")
            elif not item.enabled:
                fault = Fault(index, "enabled", f"{item.label} is not enabled in the template")
            elif text is None:
                fault = Fault(index, "format", f"{item.label} is not text (format string)")
            elif item.required and not text:
                fault = Fault(index, "required", f"{item.label} is required, but empty")
            else:
                found += item.required
                broken = item.rule(text)
                if broken is None:
                    continue
                fault = Fault(index, broken.rule, f"{item.label} {broken.reason}")
            if fault is not None:
                return fault
        return None if found == len(self._required) else self._missing(values)

    def _fault_outside(self, index: int, type_: str, text: str | None) -> Fault | None:
        """Judge a value that belongs to no item."""
        if index < FIRST_INDEX and fold(type_).startswith("HS_"):
            return None
        if index == TEMPLATE_INDEX and fold(type_) == TEMPLATE_TYPE:
            if text is not None and fold(text) in self._names:
                return None
            return Fault(index, "template", f"value {index} does not name {self.reference}")
        return Fault(index, "unknown", f"index {index} is not in the template {self.reference}")

    def _missing(self, values: Sequence[Text]) -> Fault:
        present = {index for index, _, _ in values}
        index = next(index for index in self._required if index not in present)
        return Fault(index, "required", f"{self._items[index].label} is required, but missing")

    def data(self, index: int) -> Data | None:
        """Return what the data of the value with this index must be, None if it is no item."""
        return self._data.get(index)

    def label(self, index: int) -> str:
        """Return how errors name an item."""
        return self._items[index].label

    def broken(self, index: int, text: str) -> Fault | None:
        """Return what is wrong with the data of an item alone; see `fault` for all there is."""
        item = self._items[index]
        broken = item.rule(text)
        return broken and Fault(index, broken.rule, f"{item.label} {broken.reason}")

    def check(
        self, values: Sequence[HandleValue], positions: Mapping[int, int] | None = None
    ) -> None:
        """Raise InvalidItem, with the field, unless the values of one identifier are right.

        positions: where the values with these indexes stand in the request, if not as in `values`.
        """
        fault = self.fault([text_of(value) for value in values])
        if fault is not None:
            raise InvalidItem.at_value(fault, values, positions)

    def audience(self, index: int) -> str:
        """Return whom a value with this index is for unless it says so itself."""
        return self._audiences.get(index, PUBLIC)

    def restrict(self, values: Iterable[HandleValue]) -> list[HandleValue]:
        """Return the values, for the audiences that the template says where they are for more.

        A value that is not for everybody stays as it is: it says itself whom it is for.
        """
        return [
            self._restricted(value) if value.public and value.index in self.restricted else value
            for value in values
        ]

    def _restricted(self, value: HandleValue) -> HandleValue:
        return dataclasses.replace(
            value,
            permissions=value.permissions & ~PUBLIC_READ,
            partners=DEFAULT_PARTNERS if self._audiences[value.index] == PARTNERS else (),
        )

    def to_be_registered(self, values: Iterable[Text]) -> list[tuple[int, Identifier]]:
        """Return the identifiers that must be registered at this node, each with its index.

        The values must be right.
        """
        if not self._to_be_registered:
            return []
        return [
            (index, Identifier.parse(text))
            for index, _, text in values
            if index in self._to_be_registered and text
        ]

    def not_registered(self, index: int, identifier: Identifier) -> Fault:
        """Return the fault of a value that names an identifier which is not registered here."""
        label = self._items[index].label
        return Fault(index, "registered", f"{label}: {identifier} is not registered at this node")


def _compile(item: Item) -> _Compiled:
    return _Compiled(
        item.type,
        fold(item.type),
        item.enabled,
        item.enabled and item.required,
        compile_rule(item.data),
        f"{item.name} ({item.index} {item.type})",
    )


def text_of(value: HandleValue) -> Text:
    """Return a value as Checker.fault takes it."""
    try:
        return value.index, value.type, value.data.decode()
    except UnicodeDecodeError:
        return value.index, value.type, None
