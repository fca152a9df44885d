"""Passwords: what one must be like, and how it is kept: Argon2id (RFC 9106).

The rules follow NIST SP 800-63B (section 5.1.1.2): long enough, compared with what is commonly
used or easily derived from the name, and none about kinds of characters. The cost of the hash is
the OWASP Password Storage Cheat Sheet's: 19 MiB, two passes, one lane.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from protocol.errors import InvalidValue, TooManyRequests

MIN_CHARACTERS, MAX_CHARACTERS = 12, 128

AT_ONCE = 2
"""Hashes that one process works out at the same time; each takes 19 MiB."""

MAX_WAITING = 32
"""Requests of one process that wait for a hash; more are told to come again."""

_SAFE_SCORE = 3  # of 4: more than 10^10 guesses
_JUDGED = 72  # characters, the most that zxcvbn takes
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that is read for another character

T = TypeVar("T")

_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# What a password is held against where there is no account: the answer takes as long.
_NOBODY = _hasher.hash(secrets.token_hex())


@dataclass
class Passwords:
    """Works out hashes off the event loop, a bounded number at once. One for a process."""

    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _waiting: int = 0

    async def hash(self, password: str, name: str, *, field: str = "password") -> str:
        """Return what is stored of a new password of the account `name`.

        Raises InvalidValue at `field` for a password that breaks a rule, and TooManyRequests.
        """
        return await self._run(_checked_hash, password, name, field)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one of which `stored` was made.

        Without `stored` it takes as long and is False. Raises TooManyRequests.
        """
        return await self._run(_verify, stored, password)

    async def renew(self, password: str) -> str:
        """Return what is stored now of a password that was accepted before."""
        return await self._run(_hash, password)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        if self._waiting >= MAX_WAITING:
            raise TooManyRequests("too many sign in at this moment; come again", retry_after=1)
        self._waiting += 1
        try:
            async with self._free:
                return await asyncio.to_thread(function, *arguments)
        finally:
            self._waiting -= 1


def is_outdated(stored: str) -> bool:
    """Whether `stored` was made with another cost than passwords are now kept with."""
    return _hasher.check_needs_rehash(stored)


def generate() -> str:
    """Return a password of 100 bits of chance that can be read to somebody."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))


def _normal(password: str) -> str:
    # NIST SP 800-63B: the same password typed on two keyboards must be the same bytes.
    return unicodedata.normalize("NFKC", password)


def _checked_hash(password: str, name: str, field: str) -> str:
    check(password, name, field)
    return _hash(password)


def _hash(password: str) -> str:
    return _hasher.hash(_normal(password))


def check(password: str, name: str, field: str = "password") -> None:
    """Raise InvalidValue at `field` for a password that an account `name` may not have."""
    normal = _normal(password)
    if len(normal) < MIN_CHARACTERS:
        raise InvalidValue(f"a password has at least {MIN_CHARACTERS} characters", field=field)
    if len(normal) > MAX_CHARACTERS:
        raise InvalidValue(f"a password has at most {MAX_CHARACTERS} characters", field=field)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in normal):
        raise InvalidValue("a password holds no control characters", field=field)
    if name.casefold() in normal.casefold():
        raise InvalidValue("the password holds the name of the account", field=field)
    words = [name, *re.split(r"[._@-]", name)]
    if zxcvbn(normal[:_JUDGED], user_inputs=words)["score"] < _SAFE_SCORE:
        raise InvalidValue(
            "easily guessed: made of common passwords, words, names, dates or rows of keys",
            field=field,
        )


def _verify(stored: str | None, password: str) -> bool:
    if len(password) > MAX_CHARACTERS:
        stored, password = None, password[:MAX_CHARACTERS]
    try:
        _hasher.verify(stored or _NOBODY, _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None
