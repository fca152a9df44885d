"""Users of the SNMS API, and the tokens that end with them."""

from __future__ import annotations

import datetime

import asyncpg
import pytest

from registry.snms import secrets, tokens
from tests.integration.registry_client import Node
from tests.integration.snms import support
from tests.integration.snms.support import Client

PREFIX = "88.118.35"
DETAIL = f"/identityv2/data/detail?handle={PREFIX}/A"
NOT_SIGNED_IN = -1


@pytest.fixture
async def works(node: Node) -> tuple[str, str]:
    """An enterprise's id and key."""
    return await support.enterprise(node, 1, PREFIX)


async def test_an_enterprise_makes_lists_and_deletes_its_users(
    node: Node, works: tuple[str, str]
) -> None:
    enterprise_id, key = works
    path = f"/enterprises/{enterprise_id}/snms-users"
    body = {"name": "88.118.35/mes", "password": support.PASSWORD, "hashed": True}
    status, made, _ = await node.call("POST", path, key, body)
    assert (status, made["name"], made["hashed"]) == (201, "88.118.35/mes", True)
    status, problem, _ = await node.call("POST", path, key, body)
    assert (status, problem["field"]) == (409, "name")
    status, page, _ = await node.call("GET", path, key)
    assert page == {"items": [made], "next": None}
    signed_in = await Client(node).sign_in("88.118.35/mes")
    await signed_in.refused("GET", DETAIL)
    status, _, _ = await node.call("DELETE", f"{path}/{made['id']}", key)
    assert status == 204
    await signed_in.refused("GET", DETAIL, status=NOT_SIGNED_IN)
    status, _, _ = await node.call("DELETE", f"{path}/{made['id']}", key)
    assert status == 404


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [
        ("", support.PASSWORD, "name"),
        ("x" * 51, support.PASSWORD, "name"),
        ("mes\u202e", support.PASSWORD, "name"),
        ("mes", "123456", "password"),
        ("mes", "aq9 " * 17, "password"),
    ],
)
async def test_a_user_that_breaks_a_rule_is_refused(
    node: Node, works: tuple[str, str], name: str, password: str, field: str
) -> None:
    enterprise_id, key = works
    path = f"/enterprises/{enterprise_id}/snms-users"
    status, problem, _ = await node.call("POST", path, key, {"name": name, "password": password})
    assert (status, problem["field"]) == (422, field)


async def test_only_who_was_made_for_it_sends_a_hashed_password(
    node: Node, works: tuple[str, str]
) -> None:
    await support.user(node, works[0], "plain")
    await support.user(node, works[0], "hashed", hashed=True)
    today = datetime.datetime.now(secrets.ZONE).date()
    password = secrets.hashed(secrets.digest(support.PASSWORD), today)
    client = Client(node)
    body = {"username": "hashed", "password": password}
    await client.must("POST", "/identity/token/v1", body)
    await client.refused("POST", "/identity/token/v1", body | {"username": "plain"})
    # What is stored opens nothing by itself.
    connection = await asyncpg.connect(node.database.url)
    sealed = await connection.fetchval("SELECT sealed FROM snms_users WHERE name = 'hashed'")
    await connection.close()
    assert secrets.digest(support.PASSWORD).encode() not in sealed
    assert (
        secrets.matches(bytes(32), "hashed", sealed, password, datetime.datetime.now(secrets.ZONE))
        is None
    )


async def test_an_administrator_signs_in_until_the_password_changes(
    node: Node, works: tuple[str, str]
) -> None:
    account = {
        "name": "li.na",
        "role": "administrator",
        "enterprise_id": works[0],
        "password": support.PASSWORD,
    }
    status, made, _ = await node.call("POST", "/accounts", node.operator, account)
    assert status == 201, made
    signed_in = await Client(node).sign_in("li.na")
    await signed_in.refused("GET", DETAIL)
    path = f"/accounts/{made['id']}/password-reset"
    _, reset, _ = await node.call("POST", path, node.operator)
    new = {"token": reset["token"], "password": "another heron 93 by the canal"}
    status, _, _ = await node.call("POST", "/password-resets", None, new)
    assert status == 204
    await signed_in.refused("GET", DETAIL, status=NOT_SIGNED_IN)
    again = await Client(node).sign_in("li.na", new["password"])
    await again.refused("GET", DETAIL)
    change = {"status": "disabled"}
    status, _, _ = await node.call("PATCH", f"/accounts/{made['id']}", node.operator, change)
    assert status == 200
    await again.refused("GET", DETAIL, status=NOT_SIGNED_IN)


async def test_an_administrator_with_a_long_name_and_password_signs_in(
    node: Node, works: tuple[str, str]
) -> None:
    name, password = "li.na." * 10 + "zhou", "quiet heron 47 over the lock " * 4
    assert (len(name), len(password)) == (64, 116)
    account = {
        "name": name,
        "role": "administrator",
        "enterprise_id": works[0],
        "password": password,
    }
    status, made, _ = await node.call("POST", "/accounts", node.operator, account)
    assert status == 201, made
    await (await Client(node).sign_in(name, password)).refused("GET", DETAIL)


async def test_people_of_the_node_have_no_business_here(node: Node) -> None:
    account = {"name": "wang.fang", "role": "operator", "password": support.PASSWORD}
    status, _, _ = await node.call("POST", "/accounts", node.operator, account)
    assert status == 201
    body = {"username": "wang.fang", "password": support.PASSWORD}
    assert await Client(node).refused("POST", "/identity/token", body) == "用户名/密码错误！"


async def test_the_tokens_of_an_enterprise_that_is_closed_open_nothing(
    node: Node, works: tuple[str, str]
) -> None:
    await support.user(node, works[0])
    signed_in = await Client(node).sign_in()
    async with node.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE enterprises SET status = 'closed'")
    await signed_in.refused("GET", DETAIL, status=NOT_SIGNED_IN)
    body = {"username": support.USER, "password": support.PASSWORD}
    assert await Client(node).refused("POST", "/identity/token", body) == "用户名/密码错误！"


async def test_a_user_has_a_bounded_number_of_tokens(
    node: Node, works: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_TOKENS", 2)
    await support.user(node, works[0])
    first = await Client(node).sign_in()
    others = [await Client(node).sign_in() for _ in range(2)]
    await first.refused("GET", DETAIL, status=NOT_SIGNED_IN)
    for other in others:
        await other.refused("GET", DETAIL)
