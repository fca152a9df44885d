"""What a walk asks of this node itself: a service that is registered here, most of all."""

from __future__ import annotations

from protocol.errors import HandleNotFound, IdnodeError, ResponseCode
from protocol.identifier import Identifier
from resolver.client.exchange import Answer
from resolver.lookup import Resolver
from resolver.recursion.model import RecursionFailed
from resolver.referrals import Referral


async def ask_here(resolver: Resolver, identifier: Identifier) -> Answer:
    """Return what this node says of an identifier to everybody, as another one would.

    Raises RecursionFailed where it cannot say.
    """
    name = str(identifier)
    try:
        found = await resolver.resolve(identifier)
    except HandleNotFound:
        return Answer(ResponseCode.HANDLE_NOT_FOUND, name)
    except IdnodeError as error:
        raise RecursionFailed(f"{name}: {error.detail}", "servers") from None
    values = tuple(found.values())
    if isinstance(found, Referral):
        return Answer(found.code, None, values)
    return Answer(ResponseCode.SUCCESS if values else ResponseCode.VALUES_NOT_FOUND, name, values)
