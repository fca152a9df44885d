"""Write filings and reports as a node does, numbered, until killed: DATABASE_URL SEED."""

from __future__ import annotations

import asyncio
import random
import sys

import sqlalchemy as sa

from registry import outbox, reports
from registry.database import Database
from registry.schema import outbox as table
from tests.integration.uplink_support import filing

SUBJECTS = [f"88.118.{number}" for number in range(1, 7)]
HOUR = "2026-11-25T04:00:00Z"
REPORT = f"statistics hour {HOUR}"

_TURN = sa.text("SELECT pg_advisory_xact_lock(hashtext('writer of a test'))")


async def write(database: Database, subject: str) -> None:
    """Write the next filing of a subject, whose number says how many were before it."""
    async with database.begin() as connection:
        # A writer that was killed may still be committing.
        await connection.execute(_TURN)
        number = await connection.scalar(
            sa.select(sa.func.count()).where(table.c.subject == subject)
        )
        payload = filing(subject, number or 0)
        await outbox.enqueue(connection, subject=subject, kind=outbox.PREFIX, payload=payload)


async def report(database: Database) -> None:
    """Report the figures of an hour anew, in the place of a report that waits."""
    async with database.begin() as connection:
        await connection.execute(_TURN)
        known = table.c.payload["revision"].as_integer()
        last = await connection.scalar(
            sa.select(sa.func.max(known)).where(table.c.subject == REPORT)
        )
        payload = {
            "per": "hour",
            "start": HOUR,
            "revision": (last or 0) + 1,
            "total": {"found": (last or 0) + 1},
            "prefixes": [],
        }
        await outbox.replace(connection, subject=REPORT, kind=reports.STATISTICS, payload=payload)


async def main(database_url: str, seed: int) -> None:
    """Write on and on, at a pace that the uplink keeps up with."""
    database, chance = Database(database_url, pool_size=2), random.Random(seed)
    while True:
        await write(database, chance.choice(SUBJECTS))
        await report(database)
        await asyncio.sleep(chance.random() * 0.08)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
