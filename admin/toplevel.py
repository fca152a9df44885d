"""`idnode toplevel`: the stub of the top-level node, one process with its own database."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from admin import datadir
from admin.child import when_standard_input_ends
from admin.datadir import DataDirectoryError
from admin.embedded import PostgresError
from admin.postgres import KeptPostgres
from admin.settings import Settings
from admin.supervisor import StartError, reason
from protocol.errors import StoreUnavailable
from registry.database import Database
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.schema import prepare

log = structlog.get_logger("idnode.toplevel")


async def serve(settings: Settings, *, lifeline: bool = False) -> None:
    """Run the stub until SIGTERM or SIGINT.

    Without IDNODE_DATABASE_URL it has an embedded PostgreSQL of its own, in `toplevel` of the
    data directory. lifeline: the end of standard input ends it too. Raises StartError.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if lifeline:
        when_standard_input_ends(stop.set)
    try:
        async with AsyncExitStack() as stack:
            url = settings.database_url or await _embedded(settings, stack)
            database = Database(url, pool_size=4)
            stack.push_async_callback(database.close)
            await prepare(database)
            await _listen(settings, database, stack)
            await stop.wait()
    except (DataDirectoryError, PostgresError) as error:
        raise StartError(str(error)) from error
    except StoreUnavailable as error:
        raise StartError(f"the database does not answer: {error.__cause__}") from error
    log.info("toplevel_stopped")


async def _embedded(settings: Settings, stack: AsyncExitStack) -> str:
    directory = settings.data_dir / "toplevel"
    stack.enter_context(datadir.lock(directory))
    server = KeptPostgres(datadir.postgres(directory), Counter())
    stack.push_async_callback(server.stop)
    return await server.start()


async def _listen(settings: Settings, database: Database, stack: AsyncExitStack) -> None:
    app = make_toplevel_app(database, token=settings.toplevel_token)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=settings.shutdown_seconds)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, settings.bind, settings.toplevel_port).start()
    except OSError as error:
        raise StartError(
            f"IDNODE_TOPLEVEL_PORT {settings.bind}:{settings.toplevel_port}: {reason(error)}"
        ) from None
    log.info("toplevel_ready", port=runner.addresses[0][1])
