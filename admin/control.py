"""The operator port: console page, metrics, health. It tells and changes nothing.

It never asks the database or a worker while somebody waits, so it answers whatever they do. Only
who signs in or out waits for the database.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import msgspec
from aiohttp import web

from admin.console import front
from admin.metrics import Node, RowsCollector, expose
from admin.status import Status
from registry.api import proxies
from registry.networks import networks

_COLLECTOR: web.AppKey[RowsCollector] = web.AppKey("collector", RowsCollector)
_SHUTDOWN_SECONDS = 1.0


def make_control_app(status: Status) -> web.Application:
    """Return the application of the operator port."""
    trusted = networks(status.settings.trusted_proxies)
    app = web.Application(
        client_max_size=front.MAX_FORM_BYTES,
        middlewares=[proxies.middleware(trusted)] if trusted else (),
    )
    app[front.STATUS] = status
    app[_COLLECTOR] = RowsCollector(
        status.rows, Node(lambda: status.ready_workers, status.restarts)
    )
    front.add_routes(app)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.on_response_prepare.append(_harden)
    return app


async def start_control(status: Status, stack: AsyncExitStack) -> int:
    """Serve the operator port until the stack ends; return the port. Raises OSError."""
    runner = web.AppRunner(
        make_control_app(status), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    settings = status.settings
    await web.TCPSite(runner, settings.bind, settings.admin_port).start()
    port: int = runner.addresses[0][1]
    return port


async def _metrics(request: web.Request) -> web.Response:
    body, content_type = expose(request.app[_COLLECTOR], request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


async def _healthz(_: web.Request) -> web.Response:
    return _json({"status": "ok"})


async def _readyz(request: web.Request) -> web.Response:
    status = request.app[front.STATUS]
    reasons = status.reasons()
    body = {"ready": not reasons, "reasons": reasons, "workers": status.ready_workers}
    return _json(body, status=503 if reasons else 200)


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Server"] = "idnode"
