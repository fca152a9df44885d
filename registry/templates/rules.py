"""From the description of data to a function that tells what is wrong with a text."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from protocol.errors import InvalidHandle, InvalidValue
from protocol.identifier import Identifier, fold
from registry.templates import patterns
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

INT64 = (-(2**63), 2**63 - 1)

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

# RFC 3986 with the characters beyond ASCII of RFC 3987, but for spaces, controls and what browsers
# read in their own way. A user name would let a link look like another.
_OUT = (
    '\\x00-\\x20\\x7f-\\xa0\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff"<>\\\\^`{|}'
)
_URL = re.compile(
    rf"([A-Za-z][A-Za-z0-9+.-]*)://"
    rf"(?:[^{_OUT}/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?"
    rf"(?:[/?#][^{_OUT}]*)?"
)
_UNSAFE_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob"})


class Breach(NamedTuple):
    """A broken rule, such as ``max_length``, and what is wrong as the end of a sentence."""

    rule: str
    reason: str


Rule = Callable[[str], Breach | None]
"""Takes the text of a value; returns None if it is right."""


def compile_rule(data: Data) -> Rule:
    """Return the rule for data that is described so. Raises InvalidValue with the field."""
    match data:
        case StringData():
            return _string(data)
        case IntegerData():
            return _integer(data)
        case DecimalData():
            return _decimal(data)
        case DateData():
            return _date(data)
        case EnumData():
            return _enum(data)
        case UrlData():
            return _url(data)
        case IdentifierData():
            return _identifier(data)


def _string(data: StringData) -> Rule:
    least, most = data.min_length, data.max_length
    short = Breach("min_length", f"has less than {least} characters")
    long = Breach("max_length", f"has more than {most} characters")
    matches = None
    if data.pattern is not None:
        if not data.pattern.isprintable():
            raise InvalidValue("holds a character that cannot be printed", field="pattern")
        try:
            matches = patterns.matcher(data.pattern)
        except InvalidValue as error:
            raise error.at("pattern") from None
    other = Breach("pattern", f"does not match the pattern {data.pattern}")

    def rule(text: str) -> Breach | None:
        length = len(text)
        if length > most:
            return long
        if length < least:
            return short
        return None if matches is None or matches(text) else other

    return rule


def _range(least: object, most: object) -> Breach:
    if least is None:
        return Breach("range", f"is more than {most}")
    if most is None:
        return Breach("range", f"is less than {least}")
    return Breach("range", f"is not between {least} and {most}")


def _integer(data: IntegerData) -> Rule:
    least = INT64[0] if data.minimum is None else data.minimum
    most = INT64[1] if data.maximum is None else data.maximum
    if least > most:
        raise InvalidValue("more than maximum", field="minimum")
    other = Breach("integer", "is not a whole number such as 42 or -7")
    beyond = Breach("range", f"is not between {INT64[0]} and {INT64[1]}")
    outside = _range(data.minimum, data.maximum)

    def rule(text: str) -> Breach | None:
        if _INTEGER.fullmatch(text) is None:
            return other
        number = int(text)
        if least <= number <= most:
            return None
        return outside if INT64[0] <= number <= INT64[1] else beyond

    return rule


def _decimal(data: DecimalData) -> Rule:
    least, most = _decimal_bound(data.minimum, "minimum"), _decimal_bound(data.maximum, "maximum")
    if least is not None and most is not None and least > most:
        raise InvalidValue("more than maximum", field="minimum")
    digits = data.digits
    after_point = digits if data.fraction_digits is None else data.fraction_digits
    other = Breach("decimal", "is not a decimal number such as 12.50")
    many = Breach("digits", f"has more than {digits} digits")
    fine = Breach("fraction_digits", f"has more than {after_point} digits after the point")
    outside = _range(data.minimum, data.maximum)
    unbounded = least is None and most is None

    def rule(text: str) -> Breach | None:
        match = _DECIMAL.fullmatch(text)
        if match is None:
            return other
        whole, fraction = match[2], match[3] or ""
        if len(whole) + len(fraction) > digits:
            return many
        if len(fraction) > after_point:
            return fine
        if unbounded:
            return None
        number = Decimal(text)
        inside = (least is None or least <= number) and (most is None or number <= most)
        return None if inside else outside

    return rule


def _decimal_bound(text: str | None, field: str) -> Decimal | None:
    if text is None:
        return None
    if _DECIMAL.fullmatch(text) is None:
        raise InvalidValue("not a decimal number such as 12.50", field=field)
    return Decimal(text)


def _date(data: DateData) -> Rule:
    least, most = _date_bound(data.minimum, "minimum"), _date_bound(data.maximum, "maximum")
    if least > most:
        raise InvalidValue("later than maximum", field="minimum")
    other = Breach("date", "is not a day such as 2026-01-31")
    outside = _range(data.minimum, data.maximum)

    def rule(text: str) -> Breach | None:
        day = _day(text)
        if day is None:
            return other
        return None if least <= day <= most else outside

    return rule


def _date_bound(text: str | None, field: str) -> datetime.date:
    if text is None:
        return datetime.date.min if field == "minimum" else datetime.date.max
    day = _day(text)
    if day is None:
        raise InvalidValue("not a day such as 2026-01-31", field=field)
    return day


def _day(text: str) -> datetime.date | None:
    if _DATE.fullmatch(text) is None:  # fromisoformat takes other forms too
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _enum(data: EnumData) -> Rule:
    values = frozenset(data.values)
    other = Breach("enum", f"is none of {_shown(data.values)}")
    return lambda text: None if text in values else other


def _shown(values: list[str]) -> str:
    text = ", ".join(values[:10])
    return text if len(values) <= 10 and len(text) <= 100 else f"{text[:100]}…"


def _url(data: UrlData) -> Rule:
    for position, scheme in enumerate(data.schemes):
        if scheme in _UNSAFE_SCHEMES:
            raise InvalidValue("browsers run what stands behind it", field=f"schemes[{position}]")
    most, schemes = data.max_length, frozenset(data.schemes)
    long = Breach("max_length", f"has more than {most} characters")
    other = Breach("url", "is not a URL such as https://example.com/a")
    scheme_out = Breach(
        "scheme", f"does not begin with {' or '.join(f'{s}://' for s in data.schemes)}"
    )

    def rule(text: str) -> Breach | None:
        if len(text) > most:
            return long
        match = _URL.fullmatch(text)
        if match is None or int(match[2] or 0) > 65_535:
            return other
        return None if match[1].lower() in schemes else scheme_out

    return rule


def _identifier(data: IdentifierData) -> Rule:
    prefix = None if data.prefix is None else fold(data.prefix)
    elsewhere = Breach("prefix", f"does not stand under the prefix {data.prefix}")
    malformed = Breach("identifier", "is not an identifier of the form prefix/suffix")

    def rule(text: str) -> Breach | None:
        if "/" not in text:  # it would be read as a prefix
            return malformed
        try:
            identifier = Identifier.parse(text)
        except InvalidHandle:
            return malformed
        return None if prefix in (None, identifier.prefix_key) else elsewhere

    return rule
