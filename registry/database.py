"""The connection to PostgreSQL: one engine for services, one narrow pool for the hot read.

Whatever goes wrong between us and the server leaves here as StoreUnavailable, and every wait
has a bound, so that a server that is stopped, gone or overloaded is told at once and never hangs
a request.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
import sqlalchemy.exc
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from protocol.errors import StoreUnavailable
from registry.shares import Shares
from registry.waking import Waker

HEAD = "head"

# What asyncpg raises when the server is away, shutting down, full or too slow.
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,  # others have written; it may be sent again
    asyncpg.InterfaceError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InternalClientError,  # the server ended the session between two statements of ours
)


class Database:
    """One PostgreSQL database. Make it with `connect`; it does not need the server to be up."""

    def __init__(self, url: str, *, pool_size: int = 8, timeout: float = 5.0) -> None:
        """Take a ``postgresql://`` URL; a query ``?host=/directory`` names a Unix socket.

        pool_size: connections at most, for services; the hot read has as many again.
        timeout: seconds that one transaction may take.
        """
        self.url = url
        self.timeout = timeout
        self._pool_size = pool_size
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self.connection,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout,
            hide_parameters=True,  # secrets are among them, and errors go to the log
        )
        self._pool: asyncpg.Pool | None = None
        self._pool_lock = asyncio.Lock()
        self.waker = Waker(self.pool)
        self.shares = Shares(max(1, pool_size * 3 // 4))

    async def connection(self) -> asyncpg.Connection:
        """Open a connection of its own, outside both pools. Raises what asyncpg raises."""
        return await asyncpg.connect(self.url, timeout=self.timeout, server_settings=_SERVER)

    async def pool(self) -> asyncpg.Pool:
        """Return the pool of raw connections. Raises StoreUnavailable."""
        async with self._pool_lock:
            if self._pool is None:
                with unavailable():
                    self._pool = await asyncpg.create_pool(
                        self.url,
                        min_size=0,
                        max_size=self._pool_size,
                        timeout=self.timeout,
                        command_timeout=self.timeout,
                        server_settings=_SERVER,
                    )
            return self._pool

    @contextlib.asynccontextmanager
    async def begin(
        self, *, within: float | None = None, snapshot: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end of the block, rolled back by an exception.

        within: seconds for all of it, instead of the database's own. snapshot: it only reads, and
        all of it sees the same moment. Raises StoreUnavailable.
        """
        with unavailable():
            async with (
                asyncio.timeout(within or self.timeout),
                self.engine.begin() as connection,
            ):
                if snapshot:
                    await connection.execute(_SNAPSHOT)
                yield connection

    @property
    def connections(self) -> tuple[int, int]:
        """Connections of both pools: (in use, open)."""
        pool: Any = self.engine.pool
        in_use, idle = pool.checkedout(), pool.checkedin()
        if self._pool is not None:
            idle += self._pool.get_idle_size()
            in_use += self._pool.get_size() - self._pool.get_idle_size()
        return in_use, in_use + idle

    async def renew(self) -> None:
        """Replace idle connections: the server was away, and they may be dead."""
        await self.engine.dispose()
        if self._pool is not None:
            await self._pool.expire_connections()

    async def close(self) -> None:
        """Close all connections."""
        await self.waker.close()
        await self.engine.dispose()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()


_SNAPSHOT = sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

_SERVER = {
    "application_name": "idnode",
    "timezone": "UTC",
    "statement_timeout": "60s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}


@contextlib.contextmanager
def unavailable() -> Any:
    """Turn errors that mean the server is away or too slow into StoreUnavailable."""
    try:
        yield
    except UNAVAILABLE as error:
        raise StoreUnavailable() from error
    except sqlalchemy.exc.TimeoutError as error:
        raise StoreUnavailable("all database connections are busy") from error
    except sqlalchemy.exc.DBAPIError as error:
        cause = error.orig.__cause__ if error.orig else None
        if error.connection_invalidated or isinstance(cause, UNAVAILABLE):
            raise StoreUnavailable() from error
        raise


async def migrate(url: str, revision: str = HEAD) -> None:
    """Bring the database to `revision`; at most one process at a time does it, others wait."""
    database = Database(url, pool_size=1, timeout=600)
    try:
        async with database.begin() as connection:
            await connection.run_sync(_migrate, revision)
    finally:
        await database.close()


async def migrate_within(connection: AsyncConnection, revision: str = HEAD) -> None:
    """Bring the database to `revision` in the transaction of the caller."""
    await connection.run_sync(_migrate, revision)


def revisions() -> set[str]:
    """Return the revisions of the tables that this version knows."""
    known = ScriptDirectory.from_config(_config())
    return {script.revision for script in known.walk_revisions()}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _migrate(connection: Connection, revision: str) -> None:
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('idnode migrations'))")
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    config = _config()
    config.attributes["connection"] = connection
    if revision == "base" or revision.startswith("-"):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
