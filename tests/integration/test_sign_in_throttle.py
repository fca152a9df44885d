"""Guessing at passwords is held back, and its victims are not locked out by it."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator

import pytest

from protocol.errors import TooManyRequests
from registry.accounts import throttle
from registry.database import Database
from tests.integration.registry_client import Node, running
from tests.integration.test_accounts import OTHER, PASSWORD, Clock, account, sign_in

NOW = datetime.datetime(2027, 1, 15, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def node(database: Database, clock: Clock) -> AsyncIterator[Node]:
    async with running(database, clock) as node:
        yield node


async def _claim(database: Database, name: str, source: str, now: datetime.datetime = NOW) -> bool:
    try:
        async with database.begin() as connection:
            await throttle.claim(connection, name, source, now)
    except TooManyRequests:
        return False
    return True


async def _succeed(database: Database, name: str, source: str, now: datetime.datetime) -> None:
    assert await _claim(database, name, source, now)
    async with database.begin() as connection:
        await throttle.succeeded(connection, name, source, now)


async def test_a_lock_ends_by_itself_however_often_somebody_tries(node: Node, clock: Clock) -> None:
    await account(node, "li.na", "operator")
    wrong = {"name": "li.na", "password": OTHER}
    for _ in range(throttle.PAIR_LIMIT):
        assert (await node.call("POST", "/sessions", None, wrong))[0] == 401
    began = clock.now
    for seconds in range(0, 900, 100):
        clock.now = began + seconds
        right = {"name": "li.na", "password": PASSWORD}
        status, problem, response = await node.call("POST", "/sessions", None, right)
        assert status == 429, "a guess is not told from the password while the lock lasts"
        assert int(response.headers["Retry-After"]) == 900 - seconds
        assert problem["responseCode"] == 3
    clock.now = began + 900
    await sign_in(node, "li.na")


async def test_unknown_names_are_locked_like_known_ones(node: Node) -> None:
    await account(node, "li.na", "operator")
    seen = []
    for name in ("li.na", "nobody"):
        body = {"name": name, "password": OTHER}
        seen.append([(await node.call("POST", "/sessions", None, body))[:2] for _ in range(7)])
    for known, unknown in zip(*seen, strict=True):
        assert known[0] == unknown[0]
        assert {**known[1], "requestId": ""} == {**unknown[1], "requestId": ""}


async def test_a_source_is_held_back_whatever_names_it_tries(database: Database) -> None:
    taken = [await _claim(database, f"name{n}", "192.0.2.1") for n in range(40)]
    assert taken == [True] * throttle.SOURCE_LIMIT + [False] * 10
    assert await _claim(database, "name1", "192.0.2.2"), "other sources are not"


async def test_strangers_everywhere_do_not_lock_out_who_has_signed_in_before(
    database: Database,
) -> None:
    await _succeed(database, "li.na", "192.0.2.1", NOW)
    taken = [await _claim(database, "li.na", f"198.51.100.{n}", NOW + MINUTE) for n in range(60)]
    assert taken == [True] * throttle.NAME_LIMIT + [False] * 30
    await _succeed(database, "li.na", "192.0.2.1", NOW + MINUTE)
    for n in range(40):  # neighbours behind the same address
        await _claim(database, f"name{n}", "192.0.2.1", NOW + MINUTE)
    await _succeed(database, "li.na", "192.0.2.1", NOW + MINUTE)


async def test_signing_in_does_not_use_up_attempts(database: Database) -> None:
    for _ in range(3 * throttle.PAIR_LIMIT):
        await _succeed(database, "li.na", "192.0.2.1", NOW)
    for number in range(3 * throttle.SOURCE_LIMIT):
        await _succeed(database, f"name{number}", "192.0.2.1", NOW)


async def test_many_attempts_at_once_are_no_more_than_the_limit(database: Database) -> None:
    taken = await asyncio.gather(*(_claim(database, "li.na", "192.0.2.1") for _ in range(20)))
    assert sum(taken) == throttle.PAIR_LIMIT


async def test_a_reset_ends_the_locks_of_its_account(node: Node) -> None:
    made = await account(node, "li.na", "operator")
    wrong = {"name": "li.na", "password": OTHER}
    while (await node.call("POST", "/sessions", None, wrong))[0] == 401:
        pass
    path = f"/accounts/{made['id']}/password-reset"
    token = (await node.call("POST", path, node.operator))[1]["token"]
    body = {"token": token, "password": PASSWORD}
    assert (await node.call("POST", "/password-resets", None, body))[0] == 204
    await sign_in(node, "li.na")


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("/run/socket", "unknown"),
    ],
)
def test_a_source_is_an_address_or_the_network_of_one_customer(
    address: str | None, source: str
) -> None:
    assert throttle.source_of(address) == source
