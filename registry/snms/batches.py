"""Batches of the SNMS API: each item is done or refused by itself.

All but a few are done in one transaction, by the few statements of registry/batch. Those few come
one by one after it: an identifier that stands in the batch again, and what somebody else has
changed in between. Who sends a batch again whose answer was lost is told what is there already.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from protocol.errors import IdnodeError, PreconditionFailed
from protocol.identifier import Identifier, fold
from registry import batch
from registry.batch.model import MAX_PREFIXES, Key, columns
from registry.identifiers import Condition, etag
from registry.schema import identifiers
from registry.services import Work
from registry.snms import records
from registry.snms.wire import SnmsRecord

MAX_ITEMS = 2000
"""Items of a batch, as the guide says."""

MAX_BYTES = 4 * 1024 * 1024
"""Of the body: about 2 KiB an item."""

MAX_KINDS = min(100, MAX_PREFIXES)
"""Templates, each of a prefix, that the items of the one transaction have; others come later."""

_ITEMS_IN_TRANSACTION = 50  # of those that come one by one

T = TypeVar("T")

OpenWork = Callable[[float | None], AbstractAsyncContextManager[Work]]
"""Opens a transaction of who asks; takes the seconds for all of it, None for the usual."""

Outcomes = list[IdnodeError | None]
"""Why each item was refused, None for what was done; in the order of the items."""

Prepared = Sequence[batch.Operation | IdnodeError | None]
"""An operation for each item, why there is none, or None for what is to come one by one."""

_STORED = sa.text(
    """
    SELECT i.prefix, i.suffix_key, i.version, i.values
    FROM unnest(CAST(:prefixes AS text[]), CAST(:suffix_keys AS text[])) AS q (prefix, suffix_key)
    JOIN identifiers AS i ON i.prefix = q.prefix AND i.suffix_key = q.suffix_key"""
).columns(*(identifiers.c[name] for name in ("prefix", "suffix_key", "version", "values")))


@dataclass(frozen=True)
class _Kind(Generic[T]):
    """How items are done.

    named, template: what an item names. prepare: makes the operations of items, all with other
    identifiers. forestalled: what is said of one whose condition does not hold, None if it is to
    come one by one. single: does one.
    """

    named: Callable[[T], str]
    template: Callable[[T], str]
    prepare: Callable[[Work, Sequence[T]], Awaitable[Prepared]]
    forestalled: Callable[[T], IdnodeError | None]
    single: Callable[[Work, T], Awaitable[None]]


async def create(open_work: OpenWork, items: Sequence[SnmsRecord]) -> Outcomes:
    """Register identifiers. Raises what `open_work` raises, and errors of the node itself."""
    return await _run(open_work, items, _CREATE)


async def update(open_work: OpenWork, items: Sequence[SnmsRecord]) -> Outcomes:
    """Replace identifiers. Raises as `create` does."""
    return await _run(open_work, items, _UPDATE)


async def delete(open_work: OpenWork, items: Sequence[str]) -> Outcomes:
    """Delete identifiers. Raises as `create` does."""
    return await _run(open_work, items, _DELETE)


async def _creations(_: Work, items: Sequence[SnmsRecord]) -> Prepared:
    return [_put(item, (), records.ABSENT) for item in items]


async def _replacements(work: Work, items: Sequence[SnmsRecord]) -> Prepared:
    keys = [_key(records.parse(item.handle)) for item in items]
    rows = await work.connection.execute(_STORED, columns(keys))
    found = {(row.prefix, row.suffix_key): row for row in rows}
    return [
        _put(item, found[key]._mapping["values"], Condition(match=(etag(found[key].version),)))
        if key in found
        else None  # not there, by a range alone, or another's
        for item, key in zip(items, keys, strict=True)
    ]


async def _deletions(_: Work, items: Sequence[str]) -> Prepared:
    return [batch.Delete(records.parse(item), records.ANY) for item in items]


def _put(
    item: SnmsRecord, before: Sequence[dict[str, Any]], when: Condition
) -> batch.Operation | IdnodeError:
    try:
        values = records.replacing(records.values_of(item), before)
    except IdnodeError as error:
        return error
    return batch.Put(records.parse(item.handle), values, item.template_version, when)


def _key(identifier: Identifier) -> Key:
    return identifier.prefix_key, identifier.suffix_key


_CREATE: _Kind[SnmsRecord] = _Kind(
    attrgetter("handle"),
    attrgetter("template_version"),
    _creations,
    lambda item: records.exists(item.handle),
    records.create,
)
_UPDATE: _Kind[SnmsRecord] = _Kind(
    attrgetter("handle"),
    attrgetter("template_version"),
    _replacements,
    lambda _: None,
    records.update,
)
_DELETE: _Kind[str] = _Kind(str, lambda _: "", _deletions, lambda _: None, records.delete)


async def _run(open_work: OpenWork, items: Sequence[T], kind: _Kind[T]) -> Outcomes:
    outcomes: Outcomes = [None] * len(items)
    together, later = _parted(items, kind, outcomes)
    if together:
        async with open_work(batch.SECONDS) as work:
            later += await _do_together(work, items, together, kind, outcomes)
    # All lock in the same order, so that none waits for one that waits for it.
    later.sort(key=lambda place: (fold(kind.named(items[place])), place))
    for start in range(0, len(later), _ITEMS_IN_TRANSACTION):
        async with open_work(None) as work:
            for place in later[start : start + _ITEMS_IN_TRANSACTION]:
                outcomes[place] = await _do_alone(work, items[place], kind)
    return outcomes


def _parted(items: Sequence[T], kind: _Kind[T], outcomes: Outcomes) -> tuple[list[int], list[int]]:
    """Return the places of what is done together and of what comes later; note the rest."""
    seen: set[Key] = set()
    kinds: set[tuple[str, str]] = set()
    together, later = [], []
    for place, item in enumerate(items):
        try:
            identifier = records.parse(kind.named(item))
        except IdnodeError as error:
            outcomes[place] = error
            continue
        key = _key(identifier)
        of_kind = identifier.prefix_key, kind.template(item)
        if key in seen or (len(kinds) >= MAX_KINDS and of_kind not in kinds):
            later.append(place)
            continue
        seen.add(key)
        kinds.add(of_kind)
        together.append(place)
    return together, later


async def _do_together(
    work: Work, items: Sequence[T], places: list[int], kind: _Kind[T], outcomes: Outcomes
) -> list[int]:
    """Do items at once and note what became of them; return the places of those to come later."""
    later, ready, operations = [], [], []
    prepared = await kind.prepare(work, [items[place] for place in places])
    for place, operation in zip(places, prepared, strict=True):
        if operation is None:
            later.append(place)
        else:
            ready.append(place)
            operations.append(operation)
    if not ready:
        return later
    result = await batch.run(work, operations, atomic=False)
    for place, outcome in zip(ready, result.outcomes, strict=True):
        error = outcome if isinstance(outcome, IdnodeError) else None
        if isinstance(error, PreconditionFailed):
            error = kind.forestalled(items[place])
            if error is None:
                later.append(place)
        outcomes[place] = error
    return later


async def _do_alone(work: Work, item: T, kind: _Kind[T]) -> IdnodeError | None:
    try:
        await kind.single(work, item)
    except IdnodeError as error:
        if error.http_status >= 500:
            raise
        return error  # who refuses has changed nothing: the transaction goes on
    return None
