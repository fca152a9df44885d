"""What a password must be like, and what is kept of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from protocol.errors import InvalidValue, TooManyRequests
from registry.accounts import passwords
from registry.accounts.passwords import Passwords, check

GOOD = "quiet heron 47 over the lock"


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "Tr8$kfjq0vZ!pm",
        "安静的苍鹭在船闸之上飞过四十七次",
        "x9-" * 2 + "qpv7wkd2m",
    ],
)
def test_passwords_that_nobody_guesses_are_taken(password: str) -> None:
    check(password, "li.na")


def test_a_generated_password_is_taken() -> None:
    check(passwords.generate(), "li.na")


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("short-7Kq", "at least 12"),
        ("x" * 129, "at most 128"),
        ("ﬁ" * 65, "at most 128"),  # one ligature is two characters once it is normal
        ("quiet heron\n47 lock", "control characters"),
        ("quiet LI.NA heron 47", "name of the account"),
        ("password1234", "easily guessed"),
        ("aaaaaaaaaaaaaaaa", "easily guessed"),
        ("qwertyuiop[]", "easily guessed"),
        ("123456789012345", "easily guessed"),
        ("nanananana2026", "easily guessed"),
    ],
)
def test_each_rule_of_passwords_is_told(password: str, rule: str) -> None:
    with pytest.raises(InvalidValue, match=rule) as caught:
        check(password, "li.na", "new_password")
    assert caught.value.field == "new_password"


async def test_a_hash_is_of_the_password_and_as_dear_as_owasp_says() -> None:
    hasher = Passwords()
    stored = await hasher.hash(GOOD, "li.na")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert stored != await hasher.hash(GOOD, "li.na"), "each hash has a salt of its own"
    assert await hasher.verify(stored, GOOD)
    assert not await hasher.verify(stored, GOOD + "x")
    assert not await hasher.verify(stored, "x" * 1000)
    assert not await hasher.verify(None, GOOD)
    assert not await hasher.verify("not a hash", GOOD)
    assert not passwords.is_outdated(stored)
    assert passwords.is_outdated(stored.replace("t=2", "t=1"))


async def test_the_same_password_typed_on_two_keyboards_is_one() -> None:
    hasher = Passwords()
    stored = await hasher.hash("é" + GOOD, "li.na")
    assert await hasher.verify(stored, "é" + GOOD)


async def test_more_hashes_than_may_wait_are_refused_and_the_loop_goes_on() -> None:
    hasher = Passwords()
    waiting = [asyncio.create_task(hasher.verify(None, GOOD)) for _ in range(passwords.MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests) as caught:
        await hasher.verify(None, GOOD)
    assert caught.value.retry_after == 1
    turns, began = 0, time.monotonic()
    while not all(task.done() for task in waiting):
        await asyncio.sleep(0)
        turns += 1
        assert time.monotonic() - began < 60, "the hashes are worked out"
    assert turns > passwords.MAX_WAITING, "the event loop stood still while hashes were worked out"
    assert not await hasher.verify(None, GOOD)
