"""Single registrations that come at the same time share transactions, and nobody can tell."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from protocol.identifier import Identifier
from registry.api.identifiers import GROUPS
from registry.batch import Put, groups
from registry.identifiers import Condition
from registry.schema import audit_log, change_log
from tests.integration.registry_client import URL_VALUE, Node

Works = tuple[str, str]
"""An enterprise's key and its prefix."""

COUNT = 60


def body(text: str) -> dict[str, Any]:
    return {"values": [{**URL_VALUE, "data": {"format": "string", "value": text}}]}


async def put(
    node: Node, key: str, name: str, text: str = "x", **headers: str
) -> tuple[int, Any, Any]:
    return await node.call("PUT", f"/identifiers/{name}", key, body(text), **headers)


async def text_of(node: Node, key: str, name: str) -> str:
    status, found, _ = await node.call("GET", f"/identifiers/{name}", key)
    assert status == 200, found
    text: str = found["values"][0]["data"]["value"]
    return text


async def transactions(node: Node) -> int:
    """Return how many transactions have written identifiers so far."""
    async with node.database.begin() as connection:
        query = sa.select(sa.func.count(sa.distinct(change_log.c.txid)))
        return (await connection.execute(query)).scalar_one()


async def test_they_share_transactions_and_each_is_answered_and_logged_as_its_own(
    node: Node, works: Works
) -> None:
    key, prefix = works
    before = await transactions(node)
    answers = await asyncio.gather(
        *(
            put(node, key, f"{prefix}/a-{n}", f"text {n}", X_Request_Id=f"request-{n}")
            for n in range(COUNT)
        )
    )
    assert [status for status, _, _ in answers] == [201] * COUNT
    assert await transactions(node) - before < COUNT / 2, "they did not wait for each other"
    for n, (_, answer, response) in enumerate(answers):
        status, found, again = await node.call("GET", f"/identifiers/{prefix}/a-{n}", key)
        assert (status, found) == (200, answer), "the answer is what is registered"
        assert response.headers["ETag"] == again.headers["ETag"]
        assert found["values"][0]["data"]["value"] == f"text {n}"
    async with node.database.begin() as connection:
        query = sa.select(audit_log).where(audit_log.c.action == "identifier.put")
        lines = {row.subject: row for row in await connection.execute(query)}
    for n, (_, answer, _) in enumerate(answers):
        line = lines[f"{prefix}/a-{n}"]
        assert line.detail["version"] == answer["version"]
        assert line.request_id == f"request-{n}"
        assert set(line.detail) == {"version", "values_sha256"}
        assert line.actor.startswith("key:")
    forgotten = {suffix for _, suffixes in node.changes for suffix in suffixes or ()}
    assert {f"A-{n}" for n in range(COUNT)} <= forgotten


async def test_each_is_refused_for_its_own_reason_alone(node: Node, works: Works) -> None:
    key, prefix = works
    assert (await put(node, key, f"{prefix}/there"))[0] == 201
    wrong = body("x")
    wrong["values"][0]["index"] = 0
    note = {"values": [{"index": 7, "type": "NOTE", "data": "x"}]}
    path = f"/identifiers/{prefix}"
    answers = await asyncio.gather(
        *(put(node, key, f"{prefix}/good-{n}") for n in range(10)),
        node.call("PUT", f"{path}/wrong", key, wrong),
        node.call("PUT", f"{path}/none", key, {**body("x"), "template": "none"}),
        put(node, key, f"{prefix}/there", If_None_Match="*"),
        put(node, key, f"{prefix}/absent", If_Match='"1"'),
        put(node, key, "88.118.999/x"),
        put(node, key, f"{prefix}/template/x"),
        put(node, "not-a-token-of-anybody", f"{prefix}/y"),
        put(node, node.reviewer, f"{prefix}/y"),
        node.call("PUT", "/identifiers/0.NA/88.118", key, note),
    )
    found = [(status, problem.get("field")) for status, problem, _ in answers]
    assert found == [
        *[(201, None)] * 10,
        (422, "values[0].index"),
        (422, "template"),
        (412, "If-None-Match"),
        (412, "If-Match"),
        (400, None),
        (400, "suffix"),
        (401, None),
        (403, None),
        (403, None),
    ]


