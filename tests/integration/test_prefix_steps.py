"""What became of a prefix: each step with who, when and why."""

from __future__ import annotations

import importlib

import sqlalchemy as sa

from registry.database import Database
from tests.integration.registry_client import SITE, Node, running


async def _steps(node: Node, prefix: str, token: str) -> list[tuple[str, ...]]:
    status, page, _ = await node.call("GET", f"/prefixes/{prefix}/steps", token)
    assert status == 200, page
    return [
        (one["step"], one["before"], one["after"], one["actor"], one["reason"])
        for one in page["items"]
    ]


async def test_each_step_is_kept_with_who_took_it_and_why(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    other, other_key = await node.enterprise(2)
    prefix = await node.prefix(enterprise, key)
    key_id = (await node.call("GET", "/me", key))[1]["id"]
    path = f"/prefixes/{prefix}"
    for name in ("suspend", "resume"):
        body = {"reason": f"to {name}"}
        assert (await node.call("POST", f"{path}/{name}", node.reviewer, body))[0] == 200
    away = {"hosting": "delegated", "site": SITE, "force": True, "reason": "own node"}
    assert (await node.call("PUT", f"{path}/hosting", node.operator, away))[0] == 200
    sold = {"enterprise_id": other, "reason": "sold"}
    assert (await node.call("POST", f"{path}/transfer", node.operator, sold))[0] == 200
    refused = await node.call("POST", f"{path}/approve", node.reviewer)
    assert refused[0] == 409, "what is refused is no step"
    desk, root = "account:desk", "account:root"
    assert await _steps(node, prefix, other_key) == [
        ("apply", None, "pending", f"key:{key_id}", None),
        ("approve", "pending", "active", desk, None),
        ("suspend", "active", "suspended", desk, "to suspend"),
        ("resume", "suspended", "active", desk, "to resume"),
        ("hosting", "active", "active", root, "own node"),
        ("transfer", "active", "active", root, "sold"),
    ]
    assert (await node.call("GET", f"{path}/steps", key))[0] in (403, 404)
    first = (await node.call("GET", f"{path}/steps?limit=4", node.operator))[1]
    rest = (await node.call("GET", f"{path}/steps?cursor={first['next']}", node.operator))[1]
    assert [one["number"] for one in (*first["items"], *rest["items"])] == [1, 2, 3, 4, 5, 6]
    assert (await node.call("GET", "/prefixes/88.118.99/steps", node.operator))[0] == 404


async def test_what_was_done_before_is_taken_from_the_audit_log(database: Database) -> None:
    async with running(database) as node:
        enterprise, key = await node.enterprise(1)
        prefix = await node.prefix(enterprise, key)
        body = {"reason": "fees"}
        await node.call("POST", f"/prefixes/{prefix}/suspend", node.reviewer, body)
        kept = await _steps(node, prefix, key)
        assert len(kept) == 3
        migration = importlib.import_module("registry.migrations.versions.0027_prefix_steps")
        async with database.begin() as connection:
            await connection.execute(sa.text("DELETE FROM prefix_steps"))
            await connection.execute(sa.text(migration.FILL))
        assert await _steps(node, prefix, key) == kept
