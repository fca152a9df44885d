"""How a session comes to its key: op codes 400 and 402 (RFC 3652 section 3.7).

The reference client's way is Diffie-Hellman. In the others one side makes the key and encrypts it
with an RSA key of the other: the client's, from the request (mode 1) or from a value that the
request names (mode 3), or the site's (mode 2), where op code 402 brings the key.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from protocol.errors import InvalidAdmin, ProtocolError, ResponseCode
from protocol.handle import key_transport
from protocol.handle import session as keys
from protocol.handle.header import OpCode
from protocol.handle.keys import PUBLIC_KEY, DhPublicKey, encode_public_key
from protocol.handle.message import Message
from protocol.handle.requests import ExchangeKeyRequest, KeyExchange, SessionSetupRequest
from protocol.handle.responses import EmptyResponse, SessionSetupResponse
from protocol.handle.version import negotiate
from protocol.identifier import Identifier
from registry import handle_state
from registry.admins import Identity
from registry.identities import find_keys
from resolver.handle.protected import body
from resolver.handle.service import Handler, HandleService, Peer
from resolver.handle.turns import Turns

EXCHANGES = Turns("key exchanges", most=64)
MAX_EXCHANGES_OVER_UDP = 8
"""Key exchanges at once beyond which those over UDP, where a source may be forged, get no answer:
a client asks again, at last over TCP. A refusal it would take for the last word."""

_AES_SINCE = 4

_Made: TypeAlias = tuple[bytes, bytes]
"""What the answer says, and the key of the session; no key where the client sends it."""


class _AskOverTcp(Exception):
    """The request gets no answer over UDP."""


async def set_up(service: HandleService, message: Message, peer: Peer) -> list[Message]:
    """Begin a session, and agree on its key in the way that the client has chosen."""
    request = body(message, SessionSetupRequest)
    if not negotiate(message.envelope.peer).at_least(_AES_SINCE):
        raise _failed(f"sessions need version 2.{_AES_SINCE} of the protocol")
    if request.identity:
        Identifier.parse(request.identity)
    data, key = await _WAYS[request.mode](service, request, peer)
    async with service.registry.database.begin() as connection:
        session_id = await handle_state.add_session(
            connection,
            key=key,
            claimed=Identity(request.identity_index, request.identity),
            idle_seconds=request.timeout,
            address=peer.address,
            now=service.registry.clock(),
        )
    answer = SessionSetupResponse(request.mode, data)
    return [service.reply(message, answer, session_id=session_id)]


async def _by_diffie_hellman(
    service: HandleService, request: SessionSetupRequest, peer: Peer
) -> _Made:
    theirs = keys.read_client_key(request.public_key)
    own, key = await EXCHANGES.take(lambda: _agree(theirs))
    return keys.encode_server_key(own), key


def _agree(theirs: DhPublicKey) -> tuple[DhPublicKey, bytes]:
    """Return our public key and the key of the session: milliseconds of work."""
    own = keys.make_key_pair(secrets.token_bytes(keys.SECRET_BYTES), theirs.prime, theirs.generator)
    return own.public, keys.agree(own, theirs)


async def _by_client_key(service: HandleService, request: SessionSetupRequest, peer: Peer) -> _Made:
    return await _encrypted(request.public_key)


async def _by_handle_key(service: HandleService, request: SessionSetupRequest, peer: Peer) -> _Made:
    place = Identity(request.key_index, request.key_handle)
    # Nobody has us ask other servers by a datagram, whose source may be forged.
    find = None if peer.transport == "udp" else service.find
    try:
        found = await find_keys(service.registry.database, place, PUBLIC_KEY, find)
    except (InvalidAdmin, ProtocolError) as error:
        lives_elsewhere = error.response_code == ResponseCode.UNABLE_TO_AUTHENTICATE
        if lives_elsewhere and find is not service.find:
            raise _AskOverTcp from None
        raise _failed(f"there is no key at {place}") from None
    return await _encrypted(found[0].data)


async def _encrypted(public_key: bytes) -> _Made:
    """Make a key and encrypt it with an RSA key, given as in HS_PUBKEY."""
    theirs, key = key_transport.read_rsa_key(public_key), secrets.token_bytes(keys.KEY_BYTES)
    return await EXCHANGES.take(lambda: key_transport.encrypt_key(theirs, key)), key


async def _by_server_key(service: HandleService, request: SessionSetupRequest, peer: Peer) -> _Made:
    if service.site.key is None:
        raise _failed("this site has no key")
    return encode_public_key(service.site.key.public_key()), b""


async def exchange_key(service: HandleService, message: Message, peer: Peer) -> list[Message]:
    """Take the key of a session that was set up with the key of the site (402).

    A request that comes twice, as UDP may bring it, is answered as the first one was; another key
    is refused, since nothing says who has sent it.
    """
    request, own = body(message, ExchangeKeyRequest), service.site.key
    session_id, now = message.envelope.session_id, service.registry.clock()
    async with service.registry.database.begin() as connection:
        waiting = await handle_state.read_session(connection, session_id, now)
    if waiting is None:
        raise _ended()
    if own is None:
        raise _failed("the session has its key")
    spare = secrets.token_bytes(keys.KEY_BYTES)
    key = await EXCHANGES.take(lambda: key_transport.decrypt_key(own, request.encrypted_key, spare))
    async with service.registry.database.begin() as connection:
        session = await handle_state.read_session(connection, session_id, now, lock=True)
        if session is None:
            raise _ended()
        if not session.key:
            await handle_state.give_key(connection, session, key)
        elif not hmac.compare_digest(session.key, key):
            raise _failed("the session has its key")
    return [service.reply(message, EmptyResponse())]


def _bounded(handler: Handler) -> Handler:
    """Return a handler that leaves datagrams without an answer where that is better than work."""

    async def answer(service: HandleService, message: Message, peer: Peer) -> list[Message]:
        try:
            if peer.transport == "udp" and EXCHANGES.taken >= MAX_EXCHANGES_OVER_UDP:
                raise _AskOverTcp
            return await handler(service, message, peer)
        except _AskOverTcp:
            service.registry.row.add("idnode_udp_dropped", "busy")
            return []

    return answer


def _ended() -> ProtocolError:
    return ProtocolError(
        "there is no such session, or it has ended", code=ResponseCode.SESSION_TIMEOUT
    )


def _failed(detail: str) -> ProtocolError:
    return ProtocolError(detail, code=ResponseCode.SESSION_FAILED)


_Way: TypeAlias = Callable[[HandleService, SessionSetupRequest, Peer], Awaitable[_Made]]

_WAYS: Mapping[KeyExchange, _Way] = {
    KeyExchange.CLIENT_CIPHER: _by_client_key,
    KeyExchange.SERVER_CIPHER: _by_server_key,
    KeyExchange.HANDLE_CIPHER: _by_handle_key,
    KeyExchange.DIFFIE_HELLMAN: _by_diffie_hellman,
}

HANDLERS: Mapping[int, Handler] = {
    OpCode.SESSION_SETUP: _bounded(set_up),
    OpCode.SESSION_EXCHANGE_KEY: _bounded(exchange_key),
}
