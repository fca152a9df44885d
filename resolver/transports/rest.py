"""The Handle JSON API beyond reading: writes, lists, sessions, and who may see what is not public.

Handle.Net technical manual, chapter 14; where that is silent, what its server was seen to do.
Reading itself is in http.py.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from protocol import json_api, typed
from protocol.errors import (
    AuthenticationFailed,
    AuthenticationNeeded,
    HandleNotFound,
    IdnodeError,
    InvalidHandle,
    MalformedRequest,
    ResponseCode,
    ServerNotResponsible,
    TooManyRequests,
)
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier, check_registrable, unquote
from protocol.values import HandleValue
from registry import admins, principals, requesters, stored
from registry.access import visible
from registry.admins import Identity
from registry.api.requests import REQUEST_ID, bearer
from registry.http_sessions import Session
from registry.prefix_handles import owner_prefix
from registry.snms import tokens
from resolver.handle.administrator import Administrator
from resolver.handle.service import HandleService
from resolver.transports import rest_body, rest_node
from resolver.transports.query import Query
from resolver.transports.rest_answers import PRIVATE, done, json_response, page_asked
from resolver.transports.rest_auth import SCHEME, Gate, is_bearer
from resolver.transports.rest_node import PREFIXES, VERIFICATIONS
from resolver.transports.rest_proof import Signed, read, read_parameters
from resolver.transports.server import HEADERS
from resolver.transports.short import PATH

SESSIONS = "/api/sessions"
_THIS = "this"
_READS = ("GET", "HEAD", "POST")
"""Methods by which values are read, for which a bearer token of the registry is good too."""

_PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, X-Request-Id",
    "Access-Control-Max-Age": "3600",
}

# Technical manual, 14.2; a code that is not here has the status of its error.
_STATUS = {
    ResponseCode.HANDLE_NOT_FOUND: 404,
    ResponseCode.HANDLE_EXISTS: 409,
    ResponseCode.VALUE_EXISTS: 409,
    ResponseCode.INVALID_HANDLE: 400,
    ResponseCode.INVALID_VALUE: 400,
    ResponseCode.VALUES_NOT_FOUND: 400,
    ResponseCode.SERVER_NOT_RESPONSIBLE: 400,
    ResponseCode.SERVICE_REFERRAL: 300,
    ResponseCode.PREFIX_REFERRAL: 300,
    ResponseCode.AUTHENTICATION_NEEDED: 401,
    ResponseCode.INVALID_ADMIN: 403,
    ResponseCode.INSUFFICIENT_PERMISSION: 403,
    ResponseCode.AUTHENTICATION_FAILED: 403,
    ResponseCode.INVALID_CREDENTIAL: 403,
    ResponseCode.OPERATION_DENIED: 501,
    ResponseCode.SERVER_BUSY: 503,
    ResponseCode.SERVER_DISABLED: 503,
}


@dataclass(frozen=True)
class Rest:
    """The API on one worker."""

    service: HandleService
    gate: Gate

    def add_routes(self, app: web.Application) -> None:
        """Add all but reading to an application."""
        router = app.router
        one = PATH + "{id:.*}"
        router.add_get(PATH.rstrip("/"), self._answering(self._list))
        router.add_put(one, self._answering(self._put))
        router.add_delete(one, self._answering(self._delete))
        router.add_get("/api/site", self._answering(self._site))
        router.add_post(SESSIONS, self._answering(self._new_session))
        session = SESSIONS + "/{id}"
        router.add_get(session, self._answering(self._session))
        router.add_put(session, self._answering(self._authenticate))
        router.add_delete(session, self._answering(self._end_session))
        prefix, verification = PREFIXES + "/{prefix:.*}", VERIFICATIONS + "/{id:.*}"
        router.add_get(PREFIXES, self._administering(rest_node.list_prefixes))
        for path in (PREFIXES, prefix):
            router.add_post(path, self._administering(rest_node.home))
            router.add_delete(path, self._administering(rest_node.unhome))
        router.add_get(verification, self._answering(self._verify))
        paths = (PATH.rstrip("/"), one, SESSIONS, session, "/api/site", PREFIXES, prefix)
        for path in (*paths, verification):
            router.add_route("OPTIONS", path, _preflight)
        others = "/api/{path:(?!(?:v1|handles|sessions|site|prefixes|verifications)(?:/|$)).*}"
        router.add_route("*", others, self._answering(_unknown))

    async def hidden(
        self, request: web.Request, identifier: Identifier
    ) -> list[HandleValue] | None:
        """Return the values that not everybody, but whoever sends a request may see.

        None for nobody known. Raises AuthenticationFailed, and AuthenticationNeeded for a bearer
        token that is not good.
        """
        if is_bearer(request):
            return await self._hidden_from_bearer(bearer(request), identifier)
        identity = await self.gate.identity(request)
        if identity is None:
            return None
        return await self._administrator(request, identity).hidden(identifier)

    async def _hidden_from_bearer(self, token: str, identifier: Identifier) -> list[HandleValue]:
        registry = self.service.registry
        known = tokens if principals.is_of(token, principals.SNMS) else principals
        async with registry.database.begin() as connection:
            who = await known.authenticate(connection, token, registry.clock())
        # A transaction of the node itself: that of the token sees what is its enterprise's alone.
        async with registry.database.begin() as connection:
            requester = await requesters.of_principal(connection, who, identifier)
            values = await stored.read(connection, identifier)
        return [one for one in visible(values or (), requester) if not one.public]

    async def refuse(self, request: web.Request, error: IdnodeError) -> web.Response:
        """Return the answer to a request that failed."""
        code = error.response_code
        handle = _spelled(request)
        message = error.detail if error.field is None else f"{error.field}: {error.detail}"
        body = json_api.answer_code(handle, code, message)
        headers = CIMultiDict((*HEADERS, PRIVATE))
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        status = _STATUS.get(code, error.http_status)
        if isinstance(error, AuthenticationFailed):
            status, body = 401, b""
        elif isinstance(error, TooManyRequests):
            status = error.http_status
        elif status == 401 and is_bearer(request) and request.method in _READS:
            headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'  # RFC 6750 section 3
            return web.Response(body=body, status=status, headers=headers)
        elif status == 401 and not self.gate.is_private(request):
            status = 403  # nothing that it could say would help
        if status == 401:
            for offer in await self.gate.challenge(request):
                headers.add("WWW-Authenticate", offer)
            headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
        return web.Response(body=body, status=status, headers=headers)

    def _answering(
        self, answer: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:

        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                return await answer(request)
            except IdnodeError as error:
                return await self.refuse(request, error)

        return handler

    def _administering(
        self, answer: Callable[[web.Request, Administrator], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def proved(request: web.Request) -> web.Response:
            identity = await self.gate.need(request)
            return await answer(request, self._administrator(request, identity))

        return self._answering(proved)

    def _administrator(self, request: web.Request, identity: Identity) -> Administrator:
        return self.service.administrator(identity, request.get(REQUEST_ID))

    async def _put(self, request: web.Request) -> web.Response:
        """PUT /api/handles/{id}: create, replace, or with indexes add and replace values."""
        query = Query(request.query, write=True)
        asked = _spelled(request) or ""
        if query.flag("mintNewSuffix"):
            asked = _mint(asked)
        identifier = await self._target(asked)
        who = self._administrator(request, await self.gate.need(request))
        values = await rest_body.read_values(request, _spelled(request) or "")
        overwrite = query.flag("overwrite", default=True)
        if query.selective:
            rest_body.check_indexes(values, query.indexes, various=query.various)
            created = await who.add(identifier, values, overwrite=overwrite)
        else:
            minted = query.flag("mintNewSuffix")
            created = await who.put(identifier, values, overwrite=overwrite and not minted)
        return done(asked, 201 if created else 200)

    async def _delete(self, request: web.Request) -> web.Response:
        """DELETE /api/handles/{id}: all of it, or the values with some indexes."""
        query = Query(request.query, write=True)
        asked = _spelled(request) or ""
        identifier = await self._target(asked)
        who = self._administrator(request, await self.gate.need(request))
        if query.various:
            raise MalformedRequest("not a whole number", field="index")
        if query.selective:
            await who.remove(identifier, query.indexes)
        else:
            await who.delete(identifier)
        return done(asked, 200)

    async def _target(self, text: str) -> Identifier:
        """Read which identifier is to be written; see _check_served."""
        identifier = Identifier.parse(text)
        _check_ours(identifier, self.service.registry.node_prefix)
        check_registrable(identifier)
        await self._check_served(identifier)
        return identifier

    async def _check_served(self, identifier: Identifier) -> None:
        """Raise ServerNotResponsible for a prefix that another node serves, or nobody.

        As over the Handle protocol, nobody needs to prove anything to hear it.
        """
        registry = self.service.registry
        async with registry.database.begin() as connection:
            await admins.check_served(connection, identifier, registry.node_prefix)

    async def _list(self, request: web.Request) -> web.Response:
        """GET /api/handles?prefix=: a page of the names under a prefix."""
        text = request.query.get("prefix")
        if text is None:
            raise MalformedRequest("missing", field="prefix")
        prefix = Identifier.parse(text)
        if prefix.prefix_key != PREFIX_HANDLE_PREFIX:
            raise InvalidHandle("not a prefix", field="prefix")
        _check_ours(prefix, self.service.registry.node_prefix)
        number, size = page_asked(request)
        await self._check_served(prefix)
        who = self._administrator(request, await self.gate.need(request))
        total, names = await who.page(prefix.suffix_key, offset=number * size, limit=size)
        return json_response(
            {
                "responseCode": int(ResponseCode.SUCCESS),
                "prefix": text,
                "totalCount": str(total),
                "page": number,
                "pageSize": size,
                "handles": names,
            }
        )

    async def _site(self, request: web.Request) -> web.Response:
        """GET /api/site: our own HS_SITE."""
        return json_response(typed.site_to_json(self.service.site.record))

    async def _verify(self, request: web.Request) -> web.Response:
        return await rest_node.verify(request, self.service.registry.database, self.gate.guesses)

    async def _new_session(self, request: web.Request) -> web.Response:
        """POST /api/sessions: a nonce to sign."""
        self._need_private(request)
        return _session(await self.gate.begin(request), None, status=201)

    async def _session(self, request: web.Request) -> web.Response:
        """GET /api/sessions/this: what is known of it."""
        self._need_private(request)
        session = await self.gate.session(_session_id(request))
        return _session(session, session.identity)

    async def _authenticate(self, request: web.Request) -> web.Response:
        """PUT /api/sessions/this: prove who has it, in the header or in a JSON body."""
        self._need_private(request)
        proof = await _proof(request)
        identity, session = await self.gate.by_signature(request, proof)
        if identity is None or session is None:
            raise AuthenticationFailed("nothing proves who has this session")
        return _session(session, identity)

    async def _end_session(self, request: web.Request) -> web.Response:
        """DELETE /api/sessions/this."""
        self._need_private(request)
        if not await self.gate.end(_session_id(request)):
            raise HandleNotFound("there is no such session, or it has ended", field="sessionId")
        return web.Response(status=204, headers=dict((*HEADERS[1:], PRIVATE)))

    def _need_private(self, request: web.Request) -> None:
        if not self.gate.is_private(request):
            raise AuthenticationNeeded("sessions are only for TLS")


def _check_ours(identifier: Identifier, node_prefix: str) -> None:
    """Raise ServerNotResponsible for a prefix that is not under the node's."""
    owner = owner_prefix(identifier)
    if not f"{owner}.".startswith(f"{node_prefix}."):
        raise ServerNotResponsible(f"prefix {owner} does not live on this node", field="prefix")


