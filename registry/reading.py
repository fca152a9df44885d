"""JSON that is read as a type: what does not fit is refused with place, rule and a sentence.

msgspec finds it, and says so in words of programmers (``Expected `int`, got `str```). A clerk reads
other words, the same ones for bodies, queries and lines of imports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from protocol.errors import InvalidValue

_PLACE = re.compile(r" - at `(?:key` in `)?\$\.?(.*)`$", re.DOTALL)
_STEP = re.compile(r"\[.*?\]|[^.\[]+")

_NOUNS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "datetime": "a time",
    "date": "a date",
    "uuid": "an id",
    "bytes": "base64",
    "null": "null",
}
_PARTS = {"str": "characters", "bytes": "bytes", "array": "entries", "object": "members"}

_Said = tuple[str, str]  # the rule, the sentence


def _noun(types: str) -> str:
    """Return the words for types such as ``int | str | null``: nobody needs to be told of null."""
    names = [name for name in types.split(" | ") if name != "null"] or ["null"]
    return " or ".join(_NOUNS.get(name, name) for name in names)


def _kind(match: re.Match[str]) -> _Said:
    expected, got = _noun(match[1]), match[2]
    if got is None:
        return "type", f"must be {expected}"
    given = "a number with a fraction" if got == "float" else _noun(got)
    return "type", f"must be {expected}, not {given}"


def _length(match: re.Match[str]) -> _Said:
    parts, bound, number = _PARTS[match[1]], match[2], match[3]
    if bound == ">= " and number == "1":
        return "min_length", "must not be empty"
    if bound == ">= ":
        return "min_length", f"must have at least {number} {parts}"
    if bound == "<= ":
        return "max_length", f"must have at most {number} {parts}"
    return "length", f"must have exactly {number} {parts}"


def _range(match: re.Match[str]) -> _Said:
    noun, bound, number = _NOUNS[match[1]], match[2], match[3].removesuffix(".0")
    words = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}[bound]
    return "range", f"must be {noun} {words} {number}"


def _always(rule: str, sentence: str) -> Callable[[re.Match[str]], _Said]:
    return lambda _match: (rule, sentence)


_TIME = "must be a time with its zone, such as 2026-01-31T08:00:00Z"

_SAYINGS: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], _Said]]] = [
    (re.compile(pattern, re.DOTALL), say)
    for pattern, say in (
        (r"Object contains unknown field `.*`", _always("unknown_field", "unknown member")),
        (r"Object missing required field `.*`", _always("required", "missing")),
        (r"Expected `(\w+)` of length ([<>]= )?(\d+)()", _length),
        (r"Expected `(int|float)` ([<>]=?) (\S+)", _range),
        (
            r"Expected `int` that's a multiple of (\d+)",
            lambda match: ("range", f"must be a multiple of {match[1]}"),
        ),
        (
            r"Expected `str` matching regex '(.*)'",
            lambda match: ("pattern", f"must match the pattern {match[1]}"),
        ),
        (r"Expected `datetime` with a timezone component", _always("format", _TIME)),
        (r"Expected `([^`]+)`(?:, got `([^`]+)`)?", _kind),
        (r"Invalid RFC3339 encoded datetime", _always("format", _TIME)),
        (
            r"Invalid RFC3339 encoded date",
            _always("format", "must be a date such as 2026-01-31"),
        ),
        (
            r"Invalid UUID",
            _always("format", "must be an id such as 0190a3c4-7d2e-7c11-8b5a-3f9d2c6e1a70"),
        ),
        (r"Invalid base64 encoded string", _always("format", "must be base64")),
        (
            r"(?:Integer value|Number) out of range",
            _always("range", "the number is too large"),
        ),
    )
]

_FAULTS = {
    "trailing characters": "something follows the end",
    "invalid character": "a character that does not belong there",
    "expected ',' or ']'": "a comma is missing in a list",
    "expected ',' or '}'": "a comma is missing in an object",
    "trailing comma in array": "a comma before the end of a list",
    "trailing comma in object": "a comma before the end of an object",
    "expected '\"'": "a quotation mark is missing",
    "expected ':'": "a colon is missing",
    "object keys must be strings": "the name of a member without quotation marks",
    "invalid number": "a number that is written wrongly",
    "invalid escape character in string": "an unknown escape after a backslash",
    "invalid escaped character": "an unknown escape after a backslash",
    "invalid character in unicode escape": "a broken unicode escape",
    "unexpected end of hex escape": "a broken unicode escape",
    "invalid utf-16 surrogate pair": "a broken unicode escape",
    "unexpected end of escaped utf-16 surrogate pair": "a broken unicode escape",
}
"""What msgspec says of text that is not JSON -> our words."""

_MALFORMED = re.compile(r"JSON is malformed: (.*) \(byte (\d+)\)")


def misfit(error: msgspec.ValidationError, type_: Any) -> InvalidValue:
    """Return the refusal of JSON that is not of `type_`, with its place and rule."""
    message = str(error)
    place = _PLACE.search(message)
    path = place[1] if place else ""
    text = message[: place.start()] if place else message
    rule, sentence = _say(text, type_, path)
    if rule in ("unknown_field", "required"):
        member = text.split("`")[1]
        path = f"{path}.{member}" if path else member
    return InvalidValue(sentence, field=path or None, rule=rule)


def _say(text: str, type_: Any, path: str) -> _Said:
    if text.startswith(("Invalid enum value", "Invalid value")):
        return "enum", f"must be one of {listed(_allowed(type_, path))}"
    for pattern, say in _SAYINGS:
        match = pattern.fullmatch(text)
        if match:
            return say(match)
    return "type", text


def fault(error: Exception) -> str:
    """Return why text is not JSON: what the decoder of msgspec found, as the end of a sentence."""
    match = _MALFORMED.fullmatch(str(error))
    if match:
        return f"at byte {match[2]}: {_FAULTS.get(match[1], match[1])}"
    return "it ends too soon"


def listed(values: Iterable[Any]) -> str:
    """Return values for a sentence, as JSON writes them: so they have to be sent."""
    return ", ".join(msgspec.json.encode(value).decode() for value in values)


def _allowed(type_: Any, path: str) -> list[Any]:
    """Return the values that are allowed at a place of a type: of enumerations and tags."""
    found = list(_alternatives(inspect.type_info(type_)))
    for step in _STEP.findall(path):
        found = [
            one for each in found for inner in _inner(each, step) for one in _alternatives(inner)
        ]
    values: dict[Any, None] = {}
    for each in found:
        if isinstance(each, inspect.LiteralType):
            values.update(dict.fromkeys(each.values))
        elif isinstance(each, inspect.EnumType):
            values.update(dict.fromkeys(member.value for member in each.cls))
    return list(values)


def _alternatives(type_: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(type_, inspect.Metadata):
        yield from _alternatives(type_.type)
    elif isinstance(type_, inspect.UnionType):
        for each in type_.types:
            yield from _alternatives(each)
    else:
        yield type_


def _inner(type_: inspect.Type, step: str) -> Iterator[inspect.Type]:
    """Return what stands at a member or an entry of a type."""
    if isinstance(type_, inspect.StructType):
        if step == type_.tag_field:
            yield inspect.LiteralType((type_.tag,))
        yield from (field.type for field in type_.fields if field.encode_name == step)
    elif isinstance(type_, inspect.ListType | inspect.VarTupleType | inspect.SetType):
        yield type_.item_type
    elif isinstance(type_, inspect.DictType):
        yield type_.value_type
