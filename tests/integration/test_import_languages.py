"""What an import refuses is told in the language of who asks."""

from __future__ import annotations

import csv
import io
import json

from registry.api import imports as api
from tests.integration.import_support import imported, query
from tests.integration.registry_client import Node
from tests.integration.template_support import item, published


async def _errors(node: Node, key: str, import_id: str, language: str) -> tuple[str, bytes]:
    headers = {"Authorization": f"Bearer {key}", "Accept-Language": language}
    async with node.client.get(node.url(f"/imports/{import_id}/errors"), headers=headers) as got:
        assert got.status == 200
        assert got.headers["Vary"] == "Accept-Language"
        return got.headers["Content-Language"], await got.read()


async def test_the_list_of_errors_is_in_chinese_or_english_and_holds_no_formula(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    await published(node, prefix, key, items=[item(2000, "NAME", name="名称", max_length=3)])
    lines = [
        {"suffix": "A", "values": [], "template": "none"},
        {"suffix": "B\u202e", "values": []},
        {"identifier": "88.9.9/C", "values": []},
        {"suffix": "D", "values": [{"index": 2000, "type": "NAME", "data": "水泵水泵"}]},
        {"suffix": "E", "values": [{"index": 2000, "type": "NAME", "data": "=1+1+1+1"}]},
    ]
    data = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()
    at = f"?format=ndjson&prefix={prefix}&template=pump"
    record = await imported(node, key, data, at)
    assert record["failed"] == 5
    await query(node, "UPDATE import_errors SET \"column\" = '=cmd' WHERE row = 5")
    language, english = await _errors(node, key, record["id"], "en")
    rows = list(csv.reader(io.StringIO(english.decode())))
    assert (language, rows[0]) == ("en", ["row", "column", "reason"])
    assert rows[3] == [
        "3",
        "identifier",
        f"does not stand under the prefix {prefix} of this import",
    ]
    assert rows[5][1] == "'=cmd"
    language, chinese = await _errors(node, key, record["id"], "zh-CN,zh;q=0.9,en;q=0.8")
    assert chinese.startswith(b"\xef\xbb\xbf"), "a spreadsheet program needs the mark"
    told = list(csv.reader(io.StringIO(chinese.decode("utf-8-sig"))))
    assert (language, told[0]) == ("zh", ["行", "列", "原因"])
    assert told[3] == ["3", "identifier", f"不在本次导入的前缀 {prefix} 之下"]
    assert [row[:2] for row in told[1:]] == [row[:2] for row in rows[1:]]
    for row in told[1:]:
        assert any("\u4e00" <= letter <= "\u9fff" for letter in row[2]), row
        assert not row[2].startswith(("=", "+", "-", "@", "\t", "\r"))


async def test_a_line_of_ndjson_that_is_no_row_names_its_member_in_both_languages(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    value = b'{"index":%s,"type":"URL","data":"x"}'
    wanted = [
        (b"[1]", "", "must be an object, not a list", "应为对象,而不是列表"),
        (b'{"suffix":"A"}', "values", "missing", "缺少该字段"),
        (b'{"suffix":"A","values":[],"zap":1}', "zap", "unknown member", "未知字段"),
        (
            b'{"suffix":7,"values":[]}',
            "suffix",
            "must be a text, not a whole number",
            "应为文本,而不是整数",
        ),
        (
            b'{"suffix":"A","values":{}}',
            "values",
            "must be a list, not an object",
            "应为列表,而不是对象",
        ),
        (
            b'{"suffix":"A","values":[%s]}' % (value % b'"1"'),
            "values[0].index",
            "not a whole number",
            "不是整数",
        ),
        (
            b'{"suffix":"A","values":[%s]}' % (value % b"0"),
            "values[0].index",
            "an index is 1 to 2147483647",
            "索引须在 1 到 2147483647 之间",
        ),
        (b'{"suffix":"A"', "", "not JSON: it ends too soon", "不是有效的 JSON:内容不完整"),
        (
            b'{"suffix":"A","values":[],}',
            "",
            "not JSON: at byte 26: a comma before the end of an object",
            "不是有效的 JSON:第 26 字节处对象末尾多了逗号",
        ),
        (b"[" * 5000, "", "must be an object, not a list", "应为对象,而不是列表"),
        (
            b'{"suffix":"A","values":' + b"[" * 5000,
            "",
            "the line is nested too deeply",
            "该行嵌套过深",
        ),
    ]
    data = b"\n".join(line for line, *_ in wanted)
    record = await imported(node, key, data, f"?format=ndjson&prefix={prefix}")
    _, english = await _errors(node, key, record["id"], "en")
    _, chinese = await _errors(node, key, record["id"], "zh")
    for place, told in ((2, english), (3, chinese)):
        rows = list(csv.reader(io.StringIO(told.decode("utf-8-sig"))))[1:]
        assert [row[1:] for row in rows] == [[each[1], each[place]] for each in wanted]


async def test_why_a_file_failed_is_told_in_chinese(node: Node, works: tuple[str, str]) -> None:
    key, _ = works
    record = await imported(node, key, b"URL\nx\n")
    assert record["reason"].startswith("the header needs one column")
    for path in (f"/imports/{record['id']}", "/imports"):
        _, body, _ = await node.call("GET", path, key, Accept_Language="zh")
        found = body.get("items", [body])[0]
        assert found["reason"].startswith("表头须有且只有一个标识列")


async def test_a_long_list_is_in_chinese_to_its_end(node: Node, works: tuple[str, str]) -> None:
    key, prefix = works
    count = 2 * api._ERRORS_AT_ONCE + 10
    data = b"suffix\n" + b"".join(b"template/%d\n" % n for n in range(count))
    record = await imported(node, key, data, f"?format=csv&prefix={prefix}")
    _, chinese = await _errors(node, key, record["id"], "zh")
    told = list(csv.reader(io.StringIO(chinese.decode("utf-8-sig"))))
    assert len(told) == 1 + count
    assert len({row[2] for row in told[1:]}) == 1
    assert "suffixes" not in told[-1][2]
