"""Where a prefix is served, by what the nodes have filed: what the Handle face answers from."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from protocol import typed
from protocol.handle.service import encode_service
from protocol.values import HandleValue
from registry.database import Database
from registry.prefix_handles import SITE_INDEX
from registry.prefixes import ACTIVE, DELEGATED
from resolver.federation.toplevel.schema import filings, sites

KEPT_SECONDS = 5.0
"""How long what was read is taken to hold where nobody says that it has changed."""

MOST_KEPT = 10_000
"""Prefixes that are remembered; of more, the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where `prefix`, and what derives from it, is served: an HS_SITE or HS_SERV value."""

    prefix: str
    value: HandleValue


class Directory:
    """Finds the place of a prefix; remembers a bounded number for a bounded time."""

    def __init__(
        self,
        database: Database,
        *,
        prefix: str,
        site: bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the prefix of the top-level node and its own HS_SITE record, and a clock."""
        self.prefix = prefix
        self._database = database
        self._own = Place(prefix, HandleValue(SITE_INDEX, "HS_SITE", site))
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Place | None]] = OrderedDict()
        self._changes = 0

    def forget(self) -> None:
        """Forget what was read: something was filed."""
        self._known.clear()
        self._changes += 1

    def covers(self, prefix: str) -> bool:
        """Whether the prefix is the top-level node's own or lies under it."""
        return f"{prefix}.".startswith(f"{self.prefix}.")

    async def find(self, prefix: str, *, authoritative: bool = False) -> Place | None:
        """Return the place of a prefix that is covered: that of the longest that was filed.

        A delegated prefix has its own, every other one that of its node. None where no node has
        filed. authoritative: read anew. Raises StoreUnavailable.
        """
        if prefix == self.prefix:
            return self._own
        known = self._known.get(prefix)
        if known is not None and known[0] > self._clock() and not authoritative:
            return known[1]
        changes = self._changes
        place = await self._read(self._ancestors(prefix))
        if changes == self._changes:
            self._keep(prefix, place)
        return place

    def _keep(self, prefix: str, place: Place | None) -> None:
        self._known[prefix] = (self._clock() + KEPT_SECONDS, place)
        self._known.move_to_end(prefix)
        if len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)

    def _ancestors(self, prefix: str) -> list[str]:
        """Return the prefix and those that it derives from, below our own."""
        labels = prefix.split(".")
        own = self.prefix.count(".") + 1
        return [".".join(labels[:count]) for count in range(own + 1, len(labels) + 1)]

    async def _read(self, prefixes: Sequence[str]) -> Place | None:
        """Return the place of the longest of these that has one."""
        of_nodes = sa.select(
            sites.c.node.label("prefix"), sites.c.site, sa.null().label("service")
        ).where(sites.c.node.in_(prefixes))
        delegated = sa.select(filings.c.prefix, filings.c.site, filings.c.service).where(
            filings.c.prefix.in_(prefixes),
            filings.c.hosting == DELEGATED,
            filings.c.status == ACTIVE,
        )
        async with self._database.begin() as connection:
            rows = (await connection.execute(sa.union_all(of_nodes, delegated))).all()
        if not rows:
            return None
        longest = max(rows, key=lambda row: len(row.prefix))
        return Place(longest.prefix, _value(longest.site, longest.service))


def _value(site: object, service: str | None) -> HandleValue:
    if service is not None:
        return HandleValue(SITE_INDEX, typed.SERVICE, encode_service(service))
    return HandleValue(SITE_INDEX, "HS_SITE", typed.site_from_json(site))
