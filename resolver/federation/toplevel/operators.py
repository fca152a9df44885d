"""What operators of the stub may do over HTTP: from this machine alone, with a token of its own."""

from __future__ import annotations

import hmac
import ipaddress

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from protocol.errors import AuthenticationNeeded, InsufficientPermission
from registry.api.requests import decode_json
from resolver.federation.toplevel.bodies import json_body, json_response
from resolver.federation.toplevel.faults import Fault, Faults

FAULTS: web.AppKey[Faults] = web.AppKey("faults", Faults)


def add_operators(app: web.Application, token: str) -> None:
    """Add the operations. token: what an operator shows as a bearer token; it is not empty."""
    if not token:
        raise ValueError("the token of the operator is empty")
    for method, path, handler in (
        ("POST", "/faults", _set_fault),
        ("DELETE", "/faults", _end_faults),
        ("GET", "/faults", _list_faults),
    ):
        app.router.add_route(method, path, guarded(handler, token))


def from_this_machine(request: web.Request) -> bool:
    """Whether the other end of the connection is on this machine."""
    remote, transport = request.remote or "", request.transport
    if transport is not None and remote == transport.get_extra_info("sockname")[0]:
        return True
    try:
        return ipaddress.ip_address(remote).is_loopback
    except ValueError:
        return False


def shows_token(request: web.Request, token: str) -> bool:
    """Whether the request shows this bearer token, compared in constant time."""
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    octets = shown.strip().encode("utf-8", "surrogateescape")
    same = hmac.compare_digest(octets, token.encode())
    return scheme.lower() == "bearer" and same


def guarded(handler: Handler, token: str) -> Handler:
    """Let an operation be done by the operator alone, who shows `token`, from this machine."""

    async def checked(request: web.Request) -> web.StreamResponse:
        if not from_this_machine(request):
            raise InsufficientPermission("operators of the stub work on its own machine")
        if not shows_token(request, token):
            raise AuthenticationNeeded("the bearer token is not that of the stub's operator")
        return await handler(request)

    return checked


async def _set_fault(request: web.Request) -> web.Response:
    faults = request.app[FAULTS]
    faults.set(decode_json(await json_body(request), Fault))
    return _listed(faults)


async def _end_faults(request: web.Request) -> web.Response:
    request.app[FAULTS].end()
    return _listed(request.app[FAULTS])


async def _list_faults(request: web.Request) -> web.Response:
    return _listed(request.app[FAULTS])


def _listed(faults: Faults) -> web.Response:
    return json_response({"items": [msgspec.to_builtins(fault) for fault in faults.listed()]})
