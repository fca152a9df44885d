"""How a node gets its certificate: invited by the operator, with a token that works once.

The token goes to the node by another way. It holds a secret, of which the hash alone is kept, and
the fingerprint of the authority, so that the node knows whom to trust before it says anything.
A node whose certificate is about to expire asks for the next one with the one that it has.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
import structlog
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import (
    AuthenticationFailed,
    AuthenticationNeeded,
    Conflict,
    InsufficientPermission,
    InvalidValue,
)
from registry.api.requests import decode_json
from registry.database import Database
from resolver.federation.certificates import (
    Authority,
    fingerprint,
    key_digest,
    pem,
    read_request,
    serial_of,
)
from resolver.federation.toplevel.bodies import json_body, json_response
from resolver.federation.toplevel.gate import check_holds, over_tls, sender
from resolver.federation.toplevel.messages import Name, check_named_prefix
from resolver.federation.toplevel.operators import guarded
from resolver.federation.toplevel.schema import certificates, invitations

log = structlog.get_logger("idnode.toplevel")

INVITED_SECONDS = 86_400.0
"""How long a token works where nobody has said otherwise."""

MOST_CERTIFICATES = 100
"""Certificates of one node that have not expired, revoked ones included."""

_LOCK = "idnode toplevel node"

_AUTHORITY: web.AppKey[Authority] = web.AppKey("authority", Authority)
_STORE: web.AppKey[Database] = web.AppKey("enrolment_database", Database)

Secret = Annotated[str, msgspec.Meta(min_length=16, max_length=200)]
Request = Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)]


class Invitation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of POST /invitations. seconds: how long the token works."""

    node: Name
    seconds: Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)] = INVITED_SECONDS


