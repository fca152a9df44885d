"""Keys: what scopes let through, and how a key is replaced without an interruption."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from registry.database import Database
from registry.principals import SCOPES
from tests.integration.registry_client import URL_VALUE, Node, running
from tests.integration.test_accounts import Clock

HOUR = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def node(database: Database, clock: Clock) -> AsyncIterator[Node]:
    async with running(database, clock) as node:
        yield node


async def _issue(node: Node, enterprise: str, by: str, **body: Any) -> dict[str, Any]:
    status, made, _ = await node.call("POST", f"/enterprises/{enterprise}/keys", by, body)
    assert status == 201, made
    return dict(made)


async def test_a_key_opens_what_its_scopes_say_and_nothing_else(node: Node) -> None:
    enterprise, everything = await node.enterprise(1)
    prefix = await node.prefix(enterprise, everything)
    one = f"/identifiers/{prefix}/A"
    await node.call("PUT", one, everything, {"values": [URL_VALUE]})
    requests = (
        ("GET", one, None, "identifiers:read"),
        ("GET", f"{one}/history", None, "identifiers:read"),
        ("PUT", one, {"values": [URL_VALUE]}, "identifiers:write"),
        ("PATCH", one, {"values": [URL_VALUE]}, "identifiers:write"),
        ("GET", "/imports", None, "imports"),
        ("POST", "/imports?format=csv", b"suffix\n", "imports"),
        ("GET", f"/enterprises/{enterprise}", None, "enterprise:read"),
        ("GET", "/enterprises", None, "enterprise:read"),
        ("GET", "/prefixes", None, "enterprise:read"),
        ("GET", f"/enterprises/{enterprise}/keys", None, "enterprise:read"),
        (
            "POST",
            "/prefixes",
            {"enterprise_id": enterprise, "hosting": "hosted"},
            "enterprise:write",
        ),
    )
    for scope in SCOPES:
        key = (await _issue(node, enterprise, everything, scopes=[scope]))["key"]
        status, me, _ = await node.call("GET", "/me", key)
        assert (status, me["scopes"], me["role"]) == (200, [scope], "application")
        for method, path, body, needed in requests:
            status, problem, _ = await node.call(method, path, key, body)
            if needed == scope:
                assert status in (200, 201, 202), (scope, method, path, problem)
            else:
                assert (status, problem["detail"]) == (
                    403,
                    f"the key does not have the scope {needed}",
                ), (scope, method, path)


async def test_a_key_cannot_give_more_than_it_has(node: Node) -> None:
    enterprise, everything = await node.enterprise(1)
    some = ["identifiers:read", "enterprise:write"]
    key = await _issue(node, enterprise, everything, scopes=some, label="desk")
    path = f"/enterprises/{enterprise}/keys"
    status, _, _ = await node.call("POST", path, key["key"], {"scopes": ["imports"]})
    assert status == 403
    child = await _issue(node, enterprise, key["key"])
    assert child["scopes"] == some, "without a wish it gets what its issuer has"
    whole = await _issue(node, enterprise, everything)
    assert whole["scopes"] == list(SCOPES)
    status, _, _ = await node.call("POST", f"{path}/{whole['id']}/rotate", key["key"])
    assert status == 403, "nor take over a key that may more"
    for scopes in ([], ["everything"]):
        status, problem, _ = await node.call("POST", path, everything, {"scopes": scopes})
        assert status == 422, problem
        assert problem["field"].startswith("scopes")


async def test_a_rotated_key_goes_on_for_its_grace_and_the_new_one_lives_as_long(
    node: Node, clock: Clock
) -> None:
    enterprise, everything = await node.enterprise(1)
    old = await _issue(
        node,
        enterprise,
        everything,
        label="ERP",
        scopes=["imports"],
        expires_at="2027-02-14T08:00:00Z",
    )
    path = f"/enterprises/{enterprise}/keys/{old['id']}/rotate"
    status, new, _ = await node.call("POST", path, everything, {"grace_hours": 2})
    assert status == 201
    assert (new["label"], new["scopes"], new["expires_at"]) == (
        "ERP",
        ["imports"],
        "2027-02-14T08:00:00Z",
    )
    assert new["key"] != old["key"]

    async def open_doors() -> list[int]:
        return [(await node.call("GET", "/me", each["key"]))[0] for each in (old, new)]

    assert await open_doors() == [200, 200]
    clock.now += 2 * HOUR - 1
    assert await open_doors() == [200, 200]
    clock.now += 1
    assert await open_doors() == [401, 200]
    assert (await node.call("POST", path, everything))[0] == 409, "it has ended"
    path = f"/enterprises/{enterprise}/keys/{new['id']}/rotate"
    status, third, _ = await node.call("POST", path, everything, {"grace_hours": 0})
    assert (status, third["expires_at"]) == (201, "2027-02-14T10:00:00Z")
    assert await open_doors() == [401, 401]
    for body, field in (
        ({"grace_hours": 721}, "grace_hours"),
        ({"grace_hours": -1}, "grace_hours"),
    ):
        status, problem, _ = await node.call("POST", path, everything, body)
        assert (status, problem["field"]) == (422, field)


async def test_keys_of_an_account_are_its_own_and_the_operators(node: Node) -> None:
    body = {"name": "wang", "role": "auditor"}
    _, made, _ = await node.call("POST", "/accounts", node.operator, body)
    path = f"/accounts/{made['id']}/keys"
    assert (await node.call("POST", path, node.reviewer))[0] == 403
    status, first, _ = await node.call("POST", path, node.operator, {"label": "night"})
    assert status == 201
    status, second, _ = await node.call("POST", path, first["key"], {"scopes": ["statistics"]})
    assert status == 201
    _, me, _ = await node.call("GET", "/me", second["key"])
    assert (me["role"], me["scopes"], me["id"]) == ("auditor", ["statistics"], made["id"])
    assert (await node.call("GET", "/prefixes", second["key"]))[0] == 403
    status, page, _ = await node.call("GET", path, first["key"])
    assert {item["label"] for item in page["items"]} == {"night", None}
    status, _, _ = await node.call("DELETE", f"{path}/{first['id']}", node.operator)
    assert status == 204
    assert (await node.call("GET", "/me", first["key"]))[0] == 401
    enterprise, key = await node.enterprise(1)
    body = {"name": "admin", "role": "administrator", "enterprise_id": enterprise}
    _, made, _ = await node.call("POST", "/accounts", node.operator, body)
    status, _, _ = await node.call("POST", f"/accounts/{made['id']}/keys", node.operator)
    assert status == 404, "keys of an enterprise belong to the enterprise"
    assert (await node.call("GET", path, key))[0] == 403
