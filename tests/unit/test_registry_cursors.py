"""Cursors give back what went in, and any other cursor is refused."""

from __future__ import annotations

import base64

import pytest

from protocol.errors import MalformedRequest
from registry.api import cursors


@pytest.mark.parametrize("position", ["", "88.118.35", "标识", "0" * 200])
def test_a_cursor_gives_its_position_back(position: str) -> None:
    assert cursors.decode("list", cursors.encode("list", position)) == position


def test_the_name_of_a_list_may_be_long() -> None:
    kinds = [f"history of 88.118.35/{'x' * 200}{end}" for end in ("", "y")]
    cursor = cursors.encode(kinds[0], "17")
    assert cursors.decode(kinds[0], cursor) == "17"
    with pytest.raises(MalformedRequest):
        cursors.decode(kinds[1], cursor)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(MalformedRequest):
        cursors.decode("prefixes", cursors.encode("enterprises", "x"))


def test_every_change_of_one_character_is_refused() -> None:
    cursor = cursors.encode("list", "88.118.35")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for position in range(len(cursor)):
        for character in alphabet.replace(cursor[position], ""):
            changed = cursor[:position] + character + cursor[position + 1 :]
            with pytest.raises(MalformedRequest) as caught:
                cursors.decode("list", changed)
            assert caught.value.field == "cursor"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "A",
        "*",
        "é",
        "A" * 5000,
        "AAAAAAAA",
        cursors.encode("list", "x") + "=",
        cursors.encode("list", "x")[:-1],
        base64.urlsafe_b64encode(b"\xff" * 9).decode(),
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(MalformedRequest):
        cursors.decode("list", cursor)
