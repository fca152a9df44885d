"""Escrow of all that is registered, and a node made of it, beside COPY of the same table."""

from __future__ import annotations

import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.ask import WrongAnswer
from benchmarks.plan import NODE_PREFIX, WRITTEN, Plan
from benchmarks.report import Limit, Row
from benchmarks.store import BARE, Store, checkpoint, connected, make_bare
from registry.database import Database
from registry.escrow.restoring import restore
from registry.escrow.taking import take

_TAKEN = Limit("ratio", ">=", 0.3)
_RESTORED = Limit("ratio", ">=", 0.5)

# All that an identifier says, in its order: what makes two tables the same.
_DIGEST = """
SELECT md5(string_agg(md5(t::text), '' ORDER BY prefix, suffix_key)) FROM identifiers AS t
"""


async def measure(plan: Plan, store: Store, url: str, directory: Path) -> list[Row]:
    """COPY out, escrow, COPY in, restore; then the restored table is compared with the first."""
    rows = plan.identifiers
    file = directory / "identifiers.copy"
    async with connected(url) as sql:
        started = time.monotonic()
        await sql.copy_from_table("identifiers", output=file)
        out = rows / (time.monotonic() - started)
    taken = await _take(url, directory / "escrow", rows)
    await make_bare(url)
    await checkpoint(url)
    async with connected(url) as sql:
        started = time.monotonic()
        await sql.copy_to_table(BARE, source=file)
        into = rows / (time.monotonic() - started)
    await checkpoint(url)
    restored = await _restore(store, url, directory / "escrow", rows)
    name = f"{rows:,} identifiers"
    size = sum(path.stat().st_size for path in (directory / "escrow").rglob("*.zst"))
    return [
        Row(
            "escrow",
            f"escrow of {name}, signed and compressed",
            "identifiers per s",
            taken,
            "COPY out",
            out,
            taken / out,
            _TAKEN,
            detail={"bytes": size, "bytes_of_copy": file.stat().st_size},
        ),
        Row(
            "restore",
            f"node made of the escrow of {name}",
            "identifiers per s",
            restored,
            "bare COPY",
            into,
            restored / into,
            _RESTORED,
        ),
    ]


_KEY = Ed25519PrivateKey.generate()


async def _take(url: str, directory: Path, rows: int) -> float:
    database = Database(url, pool_size=1)
    try:
        started = time.monotonic()
        await take(database, directory, _KEY, node=NODE_PREFIX, version="bench", clock=time.time)
        return rows / (time.monotonic() - started)
    finally:
        await database.close()


async def _restore(store: Store, url: str, directory: Path, rows: int) -> float:
    other = await store.create("restored", migrated=False)
    database = Database(other, pool_size=1)
    try:
        started = time.monotonic()
        await restore(database, directory, _KEY.public_key())
        seconds = time.monotonic() - started
    finally:
        await database.close()
    async with connected(url) as before, connected(other) as after:
        if await before.fetchval(_DIGEST) != await after.fetchval(_DIGEST):
            raise WrongAnswer(f"the restored identifiers of {WRITTEN} are not those taken")
    return rows / seconds
