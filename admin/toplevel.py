"""`idnode toplevel`: the stub of the top-level node, one process with its own database."""

from __future__ import annotations

import asyncio
import datetime
import signal
import socket
import ssl
from collections import Counter
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from admin import datadir
from admin.child import when_standard_input_ends
from admin.datadir import DataDirectoryError, operator_token
from admin.embedded import PostgresError
from admin.postgres import KeptPostgres
from admin.settings import Settings
from admin.supervisor import StartError, reason
from protocol.errors import InvalidValue, StoreUnavailable
from registry.database import Database
from registry.metrics import private_row
from resolver.federation.certificates import Authority, open_authority
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.directory import Directory
from resolver.federation.toplevel.faults import Faults
from resolver.federation.toplevel.gate import server_context
from resolver.federation.toplevel.handle import ToplevelEndpoint
from resolver.federation.toplevel.schema import prepare
from resolver.site import Site, ensure_key, load_key, make_site
from resolver.transports.handle_server import serve_endpoint
from resolver.transports.limits import Limits

log = structlog.get_logger("idnode.toplevel")

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (not to bind to)


async def serve(settings: Settings, *, lifeline: bool = False) -> None:
    """Run the stub until SIGTERM or SIGINT.

    Without IDNODE_DATABASE_URL it has an embedded PostgreSQL of its own, in `toplevel` of the
    data directory. lifeline: the end of standard input ends it too. Raises StartError.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if lifeline:
        when_standard_input_ends(stop.set)
    try:
        async with AsyncExitStack() as stack:
            url = settings.database_url or await _embedded(settings, stack)
            database = Database(url, pool_size=4)
            stack.push_async_callback(database.close)
            await prepare(database)
            site = _site(settings)
            directory = Directory(database, prefix=settings.toplevel_prefix, site=site.record)
            faults = Faults()
            if settings.toplevel_handle_port:
                endpoint = ToplevelEndpoint(directory, site, private_row(), faults=faults)
                await _listen_to_handles(settings, endpoint, stack)
            authority = _authority(settings)
            app = make_toplevel_app(
                database,
                token=settings.toplevel_token,
                authority=authority,
                plain=settings.toplevel_plain,
                changed=directory.forget,
                operator=operator_token(settings.data_dir),
                faults=faults,
            )
            await _listen(settings, app, authority, stack)
            await stop.wait()
    except (DataDirectoryError, PostgresError) as error:
        raise StartError(str(error)) from error
    except StoreUnavailable as error:
        raise StartError(f"the database does not answer: {error.__cause__}") from error
    log.info("toplevel_stopped")


async def _embedded(settings: Settings, stack: AsyncExitStack) -> str:
    directory = settings.data_dir / "toplevel"
    stack.enter_context(datadir.lock(directory))
    server = KeptPostgres(datadir.postgres(directory), Counter())
    stack.push_async_callback(server.stop)
    return await server.start()


def _site(settings: Settings) -> Site:
    """Return where the stub itself is asked. Raises StartError."""
    path = datadir.toplevel_key(settings.data_dir)
    try:
        ensure_key(path)
        return make_site(
            settings.toplevel_address or settings.bind,
            handle_port=settings.toplevel_handle_port,
            http_port=0,
            key=load_key(path),
        )
    except (OSError, ValueError) as error:
        raise StartError(f"{path}: {error}") from None
    except InvalidValue as error:
        raise StartError(f"IDNODE_TOPLEVEL_ADDRESS: {error.detail}") from None


async def _listen_to_handles(
    settings: Settings, endpoint: ToplevelEndpoint, stack: AsyncExitStack
) -> None:
    limits = Limits(
        udp_responses_per_second=settings.udp_responses_per_second,
        udp_bytes_per_second=settings.udp_bytes_per_second,
        tcp_connections=settings.tcp_connections_per_source,
    )
    port = settings.toplevel_handle_port
    try:
        server = await serve_endpoint(endpoint, host=settings.bind, port=port, limits=limits)
    except OSError as error:
        raise StartError(
            f"IDNODE_TOPLEVEL_HANDLE_PORT {settings.bind}:{port}: {reason(error)}"
        ) from None
    stack.push_async_callback(server.stop, settings.shutdown_seconds)


def _authority(settings: Settings) -> Authority:
    """Return who issues certificates to nodes. Raises StartError."""
    path = datadir.toplevel_authority(settings.data_dir)
    life = datetime.timedelta(seconds=settings.toplevel_certificate_seconds)
    try:
        return open_authority(path, prefix=settings.toplevel_prefix, life=life)
    except (OSError, ValueError) as error:
        raise StartError(f"{path}: {error}") from None


async def _listen(
    settings: Settings, app: web.Application, authority: Authority, stack: AsyncExitStack
) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=settings.shutdown_seconds)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await _bind(runner, settings.bind, settings.toplevel_port, "IDNODE_TOPLEVEL_PORT")
    if settings.toplevel_https_port:
        context = server_context(
            authority, datadir.toplevel_tls(settings.data_dir), _hosts(settings)
        )
        name = "IDNODE_TOPLEVEL_HTTPS_PORT"
        await _bind(runner, settings.bind, settings.toplevel_https_port, name, context)
    log.info("toplevel_ready", port=runner.addresses[0][1])


async def _bind(
    runner: web.AppRunner, host: str, port: int, name: str, tls: ssl.SSLContext | None = None
) -> None:
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
    except OSError as error:
        raise StartError(f"{name} {host}:{port}: {reason(error)}") from None


def _hosts(settings: Settings) -> list[str]:
    """Return the names and addresses by which nodes may reach the stub."""
    given = (*settings.toplevel_hosts.split(","), settings.toplevel_address, settings.bind)
    own = ("localhost", "127.0.0.1", "::1", socket.gethostname())
    return [host for host in (*own, *given) if host and host not in _EVERYWHERE]
