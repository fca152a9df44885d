"""The registry's application on a real socket, with everybody's tokens, for tests of its API."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.accounts import keys, people
from registry.accounts.keys import Owner
from registry.accounts.passwords import Passwords
from registry.api.app import make_app
from registry.credit_code import check_character
from registry.database import Database
from registry.metrics import Row, private_row
from registry.networks import networks
from registry.principals import SYSTEM
from registry.schema import metadata
from registry.services import Registry, Work
from resolver.site_asker import SiteAsker

CONTACT = {"name": "Node desk", "phone": "+86 592 5550100", "email": "node@example.com"}
SITE = {
    "version": 1,
    "servers": [
        {
            "serverId": 1,
            "address": "192.0.2.7",
            "interfaces": [{"query": True, "admin": False, "protocol": "TCP", "port": 2641}],
        }
    ],
}
URL_VALUE = {"index": 1, "type": "URL", "data": {"format": "string", "value": "https://a.example"}}
SNMS_KEY = bytes(range(32))


def credit_code(number: int) -> str:
    """Return a valid unified social credit code."""
    head = f"91350211M{number:08d}"
    return head + check_character(head)


@dataclass
class Node:
    """A running registry, and who may use it."""

    client: TestClient[Any, Any]
    database: Database
    row: Row
    operator: str
    reviewer: str
    changes: list[tuple[str, Sequence[str] | None]] = field(default_factory=list)

    async def call(
        self, method: str, path: str, token: str | None = None, body: Any = None, **headers: str
    ) -> tuple[int, Any, ClientResponse]:
        """Send a request; return status, JSON (None without a body) and the response.

        A header's name is written with underscores. A body of bytes is sent as it is.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            response = await self.client.request(
                method, self.url(path), json=body, headers=sent, allow_redirects=False
            )
        else:
            if body is not None:
                sent.setdefault("Content-Type", "application/json")
            response = await self.client.request(
                method, self.url(path), data=body, headers=sent, allow_redirects=False
            )
        text = await response.read()
        return response.status, (await response.json(content_type=None)) if text else None, response

    def url(self, path: str) -> Any:
        """Return the path as a URL whose escapes go out as they are written."""
        from yarl import URL

        return URL(f"/api/v1{path}", encoded=True)

    async def enterprise(self, number: int) -> tuple[str, str]:
        """Register an enterprise and return its id and a key."""
        body = {
            "name": f"Works {number}",
            "credit_code": credit_code(number),
            "industry": "C3441",
            "contact": CONTACT,
        }
        status, made, _ = await self.call("POST", "/enterprises", self.operator, body)
        assert status == 201, made
        status, key, _ = await self.call("POST", f"/enterprises/{made['id']}/keys", self.operator)
        assert status == 201, key
        return made["id"], key["key"]

    async def prefix(self, enterprise_id: str, key: str, **more: Any) -> str:
        """Apply for a prefix, have it approved and return it."""
        body = {"enterprise_id": enterprise_id, "hosting": "hosted", **more}
        status, made, _ = await self.call("POST", "/prefixes", key, body)
        assert status == 201, made
        decided = (
            {"force": True, "reason": "its site is made up"}
            if {"site", "service"} & set(more)
            else {}
        )
        path = f"/prefixes/{made['prefix']}/approve"
        status, after, _ = await self.call("POST", path, self.reviewer, decided)
        assert (status, after["status"]) == (200, "active"), after
        prefix: str = made["prefix"]
        return prefix

    async def counts(self) -> dict[str, int]:
        """Return how many rows each table has."""
        async with self.database.begin() as connection:
            return {
                table.name: (
                    await connection.execute(sa.select(sa.func.count()).select_from(table))
                ).scalar_one()
                for table in metadata.sorted_tables
            }


async def staff_key(connection: AsyncConnection, name: str, role: str) -> str:
    """Make an account of the node, which has no password, and return a key of it."""
    now = datetime.datetime.now(datetime.UTC)
    work = Work(connection, SYSTEM, "88.118", now)
    row = await people.create(work, Passwords(), name=name, role=role)
    _, token = await keys.issue(work, Owner(account_id=row.id))
    return token


@contextlib.asynccontextmanager
async def running(
    database: Database,
    clock: Callable[[], float] = time.time,
    *,
    public_url: str | None = None,
    snms_key: bytes | None = SNMS_KEY,
    trusted_proxies: str = "",
    self_filing: bool = True,
    prefix_quota: int = 100,
    site_networks: str = "",
) -> AsyncIterator[Node]:
    """Run the registry on `database`."""
    async with database.begin() as connection:
        operator = await staff_key(connection, "root", "operator")
        reviewer = await staff_key(connection, "desk", "reviewer")
    changes: list[tuple[str, Sequence[str] | None]] = []
    row = private_row()
    registry = Registry(
        database=database,
        node_prefix="88.118",
        changed=lambda prefix, keys: changes.append((prefix, keys)),
        row=row,
        clock=clock,
        public_url=public_url,
        snms_key=snms_key,
        self_filing=self_filing,
        prefix_quota=prefix_quota,
        ask_site=SiteAsker(networks(site_networks)).ask,
    )
    client = TestClient(TestServer(make_app(registry, networks(trusted_proxies))))
    await client.start_server()
    try:
        yield Node(client, database, row, operator, reviewer, changes)
    finally:
        await client.close()
