"""A top-level stub that listens with TLS, for tests of who trusts whom."""

from __future__ import annotations

import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from registry.database import Database
from resolver.federation.certificates import (
    Authority,
    open_authority,
    pem,
)
from resolver.federation.credentials import (
    Credentials,
    enrol,
)
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.faults import Faults
from resolver.federation.toplevel.gate import server_context
from resolver.federation.toplevel.schema import prepare

TOKEN = "operator-of-the-stub"
HERE = "127.0.0.1"
LIFE = datetime.timedelta(days=90)


@dataclass
class Stub:
    """A stub that listens with and without TLS."""

    database: Database
    authority: Authority
    faults: Faults
    plain_url: str
    url: str
    directory: Path
    now: list[datetime.datetime] = field(default_factory=list)

    async def operator(self, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.plain_url + path, json=body, headers=headers) as response,
        ):
            answer = await response.json()
            assert response.ok, answer
            return answer

    async def invite(self, node: str = "88.118", **more: Any) -> str:
        token: str = (await self.operator("/invitations", node=node, **more))["token"]
        return token

    async def enrol(self, node: str = "88.118") -> Credentials:
        credentials = self.credentials(node)
        await enrol(self.url, await self.invite(node), node, credentials)
        return credentials

    def credentials(self, name: str) -> Credentials:
        return Credentials(self.directory / name)

    async def post(
        self, body: Any, tls: ssl.SSLContext | None, path: str = "/filings"
    ) -> tuple[int, Any]:
        url = (self.plain_url if tls is None else self.url) + path
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=body, ssl=tls or True) as response,
        ):
            return response.status, await response.json(content_type=None)

    def stranger(self) -> ssl.SSLContext:
        """A client that trusts the stub and has no certificate."""
        path = self.directory / "authority-alone.pem"
        path.write_bytes(authority_pem(self.authority))
        return ssl.create_default_context(cafile=path)


def authority_pem(authority: Authority) -> bytes:
    return pem(authority.certificate)


@contextlib.asynccontextmanager
async def running(
    database: Database, directory: Path, *, plain: bool = False, life: datetime.timedelta = LIFE
) -> AsyncIterator[Stub]:
    await prepare(database)
    authority = open_authority(directory / "ca.pem", prefix="88", life=life)
    faults = Faults()
    app = make_toplevel_app(
        database, token=None, authority=authority, plain=plain, operator=TOKEN, faults=faults
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HERE, 0).start()
    context = server_context(authority, directory / "tls.pem", [HERE])
    await web.TCPSite(runner, HERE, 0, ssl_context=context).start()
    http, https = (address[1] for address in runner.addresses)
    yield Stub(
        database,
        authority,
        faults,
        f"http://{HERE}:{http}",
        f"https://{HERE}:{https}",
        directory,
    )
    await runner.cleanup()
