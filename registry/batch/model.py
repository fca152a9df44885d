"""What a batch is asked to do, and what came of each part of it."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from protocol.errors import IdnodeError, InvalidValue
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.identifiers import Condition
from registry.templates.checker import Checker
from registry.templates.lookup import Wanted

MAX_OPERATIONS = 10_000
MAX_PREFIXES = 100
"""Prefixes that one batch may write under: each is locked."""
MAX_TEMPLATES = 100
"""Templates that one batch may name: each takes a round trip."""

T = TypeVar("T")

Key = tuple[str, str]
"""Prefix and suffix in their canonical form."""


def check_count(operations: Sequence[T]) -> Sequence[T]:
    """Return the operations of a batch if there are not too many. Raises InvalidValue."""
    if not 1 <= len(operations) <= MAX_OPERATIONS:
        raise InvalidValue(f"a batch has 1 to {MAX_OPERATIONS} operations", field="operations")
    return operations


def columns(keys: Iterable[Key]) -> dict[str, list[str]]:
    """Return keys as the statements take them."""
    pairs = list(keys)
    return {
        "prefixes": [prefix for prefix, _ in pairs],
        "suffix_keys": [suffix_key for _, suffix_key in pairs],
    }


@dataclass(frozen=True, slots=True)
class Put:
    """Create or replace an identifier. values, template, when: as of identifiers.put.

    request_id: of its own request, where the batch was made of several.
    """

    identifier: Identifier
    values: object
    template: str | None
    when: Condition
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an identifier. when: as of identifiers.delete. request_id: see Put."""

    identifier: Identifier
    when: Condition
    request_id: str | None = None


Operation = Put | Delete

What = Literal["created", "replaced", "deleted"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What is registered now. values: in Handle JSON."""

    values: list[dict[str, Any]]
    template: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Done:
    """What an operation did. version: the one that it made, or that it ended.

    stored: what it registered; None for a deletion.
    """

    what: What
    identifier: Identifier
    version: int
    stored: Stored | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a batch. id: under which the audit log tells of it.

    outcomes: in the order of the operations.
    """

    id: uuid.UUID
    outcomes: Sequence[Done | IdnodeError]

    def count(self, what: What) -> int:
        """Return how many operations did this."""
        return sum(isinstance(each, Done) and each.what == what for each in self.outcomes)

    @property
    def failed(self) -> int:
        """How many operations did nothing."""
        return sum(isinstance(each, IdnodeError) for each in self.outcomes)


@dataclass(slots=True)
class Item:
    """One operation on its way through a batch.

    position: in the request, from 0. owner: the prefix whose owner may write it. version, held
    (its template): of what is there now; member: it is there by a range alone. encoded, checker,
    named: what is to be stored, the template that it was checked by, and the identifiers that must
    be registered for it, each with its index.
    """

    position: int
    operation: Operation
    key: Key
    owner: str
    template: str | None = None
    decoded: Sequence[HandleValue] = ()
    wanted: Wanted | None = None
    version: int | None = None
    member: bool = False
    held: str | None = None
    checker: Checker | None = None
    encoded: list[dict[str, Any]] = field(default_factory=list)
    named: Sequence[tuple[int, Identifier]] = ()

    @property
    def only_new(self) -> bool:
        """Whether it may register what is not there, and replace nothing."""
        return self.version is None and self.operation.when.none_match is not None


class Course:
    """The operations of a batch that go on, by the key of their identifier.

    atomic: the first refusal ends the batch; otherwise it ends its own operation.
    """

    def __init__(self, count: int, *, atomic: bool) -> None:
        self.items: dict[Key, Item] = {}
        self.outcomes: list[Done | IdnodeError | None] = [None] * count
        self._atomic = atomic

    @property
    def puts(self) -> list[Item]:
        """What is to be put, in the order of the keys."""
        return self._sorted(Put)

    @property
    def deletions(self) -> list[Item]:
        """What is to be deleted, in the order of the keys."""
        return self._sorted(Delete)

    def _sorted(self, kind: type[Put] | type[Delete]) -> list[Item]:
        found = [item for item in self.items.values() if isinstance(item.operation, kind)]
        return sorted(found, key=lambda item: item.key)

    def refuse(self, item: Item, error: IdnodeError) -> None:
        """Let an item go no further. Raises the error in an atomic batch."""
        self.refuse_at(item.position, error)
        del self.items[item.key]

    def refuse_at(self, position: int, error: IdnodeError) -> None:
        """Refuse an operation that is no item yet. Raises the error in an atomic batch."""
        if self._atomic:
            raise error.at(f"operations[{position}]")
        self.outcomes[position] = error

    def done(self, item: Item, what: What, version: int, stored: Stored | None = None) -> None:
        """Note what an item did."""
        self.outcomes[item.position] = Done(what, item.operation.identifier, version, stored)
