"""Which identifiers labels are made of: a list or a range, all registered, all the caller's."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from protocol.errors import HandleNotFound, InvalidHandle, InvalidValue, ServerNotResponsible
from protocol.identifier import Identifier, check_registrable
from registry import prefixes, store
from registry.database import Database, unavailable
from registry.prefix_handles import owner_prefix
from registry.principals import STAFF
from registry.services import Work

MAX_LABELS = 5000
"""Labels that one request may ask for."""

_READ_AT_ONCE = 250
_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})", re.DOTALL)


def members(prefix: str, first: str, last: str) -> list[Identifier]:
    """Return the identifiers from suffix `first` to suffix `last`.

    Both end in a number of the same length, zeros before it included, and are equal before that.
    Raises InvalidValue with the field, InvalidHandle.
    """
    start, end = _NUMBERED.fullmatch(first), _NUMBERED.fullmatch(last)
    if start is None:
        raise InvalidValue("does not end in a number of up to 18 digits", field="range.first")
    if end is None or end[1] != start[1]:
        raise InvalidValue(f"is not {start[1]} and a number", field="range.last")
    if len(end[2]) != len(start[2]):
        raise InvalidValue(
            f"its number has not {len(start[2])} digits as that of first", field="range.last"
        )
    low, high = int(start[2]), int(end[2])
    if high < low:
        raise InvalidValue("comes before first", field="range.last")
    if high - low >= MAX_LABELS:
        raise InvalidValue(f"more than {MAX_LABELS} labels", field="range")
    width = len(start[2])
    return [
        check_registrable(Identifier.of(prefix, f"{start[1]}{number:0{width}d}"))
        for number in range(low, high + 1)
    ]


def listed(texts: Sequence[str]) -> list[Identifier]:
    """Read a list of identifiers. Raises InvalidHandle with the place, InvalidValue."""
    if len(texts) > MAX_LABELS:
        raise InvalidValue(f"more than {MAX_LABELS} labels", field="identifiers")
    found = []
    for position, text in enumerate(texts):
        try:
            found.append(check_registrable(Identifier.parse(text)))
        except InvalidHandle as error:
            raise error.at(f"identifiers[{position}]") from None
    return found


Place = Callable[[int], str | None]
"""Tells the field of a request that names the identifier at a position."""


async def check_owner(work: Work, identifiers: Sequence[Identifier], place: Place) -> None:
    """Let pass who may read under all of the prefixes.

    Raises ServerNotResponsible for a prefix that is not registered here, InsufficientPermission.
    """
    wanted: dict[str, int] = {}
    for position, identifier in enumerate(identifiers):
        wanted.setdefault(owner_prefix(identifier), position)
    if work.node_prefix in wanted:
        work.principal.require(*STAFF, scope="labels")
    owners = await prefixes.owners(work.connection, wanted)
    for prefix in sorted(wanted.keys() - {work.node_prefix}):
        if prefix not in owners:
            raise ServerNotResponsible(
                f"prefix {prefix} is not registered here", field=place(wanted[prefix])
            )
        work.principal.require(*STAFF, enterprise=owners[prefix], scope="labels")


async def registered(
    database: Database, identifiers: Sequence[Identifier], place: Place
) -> list[Identifier]:
    """Return the identifiers in the spelling in which they are registered.

    Raises HandleNotFound for the first that is not: a label leads nowhere then.
    """
    spelled: list[Identifier] = []
    with unavailable():
        pool = await database.pool()
        for start in range(0, len(identifiers), _READ_AT_ONCE):
            some = identifiers[start : start + _READ_AT_ONCE]
            keys = [(identifier.prefix_key, identifier.suffix_key) for identifier in some]
            for identifier, found in zip(some, await store.read(pool, keys), strict=True):
                if found.suffix is None:
                    field = place(len(spelled))
                    raise HandleNotFound(f"{identifier} is not registered", field=field)
                spelled.append(Identifier(identifier.prefix_key, found.suffix))
    return spelled
