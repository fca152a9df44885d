"""Who sends: a node shows its certificate, and speaks for itself alone."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from aiohttp import web
from cryptography import x509
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import AuthenticationNeeded, InsufficientPermission
from registry.database import Database
from resolver.federation.certificates import (
    Authority,
    key_pem,
    make_key,
    pem,
    serial_of,
)
from resolver.federation.toplevel.operators import from_this_machine, shows_token
from resolver.federation.toplevel.schema import certificates
from resolver.private_files import write_private

_SENDER: web.RequestKey[str | None] = web.RequestKey("sender")


@dataclass(frozen=True)
class Gate:
    """What a node has to show.

    authority: who issued the certificates; None: nodes are taken at their word. plain: whether
    they are where there is an authority, from this machine without TLS. token: what a node that is
    taken at its word shows as a bearer token; None: nothing.
    """

    token: str | None = None
    authority: Authority | None = None
    plain: bool = False

    async def admit(self, request: web.Request, database: Database) -> None:
        """Find out who sends the request. Raises AuthenticationNeeded, StoreUnavailable."""
        certificate = _peer_certificate(request)
        if certificate is not None:
            async with database.begin() as connection:
                request[_SENDER] = await _holder(certificate, connection)
            return
        request[_SENDER] = None
        if self.authority is not None and not (self.plain and from_this_machine(request)):
            raise AuthenticationNeeded("a node shows its certificate, over HTTPS")
        if self.token is not None and not shows_token(request, self.token):
            raise AuthenticationNeeded("the bearer token is missing or not the one set")


def sender(request: web.Request) -> str | None:
    """Return the node whose certificate was shown; None for one that is taken at its word."""
    return request[_SENDER]


def check_sender(request: web.Request, node: str) -> None:
    """Raise InsufficientPermission for who shows the certificate of another node."""
    known = sender(request)
    if known is not None and known != node:
        raise InsufficientPermission(f"the certificate is that of {known}", field="node")


async def check_holds(connection: AsyncConnection, request: web.Request) -> None:
    """Raise AuthenticationNeeded unless the certificate that was shown holds still."""
    certificate = _peer_certificate(request)
    if certificate is not None:
        await _holder(certificate, connection)


async def _holder(certificate: x509.Certificate, connection: AsyncConnection) -> str:
    """Return whose certificate it is, and whether that holds, as of now."""
    query = sa.select(
        certificates.c.node,
        certificates.c.revoked_at,
        (certificates.c.expires_at <= sa.func.now()).label("expired"),
    ).where(certificates.c.serial == serial_of(certificate))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise AuthenticationNeeded("the certificate was not issued here")
    if row.revoked_at is not None:
        raise AuthenticationNeeded("the certificate was revoked")
    if row.expired:
        raise AuthenticationNeeded("the certificate has expired")
    node: str = row.node
    return node


def _peer_certificate(request: web.Request) -> x509.Certificate | None:
    """Return what TLS has verified; None without TLS, and where no certificate was shown."""
    tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
    octets = None if tls is None else tls.getpeercert(binary_form=True)
    return None if octets is None else x509.load_der_x509_certificate(octets)


def over_tls(request: web.Request) -> bool:
    """Whether the request came over TLS."""
    return request.secure


def server_context(authority: Authority, path: Path, hosts: list[str]) -> ssl.SSLContext:
    """Return the server's side of TLS, with a new key and certificate, kept in the file `path`.

    A certificate that a client shows must be of the authority; who has none yet gets in, too.
    hosts: names and addresses by which nodes reach it. Raises OSError.
    """
    key = make_key()
    own = authority.for_server(key.public_key(), hosts)
    write_private(path, key_pem(key) + pem(own))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(path)
    context.load_verify_locations(cadata=pem(authority.certificate).decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
