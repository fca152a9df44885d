"""Who sends a request of the Handle JSON API, found out from what it says to prove it.

Secrets and sessions are only for TLS: over plain HTTP what a request says of its sender is not
looked at, as at the reference server.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
from dataclasses import dataclass

from aiohttp import web
from cryptography import x509

from protocol.errors import AuthenticationFailed, AuthenticationNeeded, InvalidAdmin, ProtocolError
from protocol.handle.keys import PUBLIC_KEY, SECRET_KEY
from registry import http_sessions, identities
from registry.admins import Identity
from registry.http_sessions import Session
from registry.identities import Find, IdentityKey
from registry.services import Registry
from resolver.handle.guesses import Guesses
from resolver.handle.proofs import CHECKS
from resolver.transports.rest_proof import Basic, Signed, certified, read
from resolver.transports.tls_object import TlsObject

SCHEME = "Handle"


@dataclass(frozen=True)
class Gate:
    """Lets requests in by who sends them.

    guesses: holds back who guesses secrets. plain: also over HTTP without TLS, from this machine,
    as one who develops needs it.
    find: finds the keys of identities that live elsewhere.
    """

    registry: Registry
    guesses: Guesses
    plain: bool = False
    find: Find | None = None

    def is_private(self, request: web.Request) -> bool:
        """Whether secrets may be sent the way that a request came."""
        return request.secure or (self.plain and _is_loopback(request.remote))

    async def identity(self, request: web.Request) -> Identity | None:
        """Return who has proved to send the request; None if it says nothing of that.

        Raises AuthenticationFailed, StoreUnavailable.
        """
        header = request.headers.get("Authorization")
        if header is None or not self.is_private(request):
            return None
        proof = read(header)
        if isinstance(proof, Basic):
            return await self._by_password(request, proof)
        if proof.client_cert or proof.session_id:
            identity, _ = await self.by_signature(request, proof)
            return identity
        return None

    async def need(self, request: web.Request) -> Identity:
        """Return who sends the request. Raises AuthenticationNeeded, and as `identity` does."""
        identity = await self.identity(request)
        if identity is None:
            raise AuthenticationNeeded("this needs an identity that is proved over TLS")
        return identity

    async def challenge(self, request: web.Request) -> list[str]:
        """Return what a 401 offers; begins a session to sign in with. Raises StoreUnavailable."""
        session = await self.begin(request)
        nonce = base64.b64encode(session.nonce).decode()
        return ['Basic realm="handle"', f'{SCHEME} sessionId="{session.id}", nonce="{nonce}"']

    async def begin(self, request: web.Request) -> Session:
        """Begin a session. Raises StoreUnavailable."""
        async with self.registry.database.begin() as connection:
            address, now = request.remote or "", self.registry.clock()
            return await http_sessions.create(connection, address, now)

    async def session(self, session_id: str) -> Session:
        """Return a session that has not ended. Raises AuthenticationFailed."""
        async with self.registry.database.begin() as connection:
            found = await http_sessions.find(connection, session_id, self.registry.clock())
        if found is None:
            raise AuthenticationFailed(
                "there is no such session, or it has ended", field="sessionId"
            )
        return found

    async def end(self, session_id: str) -> bool:
        """End a session; return whether there was one."""
        async with self.registry.database.begin() as connection:
            return await http_sessions.end(connection, session_id)

    async def by_signature(
        self, request: web.Request, proof: Signed
    ) -> tuple[Identity | None, Session | None]:
        """Return the identity that the scheme Handle has proved, and the session if there is one.

        The session then knows the identity too. The identity is None for a session that nobody
        has proved anything to. Raises AuthenticationFailed.
        """
        session = await self.session(proof.session_id) if proof.session_id else None
        if proof.client_cert:
            key = await self._by_certificate(request)
        elif session is not None and proof.signature:
            key = await self._by_nonce(request, session, proof)
        else:
            return (await self._still(session) if session else None), session
        if session is not None:
            async with self.registry.database.begin() as connection:
                now = self.registry.clock()
                await http_sessions.authenticate(connection, session.id, key, now)
        return key.identity, session

    async def _still(self, session: Session) -> Identity | None:
        """Return who has proved to have a session, if the key that did it is still theirs."""
        if session.identity is None:
            return None
        keys = await identities.digests(self.registry.database, session.identity, self.find)
        if session.proof in keys:
            return session.identity
        raise AuthenticationFailed("the key that has opened this session is no longer there")

    async def _by_password(self, request: web.Request, proof: Basic) -> Identity:
        keys = await self._keys(proof.identity, SECRET_KEY)

        async def find() -> IdentityKey | None:
            return next((key for key in keys if proof.holds(key.data)), None)

        claimed = proof.identity if keys else None
        key = await self.guesses.check(request.remote, claimed, find)
        if key is None:
            raise AuthenticationFailed("the password is not the secret of that identity")
        return key.identity

    async def _by_nonce(self, request: web.Request, session: Session, proof: Signed) -> IdentityKey:
        if proof.identity is None:
            raise AuthenticationFailed("the signature is nobody's", field="id")
        keys = await self._keys(proof.identity, proof.type)

        async def find() -> IdentityKey | None:
            return await CHECKS.take(
                lambda: next((key for key in keys if proof.holds(session.nonce, key)), None)
            )

        if proof.type == SECRET_KEY:
            claimed = proof.identity if keys else None
            key = await self.guesses.check(request.remote, claimed, find)
        else:  # nobody guesses a private key
            key = await find()
        if key is None:
            raise AuthenticationFailed("the signature was not made with the key of that identity")
        return key

    async def _by_certificate(self, request: web.Request) -> IdentityKey:
        certificate = _certificate(request)
        if certificate is None:
            raise AuthenticationFailed("the client has shown no certificate")
        now = datetime.datetime.fromtimestamp(self.registry.clock(), datetime.UTC)
        for key in await self._keys(certified(certificate, now), PUBLIC_KEY):
            if certificate.public_key() == key.verifying():
                return key
        raise AuthenticationFailed("the key of the certificate is not that of the identity")

    async def _keys(self, identity: Identity, type_: str) -> list[IdentityKey]:
        """Return the keys that may prove an identity; none for one that is not known.

        Who fails learns by that only that he failed.
        """
        if type_ not in (PUBLIC_KEY, SECRET_KEY):
            raise AuthenticationFailed(f"not {PUBLIC_KEY} or {SECRET_KEY}", field="type")
        try:
            return await identities.find_keys(self.registry.database, identity, type_, self.find)
        except (InvalidAdmin, ProtocolError):
            return []


def is_bearer(request: web.Request) -> bool:
    """Whether the request says by a token of the registry (RFC 6750) who sends it."""
    scheme, _, _ = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer"


def _certificate(request: web.Request) -> x509.Certificate | None:
    transport = request.transport
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    if not isinstance(tls, TlsObject):
        return None
    try:
        return tls.peer_certificate()
    except ValueError as error:
        raise AuthenticationFailed(f"the certificate cannot be read: {error}") from None


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
