"""Who may do what: roles, and enterprises that must not reach each other."""

from __future__ import annotations

from typing import Any

from tests.integration.registry_client import CONTACT, URL_VALUE, Node, credit_code


async def _requests(node: Node) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    """Return everybody's token, and requests that touch what belongs to the enterprise "own"."""
    own, own_key = await node.enterprise(1)
    _, other_key = await node.enterprise(2)
    prefix = await node.prefix(own, own_key)
    _, keys, _ = await node.call("GET", f"/enterprises/{own}/keys", own_key)
    await node.call("PUT", f"/identifiers/{prefix}/A", own_key, {"values": [URL_VALUE]})
    tokens = {
        "operator": node.operator,
        "reviewer": node.reviewer,
        "own": own_key,
        "other": other_key,
    }
    enterprise = {
        "name": "New",
        "credit_code": credit_code(99),
        "industry": "C",
        "contact": CONTACT,
    }
    values = {"values": [URL_VALUE]}
    applied = {"enterprise_id": own, "hosting": "hosted"}
    everyone, staff = {"operator", "reviewer", "own"}, {"operator", "reviewer"}
    writers = {"operator", "own"}
    return tokens, [
        ("POST", "/enterprises", enterprise, {"operator"}),
        ("GET", f"/enterprises/{own}", None, everyone),
        ("POST", f"/enterprises/{own}/keys", {}, writers),
        ("GET", f"/enterprises/{own}/keys", None, everyone),
        ("DELETE", f"/enterprises/{own}/keys/00000000-0000-4000-8000-000000000000", None, writers),
        ("POST", "/prefixes", applied, writers),
        ("GET", f"/prefixes/{prefix}", None, everyone),
        ("PUT", f"/identifiers/{prefix}/A", values, writers),
        ("PUT", f"/identifiers/{prefix}/B", values, writers),
        ("PATCH", f"/identifiers/{prefix}/A", values, writers),
        ("GET", f"/identifiers/{prefix}/A", None, everyone),
        ("GET", f"/identifiers/{prefix}/A/history", None, everyone),
        ("GET", f"/identifiers/{prefix}/absent", None, everyone),
        ("DELETE", f"/identifiers/{prefix}/absent", None, writers),
        ("POST", f"/prefixes/{prefix}/approve", {}, staff),
        ("POST", f"/prefixes/{prefix}/reject", {"reason": "x"}, staff),
        ("POST", f"/prefixes/{prefix}/resume", {}, staff),
        ("POST", f"/prefixes/{prefix}/suspend", {"reason": "x"}, staff),
        ("POST", f"/prefixes/{prefix}/revoke", {"reason": "x"}, staff),
        ("DELETE", f"/enterprises/{own}/keys/{keys['items'][0]['id']}", None, writers),
    ]


async def test_each_request_is_open_to_its_roles_and_to_nobody_else(node: Node) -> None:
    tokens, requests = await _requests(node)
    (prefix_path,) = (
        path for method, path, *_ in requests if path.startswith("/prefixes/") and method == "GET"
    )
    for method, path, body, allowed in requests:
        for who in ("other", "reviewer", "operator", "own"):
            if who in allowed:
                continue
            before = await node.counts()
            status, problem, _ = await node.call(method, path, tokens[who], body)
            # Of another's prefix nothing is told, not even that somebody has applied for it.
            hidden = (who, method, path) == ("other", "GET", prefix_path)
            assert status == (404 if hidden else 403), (who, method, path, problem)
            assert problem["responseCode"] == (100 if hidden else 401)
            assert await node.counts() == before, (who, method, path)
    for method, path, body, allowed in requests:
        for who in sorted(allowed, reverse=True):  # "own" before the operator revokes its key
            status, answer, _ = await node.call(method, path, tokens[who], body)
            assert status not in (401, 403, 500), (who, method, path, answer)


async def test_without_a_good_token_nothing_is_open(node: Node) -> None:
    _, requests = await _requests(node)
    before = await node.counts()
    for method, path, body, _ in requests:
        status, problem, response = await node.call(method, path, None, body)
        assert (status, problem["responseCode"]) == (401, 402), (method, path)
        assert response.headers["WWW-Authenticate"] == "Bearer"
    for header in (
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Basic cm9vdDpyb290",
        node.operator,
        f"Bearer {node.operator[:-1]}",
        f"Bearer {node.operator}x",
        f"Bearer {node.operator.upper()}",
        f"Bearer {'x' * 600}",
    ):
        status, _, _ = await node.call("GET", "/prefixes", Authorization=header)
        assert status == 401, header
    assert await node.counts() == before


async def test_an_enterprise_sees_its_own_in_lists(node: Node) -> None:
    own, own_key = await node.enterprise(1)
    other, other_key = await node.enterprise(2)
    prefix = await node.prefix(own, own_key)
    await node.prefix(other, other_key)
    _, page, _ = await node.call("GET", "/prefixes", own_key)
    assert [item["prefix"] for item in page["items"]] == [prefix]
    _, page, _ = await node.call("GET", "/enterprises", own_key)
    assert [item["id"] for item in page["items"]] == [own]
    _, page, _ = await node.call("GET", "/prefixes", node.reviewer)
    assert len(page["items"]) == 2


async def test_an_idempotency_key_of_one_enterprise_tells_another_nothing(node: Node) -> None:
    own, own_key = await node.enterprise(1)
    other, other_key = await node.enterprise(2)
    body = {"enterprise_id": own, "hosting": "hosted"}
    status, first, _ = await node.call("POST", "/prefixes", own_key, body, Idempotency_Key="k")
    assert status == 201
    status, _, _ = await node.call("POST", "/prefixes", other_key, body, Idempotency_Key="k")
    assert status == 403
    body["enterprise_id"] = other
    status, second, _ = await node.call("POST", "/prefixes", other_key, body, Idempotency_Key="k")
    assert status == 201
    assert second["prefix"] != first["prefix"]
