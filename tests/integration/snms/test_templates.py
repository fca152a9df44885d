"""Templates of the SNMS API: what becomes of them in the registry, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.registry_client import Node
from tests.integration.snms import support
from tests.integration.snms.support import Client, record
from tests.integration.template_support import item as ours
from tests.integration.template_support import published

PREFIX = "88.118.35"
V3, V5 = "/snms/api/v3/template", "/snms/api/v5/template"
DATA = "/identityv2/data"


@pytest.fixture
async def client(node: Node) -> Client:
    enterprise_id, _ = await support.enterprise(node, 1, PREFIX)
    await support.user(node, enterprise_id)
    return await Client(node).sign_in()


def _item(type_: str, name: str, **more: Any) -> dict[str, Any]:
    metadata = {"type": "string", "minLength": 1, "maxLength": 10}
    return {"name": name, "idType": type_, "metadata": metadata, "required": False, **more}


def _template(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "prefix": PREFIX,
        "version": "1.0",
        "industryCategory": "C",
        "industrySpecific": "34",
        "industryTrade": "344",
        "industrySubclass": "3441",
        "type": 2,
        "items": list(items),
        **more,
    }


NAME, NOTE = _item("NAME", "名称", idIndex=2000), _item("NOTE", "备注", idIndex=2001)


async def _shown(client: Client) -> dict[str, Any]:
    data = await client.must("GET", f"{V5}?prefix={PREFIX}&version=1.0")
    return dict(data)


async def test_a_template_of_version_3_gets_its_indexes_from_2000_on(client: Client) -> None:
    await client.must("POST", V3, _template(_item("NAME", "名称"), _item("NOTE", "备注")))
    indexes = [(item["idIndex"], item["idType"]) for item in (await _shown(client))["items"]]
    assert indexes == [(2000, "NAME"), (2001, "NOTE")]
    await client.must("POST", DATA, record(f"{PREFIX}/A", "1.0", (2001, "NOTE", "x")))
    path = f"/templates/{PREFIX}/1.0/1"
    status, template, _ = await client.node.call("GET", path, client.node.operator)
    assert (status, template["state"], template["carrier"]) == (200, "published", "other")
    assert template["industry"] == {
        "category": "C",
        "division": "34",
        "group": "344",
        "class": "3441",
    }


async def test_what_was_shown_can_be_sent_back_and_changes_nothing(client: Client) -> None:
    await client.must("POST", V5, _template(NAME, NOTE, description="first"))
    shown = await _shown(client)
    assert (shown["description"], shown["handle"]) == ("first", f"{PREFIX}/template/1.0")
    await client.must("PUT", V5, shown)
    assert await _shown(client) == shown
    path = f"/templates/{PREFIX}/1.0/latest"
    _, template, _ = await client.node.call("GET", path, client.node.operator)
    assert template["version"] == 1


async def test_a_change_adds_and_disables_items_and_leaves_the_others(client: Client) -> None:
    await client.must("POST", V5, _template(NAME, NOTE, description="first"))
    await client.must("POST", DATA, record(f"{PREFIX}/A", "1.0", (2001, "NOTE", "x")))
    changes = [NOTE | {"state": 0}, _item("POWER", "功率", state=1)]
    await client.must("PUT", V5, _template(*changes))
    shown = await _shown(client)
    assert [(item["idIndex"], item["idType"], item["state"]) for item in shown["items"]] == [
        (2000, "NAME", 1),
        (2001, "NOTE", 0),
        (2002, "POWER", 1),
    ]
    assert shown["description"] == "first"
    body = record(f"{PREFIX}/B", "1.0", (2001, "NOTE", "x"))
    assert await client.refused("POST", DATA, body) == "备注 (2001 NOTE) 在模板中已禁用"
    await client.must("POST", DATA, record(f"{PREFIX}/B", "1.0", (2002, "POWER", "2.2")))
    # What was registered before says what it said, until it is written again.
    assert await client.value(f"{PREFIX}/A", 2001) == "x"
    await client.must("PUT", DATA, record(f"{PREFIX}/A", "1.0", (2000, "NAME", "y")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [_item("POWER", "功率", state=1, metadata={"minLength": 3, "maxLength": 2})],
            "items[0].metadata.minLength：大于 maxLength",
        ),
        ([_item("HS_X", "功率", state=1)], "items[0].idType：以 HS_ 开头的类型为 Handle 系统保留"),
        (
            [NOTE | {"state": 1}, _item("POWER", "功率", state=1, idIndex=2000)],
            "items[1].idIndex：index 与索引 2000 的属性相同",
        ),
        ([_item("NAME", "型号", state=1)], "items[0].idType：type 与索引 2000 的属性相同"),
        ([_item("POWER", "名称", state=1)], "items[0].name：name 与索引 2000 的属性相同"),
        (
            [_item("A", "甲", state=1), _item("B", "甲", state=1)],
            "items[1].name：name 已在 items[0] 出现",
        ),
        (
            [NAME | {"state": 1}, NAME | {"state": 0}],
            "items[1].idIndex：index 已在 items[0] 出现",
        ),
    ],
)
async def test_a_change_that_is_refused_names_the_item_that_was_sent(
    client: Client, changes: list[dict[str, Any]], message: str
) -> None:
    await client.must("POST", V5, _template(NAME, NOTE))
    assert await client.refused("PUT", V5, _template(*changes)) == message


async def test_names_of_two_items_may_change_places(client: Client) -> None:
    await client.must("POST", V5, _template(NAME, NOTE))
    swapped = [
        NAME | {"idIndex": 2000, "state": 1, "name": NOTE["name"]},
        NOTE | {"idIndex": 2001, "state": 1, "name": NAME["name"]},
    ]
    await client.must("PUT", V5, _template(*swapped))
    shown = (await _shown(client))["items"]
    assert [item["name"] for item in shown] == [NOTE["name"], NAME["name"]]


async def test_the_newest_published_version_is_shown_changed_and_registered_by(
    client: Client,
) -> None:
    await client.must("POST", V5, _template(NAME, description="first"))
    await client.must("PUT", V5, _template(NOTE | {"state": 1}, description="second"))
    node = client.node
    path, reason = f"/templates/{PREFIX}/1.0/2/withdraw", {"reason": "wrong"}
    status, withdrawn, _ = await node.call("POST", path, node.operator, reason)
    assert status == 200, withdrawn
    assert (await _shown(client))["description"] == "first"
    await client.must("POST", DATA, record(f"{PREFIX}/A", "1.0", (2000, "NAME", "x")))
    assert "已存在" in await client.refused("POST", V5, _template(NAME))
    await client.must("PUT", V5, _template(description="third"))
    assert (await _shown(client))["description"] == "third"
    assert len((await _shown(client))["items"]) == 1


async def test_a_change_without_items_changes_what_the_template_says_of_itself(
    client: Client,
) -> None:
    await client.must("POST", V5, _template(NAME, description="first"))
    body = _template(description="second", type=1)
    del body["items"]
    await client.must("PUT", V5, body)
    shown = await _shown(client)
    assert (shown["description"], shown["type"], len(shown["items"])) == ("second", 1, 1)


async def test_a_template_that_was_deleted_takes_no_identifiers_and_can_be_made_again(
    client: Client,
) -> None:
    await client.must("POST", V5, _template(NAME))
    await client.must("PUT", V5, _template(NOTE | {"state": 1}))
    await client.must("POST", DATA, record(f"{PREFIX}/A", "1.0", (2000, "NAME", "x")))
    named = {"prefix": PREFIX, "version": "1.0"}
    await client.must("DELETE", V5, named)
    gone = f"前缀 {PREFIX} 下没有模板 1.0"
    assert await client.refused("DELETE", V3, named) == gone
    assert await client.refused("GET", f"{V3}?prefix={PREFIX}&version=1.0") == gone
    assert await client.refused("PUT", V5, _template(NAME | {"state": 1})) == gone
    body = record(f"{PREFIX}/B", "1.0", (2000, "NAME", "x"))
    assert await client.refused("POST", DATA, body) == (
        f"templateVersion：前缀 {PREFIX} 下没有已发布的模板 1.0"
    )
    assert await client.value(f"{PREFIX}/A") == "x"
    await client.must("POST", V5, _template(NAME))
    await client.must("POST", DATA, body)


async def test_changes_at_once_lose_nothing(client: Client) -> None:
    await client.must("POST", V5, _template(NAME))
    added = [_item(f"T{n}", f"属性{n}", idIndex=2010 + n, state=1) for n in range(5)]
    for _ in range(len(added) + 1):  # one at least gets through each time
        answers = await asyncio.gather(*(client.ask("PUT", V5, _template(each)) for each in added))
        assert {http for http, _ in answers} == {200}
        refused = [answer["message"] for _, answer in answers if answer["status"] != 1]
        assert all("模板 1.0 正在被他人修改" in message for message in refused), refused
        if not refused:
            break
    assert len((await _shown(client))["items"]) == 6


REFUSED = {
    "no items": (_template(), "items：没有启用的模板属性"),
    "index below 2000": (
        _template(NAME | {"idIndex": 1999}),
        "items[0].idIndex：应为不小于 2000 的整数",
    ),
    "index twice": (
        _template(NAME, NOTE | {"idIndex": 2000}),
        "items[1].idIndex：index 已在 items[0] 出现",
    ),
    "English name twice": (
        _template(NAME, NOTE | {"idType": "name"}),
        "items[1].idType：type 已在 items[0] 出现",
    ),
    "Chinese name twice": (
        _template(NAME, NOTE | {"name": "名称"}),
        "items[1].name：name 已在 items[0] 出现",
    ),
    "a type of the Handle System": (
        _template(NAME | {"idType": "HS_ADMIN"}),
        "items[0].idType：以 HS_ 开头的类型为 Handle 系统保留",
    ),
    "not string": (
        _template(NAME | {"metadata": {"type": "String", "minLength": 1, "maxLength": 2}}),
        'items[0].metadata.type：应为以下之一:"string"',
    ),
    "no maxLength": (
        _template(NAME | {"metadata": {"minLength": 1}}),
        "缺少必要的请求参数: items[0].metadata.maxLength",
    ),
    "lengths": (
        _template(NAME | {"metadata": {"minLength": 3, "maxLength": 2}}),
        "items[0].metadata.minLength：大于 maxLength",
    ),
    "industry": (
        _template(NAME, industryTrade="999"),
        "industryTrade：须以大类的代码开头",
    ),
    "industry of another category": (
        _template(NAME, industryCategory="A"),
        "industrySpecific：A34 不是 GB/T 4754-2017 的行业代码",
    ),
    "no such industry": (
        _template(NAME, industrySubclass="3440"),
        "industrySubclass：C3440 不是 GB/T 4754-2017 的行业代码",
    ),
    "category": (
        _template(NAME, industryCategory="Z"),
        "industryCategory：应符合格式 ^[A-T]$",
    ),
    "type": (_template(NAME, type=3), "type：应为以下之一:1, 2"),
    "version": (_template(NAME, version="a/b"), "version：名称中不能有斜杠"),
    "long version": (_template(NAME, version="x" * 129), "version：最多只能有 128 个字符"),
    "prefix": (
        _template(NAME, prefix="88"),
        "prefix：前缀由 2 到 8 段不超过 9 位的十进制数组成,以点分隔",
    ),
    "prefix elsewhere": (
        _template(NAME, prefix="88.709.911"),
        "prefix：前缀 88.709.911 未在本节点注册",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_template_that_breaks_a_rule_is_refused(client: Client, case: str) -> None:
    body, message = REFUSED[case]
    before = await client.node.counts()
    assert await client.refused("POST", V5, body) == message
    assert await client.node.counts() == before


async def test_a_template_is_made_once(client: Client) -> None:
    await client.must("POST", V5, _template(NAME))
    assert await client.refused("POST", V3, _template(NAME)) == "version：模板 1.0 已存在"


async def test_a_change_says_the_state_of_each_item(client: Client) -> None:
    await client.must("POST", V5, _template(NAME))
    assert await client.refused("PUT", V5, _template(NAME)) == (
        "缺少必要的请求参数: items[0].state"
    )


async def test_version_3_has_no_put(client: Client) -> None:
    async with client.node.client.put(V3, json=_template(NAME)) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "DELETE, GET, POST"
        assert await response.json() == {
            "message": "请求方法不支持，可用方法: DELETE, GET, POST",
            "status": -2,
            "data": None,
        }


@pytest.mark.parametrize(
    "path", ["/identity/tokens", "/identityv2/data/all", "/snms/api/v4/template"]
)
async def test_what_is_no_call_is_told_in_the_form_of_this_api(client: Client, path: str) -> None:
    http, answer = await client.ask("GET", path)
    assert (http, answer) == (404, {"message": "接口不存在", "status": -2, "data": None})


async def test_a_query_names_prefix_and_version(client: Client) -> None:
    assert await client.refused("GET", f"{V5}?version=1.0") == "缺少必要的请求参数: prefix"
    assert await client.refused("GET", f"{V3}?prefix={PREFIX}") == "缺少必要的请求参数: version"
    assert await client.refused("GET", f"{V3}?prefix={PREFIX}&version=%00") == (
        "version：含有字符 U+0000"
    )


async def test_without_a_token_nothing_is_done(client: Client) -> None:
    stranger = Client(client.node)
    query = f"?prefix={PREFIX}&version=1.0"
    named = {"prefix": PREFIX, "version": "1.0"}
    for path in (V3, V5):
        await stranger.refused("GET", path + query, status=-1)
        await stranger.refused("POST", path, _template(NAME), status=-1)
        await stranger.refused("DELETE", path, named, status=-1)
    await stranger.refused("PUT", V5, _template(NAME | {"state": 1}), status=-1)


async def test_items_that_are_not_text_are_for_the_other_api(client: Client, node: Node) -> None:
    """The guide: with items that are not text a template is not shown any more."""
    items = [ours(2000, "NAME", name="名称"), ours(2001, "MADE", "date", name="日期")]
    await published(node, PREFIX, node.operator, "1.0", items)
    message = "模板含有非字符型的属性,请使用 /api/v1/templates"
    assert await client.refused("GET", f"{V5}?prefix={PREFIX}&version=1.0") == message
    assert await client.refused("PUT", V5, _template(NAME | {"state": 1})) == message


async def test_what_the_other_api_said_of_an_item_stays(client: Client, node: Node) -> None:
    items = [ours(2000, "NAME", name="名称", pattern="[a-z]*", audience="private")]
    await published(node, PREFIX, node.operator, "1.0", items)
    await client.must("PUT", V5, _template(NAME | {"state": 1, "required": True}))
    path = f"/templates/{PREFIX}/1.0/latest"
    _, template, _ = await node.call("GET", path, node.operator)
    item = template["items"][0]
    assert (template["version"], item["required"], item["audience"]) == (2, True, "private")
    assert item["data"]["pattern"] == "[a-z]*"
