"""The check character of unified social credit codes, GB 32100-2015."""

from __future__ import annotations

import random

import pytest

from protocol.errors import InvalidValue
from registry.credit_code import ALPHABET, check_character, check_credit_code


# Codes that are in public use, the second one with a letter in its organization code.
@pytest.mark.parametrize("code", ["91110000600037341L", "9131000063159284XQ", "53640000MJX173680A"])
def test_codes_in_use_pass(code: str) -> None:
    assert check_credit_code(code) == code


def test_any_single_wrong_character_is_found() -> None:
    code = "91110000600037341L"
    for position, right in enumerate(code):
        for wrong in ALPHABET.replace(right, ""):
            with pytest.raises(InvalidValue) as caught:
                check_credit_code(code[:position] + wrong + code[position + 1 :])
            assert caught.value.field == "credit_code"


def test_two_neighbours_that_changed_places_are_found() -> None:
    source = random.Random(32100)
    for _ in range(200):
        head = "91350211" + "".join(source.choices(ALPHABET, k=9))
        code = head + check_character(head)
        position = source.randrange(8, 17)
        first, second = code[position], code[position + 1]
        if first == second:
            continue
        with pytest.raises(InvalidValue):
            check_credit_code(code[:position] + second + first + code[position + 2 :])


@pytest.mark.parametrize(
    "code",
    [
        "",
        "91110000600037341",
        "91110000600037341LL",
        "91110000600037341l",
        "9111000060003734IL",
        "91110000６00037341L",
        "91110000600037341L\n",
        " 91110000600037341L",
        "9111A000600037341L",
    ],
)
def test_other_forms_are_refused(code: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_credit_code(code)
    assert caught.value.field == "credit_code"
