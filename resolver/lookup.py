"""From an identifier to its answer: the cache, else one read for all who wait for it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg

from protocol import json_api, typed
from protocol.errors import (
    HandleNotFound,
    IdnodeError,
    ResponseCode,
    ServerNotResponsible,
    StoreUnavailable,
)
from protocol.handle.service import encode_service
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from protocol.values import HandleValue
from registry import store
from registry.access import EVERYBODY, visible
from registry.database import Database, unavailable
from registry.metrics import Row
from registry.prefix_handles import SITE_INDEX, owner_prefix
from registry.prefixes import ACTIVE, DELEGATED
from registry.statistics import NOWHERE
from registry.statistics.counter import INDEX, Counter
from resolver.cache import Answer, Cache, Prefix
from resolver.feed import Feed
from resolver.referrals import Referral, below, handle_above

T = TypeVar("T")

MAX_WAITING = 10_000
"""Reads that may wait at once; one more is told to come again later."""

_BATCH = 500
_PARALLEL_READS = 4
_READ_SECONDS = 2.0
# What may stand in a request target and in a JSON string as it is, both in any ASCII case. The
# short path compares and splices such spellings as bytes.
_PLAIN_SPELLING = re.compile(rb"[A-Za-z0-9\-._~/:@!$&'()*,;=]+")


_THERE = ("found", "no_values")
"""Results that tell that the prefix is served here, though it may not be in memory."""

RESULTS = {
    ResponseCode.SUCCESS: "found",
    ResponseCode.VALUES_NOT_FOUND: "no_values",
    ResponseCode.HANDLE_NOT_FOUND: "not_found",
    ResponseCode.SERVER_NOT_RESPONSIBLE: "not_found",
    ResponseCode.SERVICE_REFERRAL: "referral",
    ResponseCode.PREFIX_REFERRAL: "referral",
    ResponseCode.INVALID_HANDLE: "invalid",
    ResponseCode.PROTOCOL_ERROR: "invalid",
    ResponseCode.SERVER_BUSY: "unavailable",
}
"""What the metrics call an answer with such a code; any other is an error."""


class PrefixNotServed(HandleNotFound):
    """The prefix would be this node's to serve: it is suspended, not approved or not registered."""


@dataclass(eq=False, slots=True)
class _Flight:
    """One read under way. `dirty`: the identifier changed since it took off."""

    identifier: Identifier
    result: asyncio.Future[Answer | Referral]
    dirty: bool = field(default=False)


