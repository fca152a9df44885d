"""Proofs out of the tree, and the lines that they are about.

All of it is about the tree under the newest signed head, so that whoever gets a proof can check it.
Enterprises read neither the audit log nor the tree; what they are shown of both, which is what
names their own identifiers, is read with row-level security lifted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import merkle
from protocol.errors import InvalidValue, NotFound
from protocol.identifier import Identifier, fold
from registry import identifiers, tenancy
from registry.principals import STAFF
from registry.services import Work
from registry.transparency import heads, leaf, tree
from registry.transparency.heads import SignedHead

_ENTRIES = sa.text(
    f"""
    SELECT e.leaf_index, {leaf.TEXT} AS leaf_input FROM log_entries AS e
    JOIN audit_log AS a USING (seq)
    WHERE e.leaf_index BETWEEN :first AND :last ORDER BY e.leaf_index"""  # noqa: S608
)

_OF_SUBJECT = """
    FROM audit_log AS a LEFT JOIN log_entries AS e USING (seq)
    WHERE upper(a.subject COLLATE "C") = :subject"""

_NAMING = sa.text(
    f"""
    SELECT e.leaf_index, {leaf.TEXT} AS leaf_input {_OF_SUBJECT}
        AND e.leaf_index > :after AND e.leaf_index < :size
    ORDER BY e.leaf_index LIMIT :limit"""
)

_WAITING = sa.text(
    f"SELECT count(*) {_OF_SUBJECT} AND (e.leaf_index IS NULL OR e.leaf_index >= :size)"
)


@dataclass(frozen=True)
class Entry:
    """A line of the audit log as it is in the tree. leaf_input: see registry.transparency.leaf."""

    leaf_index: int
    leaf_input: str


@dataclass(frozen=True)
class ProvedEntry:
    """A line with its inclusion path."""

    leaf_index: int
    leaf_input: str
    inclusion_path: list[bytes]


@dataclass(frozen=True)
class Proved:
    """Lines that name an identifier, proved to be in the tree under `head`.

    waiting: further ones that no head covers yet.
    """

    head: SignedHead
    entries: list[ProvedEntry]
    waiting: int


async def head(connection: AsyncConnection) -> SignedHead:
    """Return the newest head. Raises NotFound while there is none."""
    found = await heads.latest(connection)
    if found is None:
        raise NotFound("no tree head has been signed yet: wait some seconds")
    return found


async def entries(work: Work, first: int, last: int) -> tuple[SignedHead, list[Entry]]:
    """Return the lines from one leaf to another, both included. For staff.

    Raises InsufficientPermission, NotFound, InvalidValue.
    """
    for scope in ("enterprise:read", "identifiers:read"):  # the lines tell of both
        work.principal.require(*STAFF, scope=scope)
    newest = await head(work.connection)
    _check_leaf(first, newest.head.size, "start")
    rows = await work.connection.execute(
        _ENTRIES, {"first": first, "last": min(last, newest.head.size - 1)}
    )
    return newest, [Entry(row.leaf_index, row.leaf_input) for row in rows]


async def inclusion(work: Work, index: int, size: int | None) -> tuple[int, list[bytes]]:
    """Return a tree size, the newest head's where `size` is None, and an inclusion path in it.

    Raises NotFound, InvalidValue.
    """
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        under = await _covered(work.connection, size, "tree_size")
        _check_leaf(index, under, "leaf_index")
        return under, await path(work.connection, index, under)


async def consistency(work: Work, first: int, second: int | None) -> tuple[int, list[bytes]]:
    """Return the size of the latter tree, the newest head's where `second` is None, and the path.

    Raises NotFound, InvalidValue.
    """
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        under = await _covered(work.connection, second, "second")
        if first > under:
            raise InvalidValue("more than second", field="first")
        if first in (0, under):
            return under, []
        spans = merkle.consistency_spans(first, under)
        return under, await tree.subtrees(work.connection, spans)


async def path(connection: AsyncConnection, index: int, size: int) -> list[bytes]:
    """Return the inclusion path of a leaf in the tree of `size` leaves. Raises BrokenTree."""
    return await tree.subtrees(connection, merkle.inclusion_spans(index, size))


async def of_identifier(work: Work, identifier: Identifier, *, after: int, limit: int) -> Proved:
    """Return lines that name an identifier, in any spelling, from the first after leaf `after` on.

    For who may read it, also once it is deleted. Raises InsufficientPermission,
    ServerNotResponsible, NotFound.
    """
    await identifiers.may_read(work, identifier)
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        newest = await head(work.connection)
        size = newest.head.size
        about: dict[str, Any] = {"subject": fold(str(identifier)), "size": size}
        asked = about | {"after": after, "limit": limit}
        rows = (await work.connection.execute(_NAMING, asked)).all()
        paths = await _paths(work.connection, [row.leaf_index for row in rows], size)
        waiting = (await work.connection.execute(_WAITING, about)).scalar_one()
    proved = [
        ProvedEntry(row.leaf_index, row.leaf_input, each)
        for row, each in zip(rows, paths, strict=True)
    ]
    return Proved(newest, proved, waiting)


async def _paths(
    connection: AsyncConnection, indexes: Sequence[int], size: int
) -> list[list[bytes]]:
    """Return the inclusion paths of several leaves, in one round trip."""
    parts = [merkle.inclusion_spans(index, size) for index in indexes]
    found = iter(await tree.subtrees(connection, [span for part in parts for span in part]))
    return [[next(found) for _ in part] for part in parts]


async def _covered(connection: AsyncConnection, size: int | None, field: str) -> int:
    newest = (await head(connection)).head.size
    if size is None:
        return newest
    if size > newest:
        raise InvalidValue(f"the newest tree head has {newest} entries", field=field)
    return size


def _check_leaf(index: int, size: int, field: str) -> None:
    if index >= size:
        raise InvalidValue(f"the last entry of the tree is number {size - 1}", field=field)
