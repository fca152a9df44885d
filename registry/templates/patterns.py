"""Regular expressions that strangers write: RE2, which takes linear time whatever they are.

Source of the syntax: https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

from collections.abc import Callable

import re2  # type: ignore[import-untyped]  # it has no types of its own, nor has anybody else

from protocol.errors import InvalidValue

_MAX_BYTES = 1 << 18
"""Memory of one compiled expression; what needs more is refused."""


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MAX_BYTES
    options.log_errors = False
    return options


_OPTIONS = _options()


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether the whole of a text matches. Raises InvalidValue."""
    try:
        compiled = re2.compile(pattern, options=_OPTIONS)
    except UnicodeEncodeError:
        raise InvalidValue("holds half of a surrogate pair") from None
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace")
        raise InvalidValue(f'not a regular expression of RE2: "{reason}"') from None

    def matches(text: str) -> bool:
        # Of bytes no positions of characters need to be counted.
        return compiled.fullmatch(text.encode()) is not None

    return matches
