"""What a batch writes: its rows, in two statements, and its one line in the audit log."""

from __future__ import annotations

import uuid
from collections import Counter
from hashlib import sha256
from typing import Any

import msgspec

from protocol.errors import HandleNotFound, PreconditionFailed
from registry import audit, raw
from registry.batch import statements
from registry.batch.model import Course, Done, Item, Stored, columns
from registry.services import Work


async def write(work: Work, course: Course, batch_id: uuid.UUID | None) -> None:
    """Write what the batch still holds, and say so in the audit log.

    batch_id: of the one line for all of it; None: a line for each put, there is nothing else.
    What others do at this moment to identifiers that had no row to lock is seen here: an operation
    is refused that they forestalled.
    """
    await _materialise(work, course)
    await _put(work, course, course.puts, logged=batch_id is None)
    await _delete(work, course, course.deletions)
    if batch_id is not None:
        await work.audit("identifier.batch", str(batch_id), _attested(course))
    for prefix, suffix_keys in _by_prefix(course).items():
        work.changes(prefix, suffix_keys)


async def _materialise(work: Work, course: Course) -> None:
    members = {item.key for item in course.items.values() if item.member}
    if not members:
        return
    rows = await work.connection.execute(statements.MATERIALISE, columns(sorted(members)))
    for key in members - {(row.prefix, row.suffix_key) for row in rows}:
        item = course.items[key]
        if item.operation.when.match is not None:
            changed = PreconditionFailed("the identifier has changed", field="If-Match")
            course.refuse(item, changed)


async def _put(work: Work, course: Course, items: list[Item], *, logged: bool) -> None:
    if not items:
        return
    statement = statements.PUT_LOGGED if logged else statements.PUT
    new = [item for item in items if item.only_new]
    values = (
        *columns(item.key for item in items).values(),
        [item.operation.identifier.suffix for item in items],
        [msgspec.json.encode(item.encoded).decode() for item in items],
        [None if item.checker is None else item.checker.text for item in items],
        *columns(item.key for item in new).values(),
        *(_lines(work, items) if logged else ()),
    )
    for row in await raw.fetch(work.connection, statements.Written, statement, *values):
        item = course.items[row.prefix, row.suffix_key]
        template = None if item.checker is None else item.checker.text
        stored = Stored(item.encoded, template, row.created_at, row.updated_at)
        course.done(item, "created" if row.created else "replaced", row.version, stored)
    for item in new:
        if course.outcomes[item.position] is None:
            faster = PreconditionFailed("the identifier is there", field="If-None-Match")
            course.refuse(item, faster)


async def _delete(work: Work, course: Course, items: list[Item]) -> None:
    if not items:
        return
    parameters = columns(item.key for item in items)
    for row in await work.connection.execute(statements.DELETE, parameters):
        course.done(course.items[row.prefix, row.suffix_key], "deleted", row.version)
    for item in items:
        if course.outcomes[item.position] is None:
            course.refuse(item, HandleNotFound(f"{item.operation.identifier} is not registered"))


def _lines(work: Work, items: list[Item]) -> tuple[object, ...]:
    """Return what the audit log says of each put, as of a single write; PostgreSQL adds the
    version.
    """  # noqa: D205
    attested = [msgspec.json.encode(audit.of_values(item.encoded)).decode() for item in items]
    return (
        work.principal.actor,
        "identifier.put",
        [str(item.operation.identifier) for item in items],
        attested,
        [item.operation.request_id for item in items],
    )


def _by_prefix(course: Course) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for prefix, suffix_key in sorted(course.items):
        found.setdefault(prefix, []).append(suffix_key)
    return found


def _attested(course: Course) -> dict[str, Any]:
    """Return what the audit log says of the batch.

    ``done_sha256`` is the digest of a line for each operation that did something, in the order of
    the request: what it did, the version that it made or ended, ``values_sha256`` as for a single
    registration (``-`` for a deletion), and the identifier in its canonical form; a space between
    them and a line feed at the end.
    """
    counts = Counter({"created": 0, "replaced": 0, "deleted": 0})
    done = sha256()
    for item in sorted(course.items.values(), key=lambda item: item.position):
        outcome = course.outcomes[item.position]
        assert isinstance(outcome, Done)  # noqa: S101  (what is refused is no item any more)
        counts[outcome.what] += 1
        values = "-"
        if outcome.what != "deleted":
            values = audit.of_values(item.encoded)["values_sha256"]
        line = f"{outcome.what} {outcome.version} {values} {'/'.join(item.key)}\n"
        done.update(line.encode())
    return {
        **counts,
        "failed": len(course.outcomes) - len(course.items),
        "prefixes": {prefix: len(keys) for prefix, keys in _by_prefix(course).items()},
        "done_sha256": done.hexdigest(),
    }
