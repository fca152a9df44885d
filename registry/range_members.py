"""The members of a range: their suffixes, and what each of them says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from protocol.errors import InvalidHandle, InvalidValue
from protocol.identifier import Identifier, check_registrable, fold
from registry.templates.names import check_not_reserved

_NUMBER = re.compile(r"[0-9]{1,18}\Z")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a range stands. spelling: what comes before the number, as it was written."""

    prefix: str
    spelling: str
    width: int
    first: int
    last: int

    @classmethod
    def between(cls, prefix: str, first: str, last: str) -> Span:
        """Return the span from the suffix `first` to `last`. Raises InvalidValue, InvalidHandle."""
        ends = []
        for name, suffix in (("first", first), ("last", last)):
            try:
                check_registrable(Identifier.of(prefix, suffix))
                check_not_reserved(fold(suffix))
            except InvalidHandle as error:
                error.field = name if error.field == "suffix" else error.field
                raise
            digits = _NUMBER.search(suffix)
            if digits is None:
                raise InvalidValue("a member of a range ends in a number", field=name)
            ends.append((suffix[: digits.start()], digits[0]))
        (spelling, low), (other, high) = ends
        if fold(other) != fold(spelling):
            raise InvalidValue("differs from first before its number", field="last")
        if len(low) != len(high):
            raise InvalidValue(
                "its number has not as many digits as that of first: write leading zeros",
                field="last",
            )
        if int(high) < int(low):
            raise InvalidValue("its number is less than that of first", field="last")
        return cls(prefix, spelling, len(low), int(low), int(high))

    def suffix(self, number: int) -> str:
        """Return the suffix of the member with this number, as spelled."""
        return self.spelling + self.digits(number)

    @property
    def count(self) -> int:
        """How many members there may be at most."""
        return self.last - self.first + 1

    def digits(self, number: int) -> str:
        """Return a number with the leading zeros that it has in a suffix."""
        return f"{number:0{self.width}d}"

    @property
    def members(self) -> Iterator[tuple[str, str]]:
        """Give the suffix and the digits of each member, in their order."""
        for number in range(self.first, self.last + 1):
            digits = self.digits(number)
            yield self.spelling + digits, digits


PLACEHOLDERS = ("{number}", "{suffix}")


def holds_placeholder(text: str) -> bool:
    """Whether a text may be another one for each member, where a range says ``substitute``."""
    return any(placeholder in text for placeholder in PLACEHOLDERS)


def member_text(text: str, suffix: str, digits: str) -> str:
    """Return what a text is for the member with this suffix and these digits."""
    return text.replace("{number}", digits).replace("{suffix}", suffix)


def member_values(values: list[dict[str, Any]], suffix: str, digits: str) -> list[dict[str, Any]]:
    """Return values with ``{suffix}`` and ``{number}`` replaced, as `member_values` in SQL does."""

    def fill(part: Any) -> Any:
        if isinstance(part, str):
            return member_text(part, suffix, digits)
        if isinstance(part, dict):
            return {name: fill(member) for name, member in part.items()}
        return [fill(item) for item in part] if isinstance(part, list) else part

    filled: list[dict[str, Any]] = fill(values)
    return filled
