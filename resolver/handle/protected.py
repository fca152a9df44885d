"""What every operation that is not for everybody has in common."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import ProtocolError
from protocol.handle.admin import Permission
from protocol.handle.message import Message
from protocol.handle.requests import Request
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry import admins, stored
from registry.admins import Identity
from registry.principals import Principal
from registry.services import Authenticate, Work, work_as
from resolver.handle.authenticate import challenge, identify
from resolver.handle.service import Handler, HandleService, Peer

Protected = Callable[[HandleService, Message, Identity], Awaitable[list[Message]]]
"""Does one operation in the name of an identity that has proved itself. May raise IdnodeError."""

Values = list[HandleValue] | None
"""What an identifier holds; None where it is not registered."""

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
            return await do(service, message, identity)
        return [await challenge(service, message, peer)]

    return handler


def body(message: Message, form: type[Body]) -> Body:
    """Return the body of a message. Raises ProtocolError where it has another form."""
    if not isinstance(message.body, form):
        raise ProtocolError(f"not a {form.__name__}")
    return message.body


@contextlib.asynccontextmanager
async def work_on(
    service: HandleService,
    message: Message,
    identity: Identity,
    identifier: Identifier,
    needs: Callable[[Values], Permission],
) -> AsyncIterator[Work]:
    """Do the block, in one transaction, if `identity` may.

    needs: takes what the identifier holds, which stays so until the block ends, and returns the
    permissions that it takes, or raises.
    """

    async def authorise(connection: AsyncConnection) -> Principal:
        before = await stored.lock(connection, identifier)
        if before is None:
            await admins.owner_of(connection, identifier, service.registry.node_prefix)
        return await admins.authorise(
            connection,
            identity,
            needs(before),
            identifier,
            administrators=service.administrators,
            node_prefix=service.registry.node_prefix,
        )

    async with _work(service, message, authorise) as work:
        yield work


@contextlib.asynccontextmanager
async def node_work(
    service: HandleService, message: Message, identity: Identity
) -> AsyncIterator[Work]:
    """Do the block, in one transaction, if `identity` is one that runs this node."""

    async def authorise(connection: AsyncConnection) -> Principal:
        return admins.administrator(identity, service.administrators)

    async with _work(service, message, authorise) as work:
        yield work


def _work(
    service: HandleService, message: Message, authorise: Authenticate
) -> contextlib.AbstractAsyncContextManager[Work]:
    request_id = f"{message.envelope.request_id:08x}"
    return work_as(service.registry, authorise, request_id)
