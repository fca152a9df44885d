"""Who has signed in at the console: staff of the node, by name and password or by a bearer token.

The browser gets a cookie that opens the console alone; the bearer token behind it stays here. So
that the console answers while the database is away, a visitor is known from memory, and looked up
again in the background, at most once a minute: who is disabled is out after that.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from protocol.errors import AuthenticationNeeded, InsufficientPermission, StoreUnavailable
from registry import principals
from registry.accounts import sessions
from registry.principals import ACCOUNT, STAFF, Principal
from registry.services import Registry, work

log = structlog.get_logger("idnode.console")

LIFE_SECONDS = sessions.LIFE.total_seconds()
CHECKED_EVERY_SECONDS = 60.0

MAX_VISITORS = 1000
"""Cookies that are good at the same time; the oldest makes room."""


@dataclass
class Visitor:
    """Somebody who has signed in. checked_at and ends_at: by the clock of Visitors."""

    name: str
    role: str
    token: str
    checked_at: float
    ends_at: float


class Visitors:
    """The visitors of one node."""

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the registry that knows accounts; clock: seconds."""
        self._registry = registry
        self._clock = clock
        self._known: dict[bytes, Visitor] = {}
        self._checks: dict[bytes, asyncio.Task[None]] = {}

    async def sign_in(self, name: str, password: str, address: str | None) -> str:
        """Begin a visit by name and password; return the cookie.

        address: of the peer. Raises what registry.accounts.sessions.sign_in does, and
        InsufficientPermission for an account of an enterprise.
        """
        begun = await sessions.sign_in(self._registry, name, password, address, None)
        try:
            return self._begin(begun.principal, begun.token)
        except InsufficientPermission:
            await self._end_session(begun.token)
            raise

    async def sign_in_with_token(self, token: str) -> str:
        """Begin a visit by a bearer token; return the cookie.

        Raises AuthenticationNeeded, InsufficientPermission for a token of an enterprise, and
        StoreUnavailable.
        """
        if not principals.is_token(token):
            raise AuthenticationNeeded("the bearer token is unknown, expired or revoked")
        return self._begin(await self._authenticate(token), token)

    def _begin(self, who: Principal, token: str) -> str:
        who.require(*STAFF)
        while len(self._known) >= MAX_VISITORS:
            del self._known[next(iter(self._known))]
        cookie = secrets.token_urlsafe(32)
        now = self._clock()
        self._known[_digest(cookie)] = Visitor(who.name, who.role, token, now, now + LIFE_SECONDS)
        return cookie

    def find(self, cookie: str) -> Visitor | None:
        """Return whose cookie it is, at once; None for one that is not good or not any more."""
        key = _digest(cookie)
        visitor = self._known.get(key)
        now = self._clock()
        if visitor is None or now >= visitor.ends_at:
            self._known.pop(key, None)
            return None
        if now - visitor.checked_at >= CHECKED_EVERY_SECONDS and key not in self._checks:
            self._checks[key] = asyncio.create_task(self._check(key, visitor))
        return visitor

    async def _check(self, key: bytes, visitor: Visitor) -> None:
        try:
            who = await self._authenticate(visitor.token)
            who.require(*STAFF)
            visitor.role, visitor.checked_at = who.role, self._clock()
        except (AuthenticationNeeded, InsufficientPermission):
            self._known.pop(key, None)
        except StoreUnavailable as error:
            log.warning("visitor_not_checked", cause=repr(error.__cause__ or error))
        finally:
            del self._checks[key]

    async def sign_out(self, cookie: str) -> None:
        """End a visit, and the session behind it; StoreUnavailable: the visit alone has ended."""
        visitor = self._known.pop(_digest(cookie), None)
        if visitor is not None:
            await self._end_session(visitor.token)

    async def _end_session(self, token: str) -> None:
        try:
            async with work(self._registry, token) as current:
                if current.principal.kind == ACCOUNT:
                    await sessions.sign_out(current, token)
        except AuthenticationNeeded:
            return  # it has ended already

    async def _authenticate(self, token: str) -> Principal:
        async with work(self._registry, token) as current:
            return current.principal

    async def close(self) -> None:
        """End the checks that are under way, and the connections."""
        checks = list(self._checks.values())
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        await self._registry.database.close()


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).digest()
