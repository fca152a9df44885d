"""Whether a range whose values differ from member to member says what its members may say.

The numbers of a range have equally many digits, so that all members say something of one length
and one form, and lie between what the first and the last one say. Where a rule asks for no more
than that, these two decide. A pattern, a list of texts, a day or a reference is decided by each
member alone: such texts are looked at one by one, as long as there are not too many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from protocol.errors import InvalidValue
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry import identifiers
from registry.range_members import Span, holds_placeholder, member_text, member_values
from registry.services import Work
from registry.templates import lookup as templates
from registry.templates.checker import Checker, Fault, InvalidItem, text_of
from registry.templates.definition import (
    Data,
    DateData,
    DecimalData,
    EnumData,
    IdentifierData,
    IntegerData,
    StringData,
    UrlData,
)

MAX_TEXTS = 10_000
"""Texts of a range that are looked at one by one."""

_CHARACTERS = 1000
"""A text that is longer counts for more than one."""


@dataclass(frozen=True, slots=True)
class _Varying:
    """A value that has another text for each member, of which each must be looked at."""

    index: int
    text: str
    rule: str


async def check(
    work: Work,
    checker: Checker | None,
    span: Span,
    values: Sequence[HandleValue],
    stored: list[dict[str, Any]],
) -> None:
    """Refuse values, with their placeholders, unless each member of the range may say them.

    stored: the same values as they are stored. Raises InvalidValue with the field; it is an
    InvalidItem with the rule where the template (checker) is what forbids them.
    """
    for position, value in enumerate(values):
        if holds_placeholder(value.type):
            raise InvalidValue(
                "a type is one for all members of a range: nothing in it is replaced",
                field=f"values[{position}].type",
            )
    for number in sorted({span.first, span.last}):
        said = member_values(stored, span.suffix(number), span.digits(number))
        shown = identifiers.decode(work, said)
        identifiers.encode(shown)
        if checker is not None:
            await templates.check(work, checker, shown)
    if checker is None:
        return
    varying = _varying(checker, values)
    if not varying:
        return
    fault = _too_many(checker, span, varying) or await asyncio.to_thread(
        _first_broken, checker, span, varying
    )
    fault = fault or await _first_unregistered(work, checker, span, varying)
    if fault is not None:
        raise InvalidItem.at_value(fault, values, None)


def _varying(checker: Checker, values: Sequence[HandleValue]) -> list[_Varying]:
    found = []
    for index, _, text in map(text_of, values):
        data = checker.data(index)
        if data is not None and text is not None and holds_placeholder(text):
            rule = _rule_for_each(data, text)
            if rule is not None:
                found.append(_Varying(index, text, rule))
    return found


def _rule_for_each(data: Data, text: str) -> str | None:
    """Return the rule that each member must be looked at for, None if the two ends decide."""
    match data:
        case StringData(pattern=pattern):
            return None if pattern is None else "pattern"
        case EnumData():
            return "enum"
        case DateData():
            return "date"
        case IdentifierData(registered=registered):
            return "registered" if registered else None
        case UrlData():
            return "scheme" if holds_placeholder(text.partition("://")[0]) else None
        case IntegerData() | DecimalData():
            return None


def _too_many(checker: Checker, span: Span, varying: list[_Varying]) -> Fault | None:
    most = MAX_TEXTS // sum(1 + len(each.text) // _CHARACTERS for each in varying)
    if span.count <= most:
        return None
    first = varying[0]
    reason = (
        f"{checker.label(first.index)} has another text for each member, and its rule"
        f" ({first.rule}) must be checked for each: such a range has at most {most} members"
    )
    return Fault(first.index, first.rule, reason)


def _first_broken(checker: Checker, span: Span, varying: list[_Varying]) -> Fault | None:
    for suffix, digits in span.members:
        for each in varying:
            fault = checker.broken(each.index, member_text(each.text, suffix, digits))
            if fault is not None:
                return _of_member(suffix, fault)
    return None


async def _first_unregistered(
    work: Work, checker: Checker, span: Span, varying: list[_Varying]
) -> Fault | None:
    named = [
        (suffix, each.index, Identifier.parse(member_text(each.text, suffix, digits)))
        for suffix, digits in span.members
        for each in varying
        if each.rule == "registered"
    ]
    keys = {(one.prefix_key, one.suffix_key) for _, _, one in named}
    absent = await templates.missing(work, sorted(keys)) if keys else set()
    for suffix, index, one in named:
        if (one.prefix_key, one.suffix_key) in absent:
            return _of_member(suffix, checker.not_registered(index, one))
    return None


def _of_member(suffix: str, fault: Fault) -> Fault:
    return replace(fault, reason=f"{suffix}: {fault.reason}")
