"""Values without public read permission: for administrators who may read them (RFC 3651 3.1)."""

from __future__ import annotations

from protocol.errors import InsufficientPermission
from protocol.handle.keys import SECRET_KEY
from protocol.handle.message import Message
from protocol.handle.requests import ResolutionRequest
from protocol.identifier import Identifier
from protocol.values import ADMIN_READ, HandleValue, select
from registry import stored
from resolver.handle.authenticate import challenge, identify
from resolver.handle.service import HandleService, Peer


async def read(
    service: HandleService,
    message: Message,
    peer: Peer,
    identifier: Identifier,
    request: ResolutionRequest,
) -> list[HandleValue] | Message:
    """Return those of the values asked for that not everybody may read.

    None are returned where none are asked for, and a challenge to who has not proved to be an
    administrator. A secret key leaves in a session alone, where it is encrypted. Raises
    InsufficientPermission for who may not read them, and where nobody may.
    """
    async with service.registry.database.begin() as connection:
        values = await stored.read(connection, identifier)
    chosen = select(values or (), request.types, request.indexes)
    hidden = [value for value in chosen if not value.public]
    if not hidden:
        return []
    readable = [value for value in hidden if value.permissions & ADMIN_READ]
    if not readable:
        raise InsufficientPermission("nobody may read these values")
    identity = await identify(service, message, peer)
    if identity is None:
        return await challenge(service, message, peer)
    await service.administrator(identity, None).check_may_read(identifier)
    if message.envelope.session_id:
        return readable
    return [value for value in readable if value.type.upper() != SECRET_KEY]
