"""Recursion as clients of this node see it: who may ask, one walk for all who want the same."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic, time

import structlog

from protocol.errors import Busy, IdnodeError, PeerUnavailable, ResponseCode, TooManyRequests
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.metrics import Row
from registry.networks import Networks, holds
from registry.prefix_handles import owner_prefix
from resolver.client.exchange import Answer
from resolver.client.steps import Step
from resolver.handle.elsewhere import Address, read_address
from resolver.lookup import Resolver
from resolver.recursion.asker import Asker, Network, real_network
from resolver.recursion.cache import Entry, TimedCache
from resolver.recursion.discovery.lookup import Lookup
from resolver.recursion.discovery.search import Discovery
from resolver.recursion.local import ask_here
from resolver.recursion.model import (
    Bounds,
    Found,
    RecursionFailed,
    seconds_to_keep,
)
from resolver.recursion.places import HERE, Place
from resolver.recursion.walk import Asked, Question, Steps, Walk, walked
from resolver.referrals import Referral
from resolver.site_asker import may_be_asked
from resolver.transports.limits import Places, Shares, source_of

MAX_COUNT = 8
"""Servers that may have passed a question on before it comes here."""

STALE_TTL = 30
"""Seconds for which whoever gets a stale answer may keep it: RFC 8767 section 4."""

REST_SECONDS = 30.0
"""How long a stale answer is given before its renewal is tried again: RFC 8767 section 5."""

PATIENCE_SECONDS = 1.8
"""How long who could have a stale answer waits for a fresh one: RFC 8767 section 5."""

FAILURE_SECONDS = 5.0
"""How long it is remembered that an identifier was not found out (RFC 9520 section 3.2)."""

_PREFETCH_PART, _PREFETCH_HITS = 0.1, 3
_PLACES_PART = 8  # of the room: the sites of prefixes
_FAILURES_PART = 16
_WAITING_PER_WALK = 2  # questions, for all clients together

Begin = Callable[[Identifier], Awaitable[Steps]]
"""Begins the walk to an identifier."""

log = structlog.get_logger("idnode.recursion")


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is wanted: an identifier, the key under which it is remembered, and how to begin.

    count: how many servers have passed the question on before this one.
    """

    identifier: Identifier
    key: str
    begin: Begin
    count: int


@dataclass(frozen=True)
class Limits:
    """What a worker does for clients.

    walks: under way at once. client_waiting, client_rate: questions of one client (an IPv4 address
    or an IPv6 /56) that wait at once, and walks that are begun for it in a second; 0: any number.
    cache_bytes: room for what others said. stale_seconds: how long that is kept when its time is
    over, for when nobody answers.
    """

    walks: int = 256
    client_waiting: int = 32
    client_rate: int = 100
    cache_bytes: int = 16 << 20
    stale_seconds: int = 86_400


