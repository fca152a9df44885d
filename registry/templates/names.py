"""How templates are named: ``goods`` is a template, ``goods/3`` its third version."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.errors import InvalidHandle, InvalidValue
from protocol.identifier import MAX_REGISTERED_CHARACTERS, Identifier, fold

MAX_NAME = 128
"""Characters of a name: those of templateVersion in the SNMS API."""

MAX_VERSION = 999

SUFFIX = "template/"
"""How the suffixes of the identifiers of templates begin, in any ASCII case."""

_VERSION = re.compile(r"[1-9][0-9]{0,2}")
_SUFFIX_KEY = fold(SUFFIX)


@dataclass(frozen=True, slots=True)
class Reference:
    """A template of a prefix, or, with `version`, one version of it."""

    name: str
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``NAME`` or ``NAME/VERSION``. Raises InvalidValue."""
        name, slash, number = text.partition("/")
        if not slash:
            return cls(check_name(name))
        if not _VERSION.fullmatch(number):
            raise InvalidValue(f"a version is a number from 1 to {MAX_VERSION}")
        return cls(check_name(name), int(number))

    @property
    def name_key(self) -> str:
        """The canonical name: like the suffixes made of them, names compare without ASCII case."""
        return fold(self.name)

    def identifier(self, prefix: str) -> Identifier:
        """Return the identifier under which the template, or the version, resolves."""
        return Identifier(prefix, f"{SUFFIX}{self}")

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}/{self.version}"


def check_name(name: str) -> str:
    """Return `name` if a template may have it. Raises InvalidValue.

    Without what cannot be seen, nor a space at an end, and without a slash, which stands between
    name and version.
    """
    if not name or len(name) > MAX_NAME:
        raise InvalidValue(f"a name has 1 to {MAX_NAME} characters")
    if "/" in name:
        raise InvalidValue("a name has no slash")
    try:
        Identifier.of("0", name)
    except InvalidHandle:
        raise InvalidValue(
            "a name has no characters that cannot be seen, and no space at an end"
        ) from None
    return name


def check_fits(prefix: str, name: str) -> None:
    """Raise InvalidValue unless every version can be an identifier under `prefix`."""
    longest = str(Reference(name, MAX_VERSION).identifier(prefix))
    if len(longest) > MAX_REGISTERED_CHARACTERS:
        raise InvalidValue(
            f"the identifier of a version, {SUFFIX}{name}/{MAX_VERSION} under the prefix, has more"
            f" than {MAX_REGISTERED_CHARACTERS} characters"
        )


def check_not_reserved(suffix_key: str) -> None:
    """Raise InvalidHandle for the suffix of a template, which its life cycle alone writes."""
    if suffix_key.startswith(_SUFFIX_KEY):
        raise InvalidHandle(
            f"suffixes that begin with {SUFFIX} are those of templates, which are made and changed"
            " at /api/v1/templates",
            field="suffix",
        )
