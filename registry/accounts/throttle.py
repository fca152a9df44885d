"""What holds back who guesses passwords, and not who knows one.

Attempts are counted in windows of a quarter of an hour: of a source (an IPv4 address, an IPv6
network of 64 bits), of a name whatever the source, and of the two together. Over a limit an
attempt is refused unread, and not counted: the lock ends with its window, however often somebody
tries. From a source where an account has signed in lately, only its own attempts from there
count: strangers who guess at a name elsewhere do not lock its owner out.

Names are counted whether or not there is such an account, so that nothing tells which there are.
"""

from __future__ import annotations

import datetime
import ipaddress
import math

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import TooManyRequests
from registry.schema import sign_in_attempts

WINDOW = datetime.timedelta(minutes=15)

PAIR_LIMIT = 5
"""Attempts in a window by one name from one source."""

NAME_LIMIT = 30
"""Attempts in a window by one name from sources where it has not signed in lately."""

SOURCE_LIMIT = 30
"""Attempts in a window from one source by names that have not signed in there lately."""

KNOWN = datetime.timedelta(days=90)
"""How long a source where somebody has signed in is known."""

FILINGS_OF_SOURCE = 5
"""Enterprises that one source may try to file in a window."""

FILINGS = 60
"""Enterprises that all sources together may try to file in a window."""

_ANY = ""
_FILING = " filing"  # no account has a name with a space
_table = sign_in_attempts
_Row = tuple[str, str]


def source_of(address: str | None) -> str:
    """Return the source that an address of a peer counts as."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


async def claim(
    connection: AsyncConnection, name: str, source: str, now: datetime.datetime
) -> None:
    """Count an attempt before it is made, so that many at once are no more than the limit.

    Commit it before the password is looked at. Raises TooManyRequests.
    """
    for row, limit in await _counted(connection, name, source, now):
        attempts, since = await _count(connection, row, now)
        if attempts > limit:
            raise TooManyRequests(
                "too many attempts to sign in; the lock ends by itself",
                retry_after=_until_over(since, now),
            )


def _until_over(since: datetime.datetime, now: datetime.datetime) -> int:
    """Return the seconds until a window that began at `since` is over, 1 at least."""
    return max(1, math.ceil((since + WINDOW - now).total_seconds()))


async def claim_filing(connection: AsyncConnection, source: str, now: datetime.datetime) -> None:
    """Count an attempt to file an enterprise; commit it before it is made.

    Raises TooManyRequests.
    """
    for row, limit in (((_FILING, source), FILINGS_OF_SOURCE), ((_FILING, _ANY), FILINGS)):
        attempts, since = await _count(connection, row, now)
        if attempts > limit:
            raise TooManyRequests(
                "too many enterprises were filed lately; come again later",
                retry_after=_until_over(since, now),
            )


async def succeeded(
    connection: AsyncConnection, name: str, source: str, now: datetime.datetime
) -> None:
    """Take back what `claim` counted, and remember the source."""
    for row, _ in await _counted(connection, name, source, now):
        await connection.execute(
            _table.update()
            .where(*_is(row), _table.c.attempts > 0)
            .values(attempts=_table.c.attempts - 1)
        )
    await connection.execute(
        _table.update().where(*_is((name, source))).values(attempts=0, signed_in_at=now)
    )


async def forgive(connection: AsyncConnection, name: str) -> None:
    """End every lock on `name`: somebody vouched for its owner."""
    await connection.execute(_table.update().where(_table.c.name == name).values(attempts=0))


async def _counted(
    connection: AsyncConnection, name: str, source: str, now: datetime.datetime
) -> list[tuple[_Row, int]]:
    """Return which counters an attempt is counted by, in the order in which all lock them."""
    pair = (name, source)
    known = await connection.scalar(
        sa.select(_table.c.signed_in_at).where(*_is(pair), _table.c.signed_in_at > now - KNOWN)
    )
    if known is not None:
        return [(pair, PAIR_LIMIT)]
    return [((_ANY, source), SOURCE_LIMIT), ((name, _ANY), NAME_LIMIT), (pair, PAIR_LIMIT)]


async def _count(
    connection: AsyncConnection, row: _Row, now: datetime.datetime
) -> tuple[int, datetime.datetime]:
    fresh = insert(_table).values(name=row[0], source=row[1], attempts=1, since=now)
    over = _table.c.since <= now - WINDOW
    counted = fresh.on_conflict_do_update(
        index_elements=[_table.c.name, _table.c.source],
        set_={
            "attempts": sa.case((over, 1), else_=_table.c.attempts + 1),
            "since": sa.case((over, now), else_=_table.c.since),
        },
    ).returning(_table.c.attempts, _table.c.since)
    found = (await connection.execute(counted)).one()
    return found.attempts, found.since


def _is(row: _Row) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return _table.c.name == row[0], _table.c.source == row[1]
