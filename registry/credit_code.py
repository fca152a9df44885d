"""The unified social credit code (统一社会信用代码) and its check character.

Source: GB 32100-2015, section 4 and appendix: modulus 31, weights 3^(n-1) mod 31.
"""

from __future__ import annotations

import re

from protocol.errors import InvalidValue

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters in order of their value: no I, O, S, V, Z."""

_FORM = re.compile(rf"[{ALPHABET}]{{2}}[0-9]{{6}}[{ALPHABET}]{{10}}")
_VALUE = {character: value for value, character in enumerate(ALPHABET)}
_WEIGHTS = tuple(pow(3, position, 31) for position in range(17))


def check_character(code: str) -> str:
    """Return the check character that the first 17 characters of `code` ask for."""
    total = sum(_VALUE[c] * weight for c, weight in zip(code, _WEIGHTS, strict=False))
    return ALPHABET[-total % 31]


def check_credit_code(code: str, field: str = "credit_code") -> str:
    """Return `code` if it is well formed and its check character is right.

    Raises InvalidValue at `field`.
    """
    if not _FORM.fullmatch(code):
        raise InvalidValue(
            "a unified social credit code has 18 characters: 2, then 6 digits, then 10, of"
            " digits and capital letters without I, O, S, V, Z",
            field=field,
        )
    if code[17] != check_character(code):
        raise InvalidValue("the check character (GB 32100-2015) does not fit", field=field)
    return code
