"""What every operation that is not for everybody has in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from protocol.errors import ProtocolError
from protocol.handle.message import Message
from protocol.handle.requests import Request
from protocol.identifier import Identifier
from registry import admins
from resolver.handle.administrator import Administrator
from resolver.handle.authenticate import challenge, identify
from resolver.handle.service import Handler, HandleService, Peer

Protected = Callable[[HandleService, Message, Administrator], Awaitable[list[Message]]]
"""Does one operation in the name of who has proved an identity. May raise IdnodeError."""

Body = TypeVar("Body", bound=Request)


def protected(do: Protected, place: Callable[[Message], Identifier] | None = None) -> Handler:
    """Return a handler that challenges who has not proved who they are.

    place: reads which identifier it is about; raises where that makes no sense. Nobody needs to
    prove anything to hear that its prefix is not served here.
    """

    async def handler(service: HandleService, message: Message, peer: Peer) -> list[Message]:
        if peer.transport == "udp":
            raise ProtocolError("administration is for TCP")
        identifier = None if place is None else place(message)
        # First, so that a message of a session that is refused is used up.
        identity = await identify(service, message, peer)
        if identifier is not None:
            async with service.registry.database.begin() as connection:
                await admins.check_served(connection, identifier, service.registry.node_prefix)
        if identity is not None:
            request_id = f"{message.envelope.request_id:08x}"
            return await do(service, message, service.administrator(identity, request_id))
        return [await challenge(service, message, peer)]

    return handler


def body(message: Message, form: type[Body]) -> Body:
    """Return the body of a message. Raises ProtocolError where it has another form."""
    if not isinstance(message.body, form):
        raise ProtocolError(f"not a {form.__name__}")
    return message.body