async def test_writes_to_one_identifier_keep_their_order_and_each_is_a_version(
    node: Node, works: Works
) -> None:
    key, prefix = works
    answers = await asyncio.gather(*(put(node, key, f"{prefix}/one", f"{n}") for n in range(20)))
    assert sorted(status for status, _, _ in answers) == [200] * 19 + [201]
    versions = {answer["version"]: answer for _, answer, _ in answers}
    assert len(versions) == 20
    _, history, _ = await node.call("GET", f"/identifiers/{prefix}/one/history", key)
    assert {each["version"] for each in history["items"]} == set(versions)
    last = versions[max(versions)]["values"][0]["data"]["value"]
    assert await text_of(node, key, f"{prefix}/one") == last


async def test_no_transaction_waits_for_more_than_there_are(
    node: Node, works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was answered and has sent the next is not waited for twice."""
    key, prefix = works
    monkeypatch.setattr(groups, "GATHERING", 5.0)
    app = node.client.app
    assert app is not None
    writers = app[GROUPS]

    async def client(number: int) -> None:
        for turn in range(20):
            name = Identifier.of(prefix, f"{number}-{turn}")
            done = await writers.put(key, Put(name, [URL_VALUE], None, Condition()))
            assert done.what == "created"

    async with asyncio.timeout(45):  # 20 times GATHERING are more
        await asyncio.gather(*(client(number) for number in range(32)))


async def test_of_many_that_want_to_be_first_one_is(node: Node, works: Works) -> None:
    key, prefix = works
    names = [f"{prefix}/{n % 4}" for n in range(32)]
    answers = await asyncio.gather(*(put(node, key, name, If_None_Match="*") for name in names))
    assert sorted(status for status, _, _ in answers) == [201] * 4 + [412] * 28


async def test_enterprises_that_write_at_the_same_time_stay_apart(node: Node) -> None:
    tenants = []
    for number in (1, 2, 3):
        enterprise, key = await node.enterprise(number)
        tenants.append((key, await node.prefix(enterprise, key)))
    calls = []
    for n in range(15):
        for at, (key, prefix) in enumerate(tenants):
            other = tenants[(at + 1) % 3][1]
            calls += [put(node, key, f"{prefix}/{n}"), put(node, key, f"{other}/taken-{n}")]
    answers = await asyncio.gather(*calls)
    assert [status for status, _, _ in answers] == [201, 403] * 45


async def test_one_that_waits_for_a_lock_does_not_hold_up_the_others(
    node: Node, works: Works
) -> None:
    key, prefix = works
    assert (await put(node, key, f"{prefix}/held"))[0] == 201
    async with node.database.begin() as connection:
        await connection.execute(
            sa.text("SELECT FROM identifiers WHERE suffix_key = 'HELD' FOR UPDATE")
        )
        names = [f"{prefix}/{n}" for n in range(10)]
        held = asyncio.create_task(put(node, key, f"{prefix}/held", "later"))
        others = await asyncio.gather(*(put(node, key, name) for name in names))
        assert [status for status, _, _ in others] == [201] * 10
        assert not held.done(), "the lock is still held"
    assert (await held)[0] == 200
    assert await text_of(node, key, f"{prefix}/held") == "later"


async def test_one_that_waits_for_a_lock_within_a_group_goes_on_alone(
    node: Node, works: Works
) -> None:
    key, prefix = works
    names = ["held", *(str(n) for n in range(10))]
    for name in ("held", "first"):
        assert (await put(node, key, f"{prefix}/{name}"))[0] == 201
    async with node.database.begin() as connection:
        await connection.execute(
            sa.text("SELECT FROM identifiers WHERE suffix_key = 'HELD' FOR UPDATE")
        )
        first = asyncio.create_task(put(node, key, f"{prefix}/first"))
        calls = [asyncio.create_task(put(node, key, f"{prefix}/{name}", "new")) for name in names]
        assert (await first)[0] == 200
        done = await asyncio.gather(*calls[1:])
        assert [status for status, _, _ in done] == [201] * 10
        assert not calls[0].done(), "the lock is still held"
    assert (await calls[0])[0] == 200
