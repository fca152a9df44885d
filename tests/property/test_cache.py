"""The cache against a model: right answers, never over its budget, floods kept apart."""

from __future__ import annotations

import sys

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protocol.values import HandleValue
from resolver import cache as cache_module
from resolver.cache import ABSENT_SECONDS, Answer, Cache, Prefix

LIMIT = 16_000
PREFIXES = ("88.118.1", "88.118.2")
keys = st.builds(
    lambda prefix, n: f"{prefix}/SN-{n}".encode(), st.sampled_from(PREFIXES), st.integers(0, 60)
)


class CacheAgainstModel(RuleBasedStateMachine):
    """The model is a plain dictionary that forgets nothing: the cache may know less, never else."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.cache = Cache(LIMIT, lambda: self.now)
        self.model: dict[bytes, bytes] = {}
        self.absent: dict[bytes, float] = {}

    def _prefix(self, key: bytes) -> Prefix:
        name = key.partition(b"/")[0].decode()
        return self.cache.prefixes.setdefault(name, Prefix(None))

    @rule(key=keys, size=st.integers(0, 600))
    def put(self, key: bytes, size: int) -> None:
        http = b"%d\r\n\r\n" % size + b"x" * size
        self.cache.put(key, Answer(http, key, self._prefix(key)))
        self.model[key] = http
        self.absent.pop(key, None)

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        answer = self.cache.get(key)
        assert answer is None or answer.http == self.model[key]

    @rule(key=keys)
    def forget(self, key: bytes) -> None:
        self.cache.forget(key)
        self.model.pop(key, None)
        self.absent.pop(key, None)
        assert self.cache.get(key) is None

    @rule(prefix=st.sampled_from(PREFIXES))
    def forget_prefix(self, prefix: str) -> None:
        self.cache.forget_prefix(prefix)
        self.model = {k: v for k, v in self.model.items() if not k.startswith(prefix.encode())}
        self.absent.clear()
        assert all(
            self.cache.get(key) is None
            for key in list(self.cache.answers)
            if key.startswith(prefix.encode())
        )

    @rule(key=keys)
    def put_absent(self, key: bytes) -> None:
        self.cache.forget(key)
        self.model.pop(key, None)
        self.cache.put_absent(key)
        self.absent[key] = self.now + ABSENT_SECONDS

    @rule(key=keys)
    def is_absent(self, key: bytes) -> None:
        if self.cache.is_absent(key):
            assert self.now < self.absent[key]

    @rule(seconds=st.floats(0, 2 * ABSENT_SECONDS))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()
        self.absent.clear()

    @invariant()
    def within_budget(self) -> None:
        assert self.cache.held_bytes <= LIMIT
        counted = sum(
            sys.getsizeof(k) + sys.getsizeof(a.http) for k, a in self.cache.answers.items()
        )
        assert counted <= self.cache.bytes
        if not self.cache.answers:
            assert self.cache.bytes == 0


CacheAgainstModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=60, derandomize=True
)
TestCacheAgainstModel = CacheAgainstModel.TestCase


def _filled(cache: Cache, count: int) -> list[bytes]:
    prefix = Prefix(None)
    names = [f"88.118.1/SN-{n}".encode() for n in range(count)]
    for name in names:
        cache.put(name, Answer(b"3\r\n\r\nabc", name, prefix))
    return names


def test_a_flood_of_absent_names_pushes_out_no_answer() -> None:
    cache = Cache(1_000_000, lambda: 0.0)
    names = _filled(cache, 2000)
    for n in range(100_000):
        cache.put_absent(f"88.118.1/NO-{n}".encode())
    assert all(cache.get(name) is not None for name in names)
    assert cache.evictions == 0
    assert cache.held_bytes <= 1_000_000


def test_what_is_asked_for_outlives_what_is_not() -> None:
    cache = Cache(100_000, lambda: 0.0)
    wanted = _filled(cache, 50)
    prefix = Prefix(None)
    for n in range(5000):
        for name in wanted:
            assert cache.get(name) is not None, "a popular name was pushed out by a scan"
        key = f"88.118.2/{n}".encode()
        cache.put(key, Answer(b"3\r\n\r\nabc", key, prefix))
    assert cache.evictions > 0


def test_an_answer_that_would_take_the_whole_cache_is_not_kept() -> None:
    cache = Cache(16_000, lambda: 0.0)
    names = _filled(cache, 20)
    big = b"88.118.1/BIG"
    cache.put(big, Answer(b"x" * 15_000, big, Prefix(None)))
    assert cache.get(big) is None
    assert all(cache.get(name) is not None for name in names)


def test_prefixes_are_bounded_and_answers_die_with_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MAX_PREFIXES", 3)
    cache = Cache(100_000, lambda: 0.0)
    for n in range(5):
        prefix, key = Prefix(None), f"88.118.{n}/A".encode()
        cache.put_prefix(f"88.118.{n}", prefix)
        cache.put(key, Answer(b"3\r\n\r\nabc", key, prefix))
    assert [*cache.prefixes] == ["88.118.2", "88.118.3", "88.118.4"]
    known = [n for n in range(5) if cache.get(f"88.118.{n}/A".encode()) is not None]
    assert known == [2, 3, 4], "an answer is kept of whose prefix no change is heard"


def test_a_prefix_that_is_read_anew_ends_the_answers_under_the_old_one() -> None:
    cache, key = Cache(100_000, lambda: 0.0), b"88.118.1/A"
    hosted = Prefix(None)
    cache.put_prefix("88.118.1", hosted)
    cache.put(key, Answer(b"3\r\n\r\nabc", key, hosted))
    cache.put_prefix("88.118.1", Prefix(HandleValue(1, "HS_SERV", b"88.118.2/NODE")))
    assert cache.get(key) is None
