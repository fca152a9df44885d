"""Run the top-level stub as a process: DATABASE_URL PORT. Says "ready" when it listens."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from registry.database import Database
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.schema import prepare


async def main(url: str, port: int) -> None:
    database = Database(url, pool_size=4)
    await prepare(database)
    runner = web.AppRunner(make_toplevel_app(database, token=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
