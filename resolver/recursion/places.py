"""Where to ask: sites and their servers, out of HS_SITE values and of root information."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from protocol import typed
from protocol.errors import IdnodeError, InvalidValue
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.networks import plain
from resolver.client.site import server_number
from resolver.client.steps import Endpoint, Transport

MAX_SITES = 16
"""Sites of one place that are looked at."""

_BY_ALL = 2
_MAX_ROOT_BYTES = 1 << 20

Allows = Callable[[str, int], bool]
"""Whether the server at an address and a port may be asked."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server: its IP address, or a name that the operator gave, and where it takes queries.

    rank: the lowest is asked first, however fast others are.
    """

    host: str
    udp: int | None = None
    tcp: int | None = None
    rank: int = 0

    def endpoint(self, transport: Transport) -> Endpoint | None:
        """Return where it takes queries over a transport; None for nowhere."""
        port = {"udp": self.udp, "tcp": self.tcp}.get(transport)
        return None if port is None else Endpoint(transport, self.host, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.udp or self.tcp}"


@dataclass(frozen=True, slots=True)
class Site:
    """Servers that share the identifiers by a hash; None for one that cannot be asked.

    hash_option: of RFC 3651 section 3.2.2, what is hashed.
    """

    servers: tuple[Server | None, ...]
    hash_option: int = _BY_ALL


@dataclass(frozen=True, slots=True)
class Place:
    """Sites that have the same identifiers: each may be asked."""

    sites: tuple[Site, ...]

    def servers_for(self, identifier: Identifier) -> list[Server]:
        """Return the server of each site that has an identifier, without any twice."""
        found: dict[Server, None] = {}
        for site in self.sites:
            number = server_number(identifier, site.hash_option, len(site.servers))
            server = site.servers[number]
            if server is not None:
                found[server] = None
        return list(found)


HERE = Place(())
"""This node itself: asked by a call, not over the network."""


def read_place(values: Iterable[HandleValue], allows: Allows) -> tuple[Place | None, int]:
    """Return the sites of values, None if none can be asked; and how many servers may not be.

    Records that cannot be read are passed over.
    """
    sites, refused = [], 0
    for value in list(values)[:MAX_SITES]:
        try:
            record = typed.site_to_json(value.data)
        except InvalidValue:
            continue
        servers = [_server(each) for each in record["servers"]]
        kept = tuple(each if each and _allowed(each, allows) else None for each in servers)
        refused += sum(each is not None for each in servers) - sum(map(bool, kept))
        if any(kept):
            sites.append(Site(kept, record.get("hashOption", _BY_ALL)))
    return (Place(tuple(sites)) if sites else None), refused


def _server(record: dict[str, Any]) -> Server | None:
    ports: dict[str, int] = {}
    for interface in record["interfaces"]:
        if interface["query"] and 0 < interface["port"] < 65536:
            ports.setdefault(interface["protocol"], interface["port"])
    if not {"UDP", "TCP"} & ports.keys():
        return None
    # An IPv4 address that is written as IPv6 is asked, and answers, over IPv4.
    return Server(str(plain(record["address"])), ports.get("UDP"), ports.get("TCP"))


def _allowed(server: Server, allows: Allows) -> bool:
    return all(allows(server.host, port) for port in (server.udp, server.tcp) if port)


def read_nodes(text: str) -> dict[str, Place]:
    """Return where walks to prefixes begin, of ``PREFIX=host:port`` with commas between.

    A prefix that is given several times has several sites. Raises ValueError.
    """
    sites: dict[str, list[Site]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        prefix, equals, server = part.partition("=")
        if not equals:
            raise ValueError(f"not of the form prefix=host:port: {part}")
        try:
            key = Identifier.of(prefix.strip(), "any").prefix_key
        except IdnodeError as error:
            raise ValueError(f"{part}: {error.detail}") from None
        sites.setdefault(key, []).append(_root_site(server.strip()))
    return {prefix: Place(tuple(each)) for prefix, each in sites.items()}


def read_root(text: str) -> Place:
    """Return where recursion begins, of ``host:port,host:port`` or the path of a file.

    Each host is a site of one server, which takes UDP and TCP at the port. The file is JSON: an
    HS_SITE as the Handle JSON API shows it, a list of such, or an object with ``values`` (or a list
    of them) as a Handle JSON answer for 0.NA/0.NA has. Raises ValueError, OSError.
    """
    if is_path(text):
        return _root_file(Path(text))
    return Place(tuple(_root_site(part.strip()) for part in text.split(",")))


def is_path(text: str) -> bool:
    """Whether a root is given by the path of a file."""
    return "/" in text or text.endswith(".json")


def _root_site(text: str) -> Site:
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"not of the form host:port: {text}")
    return Site((Server(host, int(port), int(port)),))


def _root_file(path: Path) -> Place:
    octets = path.read_bytes()[: _MAX_ROOT_BYTES + 1]
    if len(octets) > _MAX_ROOT_BYTES:
        raise ValueError(f"{path}: root information has at most {_MAX_ROOT_BYTES} bytes")
    try:
        values = [HandleValue(1, "HS_SITE", record) for record in _records(octets)]
    except (msgspec.DecodeError, IdnodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: no root information: {error}") from None
    place, _ = read_place(values, lambda _host, _port: True)
    if place is None:
        raise ValueError(f"{path}: no site in it takes queries over UDP or TCP")
    return place


def _records(octets: bytes) -> Sequence[bytes]:
    """Return the HS_SITE records of a root file."""
    content = msgspec.json.decode(octets)
    if isinstance(content, dict) and "values" in content:
        content = content["values"]
    entries = content if isinstance(content, list) else [content]
    return [_record(entry) for entry in entries if _is_site(entry)]


def _is_site(entry: dict[str, Any]) -> bool:
    return "servers" in entry or entry.get("type", "").upper() in typed.SITE_TYPES


def _record(entry: dict[str, Any]) -> bytes:
    if "servers" in entry:
        return typed.site_from_json(entry)
    data = entry["data"]
    if data["format"] == "base64":
        return base64.b64decode(data["value"], validate=True)
    return typed.site_from_json(data["value"])