class Resolver:
    """Answers queries from memory, and from PostgreSQL what memory does not have."""

    def __init__(
        self,
        database: Database,
        *,
        row: Row,
        cache_bytes: int,
        node_prefix: str,
        site: bytes | None = None,
        counter: Counter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the budget of the cache in bytes, the prefix of this node and its HS_SITE record.

        The record stands in the prefix handle of every prefix that is hosted here. counter: counts
        the answers; None: one that keeps them to itself.
        """
        self.cache = Cache(cache_bytes, clock)
        self.feed = Feed(
            database, row=row, forget=self.forget, forget_all=self.forget_all, clock=clock
        )
        self.database = database
        self.row = row
        self.counter = counter or Counter(database, row)
        self.counter.rolled = self._count_anew
        self._node_prefix = node_prefix
        self._site = site
        self._waiting: dict[str, _Flight] = {}
        # Of one identifier several may be in the air: an authoritative query joins none.
        self._flying: dict[str, list[_Flight]] = {}
        self._reads: set[asyncio.Task[None]] = set()
        self._given_up: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Begin to follow the change log. Returns at once, whether or not the database is up."""
        self.feed.start()

    async def close(self) -> None:
        """Stop following, and end the reads under way."""
        await self.feed.close()
        tasks = [*self._reads, *self._given_up]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def count(self, identifier: Identifier | None, result: str) -> None:
        """Count an answer that was not given on a short way.

        identifier: None for a name that is none. result: one of registry.metrics.RESULTS.
        """
        name = NOWHERE if identifier is None else owner_prefix(identifier)
        prefix = self.cache.prefixes.get(name)
        if prefix is None and (result not in _THERE or self._is_strange(name)):
            name = NOWHERE  # whoever asks for prefixes that are none fills no memory with them
        cells = self.counter.cells(name) if prefix is None else prefix.cells
        cells[INDEX[result]] += 1
        if identifier is None or (name == NOWHERE and result == "found"):
            return
        if result == "found":
            self.counter.found.note(identifier.key.encode())
        elif result == "not_found":
            missing = identifier.key if name == NOWHERE else identifier.suffix_key
            self.counter.missing.note((name, missing))

    def is_foreign(self, identifier: Identifier) -> bool:
        """Whether an identifier is neither under this node's prefix nor a prefix handle of it."""
        return self._is_strange(owner_prefix(identifier))

    def _is_strange(self, prefix: str) -> bool:
        return not f"{prefix}.".startswith(self._node_prefix + ".")

    def _count_anew(self) -> None:
        for name, prefix in self.cache.prefixes.items():
            prefix.cells = self.counter.cells(name)

    @property
    def ready(self) -> bool:
        """Whether this process can answer what it does not have in memory."""
        return self.feed.fresh

    async def resolve(
        self, identifier: Identifier, *, authoritative: bool = False
    ) -> Answer | Referral:
        """Return the answer, or the referral where another node has it (resolver/referrals.py).

        authoritative: ask the database even if the answer is in memory.
        Raises HandleNotFound, ServerNotResponsible, StoreUnavailable.
        """
        key = identifier.key
        if not authoritative:
            known = self._from_memory(identifier, key)
            if known is not None:
                return known
        above = handle_above(identifier, self._node_prefix)
        if above is not None:
            return await self._below(identifier, above, authoritative=authoritative)
        self.row.add("idnode_cache_requests", "miss")
        flying = self._flying.get(key) if not authoritative else None
        flight = flying[-1] if flying else None
        if flight is None or flight.dirty:
            flight = self._waiting.get(key) or self._take_off(identifier, key)
        return await asyncio.shield(flight.result)

    async def _below(
        self, identifier: Identifier, above: Identifier, *, authoritative: bool
    ) -> Referral:
        """Return where an identifier is whose prefix derives from the one with handle `above`."""
        try:
            found = await self.resolve(above, authoritative=authoritative)
        except HandleNotFound:
            found = None
        referral = below(found) if isinstance(found, Answer) else None
        if referral is None:
            raise self._not_found(identifier, served=False)
        return referral

    def _from_memory(self, identifier: Identifier, key: str) -> Answer | Referral | None:
        octets = key.encode()
        answer = self.cache.get(octets)
        if answer is not None:
            outcome = "hit" if self.feed.fresh else "stale"
            self.row.add("idnode_cache_requests", outcome)
            return answer
        prefix = self.cache.prefixes.get(identifier.prefix_key)
        if prefix is not None and prefix.elsewhere is not None:
            self.row.add("idnode_cache_requests", "hit")
            return Referral((prefix.elsewhere,))
        if self.cache.is_absent(octets):
            self.row.add("idnode_cache_requests", "negative_hit")
            # A prefix that is served is known as long as a name is known not to be under it.
            raise self._not_found(identifier, served=identifier.prefix_key in self.cache.prefixes)
        return None

    def _not_found(self, identifier: Identifier, *, served: bool) -> IdnodeError:
        if not self.is_foreign(identifier):
            # Prefix handles are this node's own, whatever has become of the prefix.
            if served or identifier.prefix_key == PREFIX_HANDLE_PREFIX:
                return HandleNotFound(f"{identifier} is not registered", field="identifier")
            return PrefixNotServed(f"{identifier} is not registered", field="identifier")
        return ServerNotResponsible(
            f"prefix {identifier.prefix} does not live on this node", field="prefix"
        )

    def _take_off(self, identifier: Identifier, key: str) -> _Flight:
        if not self.feed.connected:
            raise StoreUnavailable()
        if len(self._waiting) >= MAX_WAITING:
            raise StoreUnavailable("too many queries wait for the database")
        flight = _Flight(identifier, asyncio.get_running_loop().create_future())
        # Whoever waits may be gone when it fails.
        flight.result.add_done_callback(_retrieve)
        self._waiting[key] = flight
        if len(self._reads) < _PARALLEL_READS:
            task = asyncio.create_task(self._read_on())
            self._reads.add(task)
            task.add_done_callback(self._reads.discard)
        return flight

    async def _read_on(self) -> None:
        """Read for those who wait, as many at once as there are, until nobody waits."""
        while self._waiting:
            batch = dict(list(self._waiting.items())[:_BATCH])
            for key, flight in batch.items():
                del self._waiting[key]
                self._flying.setdefault(key, []).append(flight)
            try:
                await self._read(batch)
            except BaseException as error:
                failure = error if isinstance(error, IdnodeError) else StoreUnavailable()
                for flight in batch.values():
                    if not flight.result.done():
                        flight.result.set_exception(failure)
                if not isinstance(error, IdnodeError):
                    raise
            finally:
                for key, flight in batch.items():
                    self._flying[key].remove(flight)
                    if not self._flying[key]:
                        del self._flying[key]

    async def _read(self, batch: dict[str, _Flight]) -> None:
        flights = list(batch.values())
        keys = [(flight.identifier.prefix_key, flight.identifier.suffix_key) for flight in flights]
        found = await self._found(keys)
        self.row.add("idnode_database_reads")
        for (key, flight), row in zip(batch.items(), found, strict=True):
            if flight.result.done():
                continue
            try:
                flight.result.set_result(self._land(key, flight, row))
            except IdnodeError as error:
                flight.result.set_exception(error)

    async def _found(self, keys: Sequence[store.Key]) -> list[store.Found]:
        return await self.read(lambda pool: store.read(pool, keys))

    async def read(self, statement: Callable[[asyncpg.Pool], Coroutine[Any, Any, T]]) -> T:
        """Read in the database, within _READ_SECONDS. Raises StoreUnavailable."""
        with unavailable():
            reading = asyncio.create_task(statement(await self.database.pool()))
            done, _ = await asyncio.wait((reading,), timeout=_READ_SECONDS)
            if done:
                return reading.result()
        # asyncpg asks the server to cancel, and a server that is stopped does not say that it has:
        # whoever waits for the answer need not wait for that.
        self._given_up.add(reading)
        reading.add_done_callback(self._given_up.discard)
        reading.cancel()
        raise StoreUnavailable()

    def _land(self, key: str, flight: _Flight, row: store.Found) -> Answer | Referral:
        """Make the answer of what was read, and keep it unless it has changed meanwhile."""
        identifier, keep = flight.identifier, not flight.dirty
        octets = key.encode()
        prefix = self._prefix(owner_prefix(identifier), row, keep=keep)
        is_prefix_handle = identifier.prefix_key == PREFIX_HANDLE_PREFIX
        values = row.values
        if prefix is not None and is_prefix_handle:
            values = _beside(self._site_values(prefix), values)
        elif prefix is not None and prefix.elsewhere is not None:
            return Referral((prefix.elsewhere,))
        if prefix is None or (row.suffix is None and not values):
            if keep:
                self.cache.put_absent(octets)
            raise self._not_found(identifier, served=prefix is not None)
        spelling = f"{identifier.prefix_key}/{row.suffix or identifier.suffix}"
        answer = encode(spelling, octets, values, prefix)
        if keep:
            self.cache.put(octets, answer)
        return answer

    def _prefix(self, name: str, row: store.Found, *, keep: bool) -> Prefix | None:
        """Return the prefix if it resolves."""
        # The node's own prefix is not registered.
        if name != self._node_prefix and row.status != ACTIVE:
            return None
        elsewhere = _elsewhere(row) if row.hosting == DELEGATED else None
        known = self.cache.prefixes.get(name)
        if known is not None and keep and known.elsewhere == elsewhere:
            return known
        prefix = Prefix(elsewhere, self.counter.cells(name))
        if keep:
            self.cache.put_prefix(name, prefix)
        return prefix

    def _site_values(self, prefix: Prefix) -> list[HandleValue]:
        """Return where the identifiers of a prefix are served: at its own site, or here."""
        if prefix.elsewhere is not None:
            return [prefix.elsewhere]
        return [] if self._site is None else [HandleValue(SITE_INDEX, "HS_SITE", self._site)]

    def forget(self, prefix: str, suffix_keys: Sequence[str] | None) -> None:
        """Forget what has changed: these canonical suffixes, or all under the prefix."""
        if suffix_keys is None:
            self.cache.forget_prefix(prefix)
            for flight in self._all_flights():
                if owner_prefix(flight.identifier) == prefix:
                    flight.dirty = True
            return
        for suffix_key in suffix_keys:
            key = f"{prefix}/{suffix_key}"
            self.cache.forget(key.encode())
            for flight in self._flying.get(key, ()):
                flight.dirty = True

    def forget_all(self) -> None:
        """Forget everything: what was missed is not known."""
        self.cache.clear()
        for flight in self._all_flights():
            flight.dirty = True

    def _all_flights(self) -> Iterator[_Flight]:
        """Yield what is in the air. What still waits will see the change when it reads."""
        for flights in self._flying.values():
            yield from flights


def encode(spelling: str, key: bytes, values: Sequence[HandleValue], prefix: Prefix) -> Answer:
    """Make the answer that everybody may see. Nothing else is ever cached."""
    body = json_api.answer(spelling, visible(values, EVERYBODY))
    octets = spelling.encode()
    plain = _PLAIN_SPELLING.fullmatch(octets) is not None
    # Most are registered in their canonical spelling: then one object serves as both.
    kept = (key if octets == key else octets) if plain else None
    return Answer(b"%d\r\n\r\n%b" % (len(body), body), kept, prefix)


def _elsewhere(row: store.Found) -> HandleValue:
    """Return the value that says where a delegated prefix is served."""
    if row.service is not None:
        return HandleValue(SITE_INDEX, typed.SERVICE, encode_service(row.service))
    return HandleValue(SITE_INDEX, "HS_SITE", typed.site_from_json(row.site))


def _beside(own: Sequence[HandleValue], values: Sequence[HandleValue]) -> tuple[HandleValue, ...]:
    """Return the node's own values and those of the owner, without two of one index.

    No owner can write there (registry/prefix_handles.py), but once it could.
    """
    taken = {value.index for value in own}
    return (*own, *(value for value in values if value.index not in taken))


def _retrieve(future: asyncio.Future[Answer | Referral]) -> None:
    if not future.cancelled():
        future.exception()
