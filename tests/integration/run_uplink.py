"""Run the uplink as a process: DATABASE_URL TOPLEVEL_URL. Says "ready" when it starts."""

from __future__ import annotations

import asyncio
import sys

from registry.database import Database
from registry.metrics import private_row
from resolver.federation.uplink import run_uplink
from tests.integration.uplink_support import QUICK


async def main(database_url: str, toplevel_url: str) -> None:
    print("ready", flush=True)
    await run_uplink(
        Database(database_url, pool_size=4),
        url=toplevel_url,
        token=None,
        node_prefix="88.118",
        row=private_row(),
        stop=asyncio.Event(),
        pace=QUICK,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
