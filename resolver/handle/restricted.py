"""Values that are not for everybody: for those to whom registry/access.py shows them.

Whether there is such a value must not show in what others are answered. So it is never looked at
before it is known who asks: a challenge depends on the public values and on the request alone, and
who has proved to be somebody that may not see a value is answered as if it were not there. (The
reference server challenges where a value is hidden, and says of it that the permission lacks.)
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.handle.keys import SECRET_KEY
from protocol.handle.message import Message
from protocol.handle.requests import ResolutionRequest
from protocol.identifier import Identifier
from protocol.values import HandleValue, select
from resolver.handle.authenticate import challenge, identify
from resolver.handle.service import HandleService, Peer


async def read(
    service: HandleService,
    message: Message,
    peer: Peer,
    identifier: Identifier,
    public: Sequence[HandleValue],
) -> list[HandleValue] | Message:
    """Return the values that not everybody, but the sender of the message may see.

    A challenge to who has not said who it is and asks for more than the `public` values; none to
    who asks for these alone. A secret key leaves in a session alone, where it is encrypted.
    """
    request = message.body
    assert isinstance(request, ResolutionRequest)  # noqa: S101
    identity = await identify(service, message, peer)
    if identity is None:
        if asks_for_more(public, request):
            return await challenge(service, message, peer)
        return []
    hidden = await service.administrator(identity, None).hidden(identifier)
    if message.envelope.session_id:
        return hidden
    return [value for value in hidden if value.type.upper() != SECRET_KEY]


def asks_for_more(public: Sequence[HandleValue], request: ResolutionRequest) -> bool:
    """Whether an index or a type that is asked for has no public value, or nothing has one."""
    if not request.types and not request.indexes:
        return not public
    return any(not select(public, (), (index,)) for index in request.indexes) or any(
        not select(public, (type_,)) for type_ in request.types
    )
