"""The names that are asked for most, estimated by each worker for each day.

A worker keeps SIZE names of a kind. Of one that is not among them it knows that it was asked for at
most ``total / SIZE`` times. What a worker that is killed had learned since it last wrote is lost.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from registry.database import Database
from registry.schema import top_names, top_sources
from registry.statistics import day_of, partitions
from registry.statistics.sketch import Estimate, Sketch

FOUND, MISSING = "found", "missing"

SIZE = 1024
MAX_NAME = 512
"""Longest name that is told of, in characters; of a longer one the beginning."""

_NEW = insert(top_names)
_WRITE = _NEW.on_conflict_do_update(
    index_elements=["prefix", "day", "kind", "source", "name"],
    set_={"hits": _NEW.excluded.hits, "error": _NEW.excluded.error},
)
_NEW_SOURCE = insert(top_sources)
_WRITE_SOURCE = _NEW_SOURCE.on_conflict_do_update(
    index_elements=["source", "day", "kind"],
    set_={"total": _NEW_SOURCE.excluded.total, "floor": _NEW_SOURCE.excluded.floor},
)
_columns = top_names.c
_REMOVE = top_names.delete().where(
    _columns.prefix == sa.bindparam("at_prefix", type_=_columns.prefix.type),
    _columns.day == sa.bindparam("at_day", type_=_columns.day.type),
    _columns.kind == sa.bindparam("at_kind", type_=_columns.kind.type),
    _columns.source == sa.bindparam("at_source", type_=_columns.source.type),
    _columns.name == sa.bindparam("at_name", type_=_columns.name.type),
)

Key = tuple[str, str]
"""Prefix and name."""


class _Day:
    """The estimates of one day, and what of them is written."""

    def __init__(self, day: datetime.date) -> None:
        self.day = day
        self.source = uuid.uuid4()
        self.sketch: Sketch[Any] = Sketch(SIZE)
        self.written: dict[Key, Estimate] = {}
        self.told = 0


class Top:
    """Estimates of one kind: FOUND takes canonical identifiers in UTF-8, MISSING keys."""

    def __init__(self, kind: str, now: float) -> None:
        """Begin. now: Unix seconds."""
        self.kind = kind
        self._days = [_Day(day_of(now))]

    def add(self, names: Mapping[Any, int], now: float) -> None:
        """Take how often each name was asked for since the last time."""
        today = day_of(now)
        if today != self._days[-1].day:
            self._days = [self._days[-1], _Day(today)]  # a day before that is given up
        self._days[-1].sketch.add(names)

    async def flush(self, database: Database) -> None:
        """Write what has changed. Raises StoreUnavailable."""
        for each in list(self._days):
            if each.told != each.sketch.total:
                await self._write(database, each)
        self._days = self._days[-1:]

    async def _write(self, database: Database, each: _Day) -> None:
        total, floor = each.sketch.total, each.sketch.floor
        now = self._keyed(each.sketch.estimates())
        place = {"day": each.day, "kind": self.kind, "source": each.source}
        at = {f"at_{name}": value for name, value in place.items()}
        changed = [
            {"prefix": key[0], "name": key[1], "hits": new.hits, "error": new.error, **place}
            for key, new in sorted(now.items())
            if each.written.get(key) != new
        ]
        gone = [{"at_prefix": key[0], "at_name": key[1], **at} for key in each.written.keys() - now]
        async with database.begin() as connection:
            await partitions.make(connection, each.day)
            if changed:
                await connection.execute(_WRITE, changed)
            if gone:
                await connection.execute(_REMOVE, gone)
            await connection.execute(_WRITE_SOURCE, {"total": total, "floor": floor, **place})
        each.written, each.told = now, total

    def _keyed(self, estimates: Mapping[Any, Estimate]) -> dict[Key, Estimate]:
        keyed: dict[Key, Estimate] = {}
        for name, estimate in estimates.items():
            prefix, text = name.decode().split("/", 1) if self.kind == FOUND else name
            key = (prefix, text[:MAX_NAME])
            before = keyed.get(key, Estimate(0, 0))  # long names may begin alike
            keyed[key] = Estimate(before.hits + estimate.hits, before.error + estimate.error)
        return keyed
