"""A worker's HTTP front with the Handle JSON API on HTTP and HTTPS, for tests."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from yarl import URL

from protocol import json_api
from protocol.handle.keys import encode_public_key
from protocol.values import HandleValue
from registry.api.app import make_app
from registry.database import Database
from registry.identities import Find
from registry.metrics import private_row
from registry.prefix_handles import KEY_INDEX, SECRET_INDEX, first_values
from registry.services import Registry
from resolver.handle.dispatch import HANDLERS
from resolver.handle.service import HandleService
from resolver.lookup import Resolver
from resolver.site import make_site
from resolver.transports.http import add_routes
from resolver.transports.rest import Rest
from resolver.transports.rest_auth import Gate
from resolver.transports.server import Https, HttpServer, start_http
from resolver.transports.tls import TlsContext, ensure_self_signed
from tests.integration.test_resolver import until

PREFIX, OTHER = "88.118.35", "88.118.36"
SECRET = "sesame: 开门 50%"
SECRET_ID, KEY_ID = f"{SECRET_INDEX}:0.NA/{PREFIX}", f"{KEY_INDEX}:0.NA/{PREFIX}"
OTHER_ID = f"{SECRET_INDEX}:0.NA/{OTHER}"
ADMIN_ID = "300:0.NA/88.118"

_private = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> int:
        code: int = self.json["responseCode"]
        return code


@dataclass
class Front:
    """A running front and how it is asked."""

    server: HttpServer
    certificate: Path
    sql: asyncpg.Connection
    service: HandleService
    key: rsa.RSAPrivateKey

    @property
    def https(self) -> str:
        return f"https://localhost:{self.server.https_port}"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        auth: str | None = None,
        *,
        base: str | None = None,
        client: Path | None = None,
        **headers: str,
    ) -> Answer:
        """Send one request, over HTTPS unless `base` says otherwise."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if client is not None:
            context.load_cert_chain(str(client))
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if auth is not None:
            sent["Authorization"] = auth
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = URL((base or self.https) + path, encoded=True)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
            session.request(method, url, data=body, headers=sent, allow_redirects=False) as reply,
        ):
            return Answer(reply.status, reply.headers, await reply.read())


def basic(identity: str = SECRET_ID, secret: str = SECRET) -> str:
    """The Authorization header as pyhandle writes it."""
    pair = f"{quote(identity)}:{quote(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def value(index: int, text: str, type_: str = "URL", **more: Any) -> dict[str, Any]:
    return {"index": index, "type": type_, "data": {"format": "string", "value": text}, **more}


def client_certificate(
    path: Path,
    *,
    uid: str | None = KEY_ID,
    name: str = "a client",
    key: rsa.RSAPrivateKey = _private,
    days: int = 1,
) -> Path:
    """Write a certificate that its key has signed itself, and the key."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if uid is not None:
        attributes.append(x509.NameAttribute(NameOID.USER_ID, uid))
    subject = x509.Name(attributes)
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    octets = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(octets + made.public_bytes(serialization.Encoding.PEM))
    return path


async def _seed(sql: asyncpg.Connection) -> None:
    await sql.execute(
        """WITH e AS (
               INSERT INTO enterprises (name, credit_code, industry, contact)
               VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
           INSERT INTO prefixes (prefix, enterprise_id, hosting, status)
               SELECT unnest($1::text[]), id, 'hosted', 'active' FROM e""",
        [PREFIX, OTHER],
    )
    for prefix in (PREFIX, OTHER):
        values = [
            *first_values(prefix, 0),
            HandleValue(
                KEY_INDEX, "HS_PUBKEY", encode_public_key(_private.public_key()), permissions=14
            ),
            HandleValue(SECRET_INDEX, "HS_SECKEY", SECRET.encode(), permissions=12),
        ]
        await sql.execute(
            """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
               VALUES ('0.NA', $1, $1, $2::jsonb)""",
            prefix,
            json.dumps([json_api.encode_value(one) for one in values]),
        )


async def let_administrator_in(front: Front) -> None:
    """Give ADMIN_ID, who runs the node, the secret SECRET."""
    await front.sql.execute(
        """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
           SELECT '0.NA', '88.118', '88.118', jsonb_agg(v || '{"index": 300}')
           FROM identifiers, jsonb_array_elements(values) AS v
           WHERE prefix = '0.NA' AND suffix_key = $1 AND v ->> 'type' = 'HS_SECKEY'""",
        PREFIX,
    )


@contextlib.asynccontextmanager
async def running(
    database_url: str, directory: Path, *, plain: bool = False, find: Find | None = None
) -> AsyncIterator[Front]:
    """Run a front on a database with two prefixes, each with a key and a secret."""
    sql = await asyncpg.connect(database_url)
    try:
        await _seed(sql)
    finally:
        await sql.close()
    async with serving(database_url, directory, plain=plain, find=find) as front:
        yield front


@contextlib.asynccontextmanager
async def serving(
    database_url: str, directory: Path, *, plain: bool = False, find: Find | None = None
) -> AsyncIterator[Front]:
    """Run a front on a database as it is."""
    certificate = directory / "tls.pem"
    ensure_self_signed(certificate, [], datetime.datetime.now(datetime.UTC))
    sql = await asyncpg.connect(database_url)
    database, row = Database(database_url), private_row()
    site = make_site("127.0.0.1", handle_port=2641, http_port=8000)
    resolver = Resolver(
        database, row=row, cache_bytes=1 << 20, node_prefix="88.118", site=site.record
    )
    registry = Registry(database, "88.118", resolver.forget, row)
    service = HandleService(
        resolver, registry, site, handlers=HANDLERS, administrators=frozenset((ADMIN_ID,))
    )
    app = make_app(registry)
    rest = Rest(service, Gate(registry, service.guesses, plain=plain, find=find))
    add_routes(app, resolver, rest)
    rest.add_routes(app)
    await resolver.start()
    await until(lambda: resolver.ready)
    context = TlsContext(certificate, certificate)
    server = await start_http(
        app, resolver, row=row, host="127.0.0.1", port=0, https=Https(0, context)
    )
    try:
        yield Front(server, certificate, sql, service, _private)
    finally:
        await server.stop(2)
        await resolver.close()
        await database.close()
        await sql.close()
