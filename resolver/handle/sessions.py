"""Sessions: what they do to messages, and how they end, op code 401 (RFC 3652 section 3.7).

A session has a key that only client and server know. Messages of the client carry a MAC made with
it; encrypted ones are read here, and so are answered. Nobody is anybody in a session before an
identity has proved itself by a challenge: see authenticate.py. From then on the MAC says who asks,
as long as the key of the identity stays what it was.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import IdnodeError, ProtocolError, ResponseCode
from protocol.handle import session as keys
from protocol.handle.credential import MAC, verify_mac
from protocol.handle.envelope import Envelope
from protocol.handle.header import OpCode
from protocol.handle.message import Message, decode_payload
from protocol.handle.responses import EmptyResponse
from registry import handle_state
from registry.admins import Identity
from registry.handle_state import Session
from registry.identities import IdentityKey, digests
from resolver.handle.service import Handler, HandleService, Peer


async def terminate(service: HandleService, message: Message, peer: Peer) -> list[Message]:
    """End the session that the message belongs to."""
    async with service.registry.database.begin() as connection:
        session = await _session(service, connection, message.envelope, lock=True)
        _check_mac(message, session)
        await handle_state.end_session(connection, session.id)
    return [service.reply(message, EmptyResponse())]


async def identity_of(service: HandleService, message: Message) -> Identity | None:
    """Return who has proved to be the client of the message's session; None if nobody has.

    The message's counter is then used up. Raises ProtocolError: 500 for a session that is not
    there, 404 without a MAC, 502 for a wrong one, 505 for a counter that was used.
    """
    database = service.registry.database
    async with database.begin() as connection:
        session = await _session(service, connection, message.envelope)
    counter = _check_mac(message, session)
    if session.proved is None:
        return None
    # Nothing is locked meanwhile: another server may have to be asked for the key.
    known = session.proved, session.proof
    holds = session.proof in await digests(database, session.proved, service.find)
    async with database.begin() as connection:
        session = await _session(service, connection, message.envelope, lock=True)
        if (session.proved, session.proof) != known:
            return None
        if not holds:
            await handle_state.prove_session(connection, session, None, None)
            return None
        window = session.window.accept(counter)
        await handle_state.use_session(connection, session, window, service.registry.clock())
        return session.proved


async def prove(
    service: HandleService, original: Message, claimed: Identity, key: IdentityKey
) -> None:
    """Note that `claimed` has proved itself, with `key`, in the session of `original`.

    That holds for later messages if it is who the session was set up for. The counter of the
    original message is used up. Raises ProtocolError as identity_of does.
    """
    async with service.registry.database.begin() as connection:
        session = await _session(service, connection, original.envelope, lock=True)
        counter = _check_mac(original, session)
        window = session.window
        with contextlib.suppress(ProtocolError):  # used before, by who has now proved to be there
            window = window.accept(counter)
        await handle_state.use_session(connection, session, window, service.registry.clock())
        if session.claimed.key == claimed.key:
            await handle_state.prove_session(connection, session, key.identity.index, key.digest)


@dataclass(frozen=True, slots=True)
class Sealed(Message):
    """A message whose header, body and credential are sent encrypted."""

    key: bytes = field(default=b"", compare=False, repr=False)
    iv: bytes = field(default=b"", compare=False, repr=False)

    def encode_payload(self) -> bytes:
        """Return what is sent in the place of header, body and credential."""
        return keys.encrypt(self.key, self.iv, Message.encode_payload(self))


async def open_message(
    service: HandleService, envelope: Envelope, payload: bytes
) -> tuple[Message, bytes | None]:
    """Read a message; return it, and the key with which to seal the answers if it was encrypted.

    Raises ProtocolError, and StoreUnavailable. Whatever is wrong with what was encrypted, the
    answer is the same, so that nobody finds out by it what stands there.
    """
    if not envelope.encrypted:
        return decode_payload(envelope, payload), None
    async with service.registry.database.begin() as connection:
        session = await _session(service, connection, envelope)
    try:
        message = decode_payload(*keys.decrypt_message(envelope, payload, session.key))
        # The reference client makes no MAC for what is itself a proof.
        if message.header.op_code != OpCode.CHALLENGE_ANSWER or message.credential is not None:
            _check_mac(message, session)
    except IdnodeError:
        raise _failed("the message cannot be decrypted") from None
    return message, session.key


def seal(response: Message, key: bytes) -> Message:
    """Return the response so that it is sent encrypted."""
    if isinstance(response, Sealed):
        return response
    return Sealed(
        replace(response.envelope, encrypted=True),
        response.header,
        response.body,
        response.digest,
        response.credential,
        key=key,
        iv=secrets.token_bytes(keys.IV_BYTES),
    )


async def conceal(service: HandleService, message: Message, response: Message) -> Message:
    """Return the response to a message, sealed where the message is of a session.

    For what not everybody may read; outside of sessions there is no key for it.
    """
    if not message.envelope.session_id:
        return response
    async with service.registry.database.begin() as connection:
        session = await _session(service, connection, message.envelope)
    return seal(response, session.key)


async def _session(
    service: HandleService, connection: AsyncConnection, envelope: Envelope, *, lock: bool = False
) -> Session:
    session = await handle_state.read_session(
        connection, envelope.session_id, service.registry.clock(), lock=lock
    )
    if session is None:
        raise ProtocolError(
            "there is no such session, or it has ended", code=ResponseCode.SESSION_TIMEOUT
        )
    if not session.key:
        raise ProtocolError("the session waits for its key", code=ResponseCode.INVALID_SESSION_KEY)
    return session


def _check_mac(message: Message, session: Session) -> int:
    """Return the counter of a message that was made with the session's key."""
    credential = message.credential
    if credential is None or credential.type != MAC:
        raise ProtocolError(
            "a message of a session has a MAC", code=ResponseCode.INVALID_CREDENTIAL
        )
    if not verify_mac(credential, message.envelope, message.content, session.key):
        raise ProtocolError(
            "the MAC was not made with the session's key", code=ResponseCode.INVALID_SESSION_KEY
        )
    return credential.counter


def _failed(detail: str) -> ProtocolError:
    return ProtocolError(detail, code=ResponseCode.SESSION_FAILED)


HANDLERS: Mapping[int, Handler] = {
    OpCode.SESSION_TERMINATE: terminate,
}
