"""A worker: a full front of the node on its own event loop, with its own cache."""

from __future__ import annotations

import asyncio
import gc
import time
from dataclasses import replace

import structlog

from admin import child, datadir
from admin.recursion import make_recursion
from admin.settings import Settings, public_url, zone_settings
from admin.site import own_site
from admin.waiting import wait
from registry.api.app import make_app
from registry.database import Database
from registry.identities import Find
from registry.metrics import Row
from registry.networks import networks
from registry.services import Registry
from registry.snms import secrets as snms_secrets
from registry.statistics.counter import Counter
from resolver.dns.service import DnsService
from resolver.dns.setup import cookie_secret
from resolver.handle.dispatch import HANDLERS
from resolver.handle.elsewhere import Elsewhere, own_addresses, read_server
from resolver.handle.service import HandleService
from resolver.lookup import Resolver
from resolver.site import load_key
from resolver.site_asker import SiteAsker
from resolver.transports.dns_server import DnsServer, start_dns
from resolver.transports.handle_endpoint import HandleEndpoint
from resolver.transports.handle_server import HandleServer, start_handle
from resolver.transports.http import add_routes
from resolver.transports.limits import Limits
from resolver.transports.rest import Rest
from resolver.transports.rest_auth import Gate
from resolver.transports.server import Https, HttpServer, start_http
from resolver.transports.short_server import Room
from resolver.transports.tls import TlsContext
from resolver.transports.tunnel import add_tunnel

log = structlog.get_logger("idnode.worker")

_ALL_CONNECTIONS = 64
_POOL = (2, 8)
_DATABASE_SECONDS = 3.0
_LOOK_SECONDS = 0.01
_DNS_NAMES_SHARE = 8  # of the cache's budget, beside it


def pool_size(workers: int) -> int:
    """Return how many connections each of so many workers may keep in each of its two pools."""
    least, most = _POOL
    return max(least, min(most, _ALL_CONNECTIONS // workers))


async def work(task: child.Task, stop: asyncio.Event) -> None:
    """Answer until `stop`, then finish what is under way."""
    settings, row = task.settings, task.open_row()
    database = Database(task.database_url, pool_size=pool_size(settings.workers))
    site = own_site(settings)
    counter = Counter(database, row, datadir.statistics(settings.data_dir))
    resolver = Resolver(
        database,
        row=row,
        cache_bytes=settings.cache_bytes,
        node_prefix=settings.prefix,
        site=site.record,
        counter=counter,
    )
    registry = Registry(
        database,
        settings.prefix,
        resolver.forget,
        row,
        public_url=public_url(settings),
        label_font=settings.label_font,
        snms_key=snms_secrets.load_key(datadir.snms_key(settings)),
        self_filing=settings.self_filing,
        prefix_quota=settings.prefix_quota,
        ask_site=SiteAsker(networks(settings.site_networks)).ask,
    )
    find = _find(settings)
    recursion = make_recursion(settings, row, resolver)
    handle = HandleService(
        resolver,
        registry,
        site,
        handlers=HANDLERS,
        administrators=frozenset(filter(None, settings.handle_admins.split(","))),
        find=find,
        recursion=recursion,
    )
    proxies = networks(settings.trusted_proxies)
    app = make_app(registry, proxies)
    rest = Rest(handle, Gate(registry, handle.guesses, plain=settings.plain_auth, find=find))
    add_routes(app, resolver, rest, recursion)
    rest.add_routes(app)
    add_tunnel(app, HandleEndpoint(handle, row))
    await resolver.start()
    ended = asyncio.Event()
    counting = asyncio.create_task(counter.run(ended))
    try:
        await _wait_for_database(resolver, stop)
        servers: list[HttpServer | HandleServer | DnsServer] = [
            await start_http(
                app,
                resolver,
                row=row,
                host=settings.bind,
                port=settings.http_port,
                https=_https(settings),
                room=Room(settings.http_connections_per_source, proxies),
            )
        ]
        if settings.handle_port:
            servers.append(
                await start_handle(
                    handle,
                    row=row,
                    host=settings.bind,
                    port=settings.handle_port,
                    limits=_limits(settings),
                )
            )
        if settings.dns_port:
            servers.append(await _start_dns(settings, resolver, row))
        # What is there now stays: no collection goes through it again and keeps requests waiting.
        gc.collect()
        gc.freeze()
        child.report_ready()
        log.info("worker_ready")
        await stop.wait()
        await asyncio.gather(*(server.stop(settings.shutdown_seconds) for server in servers))
    finally:
        ended.set()
        await counting
        await counter.close()
        if recursion is not None:
            await recursion.close()
        await resolver.close()
        await database.close()
    log.info("worker_ended")


async def _start_dns(settings: Settings, resolver: Resolver, row: Row) -> DnsServer:
    host = settings.handle_address or settings.bind
    key = load_key(datadir.node_key(settings.data_dir))
    service = DnsService(
        resolver, zone_settings(settings).data(host), row, secret=cookie_secret(key)
    )
    limits = replace(_limits(settings), udp_responses_per_second=settings.dns_responses_per_second)
    return await start_dns(
        service,
        host=settings.bind,
        port=settings.dns_port,
        limits=limits,
        names_bytes=settings.cache_bytes // _DNS_NAMES_SHARE,
    )


def _limits(settings: Settings) -> Limits:
    """Return what a source may have of this worker: ports of one source go to all of them."""
    octets = settings.udp_bytes_per_second
    return Limits(
        udp_responses_per_second=settings.udp_responses_per_second,
        udp_bytes_per_second=max(1, octets // settings.workers) if octets else 0,
        tcp_connections=settings.tcp_connections_per_source,
    )


def _find(settings: Settings) -> Find | None:
    """Return how keys of identities are found that are not kept here, if a setting says where."""
    if settings.handle_resolver is None:
        return None
    here = own_addresses(settings.bind, settings.handle_address)
    return Elsewhere(read_server(settings.handle_resolver), here, settings.handle_port).find


def _https(settings: Settings) -> Https | None:
    if not settings.https_port:
        return None
    return Https(settings.https_port, TlsContext(*datadir.tls_files(settings)))


async def _wait_for_database(resolver: Resolver, stop: asyncio.Event) -> None:
    """Wait, not for long, until misses can be answered: others do it until then."""
    end = time.monotonic() + _DATABASE_SECONDS
    while not resolver.ready and time.monotonic() < end:
        if await wait(stop, _LOOK_SECONDS):
            return


if __name__ == "__main__":
    child.run(work)
