"""Bodies are read strictly, and what is wrong with them is named with its place."""

from __future__ import annotations

import pytest

from protocol.errors import InvalidValue, MalformedRequest, PreconditionFailed
from registry.api.bodies.enterprises import NewEnterprise
from registry.api.bodies.identifiers import NewIdentifier
from registry.api.bodies.prefixes import StepReason
from registry.api.problems import prefers_chinese
from registry.api.requests import decode_json
from registry.identifiers import Condition, parse_tags
from registry.principals import digest, is_token, new_token

_ENTERPRISE = b'{"name":"n","credit_code":"c","industry":"i","contact":%s}'


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"{}", "name"),
        (b"[]", None),
        (b'{"name":1}', "name"),
        (b'{"nam":"x"}', "nam"),
        (_ENTERPRISE % b"{}", "contact.name"),
        (_ENTERPRISE % b'{"name":"n","phone":null}', "contact.phone"),
        (_ENTERPRISE % b'{"name":"n","fax":"1"}', "contact.fax"),
        (_ENTERPRISE % b'{"name":"a\\u0000b","phone":"","email":""}', "contact.name"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(raw: bytes, field: str | None) -> None:
    with pytest.raises(InvalidValue) as caught:
        decode_json(raw, NewEnterprise)
    assert caught.value.field == field


def test_nul_is_found_deep_inside_and_an_escaped_backslash_is_none() -> None:
    with pytest.raises(InvalidValue) as caught:
        decode_json(b'{"values":[{"data":{"value":["a",{"b":"\\u0000"}]}}]}', NewIdentifier)
    assert caught.value.field == "values[0].data.value[1].b"
    read = decode_json(b'{"values":["\\\\u0000"]}', NewIdentifier)
    assert read.values == ["\\u0000"]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"{}x",
        b"\xef\xbb\xbf{}",
        b"nul",
        b'{"reason":"\xff"}',
        b'{"reason":"\\ud800"}',
        b'{"reason":"\\udc00"}',
        b'{"reason":"\xed\xa0\x80"}',
        b'{"reason":"a\x00b"}',
        b"{'reason':'x'}",
    ],
)
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedRequest):
        decode_json(raw, StepReason)


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    for depth in (10_000, 400_000):
        raw = b'{"values":[' + b"[" * depth + b'"\\u0000"' + b"]" * depth + b"]}"
        with pytest.raises(MalformedRequest):
            decode_json(raw, NewIdentifier)


@pytest.mark.parametrize(
    ("header", "chinese"),
    [
        ("", False),
        ("zh", True),
        ("zh-CN,zh;q=0.9,en;q=0.8", True),
        ("en,zh;q=0.9", False),
        ("en;q=0.5, zh-Hans-CN;q=0.7", True),
        ("zh;q=0", False),
        ("*", False),
        ("zho, garbage;;q=2", False),
    ],
)
def test_chinese_is_given_to_who_prefers_it(header: str, chinese: bool) -> None:
    assert prefers_chinese(header) is chinese


def test_tokens_are_fresh_say_whose_they_are_and_can_be_sent() -> None:
    tokens = {new_token(kind) for kind in ("operator", "key") for _ in range(100)}
    assert len(tokens) == 200
    assert {token[:4] for token in tokens} == {"ido_", "idn_"}
    assert all(is_token(token) and len(token) > 40 for token in tokens)
    assert len({digest(token) for token in tokens}) == 200


@pytest.mark.parametrize("token", ["", "a b", "é" * 20, "a\n", "x" * 513, "=x"])
def test_what_cannot_be_a_token_is_known(token: str) -> None:
    assert not is_token(token)


def _holds(condition: Condition, version: int | None) -> bool:
    try:
        condition.check(version)
    except PreconditionFailed:
        return False
    return True


@pytest.mark.parametrize(
    ("header", "absent", "same", "other"),
    [
        ("*", False, True, True),
        ('"7"', False, True, False),
        ('"6", "7"', False, True, False),
        ('W/"7"', False, False, False),
    ],
)
def test_if_match(header: str, absent: bool, same: bool, other: bool) -> None:
    condition = Condition(match=parse_tags(header, "If-Match"))
    assert (_holds(condition, None), _holds(condition, 7), _holds(condition, 8)) == (
        absent,
        same,
        other,
    )


@pytest.mark.parametrize(
    ("header", "same", "other"),
    [("*", False, False), ('"7"', False, True), ('W/"7"', False, True)],
)
def test_if_none_match(header: str, same: bool, other: bool) -> None:
    condition = Condition(none_match=parse_tags(header, "If-None-Match"))
    assert _holds(condition, None)
    assert (_holds(condition, 7), _holds(condition, 8)) == (same, other)


@pytest.mark.parametrize("header", ["", "7", '"7', '"7",', 'w/"7"', '"a b"', "*, *"])
def test_what_is_no_entity_tag_is_malformed(header: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        parse_tags(header, "If-Match")
    assert caught.value.field == "If-Match"