async def _preflight(request: web.Request) -> web.StreamResponse:
    """OPTIONS, by which a browser asks what a page of another origin may do (CORS)."""
    return web.Response(status=204, headers=_PREFLIGHT)


async def _unknown(request: web.Request) -> web.Response:
    body = json_api.answer_code(None, ResponseCode.PROTOCOL_ERROR, "there is no such resource")
    return web.Response(body=body, status=404, headers=dict(HEADERS))


def _spelled(request: web.Request) -> str | None:
    """Return the identifier as it was asked for. None where the request names none."""
    raw = request.rel_url.raw_path
    if not raw.startswith(PATH):
        return None
    try:
        return unquote(raw.removeprefix(PATH))
    except InvalidHandle:
        return None


def _mint(text: str) -> str:
    if "/" not in text:
        raise InvalidHandle("what a suffix is added to has a prefix and a slash", field="prefix")
    return text + str(uuid.uuid4()).upper()


def _session_id(request: web.Request) -> str:
    name = request.match_info["id"]
    if name != _THIS:
        return name
    proof = read(request.headers.get("Authorization", ""))
    if not isinstance(proof, Signed) or not proof.session_id:
        raise AuthenticationFailed("the request is in no session", field="Authorization")
    return proof.session_id


async def _proof(request: web.Request) -> Signed:
    header = request.headers.get("Authorization")
    given: Mapping[str, str] = {}
    if request.body_exists:
        given = await rest_body.read_strings(request)
    if given.keys() - {"sessionid"} or header is None:
        proof = read_parameters(given)
    else:
        read_header = read(header)
        if not isinstance(read_header, Signed):
            raise AuthenticationFailed(f"the scheme is not {SCHEME}", field="Authorization")
        proof = read_header
    name = request.match_info["id"]
    if name != _THIS:
        proof = replace(proof, session_id=name)
    return proof


def _session(session: Session, identity: Identity | None, *, status: int = 200) -> web.Response:
    body: dict[str, Any] = {
        "sessionId": session.id,
        "nonce": base64.b64encode(session.nonce).decode(),
    }
    if identity is not None:
        body |= {"authenticated": True, "id": str(identity)}
    elif status == 200:
        body["authenticated"] = False
    return json_response(body, status)
