"""Who asks: challenges and their answers, op codes 200 and 201 (RFC 3652 sections 3.5 and 3.6).

A request that is not for everybody is kept and answered with a challenge; the answer to that runs
it, once. A challenge is used up by the first answer, right or wrong, and before the request runs: a
replayed answer finds nothing, and nobody tries secrets on it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

import structlog

from protocol.errors import (
    AuthenticationFailed,
    IdnodeError,
    InvalidAdmin,
    ProtocolError,
    ResponseCode,
    ServerNotResponsible,
)
from protocol.handle.digest import digest_request
from protocol.handle.header import OpCode
from protocol.handle.keys import PUBLIC_KEY, SECRET_KEY
from protocol.handle.message import Message, decode_message
from protocol.handle.requests import ChallengeAnswer, VerifyRequest
from protocol.handle.responses import NONCE_BYTES, Challenge, VerifyResponse
from protocol.handle.version import negotiate
from registry import handle_state
from registry.admins import Identity
from registry.identities import IdentityKey, find_keys, keys_of
from resolver.handle import sessions
from resolver.handle.proofs import first_that_holds
from resolver.handle.service import Handler, HandleService, Peer

log = structlog.get_logger("idnode.handle")


async def identify(service: HandleService, message: Message, peer: Peer) -> Identity | None:
    """Return who has proved to send the message; None for somebody who must be challenged.

    Raises ProtocolError for a message whose session or MAC is not good.
    """
    if peer.identity is not None:
        return peer.identity
    if not message.envelope.session_id:
        return None
    return await sessions.identity_of(service, message)


async def challenge(service: HandleService, message: Message, peer: Peer) -> Message:
    """Keep the request and return what its sender must sign to have it run."""
    session_id = message.envelope.session_id or None
    async with service.registry.database.begin() as connection:
        kept = await handle_state.add_challenge(
            connection,
            nonce=secrets.token_bytes(NONCE_BYTES),
            request=message.encode(),
            request_id=message.envelope.request_id,
            address=peer.address,
            session=session_id,
            now=service.registry.clock(),
        )
    return service.reply(
        message,
        Challenge(kept.nonce),
        code=ResponseCode.AUTHENTICATION_NEEDED,
        session_id=kept.id,
    )


async def answer(service: HandleService, message: Message, peer: Peer) -> list[Message]:
    """Take the answer to a challenge; if it is right, answer the request that was challenged."""
    given = message.body
    if not isinstance(given, ChallengeAnswer):
        raise ProtocolError("not the answer to a challenge")
    async with service.registry.database.begin() as connection:
        waiting = await handle_state.take_challenge(
            connection, message.envelope.session_id, service.registry.clock()
        )
    if waiting is None:
        raise ProtocolError(
            "no such challenge waits for an answer", code=ResponseCode.AUTHENTICATION_TIMEOUT
        )
    original = decode_message(waiting.request)
    # What is answered is the original request, to who has asked by this message.
    envelope = replace(message.envelope, session_id=original.envelope.session_id)
    asked = replace(original, envelope=envelope)
    claimed = Identity(given.index, given.handle)
    try:
        key = await _verify(service, peer, waiting.nonce, original, given)
        if original.envelope.session_id:
            await sessions.prove(service, original, claimed, key)
    except IdnodeError as error:
        log.info(
            "handle_authentication_failed",
            identity=str(claimed)[:256],
            address=peer.address,
            code=int(error.response_code),
        )
        return [service.error(asked, error.response_code, error.detail)]
    return await service.answer(asked, replace(peer, identity=key.identity))


async def _verify(
    service: HandleService, peer: Peer, nonce: bytes, original: Message, given: ChallengeAnswer
) -> IdentityKey:
    """Return the key with which the answer was made. Raises IdnodeError."""
    if given.type not in (PUBLIC_KEY, SECRET_KEY):
        raise ProtocolError(
            f"{given.type} is no way to prove an identity", code=ResponseCode.INVALID_CREDENTIAL
        )
    claimed = Identity(given.index, given.handle)
    keys = await find_keys(service.registry.database, claimed, given.type, service.find)
    digest = digest_request(negotiate(original.envelope.peer), original.content)

    async def find() -> IdentityKey | None:
        return await first_that_holds(keys, given.answer, nonce, digest)

    if given.type == SECRET_KEY:
        key = await service.guesses.check(peer.address, claimed, find)
    else:  # nobody guesses a private key
        key = await find()
    if key is None:
        raise AuthenticationFailed("the answer was not made with the key of that identity")
    return key


async def verify(service: HandleService, message: Message, peer: Peer) -> list[Message]:
    """Tell another server whether the answer to its challenge was made with a secret kept here."""
    asked = message.body
    if not isinstance(asked, VerifyRequest):
        raise ProtocolError("not a request to verify an answer")
    identity = Identity(asked.index, asked.handle)
    try:
        async with service.registry.database.begin() as connection:
            keys = await keys_of(connection, identity, SECRET_KEY)
        key = await service.guesses.check(
            peer.address,
            identity,
            lambda: first_that_holds(keys, asked.answer, asked.nonce, asked.digest),
        )
    except (AuthenticationFailed, InvalidAdmin):
        key = None
    except ProtocolError as error:
        if error.response_code != ResponseCode.UNABLE_TO_AUTHENTICATE:
            raise
        raise ServerNotResponsible(f"{identity} is not kept here") from None
    return [service.reply(message, VerifyResponse(valid=key is not None))]


HANDLERS: Mapping[int, Handler] = {
    OpCode.CHALLENGE_ANSWER: answer,
    OpCode.VERIFY_CHALLENGE: verify,
    **sessions.HANDLERS,
}
