"""What every service of the registry works with, and the one transaction of one request."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import InvalidValue
from registry import audit, metrics, principals, tenancy
from registry.accounts.passwords import Passwords
from registry.database import Database
from registry.principals import Principal

if TYPE_CHECKING:
    from registry.site_checks import AskSite

Record = sa.Row[*tuple[Any, ...]]
"""A row of a table, with its columns as attributes."""

Changed = Callable[[str, Sequence[str] | None], None]
"""Takes a prefix and the canonical suffixes that changed under it; None means all of them."""


@dataclass(frozen=True)
class Registry:
    """The registry as one process sees it.

    node_prefix: the prefix of this node, such as ``88.118``; enterprises get its children.
    changed: told after commit, so that the cache of this process forgets at once.
    clock: returns Unix seconds. passwords: works out their hashes, a bounded number at once.
    public_url: where anybody reaches the public port, ``https://host``, without a slash at its
    end; None where nobody has said.
    label_font: TrueType font that labels are printed in; None for those of the PDF reader.
    snms_key: what passwords hashed for the SNMS API are kept under; None where there is none.
    self_filing: whether enterprises may file themselves. prefix_quota: how many prefixes one may
    have where nobody has said otherwise. ask_site: asks the site of a delegated prefix; None where
    nobody can.
    """

    database: Database
    node_prefix: str
    changed: Changed
    row: metrics.Row
    clock: Callable[[], float] = time.time
    passwords: Passwords = field(default_factory=Passwords)
    public_url: str | None = None
    label_font: Path | None = None
    snms_key: bytes | None = field(default=None, repr=False)
    self_filing: bool = True
    prefix_quota: int = 100
    ask_site: AskSite | None = None


@dataclass(frozen=True)
class Work:
    """One transaction of one authenticated caller."""

    connection: AsyncConnection
    principal: Principal
    node_prefix: str
    now: datetime.datetime
    request_id: str | None = None
    _changes: list[tuple[str, Sequence[str] | None]] = field(default_factory=list)

    def changes(self, prefix: str, suffix_keys: Sequence[str] | None) -> None:
        """Note what caches must forget once this transaction has committed."""
        self._changes.append((prefix, suffix_keys))

    async def audit(self, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
        """Write a line of the audit log in this transaction."""
        await audit.append(
            self.connection, self.principal, action, subject, detail or {}, self.request_id
        )


Authenticate = Callable[[AsyncConnection], Awaitable[Principal]]
"""Finds out, within the transaction of the work, in whose name it is done."""


@contextlib.asynccontextmanager
async def work(
    registry: Registry, token: str, request_id: str | None = None, *, within: float | None = None
) -> AsyncIterator[Work]:
    """Authenticate `token` and do the block in one transaction: see work_as.

    One holder of tokens has a share of the connections alone, and waits for the database's own
    time at most until one is free. within: seconds for all of it after that, instead of the
    database's own. Raises AuthenticationNeeded and StoreUnavailable.
    """
    database = registry.database
    async with database.shares.hold(token, wait=database.timeout) as tell:

        async def authenticate(connection: AsyncConnection) -> Principal:
            principal = await principals.authenticate(connection, token, registry.clock())
            tell(principal.enterprise_id or principal.actor)
            return principal

        async with _work(registry, authenticate, request_id, within) as current:
            yield current


def work_as(
    registry: Registry,
    authenticate: Authenticate,
    request_id: str | None = None,
    *,
    within: float | None = None,
) -> contextlib.AbstractAsyncContextManager[Work]:
    """Do the block in one transaction, in the name of whom `authenticate` returns.

    It is committed at the end of the block, and rolled back whole by an exception. within: seconds
    for all of it, instead of the database's own. Raises what `authenticate` raises, and
    StoreUnavailable.
    """

    async def entering(connection: AsyncConnection) -> Principal:
        principal = await authenticate(connection)
        await tenancy.enter(connection, principal.enterprise_id)
        return principal

    return _work(registry, entering, request_id, within)


@contextlib.asynccontextmanager
async def _work(
    registry: Registry,
    authenticate: Authenticate,
    request_id: str | None = None,
    within: float | None = None,
) -> AsyncIterator[Work]:
    async with registry.database.begin(within=within) as connection:
        principal = await authenticate(connection)
        moment = datetime.datetime.fromtimestamp(registry.clock(), datetime.UTC)
        current = Work(connection, principal, registry.node_prefix, moment, request_id)
        yield current
    for prefix, suffix_keys in current._changes:
        registry.changed(prefix, suffix_keys)
    if current._changes:
        registry.database.waker.wake()


def check_text(value: str, field: str, *, maximum: int) -> str:
    """Return `value`, one line of text for people, if it may be stored.

    maximum: in characters. Raises InvalidValue at `field`.
    """
    if not value.strip() or value != value.strip():
        raise InvalidValue("empty, or with space at an end", field=field, rule="format")
    if len(value) > maximum:
        raise InvalidValue(f"longer than {maximum} characters", field=field, rule="max_length")
    if not value.isprintable():
        raise InvalidValue(
            "holds a character that cannot be printed", field=field, rule="characters"
        )
    return value
