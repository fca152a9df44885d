"""What msgspec finds in JSON is told in words of a clerk: in both languages, with its rule."""

from __future__ import annotations

import datetime
import enum
import re
import uuid
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from protocol.errors import InvalidValue
from registry.api.messages_zh import translate
from registry.reading import fault, misfit


class Put(msgspec.Struct, tag_field="op", tag="put", forbid_unknown_fields=True):
    suffix: str


class Delete(msgspec.Struct, tag_field="op", tag="delete"):
    suffix: str


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Sample(msgspec.Struct, forbid_unknown_fields=True, rename={"of": "class"}):
    operations: list[Put | Delete] | None = None
    state: Literal["draft", "published"] | None = None
    levels: dict[str, Literal[1, 2]] | None = None
    colour: Colour | None = None
    of: Annotated[Literal["x"], Meta(description="renamed")] | None = None
    count: Annotated[int, Meta(ge=1, le=5)] | None = None
    even: Annotated[int, Meta(multiple_of=2)] | None = None
    width: Annotated[float, Meta(ge=0.5, le=100)] | None = None
    above: Annotated[float, Meta(gt=0, lt=2)] | None = None
    name: Annotated[str, Meta(min_length=2, max_length=5)] | None = None
    label: Annotated[str, Meta(min_length=1)] | None = None
    code: Annotated[str, Meta(pattern="^[A-T]$")] | None = None
    scopes: Annotated[list[str], Meta(min_length=1, max_length=2)] | None = None
    key: Annotated[bytes, Meta(max_length=2)] | None = None
    pair: tuple[int, int] | None = None
    id: uuid.UUID | None = None
    moment: Annotated[datetime.datetime, Meta(tz=True)] | None = None
    day: datetime.date | None = None
    flag: bool | None = None
    either: int | str | None = None


def refused(value: Any) -> InvalidValue:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(value), type=Sample)
    return misfit(caught.value, Sample)


_TIME = "must be a time with its zone, such as 2026-01-31T08:00:00Z"
_ID = "must be an id such as 0190a3c4-7d2e-7c11-8b5a-3f9d2c6e1a70"


