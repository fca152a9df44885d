"""Requests that come through a proxy that the operator trusts: who sent them, and how.

Such a proxy adds the address that it got the request from to the end of ``X-Forwarded-For``, and
says in ``X-Forwarded-Proto`` whether TLS was spoken. Anybody can send these, so they count only on
a connection from a trusted address, and of the addresses only those that trusted proxies added.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from aiohttp import web
from aiohttp.typedefs import Middleware

from registry.api.requests import Handler
from registry.networks import Networks, holds, plain

MAX_HOPS = 16
"""Addresses of one request that are looked at, from the last."""


def middleware(trusted: Networks) -> Middleware:
    """Return what gives each request its `remote` and `scheme` as the trusted proxies saw them."""

    @web.middleware
    async def forwarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.remote is None or not holds(trusted, request.remote):
            return await handler(request)
        given = ",".join(request.headers.getall("X-Forwarded-For", ()))
        remote = sender(reversed(given.split(",")), trusted) or request.remote
        scheme = request.headers.get("X-Forwarded-Proto", "").strip().lower()
        if scheme not in ("http", "https"):
            scheme = request.scheme
        return await handler(request.clone(remote=remote, scheme=scheme))

    return forwarded


def sender(hops: Iterable[str], trusted: Networks) -> str | None:
    """Return the first address that is no trusted proxy; None if there is nothing to go by.

    hops: the addresses of X-Forwarded-For, the last first. At what is no address it ends: the
    proxy that passed it on answers for the request.
    """
    found = None
    for hop in islice(hops, MAX_HOPS):
        try:
            found = str(plain(hop.strip()))
        except ValueError:
            break
        if not holds(trusted, found):
            break
    return found
