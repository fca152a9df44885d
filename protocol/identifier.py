"""Identifiers in Handle form: ``prefix/suffix`` (RFC 3651 section 2).

An identifier keeps the spelling it was given and compares by its canonical form, in which
only the ASCII letters are folded (to upper case, as the reference server stores them).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from protocol.errors import InvalidHandle

MAX_BYTES = 2048
"""Longest identifier on the wire, in bytes of UTF-8 (limit of the reference server)."""

MAX_REGISTERED_CHARACTERS = 255
"""Longest identifier that may be registered, in characters (SNMS)."""

PREFIX_HANDLE_PREFIX = "0.NA"
"""Prefix of prefix handles: what is known of ``88.118`` stands under ``0.NA/88.118``."""

# Controls, line and paragraph separators, bidirectional controls, byte order mark and lone
# surrogates: none can be seen by the person who compares two labels.
_UNSEEN = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_REGISTRABLE_PREFIX = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,7}")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")

# ASCII a-z and nothing else; str.upper() would also touch é, ß and many more.
_FOLD = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def fold(text: str) -> str:
    """Return `text` with the ASCII letters a-z made upper case and all else as it was."""
    return text.upper() if text.isascii() else text.translate(_FOLD)


@dataclass(frozen=True, slots=True, eq=False)
class Identifier:
    """One identifier, as spelled. Two spellings that differ in ASCII case only are equal."""

    prefix: str
    suffix: str

    @classmethod
    def parse(cls, text: str) -> Identifier:
        """Read ``prefix/suffix``; a name without a slash is a prefix and means its prefix handle.

        The suffix may itself hold slashes. Raises InvalidHandle with the rule that is broken.
        """
        prefix, slash, suffix = text.partition("/")
        if not slash:
            prefix, suffix = PREFIX_HANDLE_PREFIX, text
        return cls.of(prefix, suffix)

    @classmethod
    def of(cls, prefix: str, suffix: str) -> Identifier:
        """Make an identifier of its two parts. Raises InvalidHandle."""
        if not prefix:
            raise InvalidHandle("the prefix is empty", field="prefix")
        if "/" in prefix or any(not part for part in prefix.split(".")):
            raise InvalidHandle(
                "the prefix is not a list of names separated by dots", field="prefix"
            )
        if not suffix:
            raise InvalidHandle("the suffix is empty", field="suffix")
        text = f"{prefix}/{suffix}"
        unseen = _UNSEEN.search(text)
        if unseen:
            raise InvalidHandle(
                f"character U+{ord(unseen[0]):04X} is not allowed in an identifier",
                field="prefix" if unseen.start() < len(prefix) else "suffix",
            )
        if prefix != prefix.strip() or suffix != suffix.strip():
            raise InvalidHandle("an identifier has no space at the end of a part", field="suffix")
        if len(text.encode()) > MAX_BYTES:
            raise InvalidHandle(f"an identifier has at most {MAX_BYTES} bytes", field="suffix")
        return cls(prefix, suffix)

    @classmethod
    def from_url(cls, raw: str | bytes) -> Identifier:
        """Read an identifier out of a URL path, where it stands percent-encoded.

        Raises InvalidHandle for a broken escape or bytes that are not UTF-8.
        """
        return cls.parse(unquote(raw))

    @property
    def prefix_key(self) -> str:
        """The canonical prefix: ASCII letters folded."""
        return fold(self.prefix)

    @property
    def suffix_key(self) -> str:
        """The canonical suffix: ASCII letters folded."""
        return fold(self.suffix)

    @property
    def key(self) -> str:
        """The canonical form: equal for all spellings of one identifier."""
        return fold(f"{self.prefix}/{self.suffix}")

    def to_url(self) -> str:
        """Return the identifier percent-encoded for a URL path; slashes stay."""
        return quote(f"{self.prefix}/{self.suffix}", safe="/:@!$&'()*,;=~-._")

    def __str__(self) -> str:
        return f"{self.prefix}/{self.suffix}"

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Identifier) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


def unquote(raw: str | bytes) -> str:
    """Decode percent-encoding strictly. Raises InvalidHandle instead of guessing."""
    octets = raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
    if _BAD_ESCAPE.search(octets):
        raise InvalidHandle("a '%' is not followed by two hexadecimal digits", field="identifier")
    octets = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), octets)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise InvalidHandle("the identifier is not UTF-8", field="identifier") from None


def check_registrable(identifier: Identifier) -> Identifier:
    """Return `identifier` if it may be registered here; raise InvalidHandle otherwise.

    That is one under a prefix of numbers, or the prefix handle of such a prefix.
    """
    if fold(identifier.prefix) == PREFIX_HANDLE_PREFIX:
        check_prefix(identifier.suffix)
    else:
        check_prefix(identifier.prefix)
    if len(identifier.prefix) + 1 + len(identifier.suffix) > MAX_REGISTERED_CHARACTERS:
        raise InvalidHandle(
            f"a registered identifier has at most {MAX_REGISTERED_CHARACTERS} characters",
            field="suffix",
        )
    return identifier


def check_prefix(prefix: str) -> str:
    """Return `prefix` if it has the form ``88.118.35``: 2 to 8 decimal numbers and dots."""
    if not _REGISTRABLE_PREFIX.fullmatch(prefix):
        raise InvalidHandle(
            "a prefix is 2 to 8 decimal numbers of at most 9 digits, separated by dots",
            field="prefix",
        )
    return prefix
