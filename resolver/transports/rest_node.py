"""What the Handle JSON API has beside identifiers: the prefixes of the node, and verifications.

``/api/prefixes`` lists, homes and unhomes, as op codes 300 to 302 do. ``/api/verifications`` tells
another server whether a client has shown it a secret that is kept here, as op code 201 does.
Source: reference server, Handle.Net 9.
"""

from __future__ import annotations

from aiohttp import web

from protocol.errors import (
    AuthenticationFailed,
    InvalidAdmin,
    MalformedRequest,
    ProtocolError,
    ResponseCode,
    ServerNotResponsible,
)
from protocol.handle.keys import SECRET_KEY
from protocol.identifier import unquote
from registry.database import Database
from registry.identities import IdentityKey, keys_of
from resolver.handle import homing
from resolver.handle.administrator import Administrator
from resolver.handle.guesses import Guesses
from resolver.handle.listing import MAX_LISTED
from resolver.handle.proofs import CHECKS
from resolver.transports import rest_body
from resolver.transports.rest_answers import done, json_response, page_asked
from resolver.transports.rest_proof import read_parameters

PREFIXES, VERIFICATIONS = "/api/prefixes", "/api/verifications"

_NEEDED = ("nonce", "cnonce", "alg", "signature")


async def list_prefixes(request: web.Request, who: Administrator) -> web.Response:
    """GET /api/prefixes: a page of the handles of those that are served here."""
    number, size = page_asked(request)
    names = await homing.served(who, MAX_LISTED)
    return json_response(
        {
            "responseCode": int(ResponseCode.SUCCESS),
            "totalCount": str(len(names)),
            "page": number,
            "pageSize": size,
            "prefixes": names[number * size : (number + 1) * size],
        }
    )


async def home(request: web.Request, who: Administrator) -> web.Response:
    """POST /api/prefixes/{prefix}: serve it."""
    prefix = await _prefix(request)
    await homing.serve(who, prefix)
    return done(prefix, 200)


async def unhome(request: web.Request, who: Administrator) -> web.Response:
    """DELETE /api/prefixes/{prefix}: serve it no longer."""
    prefix = await _prefix(request)
    await homing.stop_serving(who, prefix)
    return done(prefix, 200)


async def _prefix(request: web.Request) -> str:
    """Return the prefix that a request names: in its path, its query or its body."""
    path = request.rel_url.raw_path.removeprefix(PREFIXES).removeprefix("/")
    given = unquote(path) or request.query.get("prefix", "")
    if not given and request.body_exists:
        given = (await rest_body.read_strings(request)).get("prefix", "")
    if not given:
        raise MalformedRequest("missing", field="prefix")
    return given


async def verify(request: web.Request, database: Database, guesses: Guesses) -> web.Response:
    """GET /api/verifications/{index:handle}: whether nonce and cnonce were signed with its secret.

    Raises MalformedRequest, TooManyRequests, ServerNotResponsible for one that is not kept here.
    """
    valid = await _is_valid(request, database, guesses)
    return json_response({"responseCode": int(ResponseCode.SUCCESS), "isValid": valid})


async def _is_valid(request: web.Request, database: Database, guesses: Guesses) -> bool:
    given = {name.lower(): text for name, text in request.query.items()}
    for name in _NEEDED:
        if not given.get(name):
            raise MalformedRequest("missing", field=name)
    path = unquote(request.rel_url.raw_path.removeprefix(VERIFICATIONS + "/"))
    try:
        proof = read_parameters({**given, "id": path, "type": SECRET_KEY})
        nonce = read_parameters({"cnonce": given["nonce"]}).cnonce
    except AuthenticationFailed as error:
        raise MalformedRequest(error.detail, field=error.field) from None
    identity = proof.identity
    if identity is None:
        raise MalformedRequest("missing", field="id")
    try:
        async with database.begin() as connection:
            keys = await keys_of(connection, identity, SECRET_KEY)
    except InvalidAdmin:
        return False
    except ProtocolError as error:
        if error.response_code != ResponseCode.UNABLE_TO_AUTHENTICATE:
            raise
        raise ServerNotResponsible(f"{identity} is not kept here") from None

    async def find() -> IdentityKey | None:
        return await CHECKS.take(
            lambda: next((key for key in keys if proof.holds(nonce, key)), None)
        )

    try:
        return await guesses.check(request.remote, identity, find) is not None
    except AuthenticationFailed:
        return False
