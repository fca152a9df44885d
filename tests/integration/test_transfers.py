"""Prefixes go from one enterprise to another, with all that is under them, at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration import import_support, rest_support
from tests.integration.enterprise_support import approved, file, step
from tests.integration.registry_client import URL_VALUE, Node

_VALUES = {"values": [URL_VALUE]}
SECRET = "the secret of the old holder"


class Holder:
    """An enterprise: its id, a session of its administrator, and a key."""

    def __init__(self, id_: str, session: str, key: str) -> None:
        self.id, self.session, self.key = id_, session, key


async def holder(node: Node, number: int) -> Holder:
    enterprise, session = await approved(node, number)
    key = (await node.call("POST", f"/enterprises/{enterprise}/keys", session))[1]["key"]
    return Holder(enterprise, session, key)


async def given(node: Node) -> tuple[Holder, Holder, str]:
    """Return a holder with a prefix and SN-1 under it, another enterprise, and the prefix."""
    first, second = await holder(node, 1), await holder(node, 2)
    prefix = await node.prefix(first.id, first.key)
    assert (await node.call("PUT", f"/identifiers/{prefix}/SN-1", first.key, _VALUES))[0] == 201
    secret = {
        "index": 301,
        "type": "HS_SECKEY",
        "data": {"format": "string", "value": SECRET},
        "permissions": "1100",
    }
    note = {"index": 9, "type": "NOTE", "data": {"format": "string", "value": "kept"}}
    path = f"/identifiers/0.NA/{prefix}"
    assert (await node.call("PATCH", path, first.key, {"values": [secret, note]}))[0] == 200
    return first, second, prefix


async def transfer(node: Node, token: str, prefix: str, to: str) -> tuple[int, Any]:
    body = {"enterprise_id": to, "reason": "the line of goods was sold"}
    status, answer, _ = await node.call("POST", f"/prefixes/{prefix}/transfer", token, body)
    return status, answer


async def test_an_operator_transfers_at_once_and_the_old_holder_has_nothing_left(
    node: Node, tmp_path: Path
) -> None:
    first, second, prefix = await given(node)
    file_ = b"suffix,1:URL\nI-1,https://a.example/1\n"
    sent, queued = await import_support.send(node, first.key, file_, f"?format=csv&prefix={prefix}")
    assert sent == 202, queued
    status, made = await transfer(node, node.operator, prefix, second.id)
    assert (status, made["state"], made["from_enterprise"]) == (200, "done", first.id), made
    path = f"/identifiers/{prefix}/SN-1"
    for token in (first.key, first.session):
        assert (await node.call("GET", path, token))[0] == 403
        assert (await node.call("PUT", path, token, _VALUES))[0] == 403
        assert (await node.call("GET", f"/prefixes/{prefix}", token))[0] in (403, 404)
    assert (await node.call("GET", path, second.key))[0] == 200
    assert (await node.call("PUT", path, second.key, _VALUES))[0] == 200
    assert (await node.call("GET", f"{path}/history", second.key))[0] == 200
    ended = await import_support.worked_on(node, first.key, queued["id"])
    assert (ended["done"], ended["failed"]) == (0, 1), "files under way write no more"
    handle = (await node.call("GET", f"/identifiers/0.NA/{prefix}", second.key))[1]["values"]
    assert [(one["index"], one["type"]) for one in handle] == [
        (9, "NOTE"),
        (100, "HS_ADMIN"),
        (200, "HS_VLIST"),
    ]
    async with rest_support.serving(node.database.url, tmp_path) as front:
        old = rest_support.basic(f"301:0.NA/{prefix}", SECRET)
        value = [rest_support.value(1, "https://taken.example")]
        answer = await front.ask("PUT", f"/api/handles/{prefix}/SN-1", value, old)
        assert answer.status in (401, 403), "the secret of the old holder opens nothing"
        assert (await front.ask("GET", f"/api/handles/{prefix}/SN-1")).code == 1, "it resolves on"
    async with node.database.begin() as connection:
        filed = await connection.scalar(
            sa.text(
                "SELECT payload -> 'enterprise' ->> 'name' FROM outbox WHERE subject = :p"
                " ORDER BY id DESC LIMIT 1"
            ),
            {"p": prefix},
        )
        line = await connection.scalar(
            sa.text("SELECT detail FROM audit_log WHERE action = 'prefix.transfer'")
        )
    assert filed == "厦门第2水泵厂", "the top-level node learns of it"
    assert (line["from"], line["to"]) == (first.id, second.id)


async def test_both_enterprises_consent(node: Node) -> None:
    first, second, prefix = await given(node)
    third = await holder(node, 3)
    status, made = await transfer(node, first.session, prefix, second.id)
    assert (status, made["state"]) == (200, "offered"), made
    assert (await node.call("GET", f"/identifiers/{prefix}/SN-1", first.key))[0] == 200
    for one, count in ((first, 1), (second, 1), (third, 0)):
        listed = (await node.call("GET", "/transfers?state=offered", one.session))[1]["items"]
        assert len(listed) == count
    path = f"/prefixes/{prefix}/transfer"
    assert (await node.call("POST", f"{path}/accept", third.session))[0] == 404
    assert (await node.call("POST", f"{path}/accept", first.session))[0] == 404
    assert (await node.call("POST", f"{path}/accept", second.key))[0] == 403, "people consent"
    assert (await node.call("DELETE", path, third.session))[0] == 404
    assert (await transfer(node, first.session, prefix, third.id))[0] == 409
    status, done, _ = await node.call("POST", f"{path}/accept", second.session)
    assert (status, done["state"], done["ended_by"]) == (200, "done", "account:admin.2"), done
    assert (await node.call("GET", f"/identifiers/{prefix}/SN-1", second.key))[0] == 200
    assert (await node.call("GET", f"/identifiers/{prefix}/SN-1", first.key))[0] == 403
    assert (await node.call("POST", f"{path}/accept", second.session))[0] == 404


@pytest.mark.parametrize("who", ["first", "second", "operator"])
async def test_an_offer_is_withdrawn_or_declined(node: Node, who: str) -> None:
    first, second, prefix = await given(node)
    tokens = {"first": first.session, "second": second.session, "operator": node.operator}
    assert (await transfer(node, first.session, prefix, second.id))[0] == 200
    path = f"/prefixes/{prefix}/transfer"
    assert (await node.call("DELETE", path, tokens[who]))[0] == 204
    assert (await node.call("DELETE", path, tokens[who]))[0] == 404
    assert (await node.call("POST", f"{path}/accept", second.session))[0] == 404
    assert (await transfer(node, first.session, prefix, second.id))[1]["number"] == 2
    listed = (await node.call("GET", f"/transfers?prefix={prefix}&limit=1", node.reviewer))[1]
    assert [one["state"] for one in listed["items"]] == ["ended"]
    rest = (await node.call("GET", f"/transfers?cursor={listed['next']}", node.reviewer))[1]
    assert [one["state"] for one in rest["items"]] == ["offered"]


async def test_who_cannot_have_it_does_not_get_it(node: Node) -> None:
    first, second, prefix = await given(node)
    unapproved, _ = await file(node, 3)
    nobody = "00000000-0000-4000-8000-000000000000"
    before = await node.counts()
    for token in (node.operator, first.session):
        assert (await transfer(node, token, prefix, unapproved))[0] == 409
        assert (await transfer(node, token, prefix, nobody))[0] == 404
        assert (await transfer(node, token, prefix, first.id))[0] == 422
    for token, status in ((second.session, 404), (first.key, 403), (node.reviewer, 403)):
        assert (await transfer(node, token, prefix, second.id))[0] == status
    quota = f"/enterprises/{second.id}/prefix-quota"
    await node.call("PUT", quota, node.operator, {"quota": 0})
    assert (await transfer(node, node.operator, prefix, second.id))[0] == 409
    after = await node.counts()
    assert {name for name in after if after[name] != before[name]} == {"audit_log"}, "the quota"
    await node.call("PUT", quota, node.operator, {"quota": None})
    await step(node, second.id, "suspend", "because")
    assert (await transfer(node, node.operator, prefix, second.id))[0] == 409


async def test_a_prefix_that_is_not_given_out_is_not_transferred(node: Node) -> None:
    first, second, prefix = await given(node)
    await node.call("POST", f"/prefixes/{prefix}/revoke", node.reviewer, {"reason": "x"})
    assert (await transfer(node, node.operator, prefix, second.id))[0] == 409
    wish = {"enterprise_id": first.id, "hosting": "hosted"}
    pending = (await node.call("POST", "/prefixes", first.key, wish))[1]["prefix"]
    assert (await transfer(node, node.operator, pending, second.id))[0] == 409


async def test_an_offer_is_taken_once_and_not_when_it_was_withdrawn(node: Node) -> None:
    first, second, prefix = await given(node)
    path = f"/prefixes/{prefix}/transfer"
    for _ in range(3):
        assert (await transfer(node, first.session, prefix, second.id))[0] == 200
        answers = await asyncio.gather(
            *(node.call("POST", f"{path}/accept", second.session) for _ in range(3)),
            node.call("DELETE", path, first.session),
        )
        *accepted, withdrawn = (status for status, _, _ in answers)
        assert accepted.count(200) + (withdrawn == 204) == 1, "accepted once, or withdrawn"
        assert set(accepted) <= {200, 404}
        owner = await import_support.owner(node, prefix)
        assert owner == (second.id if 200 in accepted else first.id)
        if owner == second.id:
            assert (await transfer(node, node.operator, prefix, first.id))[0] == 200


async def test_writes_that_race_a_transfer_are_whole_or_refused(node: Node) -> None:
    first, second, prefix = await given(node)

    async def put(number: int) -> int:
        path = f"/identifiers/{prefix}/N-{number}"
        status: int = (await node.call("PUT", path, first.key, _VALUES))[0]
        return status

    asked: list[Any] = [put(number) for number in range(20)]
    asked.insert(10, transfer(node, node.operator, prefix, second.id))
    answers = await asyncio.gather(*asked)
    assert answers.pop(10)[0] == 200
    assert set(answers) <= {201, 403}
    assert await put(100) == 403
    async with node.database.begin() as connection:
        found = await connection.scalar(
            sa.text("SELECT count(*) FROM identifiers WHERE suffix LIKE 'N-%'")
        )
    assert found == answers.count(201)
