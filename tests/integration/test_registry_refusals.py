"""Every refusal names the field, and leaves nothing in any table."""

from __future__ import annotations

from typing import Any

from tests.integration.registry_client import CONTACT, SITE, URL_VALUE, Node, credit_code

_ABSENT = "00000000-0000-4000-8000-000000000000"


def _enterprise(**more: Any) -> dict[str, Any]:
    contact = {**CONTACT, **more.pop("contact", {})}
    return {
        "name": "Works",
        "credit_code": credit_code(50),
        "industry": "C3441",
        "contact": contact,
        **more,
    }


_ENTERPRISES = [
    (_enterprise(name=""), "name"),
    (_enterprise(name=" x"), "name"),
    (_enterprise(name="x" * 201), "name"),
    (_enterprise(name="a\nb"), "name"),
    (_enterprise(name="a\u202eb"), "name"),
    (_enterprise(name="a\0b"), "name"),
    (_enterprise(credit_code="91110000600037341X"), "credit_code"),
    (_enterprise(industry=""), "industry"),
    (_enterprise(contact={"name": ""}), "contact.name"),
    (_enterprise(contact={"phone": "call me"}), "contact.phone"),
    (_enterprise(contact={"phone": "1\n"}), "contact.phone"),
    (_enterprise(contact={"email": "nobody"}), "contact.email"),
    (_enterprise(contact={"email": "a@b@c.example"}), "contact.email"),
    (_enterprise(contact={"email": "a@example.com\n"}), "contact.email"),
    (_enterprise(contact={"email": "a\u2028@example.com"}), "contact.email"),
    (_enterprise(contact={"fax": "1"}), "contact.fax"),
    (_enterprise(status="active"), "status"),
    (_enterprise(name=None), "name"),
]


async def test_bad_enterprises(node: Node) -> None:
    before = await node.counts()
    for body, field in _ENTERPRISES:
        status, problem, _ = await node.call("POST", "/enterprises", node.operator, body)
        assert (status, problem.get("field")) == (422, field), (body, problem)
    assert await node.counts() == before


async def test_bad_keys(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    path = f"/enterprises/{enterprise}/keys"
    before = await node.counts()
    for body, field in (
        ({"label": ""}, "label"),
        ({"label": "x" * 101}, "label"),
        ({"expires_at": "2999-01-01"}, "expires_at"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"key": "mine"}, "key"),
    ):
        status, problem, _ = await node.call("POST", path, key, body)
        assert (status, problem.get("field")) == (422, field), problem
    for method, path in (
        ("POST", f"/enterprises/{_ABSENT}/keys"),
        ("GET", f"/enterprises/{_ABSENT}"),
        ("GET", f"/enterprises/{_ABSENT}/keys"),
        ("GET", "/enterprises/not-an-id"),
        ("DELETE", f"/enterprises/{enterprise}/keys/{_ABSENT}"),
        ("DELETE", f"/enterprises/{_ABSENT}/keys/{_ABSENT}"),
    ):
        assert (await node.call(method, path, node.operator))[0] == 404, path
    assert await node.counts() == before


