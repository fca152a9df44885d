"""The examples of the guide about tokens (v3/identity-auth.md, v5/identity-auth.md)."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator

import pytest

from registry.database import Database
from registry.snms import secrets
from tests.integration.registry_client import running
from tests.integration.snms import support
from tests.integration.snms.support import Client

# The guide hashes the password 12345, it says; the hash that it shows is that of 123456, which it
# names as the example of a password.
PASSWORD, HASHED = "123456", "58e2c92c46485fdbc35fdcd0814d6c0f000cad5aa156848ca5edaf29406b7661"
DAY = datetime.datetime(2019, 8, 15, 9, tzinfo=secrets.ZONE)
WRONG = {"message": "用户名/密码错误！", "status": -2, "data": None}


class Clock:
    """Says what time it is for the node."""

    now = DAY

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(database: Database, clock: Clock) -> AsyncIterator[Client]:
    async with running(database, clock=clock) as node:
        enterprise_id, _ = await support.enterprise(node, 1, "88.1021.150")
        await support.old_user(node, enterprise_id, "admin", PASSWORD)
        yield Client(node)


def test_the_hash_of_the_guide_is_ours() -> None:
    assert secrets.hashed(secrets.digest(PASSWORD), DAY.date()) == HASHED


@pytest.mark.parametrize(
    ("path", "password"), [("/identity/token", PASSWORD), ("/identity/token/v1", HASHED)]
)
async def test_a_token_is_given_as_in_the_guide(client: Client, path: str, password: str) -> None:
    body = {"username": "admin", "password": password}
    http, answer = await client.ask("POST", path, body)
    token = answer["data"]["token"]
    assert (http, answer) == (200, {"message": "success", "status": 1, "data": {"token": token}})
    signed_in = Client(client.node, token)
    assert await signed_in.refused("GET", "/identityv2/data/detail?handle=88.1021.150/1") == (
        "没有找到标识"
    )


@pytest.mark.parametrize("path", ["/identity/token", "/identity/token/v1"])
@pytest.mark.parametrize("name", ["admin", "nobody"])
async def test_a_wrong_password_is_refused_as_in_the_guide(
    client: Client, path: str, name: str
) -> None:
    body = {"username": name, "password": "******"}
    assert await client.ask("POST", path, body) == (200, WRONG)


async def test_a_hashed_password_is_that_of_one_day(client: Client, clock: Clock) -> None:
    body = {"username": "admin", "password": HASHED}
    clock.now = DAY.replace(hour=23, minute=59) + datetime.timedelta(minutes=5)
    await client.must("POST", "/identity/token/v1", body)  # a clock may be some minutes off
    clock.now = DAY + datetime.timedelta(days=1)
    assert await client.ask("POST", "/identity/token/v1", body) == (200, WRONG)
    clock.now = DAY - datetime.timedelta(days=1)
    assert await client.ask("POST", "/identity/token/v1", body) == (200, WRONG)


async def test_a_token_lives_for_24_hours(client: Client, clock: Clock) -> None:
    signed_in = await client.sign_in("admin", PASSWORD)
    path = "/identityv2/data/detail?handle=88.1021.150/1"
    clock.now = DAY + datetime.timedelta(hours=23, minutes=59)
    await signed_in.refused("GET", path)
    clock.now = DAY + datetime.timedelta(hours=24)
    assert await signed_in.refused("GET", path, status=-1) == "没有登录，需要验证"
