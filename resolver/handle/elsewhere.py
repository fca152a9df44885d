"""Public keys of identities that live elsewhere, found by asking another Handle server.

Anybody may claim to be such an identity, and so have us ask: for a bounded time, for few of them at
once, and never at an address inside our own network that a stranger's referral names. Secrets are
not asked for. The answer is believed as the server is: it is the operator's own choice.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import structlog

from protocol.errors import IdnodeError, PeerUnavailable, ResponseCode
from protocol.handle.keys import PUBLIC_KEY
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.admins import Identity
from registry.identities import MAX_KEYS, IdentityKey
from resolver.client.exchange import Answer, Asking
from resolver.client.resolving import resolve
from resolver.client.steps import Endpoint

SECONDS = 4.0
"""Time to find a key, with all referrals."""

MAX_AT_ONCE = 16
"""Identities that are looked for at the same time; one more is not found."""

MAX_TTL = 300
"""Seconds, at most, for which a key is remembered: so long one that was withdrawn may hold."""

MAX_REMEMBERED = 256
MAX_KEY_BYTES = 4096
"""Longest key that is taken: more than the longest that can be checked needs. All that is
remembered is at most MAX_REMEMBERED * MAX_KEYS of them."""

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Scope: TypeAlias = Literal["global", "loopback", "link-local", "private", "none"]
_Keys: TypeAlias = tuple[tuple[int, bytes], ...]

log = structlog.get_logger("idnode.handle")


class Elsewhere:
    """Finds the public keys of identities that are not kept here. One a worker."""

    def __init__(
        self,
        server: Endpoint,
        here: frozenset[Address],
        port: int,
        *,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the server to ask; `here` and `port` are where this node itself is reached."""
        self._server = server
        self._here = here
        self._port = port
        self._seconds = seconds
        self._clock = clock
        self._remembered: dict[str, tuple[float, _Keys]] = {}  # until when, which
        self._under_way = 0

    async def find(self, identity: Identity, type_: str) -> Sequence[IdentityKey] | None:
        """Return the public keys of an identity; None if it has none that can be read."""
        if type_ != PUBLIC_KEY:
            return None
        until, keys = self._remembered.get(identity.key, (0.0, ()))
        if until <= self._clock():
            self._remembered.pop(identity.key, None)
            keys = await self._ask_in_time(identity)
        return [IdentityKey(Identity(index, identity.handle), type_, data) for index, data in keys]

    async def _ask_in_time(self, identity: Identity) -> _Keys:
        if self._under_way >= MAX_AT_ONCE:
            return self._missed(identity, f"{MAX_AT_ONCE} identities are looked for already")
        self._under_way += 1
        try:
            async with asyncio.timeout(self._seconds):
                return await self._ask(identity)
        except TimeoutError:
            return self._missed(identity, f"no answer in {self._seconds:g} s")
        except (OSError, UnicodeError) as error:  # the latter for what can be no name of a host
            return self._missed(identity, str(error))
        except IdnodeError as error:
            return self._missed(identity, error.detail)
        finally:
            self._under_way -= 1

    async def _ask(self, identity: Identity) -> _Keys:
        """Ask, and remember what is found. Raises IdnodeError, OSError."""
        identifier, now = Identifier.parse(identity.handle), self._clock()
        asking = Asking(identifier, secrets.randbits(32), int(now), types=(PUBLIC_KEY,))
        scopes = await _scopes(self._server)
        answer = await resolve(
            asking,
            self._server,
            allows=lambda endpoint: may_ask(
                endpoint, scopes=scopes, here=self._here, port=self._port
            ),
        )
        values = _public_keys(answer, identifier, identity.index)
        keys = tuple((value.index, value.data) for value in values)
        if keys:
            self._remember(identity, now + min(_seconds_left(value, now) for value in values), keys)
        return keys

    def _remember(self, identity: Identity, until: float, keys: _Keys) -> None:
        if until <= self._clock():
            return
        while len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[identity.key] = (until, keys)

    def _missed(self, identity: Identity, reason: str) -> _Keys:
        log.info("identity_elsewhere_not_found", identity=str(identity)[:256], reason=reason[:256])
        return ()


def may_ask(
    endpoint: Endpoint, *, scopes: frozenset[Scope], here: frozenset[Address], port: int
) -> bool:
    """Whether to go where a referral leads.

    scopes: of the server that was chosen to be asked; only where it is itself inside may a
    referral lead there. here, port: this node, which does not know the answer.
    """
    address = read_address(endpoint.host)
    if address is None or not 0 < endpoint.port < 65536:  # HS_SITE has 32 bits for a port
        return False
    if address in here and endpoint.port == port:
        return False
    scope = scope_of(address)
    return scope == "global" or (scope != "none" and scope in scopes)


def scope_of(address: Address) -> Scope:
    """Return from where an address can be reached; "none" for what is no server's address."""
    if address.is_multicast or address.is_unspecified:
        return "none"
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    return "global" if address.is_global else "private"


def read_address(host: str) -> Address | None:
    """Return an IP address, of IPv4 where it is one written as IPv6; None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def own_addresses(bind: str, published: str | None) -> frozenset[Address]:
    """Return the addresses of this node: where it listens, and where its HS_SITE says it is."""
    hosts = [bind, published or bind]
    listening = read_address(bind)
    if listening is not None and listening.is_unspecified:
        hosts += ["127.0.0.1", "::1"]
    return frozenset(address for address in map(read_address, hosts) if address is not None)


def read_server(text: str) -> Endpoint:
    """Return where to ask, of ``host:port``, ``[IPv6 address]:port``. Raises ValueError."""
    host, _, port = text.rpartition(":")
    return Endpoint("tcp", host.strip("[]"), int(port))


async def _scopes(server: Endpoint) -> frozenset[Scope]:
    """Return where the server is that is asked first. Raises OSError for an unknown name."""
    found = await asyncio.get_running_loop().getaddrinfo(
        server.host, server.port, type=socket.SOCK_STREAM
    )
    addresses = (read_address(str(address[0])) for *_, address in found)
    return frozenset(scope_of(address) for address in addresses if address is not None)


def _public_keys(answer: Answer, identifier: Identifier, index: int) -> list[HandleValue]:
    """Return the keys in an answer. Raises PeerUnavailable for an answer without any."""
    if answer.code != ResponseCode.SUCCESS:
        raise PeerUnavailable(f"response code {answer.code} {answer.detail}".rstrip())
    if answer.handle is None or Identifier.parse(answer.handle).key != identifier.key:
        raise PeerUnavailable(f"the answer is one for {answer.handle}")
    values = [
        value
        for value in answer.values
        if value.type.upper() == PUBLIC_KEY
        and value.public
        and index in (0, value.index)
        and len(value.data) <= MAX_KEY_BYTES
    ]
    if not values:
        raise PeerUnavailable(f"no public {PUBLIC_KEY} stands there")
    return values[:MAX_KEYS]


def _seconds_left(value: HandleValue, now: float) -> float:
    """Return how long a value may be remembered from `now`, in seconds."""
    return min(value.ttl - now if value.ttl_absolute else value.ttl, MAX_TTL)
