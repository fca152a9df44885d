"""The cache: canonical identifier -> answer encoded for the wire, bounded in bytes.

Two stores with budgets of their own, so that a flood of names that do not exist pushes out only
its like:

- `Cache.answers`: found answers. They hold until the change feed says otherwise, so they have no
  time of their own. Eviction is CLOCK: the oldest goes, unless it was asked for since the hand
  last passed, in which case it gets another round.
- `Cache.absent`: names that were not found, for a few seconds each.

Besides, `Cache.prefixes` has the prefixes of the answers, MAX_PREFIXES at most.

The hot path reads `answers` directly (transports/short.py); nothing here may block.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from protocol import json_api
from protocol.values import HandleValue
from registry.statistics.cells import Cells, CountFile

ABSENT_SECONDS = 5.0
MAX_PREFIXES = 100_000
_ABSENT_SHARE = 16
# What an entry costs besides its own objects: its place in the dictionary, whose table is a half
# to two thirds full, and in the queue.
_PLACE_BYTES = 100
# Likewise in an OrderedDict, with the time.
_ABSENT_PLACE_BYTES = 230
# The hand of the clock gives at most so many second chances a turn: a cache in which everything
# was just asked for must not stop the loop to look at all of it.
_SECOND_CHANCES = 64


class Prefix:
    """A prefix that resolves. `live` turns false for good when anything about it changes.

    elsewhere: of a delegated prefix the HS_SITE or HS_SERV that says where; None: served here.
    cells: where answers under it are counted, by outcome; the first are those that were found.
    """

    __slots__ = ("cells", "elsewhere", "live")

    def __init__(self, elsewhere: HandleValue | None, cells: Cells | None = None) -> None:
        self.elsewhere = elsewhere
        self.live = True
        self.cells = cells or CountFile.in_memory(0, capacity=1).cells("")


class Answer:
    """One cached answer.

    http: the end of an HTTP response, from the number of Content-Length on.
    spelling: the identifier as registered, if it can stand in a URL and in JSON as it is; else
        None, and the short path leaves the answer alone.
    wire: the end of its answer in the Handle protocol (transports/handle_short.py), made when it
        is first asked for there.
    dns: the number of its records and the answer section of a response in DNS
        (transports/dns_short.py), likewise.
    seen: asked for since the hand of the clock last passed.
    """

    __slots__ = ("dns", "http", "prefix", "seen", "spelling", "wire")

    def __init__(self, http: bytes, spelling: bytes | None, prefix: Prefix) -> None:
        self.http = http
        self.spelling = spelling
        self.prefix = prefix
        self.seen = False
        self.wire: bytes | None = None
        self.dns: bytes | None = None

    @property
    def body(self) -> bytes:
        """The Handle JSON body."""
        return self.http[self.http.index(b"\r\n\r\n") + 4 :]

    def values(self) -> list[HandleValue]:
        """Return the values that it holds; empty if it says that there are none."""
        return list(json_api.decode_values(msgspec.json.decode(self.body).get("values", [])))


class Cache:
    """Answers and absent names within `limit` bytes together."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        """Take the budget in bytes and a monotonic clock in seconds."""
        self.answers: dict[bytes, Answer] = {}
        self.absent: OrderedDict[bytes, float] = OrderedDict()
        self.prefixes: dict[str, Prefix] = {}
        self.bytes = 0
        self.evictions = 0
        self._clock = clock
        self._absent_limit = limit // _ABSENT_SHARE
        self._absent_bytes = 0
        self._limit = limit - self._absent_limit
        # Every key of `answers` stands here once, oldest first; keys that were forgotten since
        # stay until the hand meets them.
        self._queue: deque[bytes] = deque()

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer, and make room for it. One that would take a large share is not kept."""
        self._drop_absent(key)
        if _cost(key, answer) > self._limit // 8:
            self.forget(key)
            return
        old = self.answers.get(key)
        if old is None:
            self._queue.append(key)
        else:
            self.bytes -= _cost(key, old)
        self.answers[key] = answer
        self.bytes += _cost(key, answer)
        self._make_room()

    def put_wire(self, key: bytes, answer: Answer, wire: bytes) -> None:
        """Keep the Handle protocol's part of an answer, and make room for it."""
        if self.answers.get(key) is answer:
            self.bytes += sys.getsizeof(wire)
            answer.wire = wire
            self._make_room()

    def put_dns(self, key: bytes, answer: Answer, records: bytes) -> bool:
        """Keep the records of an answer in DNS, and make room; return whether it is kept."""
        if self.answers.get(key) is not answer:
            return False
        if answer.dns is None:
            self.bytes += sys.getsizeof(records)
            answer.dns = records
            self._make_room()
        return self.answers.get(key) is answer

    def _make_room(self) -> None:
        answers, queue = self.answers, self._queue
        chances = _SECOND_CHANCES
        while self.bytes > self._limit and queue:
            key = queue.popleft()
            answer = answers.get(key)
            if answer is None:
                continue
            if answer.seen and answer.prefix.live and chances:
                chances -= 1
                answer.seen = False
                queue.append(key)
                continue
            del answers[key]
            self.bytes -= _cost(key, answer)
            self.evictions += 1
        # Keys that were forgotten and came back stand twice; never let them pile up.
        if len(queue) > 2 * len(answers) + 1024:
            self._queue = deque(answers)

    def put_absent(self, key: bytes) -> None:
        """Remember for ABSENT_SECONDS that there is no such name."""
        self._drop_absent(key)
        self.absent[key] = self._clock() + ABSENT_SECONDS
        self._absent_bytes += _absent_cost(key)
        while self._absent_bytes > self._absent_limit:
            oldest, _ = self.absent.popitem(last=False)
            self._absent_bytes -= _absent_cost(oldest)

    def put_prefix(self, name: str, prefix: Prefix) -> None:
        """Keep a prefix in the place of what was known of it, and make room for it.

        The answers under the one that goes are dead: what changes about it is heard no more.
        """
        if name in self.prefixes:
            self.forget_prefix(name)
        elif len(self.prefixes) >= MAX_PREFIXES:
            self.forget_prefix(next(iter(self.prefixes)))
        self.prefixes[name] = prefix

    def is_absent(self, key: bytes) -> bool:
        """Whether the name was looked for lately and not found."""
        until = self.absent.get(key)
        if until is None:
            return False
        if self._clock() < until:
            return True
        self._drop_absent(key)
        return False

    def _drop_absent(self, key: bytes) -> None:
        if self.absent.pop(key, None) is not None:
            self._absent_bytes -= _absent_cost(key)

    def get(self, key: bytes) -> Answer | None:
        """Return the answer for a canonical identifier in UTF-8, None if it is not here."""
        answer = self.answers.get(key)
        if answer is None or not answer.prefix.live:
            return None
        answer.seen = True
        return answer

    def forget(self, key: bytes) -> None:
        """Drop what is known of one name."""
        self._drop_absent(key)
        answer = self.answers.pop(key, None)
        if answer is not None:
            self.bytes -= _cost(key, answer)

    def forget_prefix(self, name: str) -> None:
        """Drop what is known under a prefix: at once, whatever the number of names.

        The answers under it are dead from now on; the hand of the clock collects them.
        """
        prefix = self.prefixes.pop(name, None)
        if prefix is not None:
            prefix.live = False
        # Names under a prefix that was not known may have become known.
        self.absent.clear()
        self._absent_bytes = 0

    def clear(self) -> None:
        """Drop everything."""
        for prefix in self.prefixes.values():
            prefix.live = False
        self.prefixes.clear()
        self.answers.clear()
        self.absent.clear()
        self._queue.clear()
        self.bytes = self._absent_bytes = 0

    @property
    def entries(self) -> int:
        """Number of names, found and absent."""
        return len(self.answers) + len(self.absent)

    @property
    def held_bytes(self) -> int:
        """Bytes held for all of them."""
        return self.bytes + self._absent_bytes


def _absent_cost(key: bytes) -> int:
    return sys.getsizeof(key) + _ABSENT_PLACE_BYTES


def _cost(key: bytes, answer: Answer) -> int:
    cost = sys.getsizeof(key) + sys.getsizeof(answer) + sys.getsizeof(answer.http) + _PLACE_BYTES
    # An equal spelling is the key itself (lookup.encode).
    if answer.spelling is not None and answer.spelling != key:
        cost += sys.getsizeof(answer.spelling)
    if answer.wire is not None:
        cost += sys.getsizeof(answer.wire)
    if answer.dns is not None:
        cost += sys.getsizeof(answer.dns)
    return cost