class Recursion:
    """Asks other nodes for clients. One a worker."""

    def __init__(
        self,
        root: Place | None,
        clients: Networks,
        *,
        row: Row,
        nodes: Mapping[str, Place] | None = None,
        dns: Lookup | None = None,
        resolver: Resolver | None = None,
        private: Networks = (),
        here: frozenset[tuple[Address, int]] = frozenset(),
        bounds: Bounds | None = None,
        limits: Limits | None = None,
        network: Network | None = None,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], float] = time,
    ) -> None:
        """Take where walks begin, whose questions are taken, and what this node itself knows.

        nodes: where they begin for what is under a prefix. dns: asks the DNS for what is in
        neither; without a root, for that too.
        private: networks that referrals may lead to though they are not public. here: addresses and
        ports of this node itself, which are never asked. clock: seconds that do not go back; now:
        Unix seconds.
        """
        self.bounds = bounds or Bounds()
        self._limits = limits or Limits()
        self._root, self._clients, self._private, self._here = root, clients, private, here
        self._row, self._clock, self._now = row, clock, now
        self._asker = Asker(network or real_network(self._dropped), self.bounds, clock, now)
        room = self._limits.cache_bytes
        self.answers: TimedCache[Found] = TimedCache(room, clock)
        self._places: TimedCache[Place] = TimedCache(room // _PLACES_PART, clock)
        self._failures: TimedCache[RecursionFailed] = TimedCache(room // _FAILURES_PART, clock)
        self._nodes = nodes or {}
        self._resolver = resolver
        self._discovery = (
            None if dns is None else Discovery(dns, self._allows, self._discovered, clock=clock)
        )
        self._flights: dict[str, asyncio.Task[Found]] = {}
        self._waiting = Places(self._limits.client_waiting)
        self._rates = Shares(self._limits.client_rate, 1.0, clock)

    def serves(self, client: str) -> bool:
        """Whether a client, by its address, may have us ask others."""
        return holds(self._clients, client)

    async def close(self) -> None:
        """End the walks under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        if self._discovery is not None:
            await self._discovery.close()

    async def resolve(
        self, identifier: Identifier, client: str, *, count: int = 0, fresh: bool = False
    ) -> Found:
        """Return what the node says that has a foreign identifier.

        client: address, for which it is counted. count: how many servers have passed it on. fresh:
        ask, even if the answer is known. Raises RecursionFailed, Busy, TooManyRequests.
        """
        wish = _Wish(identifier, identifier.key, self._from_root, count)
        return await self._answer(wish, client, fresh=fresh)

    async def follow(
        self,
        identifier: Identifier,
        referral: Referral,
        client: str,
        *,
        count: int = 0,
        fresh: bool = False,
    ) -> Found:
        """Return what the node says to which this one refers; as `resolve` does."""
        # What was said where a prefix used to be delegated is no answer of where it is now.
        key = f"{identifier.key}\0{_digest(referral)}"
        wish = _Wish(identifier, key, partial(self._from_referral, referral), count)
        return await self._answer(wish, client, fresh=fresh)

    async def _answer(self, wish: _Wish, client: str, *, fresh: bool) -> Found:
        entry = self.answers.get(wish.key)
        if entry is not None and entry.until > self._clock() and not fresh:
            self._row.add("idnode_recursion_queries", "cached")
            self._prefetch(wish, entry)
            return self._aged(entry)
        stale = None if fresh else entry
        try:
            found = await self._waited(wish, source_of(client), stale)
        except IdnodeError as error:
            if stale is None:
                self._row.add("idnode_recursion_queries", "failed")
                raise
            name = str(wish.identifier)[:256]
            log.info("recursion_stale", identifier=name, reason=error.detail[:256])
            self._row.add("idnode_recursion_queries", "stale")
            return _stale(stale.value)
        self._row.add("idnode_recursion_queries", "asked")
        return found

    async def _waited(self, wish: _Wish, source: str, stale: Entry[Found] | None) -> Found:
        """Wait for the walk, not for long where there is a stale answer. Raises IdnodeError."""
        waiting = self._waiting
        if waiting.taken >= _WAITING_PER_WALK * self._limits.walks:
            raise self._busy()
        if not waiting.free_for(source):
            raise self._too_many()
        waiting.take(source)
        try:
            flight = self._flights.get(wish.key) or self._take_off(wish, source)
            patience = None if stale is None else PATIENCE_SECONDS
            done, _ = await asyncio.wait((flight,), timeout=patience)
        finally:
            waiting.leave(source)
        if not done:
            raise PeerUnavailable(f"no answer in {PATIENCE_SECONDS:g} s")
        return flight.result()

    def _take_off(self, wish: _Wish, source: str | None = None) -> asyncio.Task[Found]:
        """Begin a walk. source: for whom; None for nobody in particular.

        Raises RecursionFailed where one failed lately, Busy, TooManyRequests.
        """
        failed = self._failures.fresh(wish.key)
        if failed is not None:
            raise RecursionFailed(failed.detail, failed.reason)
        known = self.answers.get(wish.key)
        if known is not None and known.rest_until > self._clock():
            raise PeerUnavailable("its renewal failed a moment ago")
        if len(self._flights) >= self._limits.walks:
            raise self._busy()
        if source is not None and not self._rates.take(source, 1):
            raise self._too_many()
        flight = self._flights[wish.key] = asyncio.create_task(self._fly(wish))

        def landed(task: asyncio.Task[Found]) -> None:
            del self._flights[wish.key]
            if not task.cancelled():
                task.exception()  # whoever waits may be gone when it fails

        flight.add_done_callback(landed)
        return flight

    def _busy(self) -> Busy:
        self._row.add("idnode_recursion_failed", "busy")
        return Busy("too many identifiers are asked for at other nodes", retry_after=1)

    def _too_many(self) -> TooManyRequests:
        self._row.add("idnode_recursion_failed", "client")
        return TooManyRequests("too many identifiers of other nodes are asked for", retry_after=1)

    def _prefetch(self, wish: _Wish, entry: Entry[Found]) -> None:
        """Renew an answer that is asked for often, before its time is over."""
        left, lasts = entry.until - self._clock(), entry.until - entry.since
        if left > lasts * _PREFETCH_PART or entry.hits < _PREFETCH_HITS:
            return
        if wish.key not in self._flights:
            with contextlib.suppress(IdnodeError):  # it is fresh still: no harm
                self._take_off(wish)
                self._row.add("idnode_recursion_prefetched")

    async def _fly(self, wish: _Wish) -> Found:
        """Walk to the answer and keep it. Raises RecursionFailed."""
        identifier = wish.identifier
        try:
            async with asyncio.timeout(self.bounds.seconds):
                asked = await walked(await wish.begin(identifier), partial(self._ask, wish.count))
        except TimeoutError:
            failure = RecursionFailed(
                f"{identifier}: no answer in {self.bounds.seconds:g} s", "deadline"
            )
        except RecursionFailed as error:
            failure = error
        else:
            return self._keep(wish.key, asked)
        self._failed(wish, failure)
        raise failure

    def _keep(self, key: str, asked: Asked | None) -> Found:
        code = ResponseCode.HANDLE_NOT_FOUND if asked is None else asked[0].code
        values = () if asked is None else asked[0].values
        now, most = int(self._now()), self.bounds.max_ttl
        found = Found(code, tuple(_bounded(value, now, most) for value in values if value.public))
        seconds = seconds_to_keep(found.answered, self.bounds, self._now())
        stale = self._limits.stale_seconds
        self.answers.put(key, found, _size(found.answered), seconds, stale)
        return found

    def _failed(self, wish: _Wish, failure: RecursionFailed) -> None:
        self._row.add("idnode_recursion_failed", failure.reason)
        self._failures.put(wish.key, failure, len(failure.detail), FAILURE_SECONDS)
        stale = self.answers.get(wish.key)
        if stale is not None:
            stale.rest_until = self._clock() + REST_SECONDS
        log.info(
            "recursion_failed",
            identifier=str(wish.identifier)[:256],
            reason=failure.reason,
            detail=failure.detail[:256],
        )

    async def _from_root(self, identifier: Identifier) -> Steps:
        walk = await self._walk()
        if self._places.fresh(identifier.prefix_key) is None:
            walk.near_prefix = owner_prefix(identifier)
            walk.near = await self._near(walk.near_prefix)
        return walk.find(identifier)

    async def _from_referral(self, referral: Referral, identifier: Identifier) -> Steps:
        of_prefix = referral.code == ResponseCode.PREFIX_REFERRAL
        return (await self._walk()).at(identifier, referral.values(), of_prefix=of_prefix)

    async def _walk(self) -> Walk:
        root = self._root
        if root is None and self._discovery is not None:
            root = await self._discovery.root()
        return Walk(
            root,
            self._places.fresh,
            self._learn,
            self._allows,
            self.bounds,
            self._refused,
            self._is_own,
        )

    def _is_own(self, identifier: Identifier) -> bool:
        return self._resolver is not None and not self._resolver.is_foreign(identifier)

    async def _near(self, prefix: str) -> Place | None:
        """Return where the walk to a prefix begins, None for the root: what is set comes first."""
        at = prefix
        while at:
            if at in self._nodes:
                return self._nodes[at]
            at = at.rpartition(".")[0]
        return None if self._discovery is None else await self._discovery.near(prefix)

    def _discovered(self, outcome: str) -> None:
        self._row.add("idnode_recursion_discovered", outcome)

    def _learn(self, prefix: str, place: Place, values: Sequence[HandleValue]) -> None:
        seconds = seconds_to_keep(values, self.bounds, self._now())
        self._places.put(prefix, place, _size(values), seconds)

    def _allows(self, host: str, port: int) -> bool:
        address = read_address(host)
        if address is None or (address, port) in self._here:
            return False
        return may_be_asked(host, self._private)

    def _refused(self, servers: int) -> None:
        self._row.add("idnode_recursion_dropped", "referral", by=servers)

    def _dropped(self, reason: str) -> None:
        self._row.add("idnode_recursion_dropped", reason)

    async def _ask(self, count: int, question: Question) -> Answer:
        if question.place is HERE and self._resolver is not None:
            return await ask_here(self._resolver, question.identifier)
        return await self._asker.ask(question, count, self._seen)

    def _seen(self, step: Step) -> None:
        if step.event == "send":
            self._row.add("idnode_recursion_sent", step.endpoint.transport)

    def _aged(self, entry: Entry[Found]) -> Found:
        """Return an answer whose times to live are what is left of them."""
        age = int(self._clock() - entry.since)
        left = max(1, int(entry.until - self._clock()))
        return replace(entry.value, answered=tuple(_left(entry.value.answered, age, left)))


def _left(values: Sequence[HandleValue], age: int, most: int) -> Iterator[HandleValue]:
    for value in values:
        if value.ttl_absolute:
            yield value
        else:
            left = value.ttl - age
            yield replace(value, ttl=min(left, most) if left > 0 else most)


def _bounded(value: HandleValue, now: int, most: int) -> HandleValue:
    """Return a value that nobody keeps for longer than `most` seconds, whatever it said."""
    return replace(value, ttl=min(value.ttl, now + most if value.ttl_absolute else most))


def _digest(referral: Referral) -> str:
    """Return what tells referrals apart by where they lead."""
    told = (f"{value.type}\0{value.data.hex()}" for value in referral.values())
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _stale(found: Found) -> Found:
    values = (replace(value, ttl=STALE_TTL, ttl_absolute=False) for value in found.answered)
    return Found(found.code, tuple(values), stale=True)


def _size(values: Sequence[HandleValue]) -> int:
    """Return how many bytes values take, roughly: an object each beside what they say."""
    return sum(300 + len(value.type) + len(value.data) for value in values)
