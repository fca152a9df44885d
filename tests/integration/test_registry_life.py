"""From an enterprise to an identifier and back, over HTTP, with what each step leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from protocol.errors import InvalidValue
from registry import principals
from registry.accounts import first as first_operator
from registry.schema import accounts, api_keys, audit_log, enterprises, outbox
from tests.integration.registry_client import CONTACT, SITE, Node, credit_code


async def _audit(node: Node) -> list[Any]:
    columns = (audit_log.c.actor, audit_log.c.action, audit_log.c.subject, audit_log.c.request_id)
    async with node.database.begin() as connection:
        return list((await connection.execute(sa.select(*columns).order_by(audit_log.c.seq))).all())


async def test_an_enterprise_is_registered_once_and_read_back(node: Node) -> None:
    body = {
        "name": "厦门泵业",
        "credit_code": credit_code(7),
        "industry": "C3441",
        "contact": CONTACT,
    }
    status, made, response = await node.call("POST", "/enterprises", node.operator, body)
    assert (status, made["status"]) == (201, "approved")
    assert response.headers["Location"] == f"/api/v1/enterprises/{made['id']}"
    status, read, _ = await node.call("GET", f"/enterprises/{made['id']}", node.operator)
    assert (status, read) == (200, made)
    assert {name: read[name] for name in body} == body
    status, problem, _ = await node.call("POST", "/enterprises", node.operator, body)
    assert (status, problem["field"]) == (409, "credit_code")


async def test_keys_open_the_door_until_they_are_revoked_or_expire(node: Node) -> None:
    enterprise, first = await node.enterprise(1)
    keys = f"/enterprises/{enterprise}/keys"
    status, made, _ = await node.call(
        "POST", keys, first, {"label": "line 2", "expires_at": "2999-01-01T00:00:00+08:00"}
    )
    assert (status, made["label"], made["expires_at"]) == (201, "line 2", "2998-12-31T16:00:00Z")
    second = made["key"]
    status, listed, response = await node.call("GET", keys, second)
    assert (status, len(listed["items"])) == (200, 2)
    assert second not in await response.text()
    assert all(set(key) == {*made} - {"key"} for key in listed["items"])

    for _ in range(2):  # to revoke it twice is no error
        status, _, _ = await node.call("DELETE", f"{keys}/{made['id']}", first)
        assert status == 204
    assert (await node.call("GET", keys, second))[0] == 401
    actions = [line.action for line in await _audit(node)]
    assert actions.count("key.revoke") == 1

    async with node.database.begin() as connection:
        await connection.execute(api_keys.update().values(expires_at=sa.func.now()))
    assert (await node.call("GET", keys, first))[0] == 401


async def test_keys_are_stored_as_hashes_alone(node: Node) -> None:
    _, key = await node.enterprise(1)
    async with node.database.begin() as connection:
        dump = await connection.scalar(
            sa.text(
                "SELECT string_agg(t::text, ' ') FROM (SELECT to_jsonb(k) AS t FROM api_keys k"
                " UNION ALL SELECT to_jsonb(o) FROM accounts o"
                " UNION ALL SELECT to_jsonb(a) FROM audit_log a) AS everything"
            )
        )
    assert principals.digest(key)[1].hex() in dump
    for token in (key, node.operator, node.reviewer):
        assert token not in dump


async def test_use_of_a_key_is_recorded_once_a_minute(node: Node) -> None:
    _, key = await node.enterprise(1)
    now = 1_800_000_000.0
    used = sa.select(sa.extract("epoch", api_keys.c.last_used_at)).where(
        api_keys.c.enterprise_id.is_not(None)
    )
    seen = []
    for seconds in (0, 59, 61, 100):
        async with node.database.begin() as connection:
            await principals.authenticate(connection, key, now + seconds)
        async with node.database.begin() as connection:
            seen.append(float(await connection.scalar(used)) - now)
    assert seen == [0, 0, 61, 61]


async def test_a_bootstrap_operator_is_made_once_and_changes_its_token(node: Node) -> None:
    first, second = "bootstrap-token-number-1", "bootstrap-token-number-2"
    for token in (first, first, second):
        async with node.database.begin() as connection:
            await first_operator.ensure_operator(connection, "boot", token)
    assert (await node.call("GET", "/prefixes", first))[0] == 401
    assert (await node.call("GET", "/prefixes", second))[0] == 200
    assert [line.action for line in await _audit(node)].count("account.ensure") == 2
    for name, token in (("boot", "short"), ("other", second), ("boot", "with space in the token")):
        with pytest.raises(InvalidValue) as caught:
            async with node.database.begin() as connection:
                await first_operator.ensure_operator(connection, name, token)
        assert caught.value.field == "token"


_ALLOWED = {
    "pending": {"approve": "active", "reject": "rejected"},
    "active": {"suspend": "suspended", "revoke": "revoked"},
    "suspended": {"resume": "active", "revoke": "revoked"},
    "rejected": {},
    "revoked": {},
}
_WAY_TO = {
    "pending": (),
    "active": ("approve",),
    "suspended": ("approve", "suspend"),
    "rejected": ("reject",),
    "revoked": ("approve", "revoke"),
}
_REASON = {"reason": "checked"}


@pytest.mark.parametrize("state", _WAY_TO)
async def test_a_prefix_goes_from_state_to_state_as_the_machine_says(
    node: Node, state: str
) -> None:
    enterprise, key = await node.enterprise(1)
    for number, step in enumerate(("approve", "reject", "suspend", "resume", "revoke"), 1):
        prefix = f"88.118.{number}"
        body = {"enterprise_id": enterprise, "hosting": "hosted", "prefix": prefix}
        assert (await node.call("POST", "/prefixes", key, body))[0] == 201
        for earlier in _WAY_TO[state]:
            path = f"/prefixes/{prefix}/{earlier}"
            assert (await node.call("POST", path, node.reviewer, _REASON))[0] == 200
        before = await node.counts()
        node.changes.clear()
        status, answer, _ = await node.call(
            "POST", f"/prefixes/{prefix}/{step}", node.reviewer, _REASON
        )
        after = _ALLOWED[state].get(step)
        if after is None:
            assert status == 409, (step, answer)
            assert state in answer["detail"]
            assert await node.counts() == before
            assert node.changes == []
        else:
            assert (status, answer["status"], answer["reason"]) == (200, after, "checked")
            made = [("0.NA", [prefix])] if step == "approve" else []
            assert node.changes == [*made, (prefix, None)]
            filed = (await node.counts())["outbox"] - before["outbox"]
            assert filed == (after != "rejected")


async def test_the_top_level_node_is_told_the_state_that_was_reached(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key, hosting="delegated", site=SITE)
    await node.call("POST", f"/prefixes/{prefix}/suspend", node.operator, _REASON)
    async with node.database.begin() as connection:
        rows = await connection.execute(sa.select(outbox.c.payload).order_by(outbox.c.id))
        filed = rows.scalars().all()
    assert [message["status"] for message in filed] == ["active", "suspended"]
    assert filed[0]["site"]["servers"][0]["address"] == "192.0.2.7"


async def test_a_delegated_prefix_is_served_by_a_site_or_by_a_service(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    body = {"enterprise_id": enterprise, "hosting": "delegated", "prefix": "88.118.7"}
    for more, field in (
        ({}, "site"),
        ({"site": SITE, "service": "0.SERV/X"}, "service"),
        ({"hosting": "hosted", "service": "0.SERV/X"}, "service"),
        ({"service": "no slash"}, "service"),
        ({"service": "/X"}, "service"),
        ({"service": "88.118.7/NODE"}, "service"),
        ({"service": "0.na/88.118.7"}, "service"),
        ({"service": "88.118.7.5/NODE"}, "service"),
        ({"service": 7}, "service"),
    ):
        status, problem, _ = await node.call("POST", "/prefixes", key, {**body, **more})
        assert (status, problem["field"]) == (422, field), (more, problem)
    assert (await node.counts())["prefixes"] == 0
    prefix = await node.prefix(
        enterprise, key, hosting="delegated", prefix="88.118.7", service="0.SERV/Pumps"
    )
    status, shown, _ = await node.call("GET", f"/prefixes/{prefix}", key)
    assert (shown["hosting"], shown["site"], shown["service"]) == (
        "delegated",
        None,
        "0.SERV/Pumps",
    )
    other = await node.prefix(enterprise, key, hosting="delegated", service=f"{prefix}9/NODE")
    assert other == "88.118.1"
    async with node.database.begin() as connection:
        rows = await connection.execute(sa.select(outbox.c.payload).order_by(outbox.c.id))
        filed = rows.scalars().all()
    assert [(one["site"], one["service"]) for one in filed] == [
        (None, "0.SERV/Pumps"),
        (None, "88.118.79/NODE"),
    ]


async def test_numbers_are_given_out_from_the_lowest_and_never_again(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    given = [await node.prefix(enterprise, key) for _ in range(2)]
    await node.prefix(enterprise, key, prefix="88.118.4")
    assert (await node.call("POST", "/prefixes/88.118.1/revoke", node.operator, _REASON))[0] == 200
    given += [await node.prefix(enterprise, key) for _ in range(2)]
    assert given == ["88.118.1", "88.118.2", "88.118.3", "88.118.5"]
    body = {"enterprise_id": enterprise, "hosting": "hosted", "prefix": "88.118.1"}
    status, problem, _ = await node.call("POST", "/prefixes", key, body)
    assert (status, problem["field"]) == (409, "prefix")


async def test_a_prefix_may_begin_its_number_with_zeros_but_not_to_look_like_another(
    node: Node,
) -> None:
    enterprise, key = await node.enterprise(1)
    assert await node.prefix(enterprise, key, prefix="88.118.0001") == "88.118.0001"
    assert await node.prefix(enterprise, key) == "88.118.2"
    for wish in ("88.118.1", "88.118.002"):
        body = {"enterprise_id": enterprise, "hosting": "hosted", "prefix": wish}
        status, problem, _ = await node.call("POST", "/prefixes", key, body)
        assert (status, problem["field"]) == (409, "prefix"), wish


async def test_lists_are_cut_into_pages_that_miss_nothing(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    for number in range(2, 5):
        await node.enterprise(number)
    prefixes = [await node.prefix(enterprise, key) for _ in range(5)]
    await node.call("POST", "/prefixes/88.118.2/suspend", node.operator, _REASON)
    for path, name, count in (
        ("/enterprises?limit=2", "id", 4),
        ("/prefixes?limit=2", "prefix", 5),
        ("/prefixes?status=active&limit=3", "prefix", 4),
        ("/prefixes?status=suspended", "prefix", 1),
        (f"/enterprises/{enterprise}/keys?limit=1", "id", 1),
    ):
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            mark = "&" if "?" in path else "?"
            more = f"{mark}cursor={cursor}" if cursor else ""
            status, page, _ = await node.call("GET", path + more, node.operator)
            assert status == 200, page
            found += [item[name] for item in page["items"]]
            cursor = page["next"]
        assert len(found) == len(set(found)) == count, path
        if name == "prefix":
            assert found == sorted(found)
            assert set(found) <= set(prefixes)


async def test_each_write_has_its_line_in_the_audit_log_with_the_request_id(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    before = len(await _audit(node))
    body = {"values": []}
    path = f"/identifiers/{prefix}/SN-1"
    await node.call("PUT", path, key, body, X_Request_Id="put-1")
    await node.call("PUT", path, key, body, X_Request_Id="put-2", If_None_Match="*")
    await node.call("GET", path, key, X_Request_Id="get-1")
    await node.call("DELETE", path, key, X_Request_Id="delete-1")
    reason = {"reason": "end of contract"}
    await node.call("POST", f"/prefixes/{prefix}/revoke", node.reviewer, reason, X_Request_Id="r")
    lines = (await _audit(node))[before:]
    async with node.database.begin() as connection:
        key_id = await connection.scalar(
            sa.select(api_keys.c.id).where(api_keys.c.enterprise_id.is_not(None))
        )
    assert [tuple(line) for line in lines] == [
        (f"key:{key_id}", "identifier.put", f"{prefix}/SN-1", "put-1"),
        (f"key:{key_id}", "identifier.delete", f"{prefix}/SN-1", "delete-1"),
        ("account:desk", "prefix.revoke", prefix, "r"),
    ]


async def test_applications_at_the_same_time_get_numbers_of_their_own(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    body = {"enterprise_id": enterprise, "hosting": "hosted"}
    wished = {**body, "prefix": "88.118.3"}
    answers = await asyncio.gather(
        *(node.call("POST", "/prefixes", key, body) for _ in range(9)),
        *(node.call("POST", "/prefixes", key, wished) for _ in range(2)),
    )
    given = [answer["prefix"] for status, answer, _ in answers if status == 201]
    assert len(given) == len(set(given))
    assert "88.118.3" in given
    # Only who wished for a number that another got may be refused.
    assert [status for status, _, _ in answers[:9]] == [201] * 9
    assert {status for status, _, _ in answers[9:]} <= {201, 409}


async def test_revoked_operators_and_closed_enterprises_are_shut_out(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    async with node.database.begin() as connection:
        await connection.execute(enterprises.update().values(status="closed"))
        await connection.execute(
            accounts.update().where(accounts.c.name == "desk").values(status="disabled")
        )
    assert (await node.call("GET", "/prefixes", key))[0] == 401
    assert (await node.call("GET", "/prefixes", node.reviewer))[0] == 401
    before = await node.counts()
    body = {"enterprise_id": enterprise, "hosting": "hosted"}
    assert (await node.call("POST", "/prefixes", node.operator, body))[0] == 409
    assert (await node.call("POST", f"/enterprises/{enterprise}/keys", node.operator))[0] == 409
    assert await node.counts() == before
