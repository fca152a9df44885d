"""What each state of an enterprise means: for its people, its keys, its prefixes and resolution."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from registry.enterprises.status import STATES
from registry.enterprises.steps import STEPS
from tests.integration import rest_support
from tests.integration.enterprise_support import approved, file, filing, step
from tests.integration.registry_client import URL_VALUE, Node
from tests.integration.tenants import PASSWORD

_WAY = {
    "filed": (),
    "under_review": ("review",),
    "approved": ("review", "approve"),
    "rejected": ("review", "reject"),
    "suspended": ("review", "approve", "suspend"),
    "closed": ("close",),
}
_VALUES = {"values": [URL_VALUE]}


@pytest.mark.parametrize("state", STATES)
async def test_from_each_state_exactly_its_steps_are_taken(node: Node, state: str) -> None:
    for number, name in enumerate(STEPS, 1):
        enterprise, _ = await node.enterprise(number)
        async with node.database.begin() as connection:
            await connection.execute(
                sa.text("UPDATE enterprises SET status = :state WHERE id = :id"),
                {"state": state, "id": enterprise},
            )
        path = f"/enterprises/{enterprise}/{name}"
        status, after, _ = await node.call("POST", path, node.reviewer, {"reason": "because"})
        if state in STEPS[name].before:
            assert (status, after["status"]) == (200, STEPS[name].after), (state, name)
        else:
            assert status == 409, (state, name, after)
            assert after["detail"].endswith(f"but it is {state}")


@pytest.mark.parametrize("name", ["reject", "suspend", "close"])
async def test_who_decides_against_an_enterprise_says_why(node: Node, name: str) -> None:
    enterprise, _ = await file(node, 1)
    for body in (None, {}, {"reason": " "}, {"reason": "x" * 1001}, {"reason": "a\u202eb"}):
        status, refused, _ = await node.call(
            "POST", f"/enterprises/{enterprise}/{name}", node.reviewer, body
        )
        assert (status, refused["field"]) == (422, "reason"), (body, refused)


async def test_steps_are_for_who_decides(node: Node) -> None:
    enterprise, session = await approved(node, 1)
    key = (await node.call("POST", f"/enterprises/{enterprise}/keys", session))[1]["key"]
    for name in STEPS:
        for token in (key, session):
            if name == "refile" and token == session:
                continue
            path = f"/enterprises/{enterprise}/{name}"
            assert (await node.call("POST", path, token, {"reason": "x"}))[0] == 403, name
    nobody = "/enterprises/00000000-0000-4000-8000-000000000000"
    assert (await node.call("POST", f"{nobody}/review", node.reviewer))[0] == 404
    assert (await node.call("GET", f"{nobody}/steps", node.reviewer))[0] == 404


async def _with_prefix(node: Node) -> tuple[str, str, str, str]:
    """Return an enterprise, a session of it, a key, and a prefix with SN-1 under it."""
    enterprise, session = await approved(node, 1)
    key = (await node.call("POST", f"/enterprises/{enterprise}/keys", session))[1]["key"]
    prefix = await node.prefix(enterprise, key)
    assert (await node.call("PUT", f"/identifiers/{prefix}/SN-1", key, _VALUES))[0] == 201
    return enterprise, session, key, prefix


async def test_suspended_it_reads_and_resolves_and_writes_nothing(
    node: Node, tmp_path: Path
) -> None:
    enterprise, session, key, prefix = await _with_prefix(node)
    await step(node, enterprise, "suspend", "fees are not paid")
    path = f"/identifiers/{prefix}/SN-1"
    assert (await node.call("GET", path, key))[0] == 401, "its keys open nothing"
    assert (await node.call("GET", path, session))[0] == 200, "its people read"
    assert (await node.call("PUT", path, session, _VALUES))[0] == 403
    for method, body in (("PUT", _VALUES), ("PATCH", _VALUES), ("DELETE", None)):
        status, refused, _ = await node.call(method, path, node.operator, body)
        assert status == 409, "nobody writes under its prefixes"
        assert "of a suspended enterprise" in refused["detail"]
    status, refused, _ = await node.call(
        "POST",
        "/ranges",
        node.operator,
        {"prefix": prefix, "first": "R-1", "last": "R-9"} | _VALUES,
    )
    assert status == 409, refused
    body = {"enterprise_id": enterprise, "hosting": "hosted"}
    assert (await node.call("POST", "/prefixes", node.operator, body))[0] == 409
    async with rest_support.serving(node.database.url, tmp_path) as front:
        answer = await front.ask("GET", f"/api/handles/{prefix}/SN-1")
        assert (answer.status, answer.code) == (200, 1), "labels in the world go on resolving"
    await step(node, enterprise, "resume")
    assert (await node.call("PUT", path, key, _VALUES))[0] == 200


async def test_a_prefix_becomes_active_while_its_enterprise_is_approved_alone(node: Node) -> None:
    enterprise, _, key, prefix = await _with_prefix(node)
    wish = {"enterprise_id": enterprise, "hosting": "hosted"}
    pending = (await node.call("POST", "/prefixes", key, wish))[1]["prefix"]
    path = f"/prefixes/{prefix}"
    assert (await node.call("POST", f"{path}/suspend", node.reviewer, {"reason": "x"}))[0] == 200
    await step(node, enterprise, "suspend", "because")
    assert (await node.call("POST", f"{path}/resume", node.reviewer))[0] == 409
    assert (await node.call("POST", f"/prefixes/{pending}/approve", node.reviewer))[0] == 409
    await step(node, enterprise, "resume")
    assert (await node.call("POST", f"{path}/resume", node.reviewer))[0] == 200


async def test_closed_everything_of_it_ends_for_good(node: Node, tmp_path: Path) -> None:
    enterprise, session, key, prefix = await _with_prefix(node)
    wish = {"enterprise_id": enterprise, "hosting": "hosted"}
    pending = (await node.call("POST", "/prefixes", key, wish))[1]["prefix"]
    await step(node, enterprise, "close", "dissolved")
    for token in (key, session):
        assert (await node.call("GET", "/me", token))[0] == 401
    credentials = {"name": "admin.1", "password": PASSWORD}
    assert (await node.call("POST", "/sessions", None, credentials))[0] == 401
    keys = (await node.call("GET", f"/enterprises/{enterprise}/keys", node.operator))[1]["items"]
    assert [one["revoked_at"] is not None for one in keys] == [True]
    for name, state in ((prefix, "revoked"), (pending, "rejected")):
        after = (await node.call("GET", f"/prefixes/{name}", node.operator))[1]
        assert (after["status"], after["reason"]) == (state, "dissolved")
        status, _, _ = await node.call("POST", "/prefixes", node.operator, wish | {"prefix": name})
        assert status == 409, "its enterprise is closed"
    async with rest_support.serving(node.database.url, tmp_path) as front:
        answer = await front.ask("GET", f"/api/handles/{prefix}/SN-1")
        assert answer.code != 1, "it resolves no longer"
    async with node.database.begin() as connection:
        left = await connection.scalar(
            sa.text(
                "SELECT count(*) FROM sessions AS s JOIN accounts AS a ON a.id = s.account_id"
                " WHERE a.enterprise_id = :id"
            ),
            {"id": enterprise},
        )
        filed = await connection.scalar(
            sa.text(
                "SELECT payload ->> 'status' FROM outbox WHERE subject = :prefix"
                " ORDER BY id DESC LIMIT 1"
            ),
            {"prefix": prefix},
        )
    assert (left, filed) == (0, "revoked"), "the top-level node learns of it"
    path = f"/enterprises/{enterprise}"
    new = {name: value for name, value in filing(1).items() if name != "administrator"}
    assert (await node.call("PUT", path, node.operator, new))[0] == 409
    assert (await node.call("POST", f"{path}/keys", node.operator))[0] == 409


async def test_what_is_written_while_it_is_suspended_is_refused_whoever_is_first(
    node: Node,
) -> None:
    enterprise, _, _, prefix = await _with_prefix(node)

    async def put(number: int) -> int:
        path = f"/identifiers/{prefix}/N-{number}"
        status: int = (await node.call("PUT", path, node.operator, _VALUES))[0]
        return status

    async def suspend() -> int:
        path = f"/enterprises/{enterprise}/suspend"
        status: int = (await node.call("POST", path, node.reviewer, {"reason": "x"}))[0]
        return status

    registered = 0
    for start in range(0, 60, 20):
        asked = [put(start + number) for number in range(20)]
        asked.insert(10, suspend())
        answers = await asyncio.gather(*asked)
        assert answers.pop(10) == 200
        assert set(answers) <= {201, 409}
        registered += answers.count(201)
        async with node.database.begin() as connection:
            found = await connection.scalar(
                sa.text("SELECT count(*) FROM identifiers WHERE suffix LIKE 'N-%'")
            )
        assert found == registered, "what was acknowledged is there, what was refused is not"
        assert await put(start) == 409
        await step(node, enterprise, "resume")


async def test_steps_at_once_are_taken_once(node: Node) -> None:
    enterprise, _ = await file(node, 1)
    path = f"/enterprises/{enterprise}/review"
    answers = await asyncio.gather(*(node.call("POST", path, node.reviewer) for _ in range(8)))
    assert sorted(status for status, _, _ in answers) == [200] + [409] * 7
    steps = (await node.call("GET", f"/enterprises/{enterprise}/steps", node.operator))[1]["items"]
    assert [one["number"] for one in steps] == [1, 2]
