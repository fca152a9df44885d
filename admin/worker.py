"""A worker: a full front of the node on its own event loop, with its own cache."""

from __future__ import annotations

import asyncio
import time

import structlog

from admin import child
from admin.waiting import wait
from registry.api.app import make_app
from registry.database import Database
from registry.services import Registry
from resolver.lookup import Resolver
from resolver.transports.http import add_routes
from resolver.transports.server import start_http

log = structlog.get_logger("idnode.worker")

_ALL_CONNECTIONS = 64
_POOL = (2, 8)
_DATABASE_SECONDS = 3.0
_LOOK_SECONDS = 0.01


def pool_size(workers: int) -> int:
    """Return how many connections each of so many workers may keep in each of its two pools."""
    least, most = _POOL
    return max(least, min(most, _ALL_CONNECTIONS // workers))


async def work(task: child.Task, stop: asyncio.Event) -> None:
    """Answer until `stop`, then finish what is under way."""
    settings, row = task.settings, task.open_row()
    database = Database(task.database_url, pool_size=pool_size(settings.workers))
    resolver = Resolver(
        database, row=row, cache_bytes=settings.cache_bytes, node_prefix=settings.prefix
    )
    app = make_app(Registry(database, settings.prefix, resolver.forget, row))
    add_routes(app, resolver)
    await resolver.start()
    try:
        await _wait_for_database(resolver, stop)
        server = await start_http(
            app, resolver, row=row, host=settings.bind, port=settings.http_port
        )
        child.report_ready()
        log.info("worker_ready")
        await stop.wait()
        await server.stop(settings.shutdown_seconds)
    finally:
        await resolver.close()
        await database.close()
    log.info("worker_ended")


async def _wait_for_database(resolver: Resolver, stop: asyncio.Event) -> None:
    """Wait, not for long, until misses can be answered: others do it until then."""
    end = time.monotonic() + _DATABASE_SECONDS
    while not resolver.ready and time.monotonic() < end:
        if await wait(stop, _LOOK_SECONDS):
            return


if __name__ == "__main__":
    child.run(work)
