"""What each kind of item takes and refuses, and the rule that it names."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocol.errors import IdnodeError, InvalidValue
from registry.templates.checks import check
from registry.templates.definition import Data, Definition
from registry.templates.lookup import Checkers
from registry.templates.names import Reference, check_fits
from registry.templates.rules import compile_rule

_CASES: list[tuple[dict[str, Any], list[str], list[tuple[str, str]]]] = [
    (
        {"kind": "string", "min_length": 2, "max_length": 4},
        ["ab", "离心水泵", "😀😀😀😀"],
        [("a", "min_length"), ("abcde", "max_length"), ("", "min_length")],
    ),
    (
        {"kind": "string", "pattern": "[A-Z]{2}-[0-9]+|无"},
        ["AB-1", "无"],
        [("AB-", "pattern"), ("xAB-1", "pattern"), ("AB-1\n", "pattern"), ("无x", "pattern")],
    ),
    (
        {"kind": "integer"},
        ["0", "-7", "9223372036854775807", "-9223372036854775808"],
        [
            ("", "integer"),
            ("-0", "integer"),
            ("007", "integer"),
            ("+1", "integer"),
            ("1.0", "integer"),
            ("1e3", "integer"),
            ("٣", "integer"),
            (" 1", "integer"),
            ("9223372036854775808", "range"),
            ("-9223372036854775809", "range"),
            ("9" * 5000, "integer"),
        ],
    ),
    (
        {"kind": "integer", "minimum": 1, "maximum": 10},
        ["1", "10"],
        [("0", "range"), ("11", "range")],
    ),
    (
        {"kind": "decimal", "digits": 5, "fraction_digits": 2, "minimum": "-1.5", "maximum": "200"},
        ["0", "-1.5", "-1.50", "200.00", "12.3"],
        [
            ("1234.56", "digits"),
            ("1.234", "fraction_digits"),
            ("-1.51", "range"),
            ("200.01", "range"),
            ("1.", "decimal"),
            (".5", "decimal"),
            ("1e2", "decimal"),
            ("NaN", "decimal"),
            ("Infinity", "decimal"),
            ("01.5", "decimal"),
            ("1,5", "decimal"),
        ],
    ),
    (
        {"kind": "date", "minimum": "2020-01-01", "maximum": "2029-12-31"},
        ["2020-01-01", "2024-02-29"],
        [
            ("2019-12-31", "range"),
            ("2030-01-01", "range"),
            ("2023-02-29", "date"),
            ("20240101", "date"),
            ("2026-W01-1", "date"),
            ("2026-1-1", "date"),
            ("２０２６-01-01", "date"),
            ("2026-01-01T00:00:00Z", "date"),
        ],
    ),
    ({"kind": "enum", "values": ["红", "blue"]}, ["红", "blue"], [("Blue", "enum"), ("", "enum")]),
    (
        {"kind": "url", "max_length": 40},
        [
            "https://example.com",
            "HTTP://a.example:8080/x?y=1#z",
            "https://例子.中国/泵",
            "https://[2001:db8::1]/x",
        ],
        [
            ("www.001.com", "url"),
            ("ftp://a.example", "scheme"),
            ("javascript://a.example/%0Aalert(1)", "scheme"),
            ("https://bank.example@evil.example/", "url"),
            ("https://a.example/ b", "url"),
            ("https://a.example/\u202eb", "url"),
            ("https:\\\\a.example", "url"),
            ("https:///x", "url"),
            ("https://a.example:65536/", "url"),
            ("https://a.example/\x00", "url"),
            ("https://" + "a" * 40, "max_length"),
        ],
    ),
    (
        {"kind": "url", "schemes": ["opc.tcp"]},
        ["opc.tcp://plc.example:4840"],
        [("https://a.example", "scheme")],
    ),
    (
        {"kind": "identifier"},
        ["88.118.35/SN-1", "10.1000/a/b", "0.NA/88.118"],
        [("88.118.35", "identifier"), ("/x", "identifier"), ("88.118.35/ x", "identifier")],
    ),
    (
        {"kind": "identifier", "prefix": "88.118.35"},
        ["88.118.35/SN-1"],
        [("88.118.36/SN-1", "prefix")],
    ),
]


@pytest.mark.parametrize(("data", "right", "wrong"), _CASES)
def test_each_kind_takes_what_it_says_and_names_the_rule_that_is_broken(
    data: dict[str, Any], right: list[str], wrong: list[tuple[str, str]]
) -> None:
    rule = compile_rule(msgspec.convert(data, Data))
    for text in right:
        assert rule(text) is None, text
    for text, broken in wrong:
        breach = rule(text)
        assert breach is not None, f"{text!r} is taken"
        assert breach.rule == broken, (text, breach)


def test_a_pattern_takes_linear_time_whatever_it_is() -> None:
    data = {"kind": "string", "pattern": "(a|aa)*(a*)*b"}
    rule = compile_rule(msgspec.convert(data, Data))
    # A backtracking engine would not end within the age of the universe.
    assert rule("a" * 16_384) is not None


_ITEM: dict[str, Any] = {
    "index": 2000,
    "type": "NAME",
    "name": "名称",
    "data": {"kind": "string"},
}


def _definition(*items: dict[str, Any], **more: Any) -> Definition:
    return msgspec.convert({"items": list(items), **more}, Definition)


@pytest.mark.parametrize(
    ("items", "more", "field"),
    [
        ([{**_ITEM, "type": "HS_ADMIN"}], {}, "items[0].type"),
        ([{**_ITEM, "type": "A B"}], {}, "items[0].type"),
        ([{**_ITEM, "name": " x"}], {}, "items[0].name"),
        ([{**_ITEM, "name": ""}], {}, "items[0].name"),
        ([_ITEM, {**_ITEM, "type": "B", "name": "b"}], {}, "items[1].index"),
        ([_ITEM, {**_ITEM, "index": 2001, "type": "name", "name": "b"}], {}, "items[1].type"),
        ([_ITEM, {**_ITEM, "index": 2001, "type": "B"}], {}, "items[1].name"),
        (
            [{**_ITEM, "data": {"kind": "string", "min_length": 3, "max_length": 2}}],
            {},
            "items[0].data.min_length",
        ),
        ([{**_ITEM, "data": {"kind": "string", "pattern": "("}}], {}, "items[0].data.pattern"),
        (
            [{**_ITEM, "data": {"kind": "string", "pattern": r"(a)\1"}}],
            {},
            "items[0].data.pattern",
        ),
        (
            [{**_ITEM, "data": {"kind": "string", "pattern": r"\p{L}{1000}"}}],
            {},
            "items[0].data.pattern",
        ),
        (
            [{**_ITEM, "data": {"kind": "integer", "minimum": 2, "maximum": 1}}],
            {},
            "items[0].data.minimum",
        ),
        (
            [{**_ITEM, "data": {"kind": "decimal", "digits": 2, "fraction_digits": 2}}],
            {},
            "items[0].data.fraction_digits",
        ),
        (
            [{**_ITEM, "data": {"kind": "decimal", "minimum": "x"}}],
            {},
            "items[0].data.minimum",
        ),
        (
            [{**_ITEM, "data": {"kind": "date", "maximum": "2026-02-30"}}],
            {},
            "items[0].data.maximum",
        ),
        (
            [{**_ITEM, "data": {"kind": "enum", "values": ["a", "a"]}}],
            {},
            "items[0].data.values",
        ),
        (
            [{**_ITEM, "data": {"kind": "enum", "values": ["a", " b"]}}],
            {},
            "items[0].data.values[1]",
        ),
        (
            [{**_ITEM, "data": {"kind": "url", "schemes": ["javascript"]}}],
            {},
            "items[0].data.schemes[0]",
        ),
        (
            [{**_ITEM, "data": {"kind": "identifier", "prefix": "nowhere"}}],
            {},
            "items[0].data.prefix",
        ),
        ([_ITEM], {"industry": {"category": "C", "class": "3441"}}, "industry.class"),
        (
            [_ITEM],
            {"industry": {"category": "C", "division": "34", "group": "351"}},
            "industry.group",
        ),
        ([_ITEM], {"industry": {"category": "A", "division": "34"}}, "industry.division"),
        ([_ITEM], {"industry": {"category": "C", "division": "99"}}, "industry.division"),
        (
            [_ITEM],
            {"industry": {"category": "C", "division": "34", "group": "340"}},
            "industry.group",
        ),
        (
            [_ITEM],
            {"industry": {"category": "C", "division": "34", "group": "344", "class": "3440"}},
            "industry.class",
        ),
        ([_ITEM], {"description": "a\u202eb"}, "description"),
    ],
)
def test_a_definition_that_cannot_be_meant_is_refused_at_its_place(
    items: list[dict[str, Any]], more: dict[str, Any], field: str
) -> None:
    with pytest.raises(IdnodeError) as refusal:
        check(_definition(*items, **more))
    assert refusal.value.field == field, refusal.value


def test_a_definition_fits_a_handle_value() -> None:
    many = [
        {**_ITEM, "index": 2000 + n, "type": f"T{n}", "name": "名" * 96 + str(n)}
        for n in range(200)
    ]
    with pytest.raises(InvalidValue, match="bytes of JSON"):
        check(_definition(*many))
    patterns = [
        {
            **_ITEM,
            "index": 2000 + n,
            "type": f"T{n}",
            "name": str(n),
            "data": {"kind": "string", "pattern": "a+"},
        }
        for n in range(51)
    ]
    check(_definition(*patterns[:50]))
    with pytest.raises(InvalidValue, match="50 patterns"):
        check(_definition(*patterns))


def test_references_are_a_name_or_a_name_and_a_version() -> None:
    assert Reference.parse("泵 A") == Reference("泵 A")
    assert Reference.parse("1.0/999") == Reference("1.0", 999)
    assert str(Reference("Pump", 2).identifier("88.118.35")) == "88.118.35/template/Pump/2"
    assert Reference("Pump").name_key == Reference("pUMP").name_key
    for text in ("", "/1", "a/", "a/0", "a/01", "a/1000", "a/1/1", "a/x", " a", "a\0", "\ud800"):
        with pytest.raises(InvalidValue):
            Reference.parse(text)
    with pytest.raises(InvalidValue):
        Reference.parse("x" * 129)
    check_fits("88.118.35", "x" * 128)
    with pytest.raises(InvalidValue):
        check_fits("88.118." + "1" * 120, "x" * 128)


def test_a_bounded_number_of_checkers_is_kept_the_last_used_of_them() -> None:
    stored = msgspec.to_builtins(_definition(_ITEM))
    kept = Checkers(maximum=3)
    first = kept.make(b"0", Reference("t", 1), stored)
    for number in range(1, 5):
        kept.make(bytes([number]), Reference("t", 1), stored)
        assert kept.get(b"0", Reference("t", 1)) is first, "it was used a moment ago"
    found = [kept.get(bytes([number]), Reference("t", 1)) is not None for number in range(1, 5)]
    assert found == [False, False, True, True]
    assert kept.get(b"0", Reference("t", 2)) is None
    assert kept.get(b"1", Reference("t", 1)) is None
