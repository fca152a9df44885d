"""Identifiers: what is printed reads back as the same, and the rules hold for every input."""

from __future__ import annotations

import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import InvalidHandle
from protocol.identifier import (
    MAX_BYTES,
    MAX_REGISTERED_CHARACTERS,
    Identifier,
    check_prefix,
    check_registrable,
    fold,
    unquote,
)

_seen = st.characters(
    exclude_categories=("Cc", "Cs", "Zl", "Zp"),
    exclude_characters="\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
)
prefixes = st.lists(st.integers(0, 99999).map(str), min_size=2, max_size=4).map(".".join)
suffixes = st.text(_seen, min_size=1, max_size=60).filter(lambda text: text == text.strip())
identifiers = st.builds(Identifier.of, prefixes, suffixes)


def _same_letters(text: str, flips: list[bool]) -> str:
    """Change the case of some of the ASCII letters."""
    flips = flips * (len(text) // max(1, len(flips)) + 1)
    return "".join(
        letter.swapcase() if flip and letter in string.ascii_letters else letter
        for letter, flip in zip(text, flips, strict=False)
    )


@given(identifiers)
def test_what_is_printed_parses_as_the_same(identifier: Identifier) -> None:
    again = Identifier.parse(str(identifier))
    assert (again.prefix, again.suffix) == (identifier.prefix, identifier.suffix)


@given(identifiers)
def test_the_url_form_is_ascii_and_reads_back_as_the_same(identifier: Identifier) -> None:
    url = identifier.to_url()
    assert url.isascii()
    assert not set(url) & set(' ?#"\\<>%^`{|}') - {"%"}
    assert str(Identifier.from_url(url)) == str(identifier)


@given(identifiers, st.lists(st.booleans(), min_size=1))
def test_ascii_case_does_not_matter_and_nothing_else_is_folded(
    identifier: Identifier, flips: list[bool]
) -> None:
    other = Identifier.parse(_same_letters(str(identifier), flips))
    assert other == identifier
    assert hash(other) == hash(identifier)
    assert other.key == identifier.key == fold(identifier.key)
    assert len(identifier.key) == len(str(identifier))


@given(st.text())
def test_folding_touches_only_the_letters_a_to_z(text: str) -> None:
    for before, after in zip(text, fold(text), strict=True):
        assert after == (before.upper() if before in string.ascii_lowercase else before)


@given(st.text(max_size=300))
def test_any_text_is_an_identifier_or_a_clear_refusal(text: str) -> None:
    try:
        identifier = Identifier.parse(text)
    except InvalidHandle as error:
        refused = error
    else:
        assert identifier.prefix
        assert identifier.suffix
        return
    assert refused.field in ("prefix", "suffix")
    assert refused.detail


@given(st.binary(max_size=200))
def test_any_bytes_of_a_url_are_decoded_or_refused(raw: bytes) -> None:
    try:
        text = unquote(raw)
    except InvalidHandle:
        return
    assert unquote(quote(text)) == text
    if b"%" not in raw:
        assert text.encode() == raw


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "suffix"),
        ("/x", "prefix"),
        ("88.118/", "suffix"),
        ("88..118/x", "prefix"),
        (".88/x", "prefix"),
        ("88.118/a\nb", "suffix"),
        ("88.118/a\x00b", "suffix"),
        ("88.118/a\u202eb", "suffix"),
        ("88.118/ a", "suffix"),
        ("88.118/a ", "suffix"),
        ("88.118/" + "x" * MAX_BYTES, "suffix"),
        ("88.118/" + "中" * (MAX_BYTES // 3), "suffix"),
    ],
)
def test_a_malformed_identifier_is_refused_with_its_part(text: str, field: str) -> None:
    with pytest.raises(InvalidHandle) as raised:
        Identifier.parse(text)
    assert raised.value.field == field


@pytest.mark.parametrize("raw", ["88.118/%", "88.118/%4", "88.118/%zz", "88.118/%ff", "88.118/%C3"])
def test_a_broken_escape_is_refused(raw: str) -> None:
    with pytest.raises(InvalidHandle):
        Identifier.from_url(raw)


def test_a_name_without_a_slash_means_its_prefix_handle() -> None:
    assert str(Identifier.parse("88.118")) == "0.NA/88.118"


def test_the_suffix_may_hold_slashes() -> None:
    identifier = Identifier.parse("88.118.35/a/b/c")
    assert (identifier.prefix, identifier.suffix) == ("88.118.35", "a/b/c")


def test_registered_identifiers_are_bounded_in_characters() -> None:
    longest = "x" * (MAX_REGISTERED_CHARACTERS - len("88.118/"))
    check_registrable(Identifier.of("88.118", longest))
    with pytest.raises(InvalidHandle):
        check_registrable(Identifier.of("88.118", longest + "x"))


@pytest.mark.parametrize(
    "prefix", ["88", "88.", "88.a", "88.1.", "0.NA", "88.1/2", "88.1234567890"]
)
def test_a_prefix_that_can_not_be_registered_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidHandle):
        check_prefix(prefix)
