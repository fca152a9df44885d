"""Statements that go past SQLAlchemy, within a transaction of one of its connections.

Its part in a statement is longer than all that asyncpg does for it. That is paid where many wait:
by the few statements of registrations that share a transaction (registry/batch).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


async def fetch(
    connection: AsyncConnection, row: Callable[..., T], statement: str, *values: object
) -> list[T]:
    """Run a statement, prepared once for each connection; return its rows.

    connection: one whose transaction has begun, with any statement of SQLAlchemy. row: makes a row
    of its columns. statement: with $1, $2 for the values. Raises what asyncpg raises, which
    Database.begin turns into StoreUnavailable where that is what it means.
    """
    sync: Any = connection.sync_connection
    driver: asyncpg.Connection = sync.connection.driver_connection
    return [row(*columns) for columns in await driver.fetch(statement, *values)]
