"""What the SNMS API refuses, with its status and a message in Chinese, and nothing changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from registry.database import Database
from tests.integration.registry_client import Node, running
from tests.integration.snms import support
from tests.integration.snms.support import Client, record
from tests.integration.template_support import item, published

PREFIX = "88.118.35"
DATA = "/identityv2/data"
ITEMS = [
    item(2000, "NAME", required=True, min_length=2, max_length=10, name="名称"),
    item(2001, "NOTE", name="备注"),
    item(2002, "OLD", enabled=False, name="旧名"),
    item(2003, "MADE", "date", name="日期"),
]


@pytest.fixture
async def client(node: Node) -> Client:
    enterprise_id, key = await support.enterprise(node, 1, PREFIX)
    await published(node, PREFIX, key, "1.0", ITEMS)
    await support.user(node, enterprise_id)
    return await Client(node).sign_in()


def _record(*values: tuple[int, str, str], **more: Any) -> dict[str, Any]:
    return record(f"{PREFIX}/A", "1.0", (2000, "NAME", "水泵"), *values) | more


def _without(member: str) -> dict[str, Any]:
    body = _record()
    del body[member]
    return body


def _value(**changes: Any) -> dict[str, Any]:
    body = _record()
    body["value"][0] |= changes
    return body


REFUSED = {
    "unknown index": (_record((2009, "X", "a")), "非法操作，索引2009在模板中不存在"),
    "reserved index": (
        _record((1001, "TEMPLATE", "1.0")),
        "value[1].index：非法操作,索引1001为模板的预留索引",
    ),
    "wrong type": (_value(type="NOTE"), "索引 2000 的类型为 NOTE,应为 NAME"),
    "too short": (
        _value(data={"format": "string", "value": "泵"}),
        "名称 (2000 NAME) 少于 2 个字符",
    ),
    "too long": (
        _value(data={"format": "string", "value": "泵" * 11}),
        "名称 (2000 NAME) 超过 10 个字符",
    ),
    "longer than any value": (
        _record((2001, "NOTE", "x" * 256)),
        "value[1].data.value：最多只能有 255 个字符",
    ),
    "not a date": (
        _record((2003, "MADE", "31.1.2026")),
        "日期 (2003 MADE) 不是日期,例如 2026-01-31",
    ),
    "not enabled": (_record((2002, "OLD", "x")), "旧名 (2002 OLD) 在模板中已禁用"),
    "required, missing": (
        record(f"{PREFIX}/A", "1.0", (2001, "NOTE", "x")),
        "名称 (2000 NAME) 为必填项,但未提供",
    ),
    "required, empty": (
        _value(data={"format": "string", "value": ""}),
        "名称 (2000 NAME) 为必填项,不能为空",
    ),
    "index twice": (
        _record((2000, "NAME", "水泵")),
        "value[1].index：索引 2000 已在 value[0] 出现",
    ),
    "format": (
        _value(data={"format": "base64", "value": "eA=="}),
        'value[0].data.format：应为以下之一:"string"',
    ),
    "no handle": (_without("handle"), "缺少必要的请求参数: handle"),
    "no templateVersion": (_without("templateVersion"), "缺少必要的请求参数: templateVersion"),
    "no value": (_without("value"), "缺少必要的请求参数: value"),
    "no index": (_value(index=None), "value[0].index：应为整数,而不是空值(null)"),
    "index of 12 digits": (
        _value(index=123456789012),
        "value[0].index：应为不大于 2147483647 的整数",
    ),
    "unknown template": (
        _record(templateVersion="9.9"),
        f"templateVersion：前缀 {PREFIX} 下没有已发布的模板 9.9",
    ),
    "a version of ours": (_record(templateVersion="1.0/1"), "templateVersion：名称中不能有斜杠"),
    "no suffix": (_record(handle=PREFIX), "handle：标识的形式应为“前缀/后缀”"),
    "long handle": (
        _record(handle=f"{PREFIX}/{'x' * 250}"),
        "handle：最多只能有 255 个字符",
    ),
    "prefix handle": (_record(handle=f"0.NA/{PREFIX}"), "handle：前缀标识不是对象的标识"),
    "template's own": (
        _record(handle=f"{PREFIX}/template/x"),
        "handle：以 template/ 开头的后缀属于数据模板,请通过 /api/v1/templates 维护",
    ),
    "prefix elsewhere": (_record(handle="88.709.911/A"), "前缀 88.709.911 未在本节点注册"),
    "unknown member": (_record(vlaue=[]), "vlaue：未知字段"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_record_that_breaks_a_rule_is_refused_with_the_reason(
    client: Client, case: str
) -> None:
    body, message = REFUSED[case]
    before = await client.node.counts()
    assert await client.refused("POST", DATA, body) == message
    assert await client.node.counts() == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "请求体为空"),
        (b'{"handle": "\xff"}', "请求体不是 UTF-8 编码"),
        (b"[1]", "应为对象,而不是列表"),
        (b"{", "请求体不是有效的 JSON:内容不完整"),
        (b'{"handle": "a\\u0000b"}', "handle：含有 U+0000 字符;此类数据请以 base64 提交"),
        (b"[" * 100_000, "请求体嵌套过深"),
        (b" " * (1 << 20) + b"{}", "请求体超过 1048576 字节"),
    ],
)
async def test_a_body_that_is_no_record_is_refused(
    client: Client, body: bytes, message: str
) -> None:
    assert await client.refused("POST", DATA, body) == message


async def test_what_is_registered_is_there_already(client: Client) -> None:
    """The guide: after HTTP 504 register again; "already exists" is then a success."""
    await client.must("POST", DATA, _record())
    again = _record((2001, "NOTE", "another"))
    assert await client.refused("POST", DATA, again) == "标识已存在"
    assert await client.value(f"{PREFIX}/A", 2001) is None
    assert await client.refused("POST", DATA, _record(handle=f"{PREFIX}/a")) == "标识已存在"


async def test_of_many_who_register_the_same_at_once_one_does(client: Client) -> None:
    answers = await asyncio.gather(*(client.ask("POST", DATA, _record()) for _ in range(8)))
    messages = sorted(answer["message"] for _, answer in answers)
    assert messages == ["success"] + ["标识已存在"] * 7


async def test_under_a_prefix_that_is_suspended_nothing_is_written(
    client: Client, node: Node
) -> None:
    await client.must("POST", DATA, _record())
    reason = {"reason": "unpaid"}
    path = f"/prefixes/{PREFIX}/suspend"
    status, answer, _ = await node.call("POST", path, node.operator, reason)
    assert status == 200, answer
    message = f"前缀 {PREFIX} 已暂停,未启用"
    assert await client.refused("POST", DATA, _record(handle=f"{PREFIX}/B")) == message
    assert await client.refused("PUT", DATA, _record()) == message
    assert await client.refused("DELETE", DATA, {"handle": f"{PREFIX}/A"}) == message
    assert await client.value(f"{PREFIX}/A") == "水泵"


async def test_what_is_not_registered_is_not_found(client: Client) -> None:
    assert await client.refused("PUT", DATA, _record()) == "没有找到标识"
    assert await client.refused("GET", f"{DATA}/detail?handle={PREFIX}/A") == "没有找到标识"
    assert await client.refused("DELETE", DATA, {"handle": f"{PREFIX}/A"}) == "没有找到标识"


async def test_without_a_token_nothing_is_done(client: Client) -> None:
    await client.must("POST", DATA, _record())
    key = client.node.operator  # it opens the registry API, not this one
    for token in (None, "x" * 40, key, "not a token at all"):
        stranger = Client(client.node, token)
        for method, path, body in (
            ("GET", f"{DATA}/detail?handle={PREFIX}/A", None),
            ("POST", DATA, _record(handle=f"{PREFIX}/B")),
            ("PUT", DATA, _record((2001, "NOTE", "changed"))),
            ("DELETE", DATA, {"handle": f"{PREFIX}/A"}),
        ):
            message = await stranger.refused(method, path, body, status=-1)
            assert message == "没有登录，需要验证", (token, method)
    assert await client.value(f"{PREFIX}/A", 2001) is None


async def test_a_token_of_this_api_opens_no_other(client: Client) -> None:
    status, _, _ = await client.node.call("GET", "/me", client.token)
    assert status == 401


async def test_guesses_are_held_back(client: Client) -> None:
    wrong = {"username": support.USER, "password": "not it"}
    stranger = Client(client.node)
    messages = [await stranger.refused("POST", "/identity/token/v1", wrong) for _ in range(6)]
    assert messages == ["用户名/密码错误！"] * 5 + ["登录尝试过多,锁定将自动解除"]


async def test_without_a_database_a_write_is_perhaps_done() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    from aiohttp.test_utils import TestClient, TestServer

    from registry import metrics
    from registry.api.app import make_app
    from registry.services import Registry

    registry = Registry(database, "88.118", lambda *_: None, metrics.private_row())
    web_client = TestClient(TestServer(make_app(registry)))
    await web_client.start_server()
    try:
        node = Node(web_client, database, registry.row, "", "")
        client = Client(node, "x" * 40)
        error = {"message": "系统内部错误", "status": -4, "data": None}
        assert await client.ask("POST", DATA, _record()) == (504, error)
        assert await client.ask("GET", f"{DATA}/detail?handle=88.118.35/A") == (200, error)
    finally:
        await web_client.close()
        await database.close()


async def test_an_update_keeps_what_this_api_does_not_show(client: Client, node: Node) -> None:
    await client.must("POST", DATA, _record((2001, "NOTE", "before")))
    admin = {
        "index": 100,
        "type": "HS_ADMIN",
        "data": {
            "format": "admin",
            "value": {"handle": f"0.NA/{PREFIX}", "index": 200, "permissions": "111111111111"},
        },
    }
    status, answer, _ = await node.call(
        "PATCH", f"/identifiers/{PREFIX}/A", node.operator, {"values": [admin]}
    )
    assert status == 200, answer
    await client.must("PUT", DATA, _record())
    status, answer, _ = await node.call("GET", f"/identifiers/{PREFIX}/A", node.operator)
    assert sorted(value["index"] for value in answer["values"]) == [100, 1001, 2000]
    assert answer["template"] == "1.0/1"
    shown = await client.must("GET", f"{DATA}/detail?handle={PREFIX}/A")
    assert [value["index"] for value in shown["value"]] == [1001, 2000]


async def test_an_update_leaves_a_value_to_those_whom_it_is_for(client: Client, node: Node) -> None:
    await client.must("POST", DATA, _record((2001, "NOTE", "before"), (2003, "MADE", "2026-01-31")))
    note = {"index": 2001, "type": "NOTE", "data": {"format": "string", "value": "before"}}
    partners = {"audience": "partners", "partners": ["group:buyers"]}
    path = f"/identifiers/{PREFIX}/A"
    body = {"values": [note | {"access": partners}]}
    status, answer, _ = await node.call("PATCH", path, node.operator, body)
    assert status == 200, answer
    await client.must("PUT", DATA, _record((2001, "NOTE", "after"), (2003, "MADE", "2026-02-01")))
    _, answer, _ = await node.call("GET", path, node.operator)
    values = {value["index"]: value for value in answer["values"]}
    assert values[2001]["data"]["value"] == "after"
    assert values[2001]["access"] == partners
    assert "access" not in values[2003]
    shown = await client.must("GET", f"{DATA}/detail?handle={PREFIX}/A")
    assert [(v["index"], v["auth"]) for v in shown["value"] if v["index"] > 2000] == [
        (2001, "0"),
        (2003, "1"),
    ]


async def test_what_is_done_stands_in_the_history_and_the_audit_log(
    client: Client, node: Node
) -> None:
    await client.must("POST", DATA, _record())
    await client.must("PUT", DATA, _record((2001, "NOTE", "x")))
    await client.must("DELETE", DATA, {"handle": f"{PREFIX}/A"})
    path = f"/identifiers/{PREFIX}/A/history"
    _, history, _ = await node.call("GET", path, node.operator)
    assert len(history["items"]) == 2
    async with node.database.begin() as connection:
        lines = (
            await connection.exec_driver_sql(
                "SELECT actor, action FROM audit_log WHERE subject = '88.118.35/A' ORDER BY seq"
            )
        ).all()
        user = await connection.exec_driver_sql("SELECT id FROM snms_users")
        actor = f"snms:{user.scalar_one()}"
    assert [tuple(line) for line in lines] == [
        (actor, "identifier.put"),
        (actor, "identifier.put"),
        (actor, "identifier.delete"),
    ]


async def test_an_audience_of_the_template_shows_in_auth(client: Client, node: Node) -> None:
    items = [item(2000, "NAME"), item(2001, "PRICE", audience="private")]
    await published(node, PREFIX, node.operator, "2.0", items)
    body = record(f"{PREFIX}/P", "2.0", (2000, "NAME", "a"), (2001, "PRICE", "12"))
    await client.must("POST", DATA, body)
    shown = await client.must("GET", f"{DATA}/detail?handle={PREFIX}/P")
    assert [(v["index"], v["auth"]) for v in shown["value"]] == [
        (1001, "1"),
        (2000, "1"),
        (2001, "0"),
    ]


async def test_a_node_without_a_key_takes_no_hashed_passwords(database: Database) -> None:
    async with running(database, snms_key=None) as node:
        enterprise_id, _ = await support.enterprise(node, 1, PREFIX)
        path = f"/enterprises/{enterprise_id}/snms-users"
        body = {"name": "mes", "password": support.PASSWORD, "hashed": True}
        status, problem, _ = await node.call("POST", path, node.operator, body)
        assert (status, problem["field"]) == (409, "hashed")
