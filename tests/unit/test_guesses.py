"""Guessing secrets ends soon, and locks nobody out who knows one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from protocol.errors import AuthenticationFailed, StoreUnavailable, TooManyRequests
from registry.admins import Identity
from registry.metrics import Row, private_row, slot
from resolver.handle import guesses
from resolver.handle.guesses import IDENTITY_LIMIT, SOURCE_LIMIT, WINDOW_SECONDS, Guesses

OWNER = Identity(301, "0.NA/88.118.35")
HERE, THERE = "192.0.2.1", "192.0.2.2"


@dataclass
class Door:
    """What lets in who gives the right secret; read: how often it was looked at."""

    now: float = 1_000.0
    read: int = 0
    row: Row = field(default_factory=private_row)

    def __post_init__(self) -> None:
        self.guesses = Guesses(self.row, lambda: self.now)

    async def tries(
        self, *, right: bool = False, at: str = HERE, who: Identity | None = OWNER
    ) -> bool:
        async def prove() -> str | None:
            self.read += 1
            return "proved" if right else None

        return await self.guesses.check(at, who, prove) == "proved"

    def counted(self, reason: str) -> float:
        return self.row.cells[slot("idnode_secrets_refused", reason)]


@pytest.fixture
def door() -> Door:
    return Door()


async def test_after_the_limit_nothing_is_read_until_the_window_ends(door: Door) -> None:
    for _ in range(SOURCE_LIMIT):
        assert not await door.tries()
        door.now += 1
    for right in (False, True):
        with pytest.raises(TooManyRequests) as refused:
            await door.tries(right=right)
        assert refused.value.retry_after == WINDOW_SECONDS - SOURCE_LIMIT
        assert refused.value.http_status == 429
    assert door.read == SOURCE_LIMIT
    assert (door.counted("wrong"), door.counted("limit")) == (SOURCE_LIMIT, 2)
    assert await door.tries(right=True, at=THERE), "another source is not held back"
    door.now += WINDOW_SECONDS - SOURCE_LIMIT
    assert await door.tries(right=True), "the lock ends by itself"


async def test_right_secrets_are_not_counted(door: Door) -> None:
    for _ in range(3 * SOURCE_LIMIT):
        assert await door.tries(right=True)
    assert door.counted("wrong") == 0


async def test_many_at_once_are_no_more_than_the_limit(door: Door) -> None:
    begun = 0
    go = asyncio.Event()

    async def prove() -> None:
        nonlocal begun
        begun += 1
        await go.wait()

    tasks = [
        asyncio.create_task(door.guesses.check(HERE, OWNER, prove)) for _ in range(3 * SOURCE_LIMIT)
    ]
    await asyncio.sleep(0)
    assert begun == SOURCE_LIMIT
    go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(one, TooManyRequests) for one in results) == 2 * SOURCE_LIMIT


async def test_an_identity_is_guarded_against_many_sources(door: Door) -> None:
    for number in range(IDENTITY_LIMIT):
        assert not await door.tries(at=f"198.51.100.{number}")
    with pytest.raises(TooManyRequests):
        await door.tries(at="203.0.113.1")
    spelled = Identity(301, "0.na/88.118.35")
    with pytest.raises(TooManyRequests):
        await door.tries(at="203.0.113.1", who=spelled)
    assert await door.tries(right=True, at="203.0.113.1", who=Identity(301, "0.NA/88.118.36"))


async def test_strangers_do_not_lock_an_identity_out_where_it_is_known(door: Door) -> None:
    assert await door.tries(right=True)
    for number in range(IDENTITY_LIMIT):
        await door.tries(at=f"198.51.100.{number}")
    assert await door.tries(right=True)
    other = Identity(301, "0.NA/88.118.36")
    for _ in range(SOURCE_LIMIT):  # behind the same address
        await door.tries(who=other)
    assert await door.tries(right=True)
    for _ in range(SOURCE_LIMIT):
        await door.tries()
    with pytest.raises(TooManyRequests):
        await door.tries()


async def test_a_network_of_ipv6_is_one_source(door: Door) -> None:
    for number in range(SOURCE_LIMIT):
        await door.tries(at=f"2001:db8::{number:x}", who=None)
    with pytest.raises(TooManyRequests):
        await door.tries(at="2001:db8::ffff:1", who=None)
    assert not await door.tries(at="2001:db8:0:1::1", who=None)


async def test_what_was_not_looked_at_is_not_counted_and_what_cannot_be_read_is(
    door: Door,
) -> None:
    async def away() -> None:
        raise StoreUnavailable

    async def unreadable() -> None:
        raise AuthenticationFailed("not base64")

    for _ in range(2 * SOURCE_LIMIT):
        with pytest.raises(StoreUnavailable):
            await door.guesses.check(HERE, OWNER, away)
    for _ in range(SOURCE_LIMIT):
        with pytest.raises(AuthenticationFailed):
            await door.guesses.check(HERE, OWNER, unreadable)
    with pytest.raises(TooManyRequests):
        await door.tries(right=True)


async def test_no_flood_makes_it_grow(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "MOST_KEPT", 8)
    for number in range(100):
        at, who = f"198.51.100.{number}", Identity(number, OWNER.handle)
        await door.tries(at=at, who=who)
        await door.tries(right=True, at=at, who=who)
        await door.tries(at=at, who=who)
    kept = door.guesses
    for counts in (kept._sources, kept._identities, kept._pairs):
        assert len(counts._windows) == 8
    assert len(kept._known) == 8
