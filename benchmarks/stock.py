"""A stock aiohttp server: one handler that returns a body given in a file. The peer to beat."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web


def make_app(body: bytes) -> web.Application:
    """Return an application that answers every path under /api/handles/ with `body`."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/handles/{identifier:.+}", answer)
    return app


def main(port: int, body: Path, loop: str) -> None:
    """Serve on loopback until the process is told to end. loop: asyncio or uvloop."""
    web.run_app(
        make_app(body.read_bytes()),
        host="127.0.0.1",
        port=port,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop() if loop == "uvloop" else asyncio.new_event_loop(),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
