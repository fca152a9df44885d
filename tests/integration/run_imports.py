"""The import job as a process of its own, for tests that kill it: URL, rows of a batch."""

from __future__ import annotations

import asyncio
import sys

from registry.database import Database
from registry.imports import batches
from registry.imports.job import run_imports
from registry.metrics import private_row
from registry.services import Registry


async def main(url: str, rows: int) -> None:
    batches.BATCH_ROWS = rows
    registry = Registry(Database(url), "88.118", lambda _prefix, _keys: None, private_row())
    await run_imports(registry, asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
