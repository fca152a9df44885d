"""What the tests of the uplink share: a quick pace, filings, and conditions to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import sqlalchemy as sa
from aiohttp import web

from registry import metrics, outbox
from registry.database import Database
from registry.schema import outbox as table
from resolver.federation.health import Workers
from resolver.federation.toplevel.schema import messages
from resolver.federation.uplink import Pace, run_uplink

NODE = "88.118"
QUICK = Pace(
    look=0.05, timeout=0.5, first_delay=0.02, longest_delay=0.2, refused_delay=300, heartbeat=0.1
)
_DEADLINE = 30.0


def filing(prefix: str, number: int = 0) -> dict[str, Any]:
    """Return a valid payload; `number` tells one filing of a prefix from the next."""
    return {
        "prefix": prefix,
        "status": "active",
        "enterprise": {
            "name": "Pump Works",
            "credit_code": "91350211M000100Y46",
            "industry": str(number),
        },
        "hosting": "hosted",
        "site": None,
    }


async def put(database: Database, prefix: str, number: int = 0) -> None:
    async with database.begin() as connection:
        await outbox.enqueue(
            connection, subject=prefix, kind=outbox.PREFIX, payload=filing(prefix, number)
        )


async def rows(database: Database) -> list[Any]:
    """Return the outbox in the order in which it was written."""
    async with database.begin() as connection:
        return list((await connection.execute(sa.select(table).order_by(table.c.id))).all())


async def arrived(database: Database) -> list[Any]:
    """Return what the top-level stub holds in the order in which it came."""
    async with database.begin() as connection:
        result = await connection.execute(sa.select(messages).order_by(messages.c.arrival))
        return list(result.all())


async def eventually(
    promise: str, look: Callable[[], Awaitable[Any]], *, within: float = _DEADLINE
) -> Any:
    """Look until there is something true, and return it; fail with `promise` at the deadline."""
    try:
        async with asyncio.timeout(within):
            while not (found := await look()):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not so within {within} s: {promise}") from None
    return found


async def until(
    database: Database,
    promise: str,
    holds: Callable[[list[Any]], Any],
    *,
    within: float = _DEADLINE,
) -> list[Any]:
    """Wait until `holds` of the rows of the outbox, and return them."""

    async def look() -> list[Any] | None:
        found = await rows(database)
        return found if holds(found) else None

    found: list[Any] = await eventually(promise, look, within=within)
    return found


def all_delivered(found: list[Any]) -> bool:
    return all(row.delivered_at is not None for row in found)


@contextlib.asynccontextmanager
async def uplink(
    database: Database,
    url: str,
    *,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
    pace: Pace = QUICK,
    workers: Callable[[], Workers] | None = None,
) -> AsyncIterator[metrics.Row]:
    """Run the uplink for the length of the block; what it raises fails the test."""
    stop, row = asyncio.Event(), metrics.private_row()
    task = asyncio.create_task(
        run_uplink(
            database,
            url=url,
            token=token,
            node_prefix=NODE,
            row=row,
            stop=stop,
            tls=tls,
            pace=pace,
            workers=workers,
        )
    )
    try:
        yield row
    finally:
        stop.set()
        async with asyncio.timeout(_DEADLINE):
            await task


@contextlib.asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve `app` on a port of its own; give its URL."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


Fault = Callable[[web.Request, Callable[[], Any]], Any]


class Faults:
    """A middleware that lets `fault` answer POST /filings of the subjects it is set for."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.subject: str | None = None
        self.seen: list[str] = []

    def install(self, app: web.Application) -> web.Application:
        @web.middleware
        async def meddle(request: web.Request, handler: Any) -> web.StreamResponse:
            if self.fault is None or request.path != "/filings":
                return await handler(request)
            subject = msgspec.json.decode(await request.read())["subject"]
            self.seen.append(subject)
            if self.subject not in (None, subject):
                return await handler(request)
            return await self.fault(request, lambda: handler(request))

        app.middlewares.insert(0, meddle)
        return app
