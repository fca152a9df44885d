"""Logins: op code 2001, with which the id-pointer SDK proves its identity once a connection.

The client names a session id of its own choice, answers one challenge, and then writes that id into
its requests, without a MAC. So a login is good on the TCP connection on which it was made and
nowhere else, and gives away no secret keys: nothing on it is encrypted. Source: id-pointer-sdk
2.3.1; the RFCs do not have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from protocol.errors import AuthenticationFailed, ProtocolError, ResponseCode
from protocol.handle.header import OpCode
from protocol.handle.message import Message
from protocol.handle.requests import LoginRequest
from protocol.handle.responses import EmptyResponse
from registry.admins import Identity
from registry.identities import digests
from resolver.handle.authenticate import challenge
from resolver.handle.service import Handler, HandleService, Login, Peer


async def login(service: HandleService, message: Message, peer: Peer) -> list[Message]:
    """Challenge the client; once it has answered, let its connection act for the identity."""
    asked = message.body
    if not isinstance(asked, LoginRequest):
        raise ProtocolError("not a login")
    state = peer.login
    if state is None:
        raise ProtocolError("a login is for TCP", code=ResponseCode.OPERATION_DENIED)
    if peer.identity is None:
        if not message.envelope.session_id:
            raise ProtocolError("a login names a session id", code=ResponseCode.SESSION_FAILED)
        state.wanted = message.envelope.session_id
        return [await challenge(service, _without_session(message), peer)]
    claimed = Identity(asked.index, asked.handle)
    if not state.wanted or claimed.key != peer.identity.key:
        raise AuthenticationFailed("the login is of another identity or connection")
    state.session_id, state.wanted = state.wanted, 0
    state.identity = peer.identity
    state.keys = await digests(service.registry.database, peer.identity, service.find)
    return [service.reply(message, EmptyResponse())]


def on_connections(handler: Handler) -> Handler:
    """Return a handler that takes a message of a login as one that its identity has proved to send.

    To the handler it is a message outside of any session.
    """

    async def answer(service: HandleService, message: Message, peer: Peer) -> list[Message]:
        state = peer.login
        if state is None or not _covers(state, message):
            return await handler(service, message, peer)
        assert state.identity is not None  # noqa: S101  (covered)
        if not state.keys & await digests(service.registry.database, state.identity, service.find):
            raise ProtocolError(
                "the key of the login is no longer there", code=ResponseCode.SESSION_TIMEOUT
            )
        known = replace(peer, identity=state.identity)
        answers = await handler(service, _without_session(message), known)
        return [
            replace(one, envelope=replace(one.envelope, session_id=state.session_id))
            for one in answers
        ]

    return answer


def _covers(state: Login, message: Message) -> bool:
    op_code, session_id = message.header.op_code, message.envelope.session_id
    return state.identity is not None and session_id == state.session_id and op_code in _COVERED


def _without_session(message: Message) -> Message:
    return replace(message, envelope=replace(message.envelope, session_id=0))


_COVERED = frozenset(
    {
        OpCode.RESOLUTION,
        OpCode.CREATE_HANDLE,
        OpCode.DELETE_HANDLE,
        OpCode.ADD_VALUE,
        OpCode.REMOVE_VALUE,
        OpCode.MODIFY_VALUE,
        OpCode.LIST_HANDLES,
        OpCode.HOME_PREFIX,
        OpCode.UNHOME_PREFIX,
        OpCode.LIST_HOMED_PREFIXES,
    }
)

HANDLERS: Mapping[int, Handler] = {OpCode.LOGIN: login}
