"""From a prefix to the servers that the DNS names for it, remembered by ttl."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.name
import structlog

from resolver.handle.elsewhere import read_address
from resolver.recursion.cache import TimedCache
from resolver.recursion.discovery import names
from resolver.recursion.discovery.lookup import Lookup, Untrusted
from resolver.recursion.discovery.names import TRANSPORTS, Further, Target, Transport
from resolver.recursion.places import MAX_SITES, Allows, Place, Server, Site

log = structlog.get_logger("idnode.recursion")

SECONDS = 1.5
"""Time to find where a walk begins; when it is over the walk begins at the root."""

NONE_SECONDS, FAILED_SECONDS = 60.0, 5.0
"""How long it is remembered that the DNS names nobody, and that it did not answer."""

MIN_TTL, MAX_TTL = 5, 3600
MAX_ADDRESSES = 4
_MAX_FURTHER = 4
_BYTES = 300  # of a server

Count = Callable[[str], None]
"""Is told of what came of a search: found, none, untrusted, failed."""


@dataclass(frozen=True, slots=True)
class _Found:
    place: Place | None
    seconds: float


class Discovery:
    """Finds nodes in the DNS. One a worker."""

    def __init__(
        self,
        lookup: Lookup,
        allows: Allows,
        count: Count,
        *,
        clock: Callable[[], float],
        cache_bytes: int = 1 << 20,
    ) -> None:
        """Take what asks the DNS; allows: whether the server at an address may be asked."""
        self._lookup = lookup
        self._allows = allows
        self._count = count
        self._known: TimedCache[Place | None] = TimedCache(cache_bytes, clock)
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[Place | None]] = {}

    async def close(self) -> None:
        """End the searches under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def near(self, prefix: str) -> Place | None:
        """Return the servers named for a prefix, else for the nearest from which it derives.

        prefix: in canonical spelling. Takes SECONDS at most; None for nobody.
        """
        try:
            async with asyncio.timeout(SECONDS):
                while prefix:
                    place = await self._at(prefix)
                    if place is not None:
                        return place
                    prefix = prefix.rpartition(".")[0]
        except TimeoutError:
            self._count("failed")
        return None

    async def root(self) -> Place | None:
        """Return the servers named for the zone itself; None for nobody."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._at("")
        except TimeoutError:
            self._count("failed")
            return None

    async def _at(self, prefix: str) -> Place | None:
        entry = self._known.get(prefix)
        if entry is not None and entry.until > self._clock():
            return entry.value
        task = self._under_way.get(prefix)
        if task is None:
            task = self._under_way[prefix] = asyncio.create_task(self._search(prefix))
            task.add_done_callback(lambda _: self._under_way.pop(prefix))
        return await asyncio.shield(task)

    async def _search(self, prefix: str) -> Place | None:
        name = names.of_prefix(prefix, self._lookup.zone)
        try:
            found = _Found(None, NONE_SECONDS) if name is None else await self._named(name)
            self._count("none" if found.place is None else "found")
        except Untrusted as error:
            self._count("untrusted")
            log.warning("discovery_untrusted", prefix=prefix[:256], reason=str(error)[:256])
            found = _Found(None, NONE_SECONDS)
        except dns.exception.DNSException as error:
            self._count("failed")
            log.info("discovery_failed", prefix=prefix[:256], reason=str(error)[:256])
            found = _Found(None, FAILED_SECONDS)
        size = _BYTES * (len(found.place.sites) if found.place else 0)
        self._known.put(prefix, found.place, size, found.seconds)
        return found.place

    async def _named(self, name: dns.name.Name) -> _Found:
        """Return what is said of a name: by NAPTR, else by SRV, else by URI.

        Raises Untrusted, DNSException.
        """
        ttls: list[int] = []
        targets = await self._by_naptr(name, ttls)
        if not targets:
            targets = await self._by_service(name, "SRV", names.from_srv, ttls)
        if not targets:
            targets = await self._by_service(name, "URI", names.from_uri, ttls)
        place = await self._place(targets, ttls)
        seconds = min(max(min(ttls), MIN_TTL), MAX_TTL) if place else NONE_SECONDS
        return _Found(place, seconds)

    async def _by_naptr(self, name: dns.name.Name, ttls: list[int]) -> list[Target]:
        steps = names.from_naptr(await self._find(name, "NAPTR", ttls))
        targets = [step for step in steps if isinstance(step, Target)]
        further = [step for step in steps if isinstance(step, Further)][:_MAX_FURTHER]
        for step in further:
            records = await self._find(step.name, "SRV", ttls)
            targets += names.from_srv(records, step.transport, step.rank)
        return targets

    async def _by_service(
        self,
        name: dns.name.Name,
        type_: str,
        read: Callable[[Iterable[Any], Transport], list[Target]],
        ttls: list[int],
    ) -> list[Target]:
        targets: list[Target] = []
        for transport in TRANSPORTS:
            at = names.at_service(name, transport)
            if at is not None:
                targets += read(await self._find(at, type_, ttls), transport)
        return targets

    async def _place(self, targets: Sequence[Target], ttls: list[int]) -> Place | None:
        """Return the servers of targets, each a site of its own."""
        ports: dict[tuple[str, int], dict[str, int]] = {}
        for target in sorted(targets, key=lambda each: each.rank):
            ports.setdefault((target.host.lower(), target.rank), {}).setdefault(
                target.transport, target.port
            )
        sites: list[Site] = []
        for rank, ((host, _), by) in enumerate(list(ports.items())[:MAX_SITES]):
            for address in await self._addresses(host, ttls):
                if all(self._allows(address, port) for port in by.values()):
                    server = Server(address, by.get("udp"), by.get("tcp"), rank)
                    sites.append(Site((server,)))
                else:
                    self._count("refused")
        return Place(tuple(sites[:MAX_SITES])) if sites else None

    async def _addresses(self, host: str, ttls: list[int]) -> list[str]:
        literal = read_address(host)
        if literal is not None:
            return [str(literal)]
        try:
            name = dns.name.from_text(host)
        except dns.exception.DNSException:
            return []
        found = [
            str(record.address)
            for type_ in ("A", "AAAA")
            for record in await self._find(name, type_, ttls)
        ]
        return found[:MAX_ADDRESSES]

    async def _find(self, name: dns.name.Name, type_: str, ttls: list[int]) -> list[Any]:
        rrset = await self._lookup.find(name, type_)
        if rrset is None:
            return []
        ttls.append(rrset.ttl)
        return list(rrset)
