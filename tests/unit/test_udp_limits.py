"""What one source may have over UDP: counted by whom, within which time, and how much of it."""

from __future__ import annotations

import pytest

from resolver.transports import limits
from resolver.transports.limits import AMPLIFICATION, Limits, ResponseLimit, source_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8:0:ff00::1", "2001:db8:0:ffff:1:2:3:4", True),
        ("2001:db8:0:ff00::1", "2001:db8:0:fe00::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_a_source_is_an_ipv4_address_or_a_site_of_ipv6(one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same


def test_a_source_gets_no_more_bytes_than_a_multiple_of_its_own_and_the_limit() -> None:
    clock = Clock()
    limit = ResponseLimit(Limits(0, 1000), clock)
    sent = 0
    for answered in (250, 700, 249, 10_000, 450, 1, 300, 251):
        sent += answered if limit.affords("192.0.2.1", 83, answered) else 0
        assert limit.affords("192.0.2.1", 83, AMPLIFICATION * 83), "a short one costs nothing"
    assert sent == 250 + 700 + 249 + 450 + 1 + 300 + 251
    assert sent <= AMPLIFICATION * 83 * 8 + 1000
    assert limit.affords("192.0.2.2", 83, 1000), "another source has its own"
    assert not limit.affords("192.0.2.1", 83, 800)
    clock.now += limits.BYTES_WINDOW_SECONDS
    assert limit.affords("192.0.2.1", 83, 800)


def test_a_flood_from_more_sources_than_are_told_apart_gets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "_MOST_SOURCES", 2)
    limit = ResponseLimit(Limits(100, 1000), Clock())
    assert [limit.allows(f"192.0.2.{n}") for n in (1, 2, 3, 1)] == [True, True, False, True]
    assert [limit.affords(f"192.0.2.{n}", 0, 9) for n in (1, 2, 3, 1)] == [True, True, False, True]


def test_no_limit_is_none() -> None:
    limit = ResponseLimit(Limits(0, 0), Clock())
    assert not limit.on
    assert limit.allows("192.0.2.1", 1_000_000)
    assert limit.affords("192.0.2.1", 0, 1 << 40)
    assert ResponseLimit(Limits(1, 0), Clock()).on
    assert ResponseLimit(Limits(0, 1), Clock()).on