@pytest.mark.parametrize(
    ("value", "field", "rule", "english", "chinese"),
    [
        ([], None, "type", "must be an object, not a list", "应为对象,而不是列表"),
        ({"zap": 1}, "zap", "unknown_field", "unknown member", "未知字段"),
        (
            {"operations": [{"op": "put"}]},
            "operations[0].suffix",
            "required",
            "missing",
            "缺少该字段",
        ),
        (
            {"operations": [{"op": "put", "suffix": "a"}, {"op": "zap"}]},
            "operations[1].op",
            "enum",
            'must be one of "put", "delete"',
            '应为以下之一:"put", "delete"',
        ),
        ({"operations": [{"op": 1}]}, "operations[0].op", "type", "must be a text", "应为文本"),
        ({"operations": [{}]}, "operations[0].op", "required", "missing", "缺少该字段"),
        (
            {"state": "gone"},
            "state",
            "enum",
            'must be one of "draft", "published"',
            '应为以下之一:"draft", "published"',
        ),
        ({"levels": {"a": 3}}, "levels[...]", "enum", "must be one of 1, 2", "应为以下之一:1, 2"),
        (
            {"colour": "pink"},
            "colour",
            "enum",
            'must be one of "red", "blue"',
            '应为以下之一:"red", "blue"',
        ),
        ({"class": "y"}, "class", "enum", 'must be one of "x"', '应为以下之一:"x"'),
        (
            {"count": 0},
            "count",
            "range",
            "must be a whole number of at least 1",
            "应为不小于 1 的整数",
        ),
        (
            {"count": 6},
            "count",
            "range",
            "must be a whole number of at most 5",
            "应为不大于 5 的整数",
        ),
        (
            {"count": "a"},
            "count",
            "type",
            "must be a whole number, not a text",
            "应为整数,而不是文本",
        ),
        (
            {"count": 1.5},
            "count",
            "type",
            "must be a whole number, not a number with a fraction",
            "应为整数,而不是小数",
        ),
        ({"even": 3}, "even", "range", "must be a multiple of 2", "应为 2 的倍数"),
        (
            {"width": 0},
            "width",
            "range",
            "must be a number of at least 0.5",
            "应为不小于 0.5 的数",
        ),
        (
            {"width": 101},
            "width",
            "range",
            "must be a number of at most 100",
            "应为不大于 100 的数",
        ),
        ({"above": 0}, "above", "range", "must be a number above 0", "应为大于 0 的数"),
        ({"above": 2}, "above", "range", "must be a number below 2", "应为小于 2 的数"),
        (
            {"name": "a"},
            "name",
            "min_length",
            "must have at least 2 characters",
            "至少应有 2 个字符",
        ),
        (
            {"name": "abcdef"},
            "name",
            "max_length",
            "must have at most 5 characters",
            "最多只能有 5 个字符",
        ),
        ({"label": ""}, "label", "min_length", "must not be empty", "不能为空"),
        ({"code": "Z"}, "code", "pattern", "must match the pattern ^[A-T]$", "应符合格式 ^[A-T]$"),
        ({"scopes": []}, "scopes", "min_length", "must not be empty", "不能为空"),
        (
            {"scopes": ["a", "b", "c"]},
            "scopes",
            "max_length",
            "must have at most 2 entries",
            "最多只能有 2 项",
        ),
        (
            {"scopes": [1]},
            "scopes[0]",
            "type",
            "must be a text, not a whole number",
            "应为文本,而不是整数",
        ),
        ({"key": "!"}, "key", "format", "must be base64", "应为 base64 编码"),
        ({"key": "AAAA"}, "key", "max_length", "must have at most 2 bytes", "最多只能有 2 个字节"),
        ({"pair": [1]}, "pair", "length", "must have exactly 2 entries", "应恰好有 2 项"),
        ({"id": "x"}, "id", "format", _ID, "应为 ID,例如 0190a3c4-7d2e-7c11-8b5a-3f9d2c6e1a70"),
        ({"moment": "x"}, "moment", "format", _TIME, "应为带时区的时间,例如 2026-01-31T08:00:00Z"),
        (
            {"moment": "2026-01-31T08:00:00"},
            "moment",
            "format",
            _TIME,
            "应为带时区的时间,例如 2026-01-31T08:00:00Z",
        ),
        (
            {"day": "x"},
            "day",
            "format",
            "must be a date such as 2026-01-31",
            "应为日期,例如 2026-01-31",
        ),
        (
            {"flag": "yes"},
            "flag",
            "type",
            "must be true or false, not a text",
            "应为是或否(true 或 false),而不是文本",
        ),
        (
            {"either": []},
            "either",
            "type",
            "must be a whole number or a text, not a list",
            "应为整数、文本,而不是列表",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_told_with_place_rule_and_words(
    value: Any, field: str | None, rule: str, english: str, chinese: str
) -> None:
    error = refused(value)
    assert (error.field, error.rule, error.detail) == (field, rule, english)
    assert translate(error.detail) == chinese
    assert error.problem()["rule"] == rule


@pytest.mark.parametrize(
    ("raw", "english", "chinese"),
    [
        (b"", "it ends too soon", "内容不完整"),
        (b'{"a":"b', "it ends too soon", "内容不完整"),
        (b"{}x", "at byte 3: something follows the end", "第 3 字节处结尾之后还有内容"),
        (b"[1 2]", "at byte 3: a comma is missing in a list", "第 3 字节处列表中缺少逗号"),
        (b'{"a":1 2}', "at byte 7: a comma is missing in an object", "第 7 字节处对象中缺少逗号"),
        (b"[1,]", "at byte 3: a comma before the end of a list", "第 3 字节处列表末尾多了逗号"),
        (
            b'{"a":1,}',
            "at byte 7: a comma before the end of an object",
            "第 7 字节处对象末尾多了逗号",
        ),
        (
            b"{1:2}",
            "at byte 1: the name of a member without quotation marks",
            "第 1 字节处字段名没有加引号",
        ),
        (b'{"a" 1}', "at byte 5: a colon is missing", "第 5 字节处缺少冒号"),
        (b"[01]", "at byte 2: a number that is written wrongly", "第 2 字节处数字写法有误"),
        (
            b'["\\x"]',
            "at byte 4: an unknown escape after a backslash",
            "第 4 字节处反斜杠后的转义字符未知",
        ),
        (
            b'["\\udc00"]',
            "at byte 8: a broken unicode escape",
            "第 8 字节处Unicode 转义不完整或有误",
        ),
        (
            b"{'a':1}",
            "at byte 1: the name of a member without quotation marks",
            "第 1 字节处字段名没有加引号",
        ),
        (
            b"\xef\xbb\xbf{}",
            "at byte 0: a character that does not belong there",
            "第 0 字节处出现了不应有的字符",
        ),
    ],
)
def test_text_that_is_no_json_is_told_where_and_why(raw: bytes, english: str, chinese: str) -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(raw)
    assert fault(caught.value) == english
    assert translate(f"the body is not JSON: {english}") == f"请求体不是有效的 JSON:{chinese}"
    assert re.fullmatch(r"[ -~]+", fault(caught.value))
