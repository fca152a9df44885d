"""`idnode serve`: everything that runs a node, started in order and stopped in reverse.

Database, migrations, the first operator, workers and jobs. What dies is started again. SIGTERM
and SIGINT drain, a second one makes it quick; SIGHUP reads the settings again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import msgspec
import structlog

from admin import __version__, datadir, logs
from admin.child import when_standard_input_ends
from admin.console.visitors import Visitors
from admin.control import start_control
from admin.datadir import DataDirectoryError
from admin.embedded import PostgresError
from admin.fleet import START_SECONDS, Fleet
from admin.postgres import KeptPostgres
from admin.settings import RELOADABLE, Settings, SettingsError, public_url
from admin.status import Status
from admin.waiting import Backoff, wait
from protocol.errors import IdnodeError, StoreUnavailable
from registry import metrics
from registry.accounts.first import ensure_operator
from registry.database import Database, migrate
from registry.labels.links import leads_to_loopback
from registry.services import Registry
from registry.snms import secrets as snms_secrets
from registry.tenancy import RoleMissing
from registry.transparency import keys as transparency_keys
from resolver.site import ensure_key
from resolver.transports.tls import TlsContext, ensure_self_signed

log = structlog.get_logger("idnode.supervisor")

FIRST_OPERATOR = "bootstrap"
_DATABASE_SECONDS = 60.0


class StartError(Exception):
    """The node cannot be started; the message is one line that says why."""


async def serve(
    settings: Settings, read_settings: Callable[[], Settings], *, lifeline: bool = False
) -> None:
    """Run a node until SIGTERM or SIGINT.

    read_settings: called at SIGHUP. lifeline: the end of standard input, too, ends the node.
    Raises StartError.
    """
    try:
        with datadir.lock(settings.data_dir), hold_ports(settings) as port:
            settings = msgspec.structs.replace(settings, http_port=port)
            await asyncio.to_thread(ensure_key, datadir.node_key(settings.data_dir))
            prepare_log_key(settings)
            prepare_snms_key(settings)
            prepare_tls(settings)
            await Supervisor(settings, read_settings).run(lifeline=lifeline)
    except (DataDirectoryError, PostgresError) as error:
        raise StartError(str(error)) from error


def prepare_log_key(settings: Settings) -> None:
    """See that the key of tree heads can be read; made here if it is our own. Raises StartError."""
    path = datadir.log_key(settings)
    try:
        if settings.log_key is None:
            transparency_keys.ensure_key(path)
        transparency_keys.load_key(path)
    except OSError as error:
        raise StartError(f"log_key {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise StartError(f"log_key {path}: not a PEM file of an Ed25519 key") from error


def prepare_snms_key(settings: Settings) -> None:
    """See that the key of hashed passwords can be read; made here if it is our own.

    Raises StartError.
    """
    path = datadir.snms_key(settings)
    try:
        if settings.snms_key is None:
            snms_secrets.ensure_key(path)
        snms_secrets.load_key(path)
    except OSError as error:
        raise StartError(f"snms_key {path}: {error.strerror}") from error
    except ValueError as error:
        raise StartError(
            f"snms_key {path}: not {snms_secrets.KEY_BYTES} bytes in base64"
        ) from error


@contextlib.contextmanager
def hold_ports(settings: Settings) -> Iterator[int]:
    """Hold the public ports, so that they stay ours while workers come and go.

    Yields the HTTP port. Raises StartError.
    """
    with contextlib.ExitStack() as held:
        http = held.enter_context(_hold("http_port", settings.bind, settings.http_port))
        if settings.https_port:
            held.enter_context(_hold("https_port", settings.bind, settings.https_port))
        for name in ("handle_port", "dns_port"):
            port = getattr(settings, name)
            if port:
                held.enter_context(_hold(name, settings.bind, port))
                # A UDP socket cannot be held: it would be handed a share of the datagrams.
                with _hold(name, settings.bind, port, socket.SOCK_DGRAM):
                    pass
        yield http


@contextlib.contextmanager
def _hold(
    name: str, bind: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM
) -> Iterator[int]:
    """Hold one port.

    The workers share it with SO_REUSEPORT, with which a second node would quietly take half of
    what comes: so first of all it must be free.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            bind, port, type=kind, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
        held = socket.socket(family, kind, protocol)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(where)
    except OSError as error:
        raise StartError(f"IDNODE_{name.upper()} {bind}:{port}: {reason(error)}") from None
    with held:
        yield held.getsockname()[1]


def prepare_tls(settings: Settings) -> None:
    """Make a certificate for development if none is set, and see that it can be used.

    Raises StartError.
    """
    if not settings.https_port:
        return
    certificate, key = datadir.tls_files(settings)
    try:
        if settings.tls_cert is None:
            ensure_self_signed(certificate, [settings.bind], datetime.datetime.now(datetime.UTC))
        TlsContext(certificate, key)
    except OSError as error:
        raise StartError(f"{error.filename}: {reason(error)}") from None
    except ValueError as error:
        raise StartError(str(error)) from None


