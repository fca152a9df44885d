"""Templates over HTTP: drafts, versions, publication, withdrawal, who may, and what resolves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from protocol.json_api import decode_values
from registry import store
from registry.database import Database
from tests.integration.registry_client import SITE, Node, running
from tests.integration.template_support import PUMP, draft, item, published


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    """An active hosted prefix, and the key of its enterprise."""
    enterprise, key = await node.enterprise(1)
    return await node.prefix(enterprise, key), key


async def _resolved(node: Node, prefix: str, suffix: str) -> dict[str, str] | None:
    """Return the values, by type, of an identifier as a resolver reads it; None: not there."""
    (found,) = await store.read(await node.database.pool(), [(prefix, suffix.upper())])
    if found.suffix is None:
        return None
    assert found.suffix == suffix
    return {value.type: value.data.decode() for value in found.values if value.public}


async def test_a_draft_is_made_read_changed_and_deleted(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    body = {
        "prefix": prefix,
        "name": "泵{1.0}",
        "items": PUMP,
        "industry": {"category": "C", "division": "34", "group": "344", "class": "3441"},
        "carrier": "active",
        "description": "离心泵",
    }
    status, made, response = await node.call("POST", "/templates", key, body)
    assert status == 201, made
    path = f"/templates/{prefix}/%E6%B3%B5%7B1.0%7D/1"
    assert response.headers["Location"] == f"/api/v1{path}"
    assert (made["reference"], made["state"]) == ("泵{1.0}/1", "draft")
    assert made["handle"] == f"{prefix}/template/泵{{1.0}}/1"
    assert made["industry"] == body["industry"]
    assert [each["type"] for each in made["items"]] == ["NAME", "POWER", "MADE"]
    assert made["items"][1]["data"] == {
        "kind": "decimal",
        "digits": 6,
        "fraction_digits": 2,
        "minimum": "0",
        "maximum": None,
    }
    status, read, response = await node.call("GET", path, key)
    assert (status, read) == (200, made)
    tag = response.headers["ETag"]
    assert (await node.call("GET", path, key, If_None_Match=tag))[0] == 304
    change = {"items": PUMP[:1]}
    status, after, response = await node.call("PUT", path, key, change, If_Match=tag)
    assert (status, len(after["items"]), after["description"]) == (200, 1, None)
    assert response.headers["ETag"] != tag
    status, problem, _ = await node.call("PUT", path, key, change, If_Match=tag)
    assert (status, problem["detail"]) == (412, "the template has changed")
    assert (await node.call("DELETE", path, key, If_Match=tag))[0] == 412
    assert (await node.call("DELETE", path, key))[0] == 204
    assert (await node.call("GET", path, key))[0] == 404
    assert await _resolved(node, prefix, "template/泵{1.0}/1") is None


async def test_a_published_version_never_changes_and_the_next_one_is_a_draft(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    path = f"/templates/{prefix}/pump"
    before = (await node.call("GET", f"{path}/1", key))[1]
    assert before["published_at"] is not None
    for method, target, body in (
        ("PUT", f"{path}/1", {"items": PUMP[:1]}),
        ("DELETE", f"{path}/1", None),
        ("POST", f"{path}/1/publish", None),
    ):
        assert (await node.call(method, target, key, body))[0] == 409, (method, target)
    assert (await node.call("GET", f"{path}/1", key))[1] == before
    status, second, response = await node.call("POST", path, key)
    assert (status, second["version"], second["items"]) == (201, 2, before["items"])
    assert response.headers["Location"].endswith("/pump/2")
    assert (await node.call("POST", path, key))[0] == 409, "there is a draft already"
    assert (await node.call("GET", f"{path}/latest", key))[1]["version"] == 1
    assert (await node.call("POST", f"{path}/2/publish", key))[0] == 200
    assert (await node.call("GET", f"{path}/latest", key))[1]["version"] == 2
    status, third, _ = await node.call("POST", path, key, {"items": PUMP[:1]})
    assert (status, third["version"], len(third["items"])) == (201, 3, 1)


async def test_not_even_the_database_lets_a_published_version_change(
    node: Node, owner: tuple[str, str]
) -> None:
    await published(node, *owner)
    for statement in (
        "UPDATE templates SET definition = '{}'",
        "UPDATE templates SET state = 'draft', published_at = NULL",
        "UPDATE templates SET published_at = now() + interval '1 day'",
        "DELETE FROM templates",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="never changes"):
            async with node.database.begin() as connection:
                await connection.exec_driver_sql(statement)


async def test_an_index_keeps_its_type_in_all_versions(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    path = f"/templates/{prefix}/pump"
    await node.call("POST", path, key, {"items": [item(2003, "NEW"), item(2001, "power")]})
    assert (await node.call("POST", f"{path}/2/publish", key))[0] == 200
    await node.call("POST", path, key, {"items": [item(2003, "NEW"), item(2000, "TITLE")]})
    status, problem, _ = await node.call("POST", f"{path}/3/publish", key)
    assert (status, problem["field"]) == (422, "items[1].index"), problem
    assert "NAME" in problem["detail"]


async def test_a_template_resolves_from_its_publication_on(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await draft(node, prefix, key, name="Pump")
    path = f"/templates/{prefix}/Pump"
    assert await _resolved(node, prefix, "template/Pump") is None, "a draft is nobody's business"
    node.changes.clear()
    assert (await node.call("POST", f"{path}/1/publish", key))[0] == 200
    assert sorted(node.changes) == [
        (prefix, ["TEMPLATE/PUMP"]),
        (prefix, ["TEMPLATE/PUMP/1"]),
    ]
    whole = await _resolved(node, prefix, "template/Pump")
    first = await _resolved(node, prefix, "template/Pump/1")
    assert whole is not None
    assert first is not None
    assert json.loads(whole.pop("TEMPLATE.VERSIONS")) == [{"version": 1, "state": "published"}]
    assert whole == first
    about = json.loads(first["TEMPLATE"])
    assert (about["prefix"], about["name"], about["version"]) == (prefix, "Pump", 1)
    assert [each["index"] for each in about["items"]] == [2000, 2001, 2002]
    await node.call("POST", path, key, {"items": PUMP[:1]})
    await node.call("POST", f"{path}/2/publish", key)
    withdrawal = {"reason": "wrong unit"}
    assert (await node.call("POST", f"{path}/2/withdraw", key, withdrawal))[0] == 200
    second = await _resolved(node, prefix, "template/Pump/2")
    assert second is not None
    assert second["TEMPLATE.STATE"] == "withdrawn"
    whole = await _resolved(node, prefix, "template/Pump")
    assert whole is not None
    assert json.loads(whole["TEMPLATE"])["version"] == 1, "the newest that holds"
    assert json.loads(whole["TEMPLATE.VERSIONS"]) == [
        {"version": 2, "state": "withdrawn"},
        {"version": 1, "state": "published"},
    ]
    history = f"/identifiers/{prefix}/template/Pump/history"
    status, page, _ = await node.call("GET", history, key)
    said = [json.loads(each["values"][0]["data"]["value"])["version"] for each in page["items"]]
    assert (status, said) == (200, [1, 2, 1])
    decode_values(page["items"][0]["values"])


async def test_nobody_else_writes_under_the_names_of_templates(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    for suffix in ("template/pump", "TEMPLATE/pump/1", "Template/other"):
        path = f"/identifiers/{prefix}/{suffix}"
        for method, body in (("PUT", {"values": []}), ("PATCH", {"remove": [1]}), ("DELETE", None)):
            status, problem, _ = await node.call(method, path, key, body)
            assert (status, problem["field"]) == (400, "suffix"), (method, suffix, problem)
    assert (await node.call("GET", f"/identifiers/{prefix}/template/pump", key))[0] == 200


async def test_withdrawal_is_final_needs_a_reason_and_frees_the_name_of_nothing(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    path = f"/templates/{prefix}/pump"
    for body in ({}, {"reason": ""}, {"reason": " x"}):
        assert (await node.call("POST", f"{path}/1/withdraw", key, body))[0] == 422, body
    reason = {"reason": "物料编码变更"}
    status, after, _ = await node.call("POST", f"{path}/1/withdraw", key, reason)
    assert (status, after["state"], after["reason"]) == (200, "withdrawn", "物料编码变更")
    assert after["withdrawn_at"] is not None
    for step, body in (("withdraw", reason), ("publish", None)):
        assert (await node.call("POST", f"{path}/1/{step}", key, body))[0] == 409, step
    assert (await node.call("GET", f"{path}/latest", key))[0] == 404
    again = {"prefix": prefix, "name": "PUMP", "items": PUMP}
    assert (await node.call("POST", "/templates", key, again))[0] == 409
    status, second, _ = await node.call("POST", path, key)
    assert (status, second["version"], second["state"]) == (201, 2, "draft")


async def test_lists_go_on_page_by_page_without_items(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    for number in range(3):
        await published(node, prefix, key, name=f"t {number}")
    await node.call("POST", f"/templates/{prefix}/t%201", key)
    seen: list[str] = []
    path = "/templates?limit=2"
    while True:
        status, page, _ = await node.call("GET", path, key)
        assert status == 200, page
        assert all("items" not in each or each["items"] is None for each in page["items"])
        seen += [each["reference"] for each in page["items"]]
        if page["next"] is None:
            break
        path = f"/templates?limit=2&cursor={page['next']}"
    assert seen == ["t 0/1", "t 1/1", "t 1/2", "t 2/1"]
    _, page, _ = await node.call("GET", f"/templates?prefix={prefix}&state=draft", node.operator)
    assert [each["reference"] for each in page["items"]] == ["t 1/2"]
    _, page, _ = await node.call("GET", f"/templates/{prefix}/T%201?limit=1", key)
    assert [each["version"] for each in page["items"]] == [2]
    _, page, _ = await node.call("GET", f"/templates/{prefix}/T%201?cursor={page['next']}", key)
    assert ([each["version"] for each in page["items"]], page["next"]) == ([1], None)
    for query in ("state=gone", "prefix=x", "cursor=AAAA", "limit=0"):
        assert (await node.call("GET", f"/templates?{query}", key))[0] == 400, query


async def test_who_may(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    await published(node, prefix, key)
    enterprise, stranger = await node.enterprise(2)
    other = await node.prefix(enterprise, stranger)
    path = f"/templates/{prefix}/pump"
    new = {"prefix": prefix, "name": "other", "items": PUMP}
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/templates", new),
        ("POST", path, None),
        ("PUT", f"{path}/1", {"items": PUMP}),
        ("DELETE", f"{path}/1", None),
        ("POST", f"{path}/1/publish", None),
        ("POST", f"{path}/1/withdraw", {"reason": "x"}),
    ]
    reads = [("GET", path, None), ("GET", f"{path}/1", None), ("GET", f"{path}/latest", None)]
    for method, target, body in writes:
        for token in (stranger, node.reviewer):
            status, answer, _ = await node.call(method, target, token, body)
            assert status in (400, 403, 404), (method, target, status, answer)
        assert (await node.call(method, target, None, body))[0] == 401
    for method, target, _ in reads:
        assert (await node.call(method, target, stranger))[0] in (400, 403, 404), target
        assert (await node.call(method, target, node.reviewer))[0] == 200, target
        assert (await node.call(method, target))[0] == 401
    _, page, _ = await node.call("GET", "/templates", stranger)
    assert page["items"] == []
    _, page, _ = await node.call("GET", f"/templates?prefix={prefix}", stranger)
    assert page["items"] == []
    assert (await node.call("GET", f"{path}/1", key))[1]["state"] == "published"
    await draft(node, other, node.operator)


async def test_a_key_needs_the_scope(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    made = {}
    for scope in ("templates", "identifiers:write"):
        body = {"scopes": [scope]}
        status, issued, _ = await node.call("POST", f"/enterprises/{enterprise}/keys", key, body)
        assert status == 201, issued
        made[scope] = issued["key"]
    reference = await published(node, prefix, made["templates"])
    other = made["identifiers:write"]
    new = {"prefix": prefix, "name": "other", "items": PUMP}
    for method, target, body_ in (
        ("POST", "/templates", new),
        ("GET", "/templates", None),
        ("GET", f"/templates/{prefix}/pump/1", None),
        ("POST", f"/templates/{prefix}/pump/1/withdraw", {"reason": "x"}),
    ):
        assert (await node.call(method, target, other, body_))[0] == 403, (method, target)
    values = [{"index": 2000, "type": "NAME", "data": "x"}]
    body = {"values": values, "template": reference}
    assert (await node.call("PUT", f"/identifiers/{prefix}/A", other, body))[0] == 201


async def test_templates_need_an_active_hosted_prefix(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    body = {"enterprise_id": enterprise, "hosting": "hosted"}
    pending = (await node.call("POST", "/prefixes", key, body))[1]["prefix"]
    delegated = await node.prefix(enterprise, key, hosting="delegated", site=SITE)
    for prefix, expected in ((pending, 409), (delegated, 409), ("88.118.9999", 400)):
        new = {"prefix": prefix, "name": "pump", "items": PUMP}
        status, problem, _ = await node.call("POST", "/templates", key, new)
        assert status == expected, problem


async def test_a_suspended_prefix_publishes_nothing(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    await draft(node, prefix, key)
    reason = {"reason": "arrears"}
    await node.call("POST", f"/prefixes/{prefix}/suspend", node.reviewer, reason)
    assert (await node.call("POST", f"/templates/{prefix}/pump/1/publish", key))[0] == 409


async def test_bodies_that_say_too_much_or_nonsense_are_refused_with_the_field(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    good = {"prefix": prefix, "name": "pump", "items": PUMP}
    before = await node.counts()
    for change, field in (
        ({"state": "published"}, "state"),
        ({"version": 7}, "version"),
        ({"name": "a/b"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": ""}, "name"),
        ({"items": [item(1999, "X")]}, "items[0].index"),
        ({"items": [item(2**31, "X")]}, "items[0].index"),
        ({"items": [item(2000, "X", "colour")]}, "items[0].data.kind"),
        ({"items": [item(2000, "X", maximum=1)]}, "items[0].data.maximum"),
        ({"items": [item(2000, "X", "integer", maximum=2**63)]}, "items[0].data.maximum"),
        ({"items": [item(2000, "X", pattern="(" * 2)]}, "items[0].data.pattern"),
        ({"items": [{**PUMP[0], "owner": "me"}]}, "items[0].owner"),
        ({"industry": {"category": "Z"}}, "industry.category"),
        ({"industry": {"category": "A", "division": "34"}}, "industry.division"),
    ):
        status, problem, _ = await node.call("POST", "/templates", key, {**good, **change})
        assert status in (400, 422), (change, status, problem)
        assert problem.get("field") == field, (change, problem)
    assert await node.counts() == before
    for path in (
        f"/templates/{prefix}/a%2Fb/1",
        f"/templates/{prefix}/a%00/1",
        f"/templates/{prefix}/%FF/1",
        f"/templates/{prefix}/pump/0",
        f"/templates/{prefix}/pump/99999999999999999999",
        f"/templates/{prefix}/pump/x",
        "/templates/nowhere/pump/1",
    ):
        status, problem, _ = await node.call("GET", path, key)
        assert status in (400, 404), (path, problem)


async def test_a_template_without_an_enabled_item_is_not_published(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    await draft(node, prefix, key, items=[item(2000, "X", enabled=False)])
    status, problem, _ = await node.call("POST", f"/templates/{prefix}/pump/1/publish", key)
    assert (status, problem["field"]) == (422, "items")


async def test_of_two_who_begin_the_same_version_one_wins(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    new = {"prefix": prefix, "name": "race", "items": PUMP}
    answers = await asyncio.gather(*(node.call("POST", "/templates", key, new) for _ in range(8)))
    assert sorted(status for status, _, _ in answers) == [201] + [409] * 7
    await node.call("POST", f"/templates/{prefix}/race/1/publish", key)
    path = f"/templates/{prefix}/race"
    answers = await asyncio.gather(*(node.call("POST", path, key) for _ in range(8)))
    assert sorted(status for status, _, _ in answers) == [201] + [409] * 7


async def test_every_step_is_in_the_audit_log(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    await draft(node, prefix, key)
    path = f"/templates/{prefix}/pump/1"
    await node.call("PUT", path, key, {"items": PUMP[:1]})
    await node.call("POST", f"{path}/publish", key)
    await node.call("POST", f"{path}/withdraw", key, {"reason": "x"})
    async with node.database.begin() as connection:
        rows = await connection.exec_driver_sql(
            "SELECT action, subject, actor FROM audit_log WHERE action LIKE 'template.%%'"
            " ORDER BY seq"
        )
        lines = rows.all()
    assert [line.action for line in lines] == [
        "template.draft",
        "template.replace",
        "template.publish",
        "template.withdraw",
    ]
    assert {line.subject for line in lines} == {f"{prefix}/template/pump/1"}
    assert all(line.actor.startswith("key:") for line in lines)


async def test_the_operator_keeps_templates_under_the_prefix_of_the_node(node: Node) -> None:
    _, key = await node.enterprise(1)
    assert await published(node, "88.118", node.operator) == "pump/1"
    new = {"prefix": "88.118", "name": "mine", "items": PUMP}
    assert (await node.call("POST", "/templates", key, new))[0] == 403
    assert (await node.call("GET", "/templates/88.118/pump/1", key))[0] == 403
