"""Recursion as the settings have it."""

from __future__ import annotations

import time

from admin.settings import Settings
from registry.metrics import Row
from registry.networks import networks
from resolver.handle.elsewhere import own_addresses
from resolver.lookup import Resolver
from resolver.recursion.discovery.lookup import (
    Lookup,
    make_resolver,
    read_anchors,
    read_servers,
    read_zone,
)
from resolver.recursion.model import Bounds
from resolver.recursion.places import read_nodes, read_root
from resolver.recursion.service import Limits, Recursion


def make_recursion(settings: Settings, row: Row, resolver: Resolver) -> Recursion | None:
    """Return what asks other nodes; None unless there are clients that may have it ask.

    resolver: tells what this node itself knows.
    """
    if not settings.recursion_clients:
        return None
    here = own_addresses(settings.bind, settings.handle_address)
    return Recursion(
        None if settings.recursion_root is None else read_root(settings.recursion_root),
        networks(settings.recursion_clients),
        row=row,
        nodes=read_nodes(settings.recursion_nodes),
        dns=_dns(settings),
        resolver=resolver,
        private=networks(settings.recursion_allow_private),
        here=frozenset((address, settings.handle_port) for address in here),
        bounds=Bounds(seconds=settings.recursion_seconds, max_ttl=settings.recursion_max_ttl),
        limits=Limits(
            walks=settings.recursion_walks,
            client_waiting=settings.recursion_client_waiting,
            client_rate=settings.recursion_client_rate,
            cache_bytes=settings.recursion_cache_bytes,
            stale_seconds=settings.recursion_stale_seconds,
        ),
    )


def _dns(settings: Settings) -> Lookup | None:
    if not settings.discovery_zone:
        return None
    zone, anchor = read_zone(settings.discovery_zone), settings.discovery_anchor
    return Lookup(
        make_resolver(read_servers(settings.discovery_servers)),
        zone,
        () if anchor is None else read_anchors(anchor, zone),
        time.time,
    )
