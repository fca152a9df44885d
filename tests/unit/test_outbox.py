from __future__ import annotations

import random

import pytest

from registry.outbox import FIRST_DELAY, LONGEST_DELAY, retry_delay


def test_delay_doubles_until_its_bound() -> None:
    delays = [retry_delay(attempts, lambda: 1.0) for attempts in range(9)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("attempts", [0, 1, 5, 6, 64, 2000, 2**31 - 1])
def test_delay_is_never_below_half_nor_above_the_whole_of_its_bound(attempts: int) -> None:
    chance = random.Random(attempts)
    whole = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempts, 10))
    delays = [retry_delay(attempts, chance.random) for _ in range(500)]
    assert whole / 2 <= min(delays)
    assert max(delays) <= whole
    assert max(delays) - min(delays) > whole * 0.4, "messages that failed together stay together"


def test_bounds_are_those_asked_for() -> None:
    assert retry_delay(0, lambda: 0.0, first=4, longest=100) == 2
    assert retry_delay(30, lambda: 1.0, first=4, longest=100) == 100
