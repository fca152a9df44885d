"""Accounts over HTTP: who makes them, how they sign in, and what ends a session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import argon2
import pytest
import sqlalchemy as sa

from registry.accounts import passwords, sessions
from registry.database import Database, migrate
from registry.principals import SESSION_IDLE
from registry.schema import accounts, audit_log
from registry.schema import sessions as sessions_table
from tests.integration.registry_client import URL_VALUE, Node, running

PASSWORD = "quiet heron 47 over the lock"
OTHER = "nine copper bells, one ferry"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def node(database: Database, clock: Clock) -> AsyncIterator[Node]:
    async with running(database, clock) as node:
        yield node


async def account(node: Node, name: str, role: str, **more: Any) -> dict[str, Any]:
    body = {"name": name, "role": role, "password": PASSWORD, **more}
    status, made, _ = await node.call("POST", "/accounts", node.operator, body)
    assert status == 201, made
    return dict(made)


async def sign_in(node: Node, name: str, password: str = PASSWORD) -> str:
    body = {"name": name, "password": password}
    status, session, response = await node.call("POST", "/sessions", None, body)
    assert status == 201, session
    assert response.headers["Cache-Control"] == "no-store"
    token: str = session["token"]
    return token


async def test_an_account_signs_in_works_and_signs_out(node: Node) -> None:
    made = await account(node, "li.na", "operator")
    assert made["has_password"] is True
    token = await sign_in(node, "li.na")
    status, me, _ = await node.call("GET", "/me", token)
    assert status == 200
    assert (me["kind"], me["role"], me["id"], me["name"]) == (
        "account",
        "operator",
        made["id"],
        "li.na",
    )
    assert len(me["scopes"]) == 8
    enterprise, _ = await node.enterprise(1)
    status, _, _ = await node.call("GET", f"/enterprises/{enterprise}", token)
    assert status == 200
    assert (await node.call("DELETE", "/sessions/current", token))[0] == 204
    assert (await node.call("GET", "/me", token))[0] == 401
    assert (await node.call("DELETE", "/sessions/current", node.operator))[0] == 409
    async with node.database.begin() as connection:
        dump = await connection.scalar(
            sa.text(
                "SELECT string_agg(t::text, ' ') FROM (SELECT to_jsonb(a) AS t FROM accounts a"
                " UNION ALL SELECT to_jsonb(l) FROM audit_log l) AS everything"
            )
        )
    assert PASSWORD not in dump
    assert "argon2id" in dump
    assert '"action": "session.begin"' in dump
    assert '"action": "session.end"' in dump


async def test_a_session_ends_when_it_is_idle_and_after_its_longest_life(
    node: Node, clock: Clock
) -> None:
    await account(node, "li.na", "operator")
    idle, busy = await sign_in(node, "li.na"), await sign_in(node, "li.na")
    began, step = clock.now, SESSION_IDLE.total_seconds() - 1
    while clock.now + step < began + sessions.LIFE.total_seconds():
        clock.now += step
        assert (await node.call("GET", "/me", busy))[0] == 200
        if clock.now > began + step:
            assert (await node.call("GET", "/me", idle))[0] == 401
    clock.now = began + sessions.LIFE.total_seconds()
    assert (await node.call("GET", "/me", busy))[0] == 401


async def test_an_account_has_a_bounded_number_of_sessions(node: Node, clock: Clock) -> None:
    await account(node, "li.na", "operator")
    tokens = []
    for _ in range(sessions.MAX_SESSIONS + 2):
        clock.now += 1
        tokens.append(await sign_in(node, "li.na"))
    statuses = [(await node.call("GET", "/me", token))[0] for token in tokens]
    assert statuses == [401, 401] + [200] * sessions.MAX_SESSIONS


@pytest.mark.parametrize("how", ["unknown", "wrong", "no password", "disabled", "deleted"])
async def test_whoever_cannot_sign_in_gets_one_and_the_same_answer(
    node: Node, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await account(node, "wrong", "operator")
    body = {"name": "no.password", "role": "operator"}
    assert (await node.call("POST", "/accounts", node.operator, body))[0] == 201
    for name, change in (
        ("disabled", ("PATCH", {"status": "disabled"})),
        ("deleted", ("DELETE", None)),
    ):
        path = f"/accounts/{(await account(node, name, 'operator'))['id']}"
        assert (await node.call(change[0], path, node.operator, change[1]))[0] in (200, 204)
    given = "some other words 58 here" if how == "wrong" else PASSWORD
    worked_out: list[str] = []

    class Counted(argon2.PasswordHasher):
        def verify(self, stored: str | bytes, password: str | bytes) -> Literal[True]:
            worked_out.append(str(stored))
            return super().verify(stored, password)

    monkeypatch.setattr(passwords, "_hasher", Counted())
    body = {"name": how.replace(" ", "."), "password": given}
    status, problem, _ = await node.call("POST", "/sessions", None, body)
    assert status == 401
    assert problem["detail"] == "the name or the password is wrong"
    assert "field" not in problem
    (stored,) = worked_out
    assert "$m=19456,t=2,p=1$" in stored, "it takes as long as for who may sign in"


async def test_an_auditor_reads_everything_and_changes_nothing(node: Node) -> None:
    await account(node, "wang", "auditor")
    token = await sign_in(node, "wang")
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    await node.call("PUT", f"/identifiers/{prefix}/A", key, {"values": [URL_VALUE]})
    for path in (
        "/enterprises",
        f"/enterprises/{enterprise}",
        f"/enterprises/{enterprise}/keys",
        "/prefixes",
        f"/prefixes/{prefix}",
        f"/identifiers/{prefix}/A",
        f"/identifiers/{prefix}/A/history",
        "/accounts",
        "/imports",
    ):
        assert (await node.call("GET", path, token))[0] == 200, path
    before = await node.counts()
    for method, path, body in (
        ("POST", "/accounts", {"name": "x", "role": "auditor"}),
        ("POST", f"/enterprises/{enterprise}/keys", {}),
        ("POST", "/prefixes", {"enterprise_id": enterprise, "hosting": "hosted"}),
        ("POST", f"/prefixes/{prefix}/suspend", {"reason": "x"}),
        ("PUT", f"/identifiers/{prefix}/A", {"values": []}),
        ("DELETE", f"/identifiers/{prefix}/A", None),
    ):
        assert (await node.call(method, path, token, body))[0] == 403, (method, path)
    assert await node.counts() == before


async def test_an_administrator_looks_after_its_enterprise_and_no_other(node: Node) -> None:
    own, _ = await node.enterprise(1)
    other, _ = await node.enterprise(2)
    first = await account(node, "own.first", "administrator", enterprise_id=own)
    foreign = await account(node, "foreign", "administrator", enterprise_id=other)
    staff = await account(node, "staff", "reviewer")
    token = await sign_in(node, "own.first")
    body = {"name": "own.second", "role": "administrator", "enterprise_id": own}
    status, second, _ = await node.call("POST", "/accounts", token, body)
    assert (status, second["enterprise_id"]) == (201, own)
    _, page, _ = await node.call("GET", "/accounts", token)
    assert {item["name"] for item in page["items"]} == {"own.first", "own.second"}
    _, everything, _ = await node.call("GET", "/accounts", node.reviewer)
    assert len(everything["items"]) == 6
    _, some, _ = await node.call("GET", f"/accounts?enterprise_id={other}", node.reviewer)
    assert [item["name"] for item in some["items"]] == ["foreign"]

    for path in (f"/accounts/{foreign['id']}", f"/accounts/{staff['id']}"):
        for method, body in (
            ("GET", None),
            ("PATCH", {"status": "disabled"}),
            ("DELETE", None),
        ):
            status, _, _ = await node.call(method, path, token, body)
            assert status in (403, 404), (method, path)
        assert (await node.call("POST", f"{path}/password-reset", token))[0] in (403, 404)
    for body in (
        {"name": "y", "role": "operator"},
        {"name": "y", "role": "administrator", "enterprise_id": other},
    ):
        assert (await node.call("POST", "/accounts", token, body))[0] == 403, body
    assert (await node.call("GET", f"/accounts?enterprise_id={other}", token))[0] == 403
    status, problem, _ = await node.call(
        "PATCH", f"/accounts/{second['id']}", token, {"role": "operator"}
    )
    assert (status, problem["field"]) == (422, "role")
    for method, path, sent in (
        ("DELETE", f"/accounts/{first['id']}", None),
        ("PATCH", f"/accounts/{first['id']}", {"status": "disabled"}),
    ):
        assert (await node.call(method, path, token, sent))[0] == 409, "not its own account"
    assert (await node.call("DELETE", f"/accounts/{second['id']}", token))[0] == 204
    assert (await node.call("GET", f"/accounts/{second['id']}", token))[0] == 404
    status, _, _ = await node.call(
        "POST",
        "/accounts",
        token,
        {"name": "own.second", "role": "administrator", "enterprise_id": own},
    )
    assert status == 409, "a name is not given out again"


async def test_the_roles_of_staff_change_and_what_is_disabled_is_shut_out_at_once(
    node: Node,
) -> None:
    made = await account(node, "wang", "reviewer")
    path = f"/accounts/{made['id']}"
    token = await sign_in(node, "wang")
    _, issued, _ = await node.call("POST", f"{path}/keys", token, {"label": "night job"})
    key = issued["key"]
    assert (await node.call("GET", "/me", key))[1]["role"] == "reviewer"
    status, changed, _ = await node.call("PATCH", path, node.operator, {"role": "auditor"})
    assert (status, changed["role"]) == (200, "auditor")
    assert (await node.call("GET", "/me", token))[1]["role"] == "auditor"
    status, _, _ = await node.call("PATCH", path, node.operator, {"status": "disabled"})
    assert status == 200
    assert [(await node.call("GET", "/me", each))[0] for each in (token, key)] == [401, 401]
    assert (await node.call("PATCH", path, node.operator, {"status": "active"}))[0] == 200
    assert [(await node.call("GET", "/me", each))[0] for each in (token, key)] == [401, 200]


async def test_bad_accounts_are_refused_with_field_and_rule(node: Node) -> None:
    own, _ = await node.enterprise(1)
    good = {"name": "li.na", "role": "operator", "password": PASSWORD}
    unknown = "00000000-0000-4000-8000-000000000000"
    before = await node.counts()
    for change, status, field in (
        ({"name": ""}, 422, "name"),
        ({"name": "system"}, 422, "name"),
        ({"name": "李娜"}, 422, "name"),
        ({"name": "a b"}, 422, "name"),
        ({"name": "root"}, 409, "name"),
        ({"role": "application"}, 422, "role"),
        ({"role": "administrator"}, 422, "enterprise_id"),
        ({"enterprise_id": own}, 422, "enterprise_id"),
        ({"role": "administrator", "enterprise_id": unknown}, 404, "enterprise_id"),
        ({"password": "short"}, 422, "password"),
        ({"password": "the one of li.na 47"}, 422, "password"),
        ({"status": "active"}, 422, "status"),
    ):
        body = {**good, **change}
        answer, problem, _ = await node.call("POST", "/accounts", node.operator, body)
        assert (answer, problem.get("field")) == (status, field), (change, problem)
    assert await node.counts() == before


async def test_a_password_is_changed_by_who_knows_it_and_other_sessions_end(node: Node) -> None:
    await account(node, "li.na", "operator")
    token, other = await sign_in(node, "li.na"), await sign_in(node, "li.na")
    for body, status, field in (
        ({"password": OTHER, "new_password": OTHER}, 401, "password"),
        ({"password": PASSWORD, "new_password": "short"}, 422, "new_password"),
    ):
        answer, problem, _ = await node.call("PUT", "/me/password", token, body)
        assert (answer, problem["field"]) == (status, field)
    body = {"password": PASSWORD, "new_password": OTHER}
    assert (await node.call("PUT", "/me/password", node.operator, body))[0] == 403
    assert (await node.call("PUT", "/me/password", token, body))[0] == 204
    assert (await node.call("GET", "/me", token))[0] == 200
    assert (await node.call("GET", "/me", other))[0] == 401
    await sign_in(node, "li.na", OTHER)
    old = {"name": "li.na", "password": PASSWORD}
    assert (await node.call("POST", "/sessions", None, old))[0] == 401


async def test_guessing_at_the_present_password_is_held_back(node: Node) -> None:
    await account(node, "li.na", "operator")
    token = await sign_in(node, "li.na")
    body = {"password": OTHER, "new_password": OTHER}
    answers = [(await node.call("PUT", "/me/password", token, body))[0] for _ in range(7)]
    assert answers == [401] * 5 + [429] * 2


async def test_a_reset_is_used_once_and_ends_sessions(node: Node, clock: Clock) -> None:
    made = await account(node, "li.na", "reviewer")
    path = f"/accounts/{made['id']}/password-reset"
    session = await sign_in(node, "li.na")
    assert (await node.call("POST", path, node.reviewer))[0] == 403
    tokens = [(await node.call("POST", path, node.operator))[1]["token"] for _ in range(2)]
    old, token = tokens
    for given, password, status in (
        (old, OTHER, 401),
        ("nonsense", OTHER, 401),
        (token, "short", 422),
        (token, OTHER, 204),
        (token, PASSWORD, 401),
    ):
        body = {"token": given, "password": password}
        answer, problem, _ = await node.call("POST", "/password-resets", None, body)
        assert answer == status, problem
    assert (await node.call("GET", "/me", session))[0] == 401
    await sign_in(node, "li.na", OTHER)
    late = (await node.call("POST", path, node.operator))[1]["token"]
    clock.now += 86_400
    body = {"token": late, "password": PASSWORD}
    assert (await node.call("POST", "/password-resets", None, body))[0] == 401


async def test_a_hash_of_another_cost_is_renewed_at_sign_in(node: Node) -> None:
    await account(node, "li.na", "operator")
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with node.database.begin() as connection:
        one = accounts.c.name == "li.na"
        await connection.execute(accounts.update().where(one).values(password=cheap))
    await sign_in(node, "li.na")
    async with node.database.begin() as connection:
        stored = await connection.scalar(sa.select(accounts.c.password).where(one))
    assert "m=19456,t=2" in stored
    await sign_in(node, "li.na")


async def test_operators_of_before_keep_their_tokens(database: Database) -> None:
    from registry.principals import authenticate, digest

    token = "ido_a-token-of-before-accounts"
    key, whole = digest(token)
    for revision in ("base", "0004"):
        await migrate(database.url, revision)
    async with database.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO operators (name, role, token_key, token_hash, revoked_at)"
                " VALUES ('desk', 'reviewer', :key, :hash, NULL),"
                " ('gone', 'operator', :other, :hash, now())"
            ),
            {"key": key, "hash": whole, "other": b"12345678"},
        )
    for revision in ("0005", "-1", "head"):  # there and back, and there again
        await migrate(database.url, revision)
    async with database.begin() as connection:
        principal = await authenticate(connection, token, Clock.now)
        states = (await connection.execute(sa.select(accounts.c.name, accounts.c.status))).all()
    assert (principal.role, principal.name, principal.kind) == ("reviewer", "desk", "key")
    assert sorted(tuple(row) for row in states) == [("desk", "active"), ("gone", "disabled")]


async def test_each_change_of_an_account_has_its_line_in_the_audit_log(node: Node) -> None:
    made = await account(node, "li.na", "reviewer")
    path = f"/accounts/{made['id']}"
    await node.call("PATCH", path, node.operator, {"role": "auditor"})
    await node.call("POST", f"{path}/password-reset", node.operator)
    await node.call("DELETE", path, node.operator)
    async with node.database.begin() as connection:
        lines = await connection.execute(
            sa.select(audit_log.c.actor, audit_log.c.action)
            .where(audit_log.c.subject == made["id"])
            .order_by(audit_log.c.seq)
        )
        left = await connection.scalar(sa.select(sa.func.count()).select_from(sessions_table))
    assert [tuple(line) for line in lines.all()] == [
        ("account:root", f"account.{action}") for action in ("create", "change", "reset", "delete")
    ]
    assert left == 0
