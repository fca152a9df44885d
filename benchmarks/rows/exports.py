"""Export of all that a prefix has: how fast it goes, and what memory the worker takes for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp

from benchmarks.ask import WrongAnswer
from benchmarks.machine import resident_bytes
from benchmarks.node import Node
from benchmarks.plan import WRITTEN, Plan
from benchmarks.report import Limit, Row

_LIMIT = Limit("ratio", "<=", 0.1)
_QUERY = f"/api/v1/exports/identifiers?prefix={WRITTEN}"
_PLACE_SECONDS = 30.0
_WARM = 2
"""Exports begun before the measure: what a first one needs is not put to its account."""


async def measure(plan: Plan, node: Node) -> list[Row]:
    """Read a whole export as fast as it comes, with an eye on the worker."""
    (worker,) = node.workers
    address = f"http://127.0.0.1:{node.server.port}"
    headers = {"Authorization": f"Bearer {node.token}", "Accept-Encoding": "identity"}
    timeout = aiohttp.ClientTimeout(total=900)
    async with aiohttp.ClientSession(address, headers=headers, timeout=timeout) as session:
        for _ in range(_WARM):
            async with _export(session) as reply:
                await reply.content.readexactly(1 << 16)
                reply.close()
        before = highest = resident_bytes(worker)
        size = lines = 0
        async with _export(session) as reply:
            started = time.monotonic()
            async for piece in reply.content.iter_any():
                size += len(piece)
                lines += piece.count(b"\n")
                highest = max(highest, resident_bytes(worker))
        seconds = time.monotonic() - started
    if lines != plan.identifiers:
        raise WrongAnswer(f"an export of {plan.identifiers:,} identifiers has {lines:,} lines")
    name = f"export, {plan.identifiers:,} identifiers as NDJSON"
    growth = max(highest - before, 1)
    return [
        Row("export", name, "rows per s", lines / seconds),
        Row(
            "export_memory",
            f"{name}: growth of the worker",
            "bytes",
            growth,
            "bytes of the file",
            size,
            growth / size,
            _LIMIT,
        ),
    ]


@contextlib.asynccontextmanager
async def _export(session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientResponse]:
    """Begin an export, once the places of those that were broken off are free again."""
    async with asyncio.timeout(_PLACE_SECONDS):
        reply = await session.get(_QUERY)
        while reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            reply.release()
            await asyncio.sleep(0.1)
            reply = await session.get(_QUERY)
    async with reply:
        reply.raise_for_status()
        yield reply