async def test_bad_prefixes(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    before = await node.counts()
    site = {**SITE, "servers": [{**SITE["servers"][0], "address": "nowhere"}]}  # type: ignore[index, dict-item]
    for more, expected, field in (
        ({"prefix": "88.119.1"}, 422, "prefix"),
        ({"prefix": "88.118"}, 422, "prefix"),
        ({"prefix": "88.118.1.1"}, 422, "prefix"),
        ({"prefix": "88.118.1234567890"}, 400, "prefix"),
        ({"prefix": "88.118.1\n"}, 400, "prefix"),
        ({"prefix": ""}, 400, "prefix"),
        ({"prefix": "88.118.1234567890"}, 400, "prefix"),
        ({"hosting": "elsewhere"}, 422, "hosting"),
        ({"hosting": "hosted", "site": SITE}, 422, "site"),
        ({"hosting": "delegated"}, 422, "site"),
        ({"hosting": "delegated", "site": {}}, 422, "site.servers"),
        ({"hosting": "delegated", "site": site}, 422, "site.servers[0].address"),
        ({"hosting": "delegated", "site": {**SITE, "hashFilter": "\0"}}, 422, "site.hashFilter"),
        ({"enterprise_id": "mine"}, 422, "enterprise_id"),
    ):
        body = {"enterprise_id": enterprise, "hosting": "hosted", **more}
        status, problem, _ = await node.call("POST", "/prefixes", node.operator, body)
        assert (status, problem.get("field")) == (expected, field), (more, problem)
    body = {"enterprise_id": _ABSENT, "hosting": "hosted"}
    status, problem, _ = await node.call("POST", "/prefixes", node.operator, body)
    assert (status, problem["field"]) == (404, "enterprise_id")
    for step in ("approve", "resume", "suspend"):
        path = f"/prefixes/88.118.77/{step}"
        status, _, _ = await node.call("POST", path, node.reviewer, {"reason": "x"})
        assert status == 404
    assert (await node.call("GET", "/prefixes/88.118.77", key))[0] == 404
    assert await node.counts() == before


async def test_steps_that_end_something_need_a_reason(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    before = await node.counts()
    for step in ("reject", "suspend", "revoke"):
        for body in (None, {}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 1001}):
            status, problem, _ = await node.call(
                "POST", f"/prefixes/{prefix}/{step}", node.reviewer, body
            )
            assert (status, problem["field"]) == (422, "reason"), (step, body)
    assert await node.counts() == before


def _value(**more: Any) -> dict[str, Any]:
    return {**URL_VALUE, **more}


_VALUES = [
    ("x", "values"),
    ([1], "values[0]"),
    ([{}], "values[0].index"),
    ([_value(index=0)], "values[0].index"),
    ([_value(index=2**31)], "values[0].index"),
    ([_value(index=10**40)], "values[0].index"),
    ([_value(index=True)], "values[0].index"),
    ([_value(index="1")], "values[0].index"),
    ([_value(), _value()], "values[1].index"),
    ([_value(type="")], "values[0].type"),
    ([_value(type="A B")], "values[0].type"),
    ([_value(type="A\0")], "values[0].type"),
    ([_value(type="x" * 256)], "values[0].type"),
    ([_value(extra=1)], "values[0].extra"),
    ([_value(data=1)], "values[0].data"),
    ([_value(data={"format": "string"})], "values[0].data.value"),
    ([_value(data={"format": "what", "value": ""})], "values[0].data.format"),
    ([_value(data={"format": "base64", "value": "*"})], "values[0].data.value"),
    ([_value(data={"format": "hex", "value": "0"})], "values[0].data.value"),
    ([_value(data={"format": "string", "value": "a\0"})], "values[0].data.value"),
    ([_value(data={"format": "string", "value": "x" * 65_537})], "values[0].data"),
    ([_value(data={"format": "admin", "value": {"handle": "x"}})], "values[0].data.index"),
    ([_value(ttl=-1)], "values[0].ttl"),
    ([_value(ttl="soon")], "values[0].ttl"),
    ([_value(permissions="2")], "values[0].permissions"),
    ([_value(references=[{"handle": "", "index": 1}])], "values[0].references[0].handle"),
    ([_value(index=index) for index in range(1, 2050)], "values"),
]


async def test_bad_values(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    path = f"/identifiers/{await node.prefix(enterprise, key)}/A"
    before = await node.counts()
    for values, field in _VALUES:
        status, problem, _ = await node.call("PUT", path, key, {"values": values})
        assert (status, problem.get("field")) == (422, field), (str(values)[:200], problem)
        assert problem["responseCode"] == 202
    for body, field in (({}, "values"), ({"values": [], "template": ""}, "template")):
        status, problem, _ = await node.call("PUT", path, key, body)
        assert (status, problem["field"]) == (422, field)
    assert await node.counts() == before


async def test_bad_pages(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    for _ in range(2):
        await node.prefix(enterprise, key)
    _, page, _ = await node.call("GET", "/prefixes?limit=1", key)
    cursor = page["next"]
    for query, field in (
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=", "limit"),
        ("cursor=", "cursor"),
        (f"cursor={cursor[:-1]}", "cursor"),
        (f"cursor=x{cursor[1:]}", "cursor"),
        (f"status=active&cursor={cursor}", "cursor"),
        ("status=lost", "status"),
    ):
        status, problem, _ = await node.call("GET", f"/prefixes?{query}", key)
        assert (status, problem["field"]) == (400, field), query
    status, problem, _ = await node.call("GET", f"/enterprises?cursor={cursor}", key)
    assert (status, problem["field"]) == (400, "cursor")
