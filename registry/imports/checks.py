"""What can be said of the rows of a batch only in the transaction that registers them."""

from __future__ import annotations

from collections import defaultdict

import asyncpg

from registry.imports import modes
from registry.imports.batches import Batch, Key, Named
from registry.templates.lookup import PUBLISHED

_TEMPLATES = """
SELECT w.state FROM unnest($1::text[], $2::text[], $3::integer[]) AS q (prefix, name_key, version),
    LATERAL template_to_write(q.prefix, q.name_key, q.version) AS w
"""


class TemplateWithdrawn(Exception):
    """A template that rows were checked by is not published any more."""


async def hold_templates(connection: asyncpg.Connection, batch: Batch) -> None:
    """Let nobody withdraw the templates of a batch before the transaction ends.

    Raises TemplateWithdrawn.
    """
    if not batch.checkers:
        return
    used = [(prefix, checker.reference) for prefix, checker in batch.checkers]
    rows = await connection.fetch(
        _TEMPLATES,
        [prefix for prefix, _ in used],
        [reference.name_key for _, reference in used],
        [reference.version for _, reference in used],
    )
    if [row["state"] for row in rows] != [PUBLISHED] * len(used):
        raise TemplateWithdrawn


async def refuse_unregistered(
    connection: asyncpg.Connection, batch: Batch, *, dry_run: bool
) -> None:
    """Refuse the rows that name identifiers which are not registered, nor by another row.

    A row that is refused takes with it those that relied on it. dry_run: see modes.missing.
    """
    if not batch.named:
        return
    targets = {target.key for named in batch.named.values() for target in named.targets}
    missing = await modes.missing(connection, list(targets), dry_run=dry_run)
    if not missing:
        return
    by_target: defaultdict[Key, list[Key]] = defaultdict(list)
    for key, named in batch.named.items():
        for target in named.targets:
            by_target[target.key].append(key)
    gone = [key for key in missing if not _in_batch(batch, key)]
    while gone:
        for key in by_target.pop(gone.pop(), ()):
            if key not in batch.named:
                continue
            batch.refuse(key, *_fault(batch, batch.named[key], missing))
            if key in missing:
                gone.append(key)


def _in_batch(batch: Batch, key: Key) -> bool:
    group = batch.groups.get(key[0])
    return group is not None and key[1] in group.lines


def _fault(batch: Batch, named: Named, missing: set[Key]) -> tuple[str, str]:
    """Return column and reason for a row that names something which is not there."""
    for target in named.targets:
        if target.key in missing and not _in_batch(batch, target.key):
            fault = named.checker.not_registered(target.index, target.identifier)
            return target.column, fault.reason
    raise AssertionError("every identifier that the row names is there")
