"""Asking a site whether it answers for a prefix, by each of its interfaces.

Somebody whom we do not know yet has named its addresses, so we ask no address inside our own
network (server-side request forgery), for a bounded time, and few at once. The record holds
addresses, no names, so that what is checked is what is asked.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from protocol.errors import IdnodeError, PeerUnavailable
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from registry.networks import Networks, holds
from registry.site_checks import SERVING, Asked
from resolver.client.exchange import Asking
from resolver.client.resolving import ask
from resolver.client.steps import Endpoint, Transport
from resolver.handle.elsewhere import read_address, scope_of

SECONDS = 5.0
"""Time for one interface."""

MAX_INTERFACES = 8
"""Interfaces of a site that are asked."""

_TRANSPORTS: Mapping[str, Transport] = {"TCP": "tcp", "UDP": "udp", "HTTP": "http"}

_TUNNELS: Networks = (
    ip_network("64:ff9b::/96"),  # RFC 6052: an IPv4 address that a translator reaches
    ip_network("64:ff9b:1::/48"),  # RFC 8215
    ip_network("2002::/16"),  # RFC 3056
)


class SiteAsker:
    """Asks sites. allowed: networks that may be asked though they are not public."""

    def __init__(self, allowed: Networks = (), clock: Callable[[], float] = time.time) -> None:
        self._allowed = allowed
        self._clock = clock

    async def ask(self, prefix: str, site: Mapping[str, Any]) -> Sequence[Asked]:
        """Ask for ``0.NA/<prefix>`` by each interface of the site that takes queries.

        site: an HS_SITE in JSON, as protocol.typed makes it.
        """
        interfaces = [
            (server["address"], interface["protocol"], interface["port"])
            for server in site["servers"]
            for interface in server["interfaces"]
            if interface["query"]
        ]
        asked = (self._interface(prefix, *each) for each in interfaces[:MAX_INTERFACES])
        return await asyncio.gather(*asked)

    async def _interface(self, prefix: str, address: str, protocol: str, port: int) -> Asked:
        transport = _TRANSPORTS.get(protocol)
        if transport is None:
            return Asked(address, protocol, port, None, f"{protocol} is not asked")
        if not may_be_asked(address, self._allowed):
            return Asked(address, protocol, port, None, "this address must not be asked")
        endpoint = Endpoint(transport, address, port)
        try:
            code = await self._code(prefix, endpoint)
        except IdnodeError as error:
            return Asked(address, protocol, port, None, error.detail)
        serving = code in SERVING
        detail = "it answers for the prefix" if serving else "it does not answer for the prefix"
        return Asked(address, protocol, port, code, detail)

    async def _code(self, prefix: str, endpoint: Endpoint) -> int:
        identifier = Identifier.of(PREFIX_HANDLE_PREFIX, prefix)
        asking = Asking(identifier, secrets.randbits(32), int(self._clock()))
        try:
            async with asyncio.timeout(SECONDS):
                return int((await ask(asking, endpoint)).code)
        except TimeoutError:
            raise PeerUnavailable(f"{endpoint}: no answer in {SECONDS:g} s") from None


def may_be_asked(address: str, allowed: Networks) -> bool:
    """Whether to ask an address that a stranger has named: it is public, or the operator allows it.

    allowed: networks that may be asked though they are not public.
    """
    if holds(allowed, address):
        return True
    parsed = read_address(address)
    if parsed is None or holds(_TUNNELS, address):
        return False
    return scope_of(parsed) == "global"
