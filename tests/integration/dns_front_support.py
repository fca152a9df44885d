"""A worker's DNS server with a real PostgreSQL behind, and clients of dnspython."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import dns.asyncquery
import dns.message
import dns.query

from registry.database import Database
from registry.metrics import Row, private_row, slot
from resolver.dns.service import DnsService
from resolver.dns.setup import ZoneSettings
from resolver.lookup import Resolver
from resolver.site import make_site
from resolver.transports.dns_server import DnsServer, start_dns
from resolver.transports.limits import Limits

HERE = "127.0.0.1"
SECRET = bytes(range(16))
ONS = "gtin.gs1.id.onsepc.com=88.118.1"
SITE = {
    "servers": [
        {
            "serverId": 1,
            "address": "192.0.2.7",
            "interfaces": [{"query": True, "protocol": "UDP", "port": 2641}],
        }
    ]
}
VALUES: dict[str, list[Any]] = {
    "ABC": [(1, "URL", "https://pumps.example/abc"), (2, "EMAIL", "a@b.example")],
    "4.7": [(1, "URL", "https://pumps.example/4.7"), (2, "URL.RINF", "https://reg.example/")],
    "9.8.7": [(1, "URL", "https://pumps.example/9.8.7")],
    "TEXT": [(1, "TEXT", "no address")],
    "MANY": [(n, "URL", f"https://pumps.example/{n}?{'x' * 100}") for n in range(1, 31)],
    "01/00614141322602": [(1, "URL", "https://pumps.example/gtin")],
}


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Node:
    server: DnsServer
    service: DnsService
    resolver: Resolver
    row: Row
    clock: Clock
    sql: asyncpg.Connection
    host: str = HERE

    @property
    def port(self) -> int:
        return self.server.port

    def count(self, metric: str, *labels: str) -> float:
        return self.row.cells[slot(metric, *labels)]

    async def udp(self, query: dns.message.Message) -> dns.message.Message:
        return await dns.asyncquery.udp(query, self.host, timeout=10, port=self.port)

    async def tcp(self, query: dns.message.Message) -> dns.message.Message:
        return await dns.asyncquery.tcp(query, self.host, timeout=10, port=self.port)

    async def ask(self, name: str, type_: str = "NAPTR", **options: Any) -> dns.message.Message:
        return await self.udp(dns.message.make_query(name, type_, **options))


@contextlib.asynccontextmanager
async def running(
    database_url: str,
    limits: Limits | None = None,
    zones: ZoneSettings | None = None,
    host: str = HERE,
) -> AsyncIterator[Node]:
    """Run the server on a database that gets what is in VALUES."""
    sql = await asyncpg.connect(database_url)
    await _fill(sql)
    database, row, clock = Database(database_url), private_row(), Clock()
    site = make_site(HERE, handle_port=2641, http_port=8000)
    resolver = Resolver(
        database, row=row, cache_bytes=1 << 20, node_prefix="88.118", site=site.record
    )
    await resolver.start()
    async with asyncio.timeout(20):
        while not resolver.ready:
            await asyncio.sleep(0.01)
    zones = zones or ZoneSettings("88.118", ons=ONS)
    service = DnsService(resolver, zones.data(host), row, secret=SECRET, clock=clock)
    server = await start_dns(
        service,
        host=host,
        port=0,
        limits=limits or Limits(),
        names_bytes=1 << 20,
    )
    try:
        yield Node(server, service, resolver, row, clock, sql, host)
    finally:
        await server.stop(1)
        await resolver.close()
        await database.close()
        await sql.close()


async def _fill(sql: asyncpg.Connection) -> None:
    await sql.execute(
        """WITH e AS (
               INSERT INTO enterprises (name, credit_code, industry, contact)
               VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
           INSERT INTO prefixes (prefix, enterprise_id, hosting, status, site)
               SELECT p, id, h, 'active', s::jsonb FROM e, (VALUES
                   ('88.118.1', 'hosted', NULL), ('88.118.2', 'delegated', $1)) AS v (p, h, s)""",
        json.dumps(SITE),
    )
    for suffix, triples in VALUES.items():
        await put(sql, suffix, triples)


async def put(sql: asyncpg.Connection, suffix: str, triples: list[Any], **more: Any) -> None:
    """Register an identifier under 88.118.1, or write it anew."""
    values = [
        {"index": index, "type": kind, "data": {"format": "string", "value": text}, **more}
        for index, kind, text in triples
    ]
    await sql.execute(
        """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
           VALUES ('88.118.1', $1, $1, $2)
           ON CONFLICT (prefix, suffix_key) DO UPDATE SET values = excluded.values""",
        suffix,
        json.dumps(values),
    )


def with_cookie(query: dns.message.Message, cookie: bytes) -> dns.message.Message:
    """Return the query with a COOKIE option."""
    option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)
    query.use_edns(0, options=[option])
    return query


def cookie_of(response: dns.message.Message) -> bytes:
    """Return the COOKIE option of a response, empty if there is none."""
    for option in response.options:
        if option.otype == dns.edns.OptionType.COOKIE:
            return option.to_wire() or b""
    return b""
