"""The templates that the rows of an import are checked by: read once, compiled once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
import msgspec

from protocol.errors import InvalidValue
from registry.templates import lookup
from registry.templates.checker import Checker
from registry.templates.names import Reference

MAX_KEPT = 1000
"""Templates that one import keeps; a file may name any number."""

Find = Callable[[str, str], Awaitable[Checker]]
"""Takes a prefix and a reference and returns its checker. Raises InvalidValue."""


class NotRead(Exception):
    """A row names a template that is still to be read."""

    def __init__(self, prefix: str, text: str) -> None:
        super().__init__(prefix, text)
        self.prefix = prefix
        self.text = text


async def nothing(prefix: str, text: str) -> Checker:
    """Find no template, for files that are read without a database."""
    raise InvalidValue(f"there is no published template {text} under {prefix}")


class Templates:
    """The templates of one attempt at an import.

    default: the reference of the rows that name none; see `Find` for `find`.
    """

    def __init__(self, find: Find = nothing, default: str | None = None) -> None:
        self.default = default
        self._find = find
        self._kept: dict[tuple[str, str], Checker | str] = {}

    def checker(self, prefix: str, text: str | None) -> Checker | None:
        """Return what checks a row under `prefix` that names `text`; None: nothing does.

        Raises NotRead, after which `read` helps, and InvalidValue for what cannot be used.
        """
        text = self.default if text is None else text
        if text is None:
            return None
        kept = self._kept.get((prefix, text))
        if kept is None:
            raise NotRead(prefix, text)
        if isinstance(kept, str):
            raise InvalidValue(kept, field="template")
        return kept

    async def read(self, prefix: str, text: str) -> None:
        """Read a template that `checker` shall know."""
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        try:
            self._kept[prefix, text] = await self._find(prefix, text)
        except InvalidValue as error:
            self._kept[prefix, text] = error.detail


_FIND = """
SELECT name, version, state, digest, definition FROM templates
WHERE prefix = $1 AND name_key = $2
    AND CASE WHEN $3::integer IS NULL THEN state = 'published' ELSE version = $3 END
ORDER BY version DESC LIMIT 1
"""


def finder(connection: asyncpg.Connection, timeout: float) -> Find:
    """Return what finds templates that may be used. timeout: seconds of one look."""

    async def find(prefix: str, text: str) -> Checker:
        wanted = Reference.parse(text)
        row = await connection.fetchrow(
            _FIND, prefix, wanted.name_key, wanted.version, timeout=timeout
        )
        if row is None:
            return lookup.Wanted(text, prefix, None, None).usable(None)
        reference = Reference(row["name"], row["version"])
        definition = msgspec.json.decode(row["definition"])
        checker = lookup.compiled(row["digest"], reference, definition)
        return lookup.Wanted(text, prefix, row["state"], checker).usable(None)

    return find
