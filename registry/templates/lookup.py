"""Which template a write is held to, read within its transaction.

Who registers by a template shares a lock on the templates of the prefix, which whoever withdraws a
version takes for itself: nothing is registered by a version after the step that withdraws it. That
lock comes before the lock of the prefix, which comes before those of identifiers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from protocol.errors import InvalidValue
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from protocol.values import HandleValue
from registry.schema import Bytes, Name, templates
from registry.services import Work
from registry.templates.checker import Checker, InvalidItem, text_of
from registry.templates.definition import Definition
from registry.templates.names import Reference

DRAFT, PUBLISHED, WITHDRAWN = "draft", "published", "withdrawn"

MAX_CHECKERS = 32
"""Compiled versions that a process keeps."""

_WANTED = sa.select(
    sa.func.template_to_write(
        sa.bindparam("at_prefix", type_=Name),
        sa.bindparam("at_name_key", type_=Name),
        sa.bindparam("at_version", type_=sa.Integer),
    ).table_valued(
        sa.column("name", Name),
        sa.column("version", sa.Integer),
        sa.column("state", sa.Text),
        sa.column("digest", Bytes),
    )
)
_ONE = (
    templates.c.prefix == sa.bindparam("at_prefix", type_=Name),
    templates.c.name_key == sa.bindparam("at_name_key", type_=Name),
    templates.c.version == sa.bindparam("at_version", type_=sa.Integer),
)
_DEFINITION = sa.select(templates.c.definition).where(*_ONE)
_DIGEST = sa.select(templates.c.digest).where(*_ONE)
_MISSING = sa.select(
    sa.func.identifiers_missing(
        sa.bindparam("prefixes", type_=sa.ARRAY(sa.Text)),
        sa.bindparam("suffix_keys", type_=sa.ARRAY(sa.Text)),
    ).table_valued(sa.column("place", sa.Integer))
)


class Checkers:
    """The compiled versions used last, by what they say: that never changes."""

    def __init__(self, maximum: int = MAX_CHECKERS) -> None:
        self._maximum = maximum
        self._kept: OrderedDict[tuple[bytes, Reference], Checker] = OrderedDict()

    def get(self, digest: bytes, reference: Reference) -> Checker | None:
        """Return what is kept for `reference`, whose definition has this digest."""
        checker = self._kept.get((digest, reference))
        if checker is not None:
            self._kept.move_to_end((digest, reference))
        return checker

    def make(self, digest: bytes, reference: Reference, definition: Any) -> Checker:
        """Compile a definition, as the database holds it, and keep it."""
        checker = Checker(reference, msgspec.convert(definition, Definition))
        self._kept[digest, reference] = checker
        if len(self._kept) > self._maximum:
            self._kept.popitem(last=False)
        return checker


_checkers = Checkers()


def compiled(digest: bytes, reference: Reference, definition: Any) -> Checker:
    """Return the checker of a version: what is kept for this digest, or a new one.

    definition: as the database holds it.
    """
    return _checkers.get(digest, reference) or _checkers.make(digest, reference, definition)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version that somebody wants to register by. checker: None if there is no such version."""

    text: str
    prefix: str
    state: str | None
    checker: Checker | None

    def usable(self, held: str | None) -> Checker:
        """Return the checker. held: the reference that the identifier has already, if any.

        Raises InvalidValue for a version that is not there or may not be used: a draft never, a
        withdrawn one only by the identifiers that it has.
        """
        if self.checker is None or self.state == DRAFT:
            raise InvalidValue(
                f"there is no published template {self.text} under {self.prefix}", field="template"
            )
        if self.state == WITHDRAWN and held != str(self.checker.reference):
            raise InvalidValue(
                f"template {self.checker.reference} is withdrawn: nothing new is registered by it",
                field="template",
            )
        return self.checker


async def wanted(work: Work, prefix: str, text: str) -> Wanted:
    """Look up the template by which something shall be registered under `prefix`; hold its state.

    text: ``NAME``, the newest version that is published, or ``NAME/VERSION``. To be called before
    the prefix is locked. Raises InvalidValue for what cannot be a reference.
    """
    if prefix == PREFIX_HANDLE_PREFIX:
        raise InvalidValue("a prefix handle has no template", field="template")
    try:
        reference = Reference.parse(text)
    except InvalidValue as error:
        raise error.at("template") from None
    row = (await work.connection.execute(_WANTED, _at(prefix, reference))).one_or_none()
    if row is None:
        return Wanted(text, prefix, None, None)
    found = Reference(row.name, row.version)
    return Wanted(text, prefix, row.state, await _checker(work, prefix, found, row.digest))


async def held(work: Work, identifier: Identifier, text: str) -> Checker:
    """Return the checker of the version that an identifier has. Raises InvalidValue."""
    reference = Reference.parse(text)
    prefix = identifier.prefix_key
    digest = await work.connection.scalar(_DIGEST, _at(prefix, reference))
    if digest is None:
        raise InvalidValue(f"its template {text} is not there any more", field="template")
    return await _checker(work, prefix, reference, digest)


async def _checker(work: Work, prefix: str, reference: Reference, digest: bytes) -> Checker:
    kept = _checkers.get(digest, reference)
    if kept is not None:
        return kept
    definition = await work.connection.scalar(_DEFINITION, _at(prefix, reference))
    return _checkers.make(digest, reference, definition)


def _at(prefix: str, reference: Reference) -> dict[str, object]:
    return {
        "at_prefix": prefix,
        "at_name_key": reference.name_key,
        "at_version": reference.version,
    }


async def check(
    work: Work,
    checker: Checker,
    values: Sequence[HandleValue],
    positions: dict[int, int] | None = None,
) -> None:
    """Check the values of one identifier, and that what they must name is registered here.

    positions: see Checker.check. Raises InvalidItem.
    """
    checker.check(values, positions)
    named = checker.to_be_registered([text_of(value) for value in values])
    if not named:
        return
    absent = await missing(work, [(one.prefix_key, one.suffix_key) for _, one in named])
    for index, one in named:
        if (one.prefix_key, one.suffix_key) in absent:
            fault = checker.not_registered(index, one)
            raise InvalidItem.at_value(fault, values, positions)


async def missing(work: Work, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of the identifiers, by canonical prefix and suffix, are not registered here."""
    asked = {
        "prefixes": [prefix for prefix, _ in keys],
        "suffix_keys": [suffix_key for _, suffix_key in keys],
    }
    places = (await work.connection.execute(_MISSING, asked)).scalars()
    return {keys[place - 1] for place in places}
