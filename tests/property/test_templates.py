"""The compiled checker says what a plain reading of the template says, value by value."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import InvalidHandle
from protocol.identifier import Identifier
from protocol.values import PUBLIC_READ, HandleValue
from registry.templates import definition as d
from registry.templates.checker import Checker, text_of
from registry.templates.checks import check
from registry.templates.names import Reference

# Of these Python's own engine takes the same texts, without danger.
_PATTERNS = ("[A-Z]{2}[0-9]+", "a|bc", ".*x", "[^0-9]*", "(ab)*")


def _plain(data: Any, text: str) -> bool:
    """Tell whether `text` is right, rule by rule, as the documentation puts it."""
    match data:
        case d.StringData():
            fits = data.min_length <= len(text) <= data.max_length
            return fits and (data.pattern is None or bool(re.fullmatch(data.pattern, text)))
        case d.IntegerData():
            if not re.fullmatch("-?[0-9]+", text) or str(int(text)) != text:
                return False
            return _between(max(-(2**63), *_given(data.minimum)), int(text), data.maximum) and (
                int(text) < 2**63
            )
        case d.DecimalData():
            if not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", text):
                return False
            digits = sum(character.isdigit() for character in text)
            fraction = len(text.partition(".")[2])
            most = data.digits if data.fraction_digits is None else data.fraction_digits
            if digits > data.digits or fraction > most:
                return False
            least, high = (None if b is None else Decimal(b) for b in (data.minimum, data.maximum))
            return _between(least, Decimal(text), high)
        case d.DateData():
            try:
                day = datetime.datetime.strptime(text, "%Y-%m-%d").date()
            except ValueError:
                return False
            return day.isoformat() == text and _between(data.minimum, text, data.maximum)
        case d.EnumData():
            return text in data.values
        case d.UrlData():
            return len(text) <= data.max_length and _is_url(text, data.schemes)
        case d.IdentifierData():
            try:
                prefix = Identifier.parse(text).prefix if "/" in text else None
            except InvalidHandle:
                return False
            return prefix is not None and data.prefix in (None, prefix)
    raise AssertionError(data)


def _given(bound: int | None) -> tuple[int, ...]:
    return (-(2**63), *(() if bound is None else (bound,)))


def _between(least: Any, value: Any, most: Any) -> bool:
    return (least is None or least <= value) and (most is None or value <= most)


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    if any(c in ' "<>\\^`{|}\xa0' or ord(c) < 33 or ord(c) == 127 for c in text):
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in schemes
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not parts.netloc.endswith(":")
        and (port is None or len(str(port)) <= 5)
    )


_small = st.integers(-30, 30)
_bounds = st.tuples(st.none() | _small, st.none() | _small).filter(
    lambda b: None in b or b[0] <= b[1]  # type: ignore[operator]
)


def _data() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(
            lambda a, b, p: d.StringData(min_length=min(a, b), max_length=max(a, b, 1), pattern=p),
            st.integers(0, 6),
            st.integers(0, 6),
            st.none() | st.sampled_from(_PATTERNS),
        ),
        st.builds(lambda b: d.IntegerData(minimum=b[0], maximum=b[1]), _bounds),
        st.builds(
            lambda b, digits, after: d.DecimalData(
                digits=digits,
                fraction_digits=None if after is None else min(after, digits - 1),
                minimum=None if b[0] is None else str(b[0]),
                maximum=None if b[1] is None else f"{b[1]}.0",
            ),
            _bounds,
            st.integers(1, 5),
            st.none() | st.integers(0, 3),
        ),
        st.builds(
            lambda a, b: d.DateData(
                minimum=min(a, b).isoformat() if a.day % 2 else None,
                maximum=max(a, b).isoformat() if b.day % 2 else None,
            ),
            st.dates(datetime.date(2019, 1, 1), datetime.date(2027, 1, 1)),
            st.dates(datetime.date(2019, 1, 1), datetime.date(2027, 1, 1)),
        ),
        st.just(d.EnumData(values=["a", "bc", "红"])),
        st.just(d.UrlData()),
        st.sampled_from([d.IdentifierData(), d.IdentifierData(prefix="88.118.35")]),
    )


_texts = st.one_of(
    st.text("abcx红AB019.-/: \n", max_size=7),
    _small.map(str),
    st.integers(-(2**64), 2**64).map(str),
    st.decimals(-40, 40, places=2).map(str),
    st.dates(datetime.date(2018, 1, 1), datetime.date(2028, 1, 1)).map(str),
    st.sampled_from(
        ["", "a", "bc", "红", "AB12", "https://a.example", "http://a.example:80/b?c#d", "ftp://a"]
    ),
    st.builds("https://{}".format, st.text("abc./:?#@[]%\\ 1红", max_size=8)),
    st.builds("{}/{}".format, st.sampled_from(["88.118.35", "1.2"]), st.text("ab/ ", max_size=4)),
)

_items = st.lists(
    st.builds(
        lambda data, required, enabled, audience: (data, required, enabled, audience),
        _data(),
        st.booleans(),
        st.sampled_from([True, True, True, False]),
        st.sampled_from(["public", "partners", "private"]),
    ),
    min_size=1,
    max_size=4,
).map(
    lambda rows: d.Definition(
        items=[
            d.Item(
                index=2000 + n,
                type=f"T{n}",
                name=f"名{n}",
                data=data,
                required=required,
                enabled=enabled,
                audience=audience,
            )
            for n, (data, required, enabled, audience) in enumerate(rows)
        ]
    )
)

_values = st.lists(
    st.tuples(st.integers(1998, 2004), st.sampled_from(["T0", "t1", "T2", "T3", "HS_X"]), _texts),
    max_size=5,
    unique_by=lambda value: value[0],
)


def _right(definition: d.Definition, values: list[tuple[int, str, str]]) -> bool:
    items = {item.index: item for item in definition.items}
    said = {index: text for index, _, text in values}
    for item in definition.items:
        if item.required and item.enabled and not said.get(item.index):
            return False
    for index, type_, text in values:
        found = items.get(index)
        if found is None:
            if index >= 2000 or not type_.startswith("HS_"):
                return False
        elif not (
            found.enabled and found.type.upper() == type_.upper() and _plain(found.data, text)
        ):
            return False
    return True


@given(_items, _values)
def test_the_compiled_checker_says_what_a_plain_reading_says(
    definition: d.Definition, values: list[tuple[int, str, str]]
) -> None:
    check(definition)
    fault = Checker(Reference("t", 1), definition).fault(values)
    assert (fault is None) is _right(definition, values), fault


@given(_items, st.data())
def test_values_made_for_the_items_are_judged_as_a_plain_reading_does(
    definition: d.Definition, data: st.DataObject
) -> None:
    values = [(item.index, item.type, data.draw(_texts)) for item in definition.items]
    fault = Checker(Reference("t", 1), definition).fault(values)
    assert (fault is None) is _right(definition, values), fault


@given(_items)
def test_a_definition_is_the_same_after_it_was_stored(definition: d.Definition) -> None:
    assert msgspec.json.decode(check(definition), type=d.Definition) == definition


@given(_items, _values, st.integers(0, 15))
def test_only_what_is_for_everybody_stays_readable_by_everybody(
    definition: d.Definition, values: list[tuple[int, str, str]], permissions: int
) -> None:
    audiences = {item.index: item.audience for item in definition.items}
    given_ = [HandleValue(i, t, x.encode(), permissions=permissions) for i, t, x in values]
    kept = Checker(Reference("t", 1), definition).restrict(given_)
    assert [text_of(value) for value in kept] == [text_of(value) for value in given_]
    for value in kept:
        public = audiences.get(value.index, "public") == "public"
        assert value.permissions == (permissions if public else permissions & ~PUBLIC_READ)
