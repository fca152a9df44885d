"""Handle servers on real sockets that say what a table says, and a node that recurses to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.fragment import Reassembly, cut
from protocol.handle.message import Message, decode_payload
from protocol.identifier import Identifier
from registry.api.app import make_app
from registry.database import Database
from registry.metrics import Row, private_row, slot
from registry.networks import networks
from registry.services import Registry
from resolver.client import tcp, udp
from resolver.client.exchange import Asking
from resolver.client.steps import Endpoint
from resolver.handle.dispatch import HANDLERS
from resolver.handle.service import HandleService
from resolver.lookup import Resolver
from resolver.recursion.places import read_root
from resolver.recursion.service import Recursion
from resolver.site import make_site
from resolver.transports.handle_server import start_handle
from resolver.transports.http import add_routes
from resolver.transports.limits import Limits
from resolver.transports.server import start_http
from tests.recursion_world import Refer, Server, site

Spoil = Callable[["Listening", Message, Message, Any], bool]
"""Sends something else in place of an answer, or beside it: whether the answer is sent, too."""


@dataclass
class Listening:
    """A server on loopback. datagrams: how many came; connections: over TCP."""

    server: Server
    port: int = 0
    datagrams: int = 0
    connections: int = 0
    spoil: Spoil | None = None
    udp: asyncio.DatagramTransport | None = None
    parts: Reassembly = field(default_factory=Reassembly)

    def send(self, octets: bytes, address: Any) -> None:
        """Send a datagram from the port of this server."""
        assert self.udp is not None
        self.udp.sendto(octets, address)

    @property
    def site(self) -> Any:
        """Return the HS_SITE value of this server."""
        return site(("127.0.0.1", self.port))


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, listening: Listening) -> None:
        self.listening = listening

    def datagram_received(self, data: bytes, addr: Any) -> None:
        here = self.listening
        here.datagrams += 1
        whole = here.parts.add(addr, decode_envelope(data), data[SIZE:], 0.0)
        if whole is None:
            return
        request = decode_payload(*whole)
        answer = here.server.answer(request)
        if here.spoil is None or here.spoil(here, request, answer, addr):
            for datagram in cut(answer.envelope, answer.encode_payload()):
                here.send(datagram, addr)


@contextlib.asynccontextmanager
async def listening(server: Server, *, spoil: Spoil | None = None) -> AsyncIterator[Listening]:
    """Run a server on loopback."""
    here = Listening(server, spoil=spoil)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(writer):
            envelope = decode_envelope(await reader.readexactly(SIZE))
            payload = await reader.readexactly(envelope.message_length)
            writer.write(server.answer(decode_payload(envelope, payload)).encode())
            await writer.drain()

    tcp = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with tcp:
        here.port = tcp.sockets[0].getsockname()[1]
        here.udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Udp(here), local_addr=("127.0.0.1", here.port)
        )
        try:
            yield here
        finally:
            here.udp.close()


@dataclass
class Tower:
    """A root, a top-level node, a secondary node and an enterprise node, on real sockets."""

    root: Listening
    top: Listening
    node: Listening
    enterprise: Listening

    @property
    def datagrams(self) -> list[int]:
        """How many came to each, from the root down."""
        return [one.datagrams for one in (self.root, self.top, self.node, self.enterprise)]


@contextlib.asynccontextmanager
async def tower(said: dict[str, Any]) -> AsyncIterator[Tower]:
    """Run the servers. said: what the enterprise node says, under 88.120.7."""
    async with (
        listening(Server()) as root,
        listening(Server()) as top,
        listening(Server()) as node,
        listening(Server(said)) as enterprise,
    ):
        below = site(("127.0.0.1", top.port), type_="HS_SITE.PREFIX")
        root.server.says["0.NA/"] = Refer((below,), 303)
        top.server.says |= {"0.NA/88.120": (node.site,), "0.NA/88.120.7": Refer((node.site,))}
        node.server.says["0.NA/88.120.7"] = (enterprise.site,)
        yield Tower(root, top, node, enterprise)


@dataclass
class Front:
    """A node that recurses: its HTTP port, its Handle port, its recursion and counters."""

    http: int
    handle: int
    resolver: Resolver
    recursion: Recursion
    row: Row

    async def get(self, path: str, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        """Return status, JSON and headers of an answer over HTTP."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"http://127.0.0.1:{self.http}{path}", headers=headers, allow_redirects=False
            ) as response,
        ):
            text = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, json.loads(text) if is_json else text, response.headers

    async def ask(self, name: str, transport: str = "udp", **header: Any) -> Message:
        """Return the answer over the Handle protocol. header: members that differ from usual."""
        request = Asking(Identifier.parse(name), secrets.randbits(31), 1_800_000_000).message()
        request = replace(request, header=replace(request.header, **header))
        carry = udp if transport == "udp" else tcp
        return await carry.ask(request, Endpoint("udp", "127.0.0.1", self.handle))

    def counted(self, name: str, *labels: str) -> float:
        """Return a counter."""
        return self.row.cells[slot(name, *labels)]


@contextlib.asynccontextmanager
async def recursive(
    database: Database, root: Listening, *, clients: str = "127.0.0.0/8", **more: Any
) -> AsyncIterator[Front]:
    """Run a node on a database that recurses, and may ask servers on loopback."""
    row = private_row()
    more.setdefault("private", networks("127.0.0.0/8"))
    node_site = make_site("127.0.0.1", handle_port=2641, http_port=0)
    resolver = Resolver(
        database, row=row, cache_bytes=1 << 20, node_prefix="88.118", site=node_site.record
    )
    more["resolver"] = resolver
    recursion = Recursion(read_root(f"127.0.0.1:{root.port}"), networks(clients), row=row, **more)
    registry = Registry(database, "88.118", resolver.forget, row)
    service = HandleService(resolver, registry, node_site, handlers=HANDLERS, recursion=recursion)
    app = make_app(registry)
    add_routes(app, resolver, None, recursion)
    await resolver.start()
    async with asyncio.timeout(20):
        while not resolver.ready:
            await asyncio.sleep(0.01)
    http = await start_http(app, resolver, row=row, host="127.0.0.1", port=0)
    handle = await start_handle(service, row=row, host="127.0.0.1", port=0, limits=Limits())
    try:
        yield Front(http.port, handle.port, resolver, recursion, row)
    finally:
        await http.stop(1)
        await handle.stop(1)
        await recursion.close()
        await resolver.close()