class Supervisor:
    """One running node."""

    def __init__(self, settings: Settings, read_settings: Callable[[], Settings]) -> None:
        self.settings = settings
        self._read_settings = read_settings
        self._stop = asyncio.Event()
        self._fleet: Fleet | None = None
        self._status: Status | None = None
        self._reloading: asyncio.Task[None] | None = None

    async def run(self, *, lifeline: bool) -> None:
        """Start all, run until told to stop, stop all. Raises StartError, PostgresError."""
        self._listen_to_signals()
        if lifeline:
            when_standard_input_ends(self._stop.set)
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            running = asyncio.create_task(self._start(stack, began))
            stopped = asyncio.create_task(self._stop.wait())
            await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                running.cancel()
                await asyncio.wait((running,))
            if not running.cancelled():
                running.result()
            await stopped
            log.info("node_stopping")
        log.info("node_stopped")

    async def _start(self, stack: AsyncExitStack, began: float) -> None:
        settings = self.settings
        metrics_file = datadir.metrics_file(settings.data_dir)
        metrics.create(metrics_file, Fleet.rows_needed(settings))
        status = self._status = Status(settings, metrics.open_rows(metrics_file))
        warn_of_labels(settings)
        try:
            admin_port = await start_control(status, stack)
        except OSError as error:
            raise StartError(
                f"IDNODE_ADMIN_PORT {settings.bind}:{settings.admin_port}: {reason(error)}"
            ) from None
        url = await self._database(status, stack)
        await prepare(url, datadir.bootstrap_token(settings))
        self._watch(status, url, stack)
        status.visitors = _visitors(url, settings)
        stack.push_async_callback(status.visitors.close)
        fleet = self._fleet = status.fleet = Fleet(
            settings, url, str(metrics_file), status.rows, status.restarts
        )
        stack.push_async_callback(fleet.stop)
        fleet.start()
        if not await fleet.all_ready(START_SECONDS):
            raise StartError("the workers did not become ready; the log says why")
        log.info(
            "node_ready",
            http=address(settings.bind, settings.http_port),
            https_port=settings.https_port,
            admin=address(settings.bind, admin_port),
            prefix=settings.prefix,
            workers=settings.workers,
            version=__version__,
            seconds=round(time.monotonic() - began, 2),
        )

    async def _database(self, status: Status, stack: AsyncExitStack) -> str:
        if self.settings.database_url is not None:
            return self.settings.database_url
        status.restarts["postgres"] = 0
        server = KeptPostgres(datadir.postgres(self.settings.data_dir), status.restarts)
        stack.push_async_callback(server.stop)
        return await server.start()

    def _watch(self, status: Status, url: str, stack: AsyncExitStack) -> None:
        end = asyncio.Event()
        watching = asyncio.create_task(status.watch.run(url, end))

        async def stop_watching() -> None:
            end.set()
            await watching

        stack.push_async_callback(stop_watching)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _end(self) -> None:
        if self._stop.is_set() and self._fleet is not None:
            self._fleet.hurry.set()
        self._stop.set()

    def _reload(self) -> None:
        if self._fleet is not None:
            self._reloading = asyncio.create_task(self._replace_all(self._fleet))

    async def _replace_all(self, fleet: Fleet) -> None:
        try:
            read = self._read_settings()
            prepare_tls(read)
        except (SettingsError, StartError) as error:
            log.error("settings_not_reloaded", reason=str(error))
            return
        wanted = msgspec.structs.asdict(read) | {"http_port": self.settings.http_port}
        now = msgspec.structs.asdict(self.settings)
        changed = sorted(name for name in wanted if wanted[name] != now[name])
        late = [name for name in changed if name not in RELOADABLE]
        if late:
            log.warning("settings_need_a_start", settings=late)
        self.settings = msgspec.structs.replace(
            self.settings, **{name: wanted[name] for name in RELOADABLE}
        )
        logs.configure(self.settings.log_level)
        log.info("settings_reloaded", changed=[name for name in changed if name not in late])
        warn_of_labels(self.settings)
        if self._status is not None:
            self._status.settings = self.settings
        await fleet.replace_all(self.settings)


def warn_of_labels(settings: Settings) -> None:
    """Log once where labels that are printed now would lead nobody here."""
    address_of_all = public_url(settings)
    if address_of_all is not None and leads_to_loopback(address_of_all):
        log.warning("labels_lead_to_loopback", public_url=address_of_all, set="IDNODE_PUBLIC_URL")


def _visitors(url: str, settings: Settings) -> Visitors:
    database = Database(url, pool_size=2)
    # It writes nothing that a cache holds, and counts nothing.
    registry = Registry(database, settings.prefix, lambda *_: None, metrics.private_row())
    return Visitors(registry)


async def prepare(url: str, token: str) -> None:
    """Bring the database to the code's tables, and make the first operator.

    Waits a bounded time for a database that is away. Raises StartError.
    """
    began = time.monotonic()
    backoff = Backoff(first=0.2, longest=5.0)
    never = asyncio.Event()
    while True:
        try:
            await migrate(url)
            await _ensure_first_operator(url, token)
            return
        except StoreUnavailable as error:
            if time.monotonic() - began > _DATABASE_SECONDS:
                raise StartError(f"the database does not answer: {error.__cause__}") from error
            log.warning("database_awaited", cause=repr(error.__cause__ or error))
            await wait(never, backoff.next(0))
        except RoleMissing as error:
            raise StartError(str(error)) from error
        except IdnodeError as error:
            raise StartError(f"IDNODE_BOOTSTRAP_TOKEN: {error.detail}") from error


async def _ensure_first_operator(url: str, token: str) -> None:
    database = Database(url, pool_size=1)
    try:
        async with database.begin() as connection:
            await ensure_operator(connection, FIRST_OPERATOR, token)
    finally:
        await database.close()


def address(bind: str, port: int) -> str:
    """Return the URL at which this machine reaches what listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reason(error: OSError) -> str:
    """Return the system's word for what went wrong, without asyncio's around it."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
