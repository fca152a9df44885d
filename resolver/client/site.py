"""Where an HS_SITE record says to ask (RFC 3651 section 3.2.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from protocol import typed
from protocol.errors import InvalidValue
from protocol.identifier import Identifier
from protocol.values import HandleValue
from resolver.client.steps import Endpoint, Transport

_TYPES = frozenset((*typed.SITE_TYPES, *typed.PREFIX_SITE_TYPES))
_BY_PREFIX, _BY_SUFFIX, _BY_ALL = range(3)


def choose(
    values: Iterable[HandleValue], identifier: Identifier, transport: Transport
) -> Endpoint | None:
    """Return the server that answers for an identifier, of the first site that has one.

    Sites whose record cannot be read are passed over.
    """
    for value in values:
        if value.type.upper() not in _TYPES:
            continue
        try:
            site = typed.site_to_json(value.data)
        except InvalidValue:
            continue
        endpoint = _endpoint(site, identifier, transport)
        if endpoint is not None:
            return endpoint
    return None


def _endpoint(
    site: dict[str, Any], identifier: Identifier, transport: Transport
) -> Endpoint | None:
    servers = site["servers"]
    if not servers:
        return None
    option = site.get("hashOption", _BY_ALL)
    server = servers[server_number(identifier, option, len(servers))]
    port, tcp_port = _port(server, transport), _port(server, "tcp")
    if port is None:
        return None
    return Endpoint(transport, server["address"], port, tcp_port=tcp_port)


def _port(server: dict[str, Any], transport: Transport) -> int | None:
    """Return the port at which a server takes queries, None if it does not by this transport."""
    for interface in server["interfaces"]:
        if interface["query"] and interface["protocol"] == transport.upper():
            return int(interface["port"])
    return None


def server_number(identifier: Identifier, option: int, servers: int) -> int:
    """Return which of a site's servers has an identifier: RFC 3651 section 3.2.2.

    option: whether the prefix (0), the suffix (1) or all of it (2) is hashed.
    """
    part = {_BY_PREFIX: identifier.prefix_key, _BY_SUFFIX: identifier.suffix_key}.get(
        option, identifier.key
    )
    digest = hashlib.md5(part.encode(), usedforsecurity=False).digest()
    return abs(int.from_bytes(digest[-4:], "big", signed=True)) % servers