class Enrolment(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of POST /enrolments. request: for a certificate, in PEM."""

    token: Secret
    node: Name
    request: Request


class Renewal(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of POST /certificates."""

    request: Request


class Revocation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of POST /revocations. serial: of one certificate, in hexadecimal; None: all."""

    node: Name
    serial: Name | None = None


def add_enrolment(
    app: web.Application, database: Database, authority: Authority, operator: str | None
) -> None:
    """Add the operations of nodes, and with a token of the operator those of the operator."""
    app[_AUTHORITY] = authority
    app[_STORE] = database
    app.router.add_get("/ca", _get_authority, allow_head=False)
    app.router.add_post("/enrolments", _enrol)
    app.router.add_post("/certificates", _renew)
    if operator is not None:
        app.router.add_post("/invitations", guarded(_invite, operator))
        app.router.add_post("/revocations", guarded(_revoke, operator))


async def _get_authority(request: web.Request) -> web.Response:
    body = pem(request.app[_AUTHORITY].certificate)
    return web.Response(body=body, content_type="application/x-pem-file")


async def _invite(request: web.Request) -> web.Response:
    wanted = decode_json(await json_body(request), Invitation)
    authority = request.app[_AUTHORITY]
    _check_ours(authority, wanted.node)
    secret = secrets.token_urlsafe(32)
    expires = sa.func.now() + sa.func.make_interval(0, 0, 0, 0, 0, 0, wanted.seconds)
    async with request.app[_STORE].begin() as connection:
        await connection.execute(
            invitations.delete().where(invitations.c.expires_at <= sa.func.now())
        )
        until = await connection.scalar(
            invitations.insert()
            .values(digest=_digest(secret), node=wanted.node, expires_at=expires)
            .returning(invitations.c.expires_at)
        )
    log.info("node_invited", node=wanted.node)
    token = f"{secret}.{fingerprint(authority.certificate)}"
    return json_response({"node": wanted.node, "token": token, "expires_at": until}, status=201)


def _check_ours(authority: Authority, node: str) -> None:
    check_named_prefix(node, "node")
    if not node.startswith(f"{authority.prefix}."):
        raise InvalidValue(f"not under {authority.prefix}", field="node")


async def _enrol(request: web.Request) -> web.Response:
    wanted = decode_json(await json_body(request), Enrolment)
    if not over_tls(request):
        raise InsufficientPermission("a node is enrolled over HTTPS alone")
    key = read_request(wanted.request)
    async with request.app[_STORE].begin() as connection:
        await _lock(connection, wanted.node)
        await _use(connection, wanted, key_digest(key))
        answer = await _issue(connection, request.app[_AUTHORITY], key, wanted.node)
    log.info("node_enrolled", node=wanted.node, serial=answer["serial"])
    return json_response(answer, status=201)


async def _use(connection: AsyncConnection, wanted: Enrolment, key: bytes) -> None:
    """Use up the token. With the same key it works again: an answer may have been lost."""
    used = await connection.execute(
        invitations.update()
        .where(
            invitations.c.digest == _digest(wanted.token),
            invitations.c.node == wanted.node,
            invitations.c.expires_at > sa.func.now(),
            sa.or_(invitations.c.used_by.is_(None), invitations.c.used_by == key),
        )
        .values(used_by=key)
        .returning(invitations.c.node)
    )
    if used.one_or_none() is None:
        # Which of these it is, is nobody's business who has not a good one.
        raise AuthenticationFailed(
            "the token is unknown, used, expired or for another node", field="token"
        )


async def _renew(request: web.Request) -> web.Response:
    wanted = decode_json(await json_body(request), Renewal)
    node = sender(request)
    if node is None:
        raise AuthenticationNeeded("a node shows its present certificate, over HTTPS")
    key = read_request(wanted.request)
    async with request.app[_STORE].begin() as connection:
        await _lock(connection, node)
        await check_holds(connection, request)
        answer = await _issue(connection, request.app[_AUTHORITY], key, node)
    log.info("certificate_renewed", node=node, serial=answer["serial"])
    return json_response(answer, status=201)


async def _issue(
    connection: AsyncConnection, authority: Authority, key: Any, node: str
) -> dict[str, str]:
    of_node = certificates.c.node == node
    await connection.execute(
        certificates.delete().where(of_node, certificates.c.expires_at <= sa.func.now())
    )
    held = await connection.scalar(
        sa.select(sa.func.count()).select_from(certificates).where(of_node)
    )
    if held is not None and held >= MOST_CERTIFICATES:
        raise Conflict(f"{node} has {held} certificates that have not expired")
    certificate = authority.for_node(key, node)
    await connection.execute(
        certificates.insert().values(
            serial=serial_of(certificate),
            node=node,
            expires_at=certificate.not_valid_after_utc,
        )
    )
    return {"serial": serial_of(certificate), "certificate": pem(certificate).decode()}


async def _revoke(request: web.Request) -> web.Response:
    wanted = decode_json(await json_body(request), Revocation)
    which = certificates.c.revoked_at.is_(None) & (certificates.c.node == wanted.node)
    if wanted.serial is not None:
        which &= certificates.c.serial == wanted.serial
    async with request.app[_STORE].begin() as connection:
        await _lock(connection, wanted.node)
        revoked = await connection.execute(
            certificates.update().where(which).values(revoked_at=sa.func.now())
        )
        if wanted.serial is None:
            await connection.execute(invitations.delete().where(invitations.c.node == wanted.node))
    log.info("certificates_revoked", node=wanted.node, number=revoked.rowcount)
    return json_response({"node": wanted.node, "certificates": revoked.rowcount})


async def _lock(connection: AsyncConnection, node: str) -> None:
    """Let one transaction at a time say who is trusted: nothing is issued past a revocation."""
    await connection.execute(
        sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(_LOCK), sa.func.hashtext(node)))
    )


def _digest(secret: str) -> bytes:
    # The secret is 256 random bits: no slow hash is needed.
    return hashlib.sha256(secret.encode()).digest()
