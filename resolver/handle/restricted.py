"""Values that are not for everybody: for those to whom registry/access.py shows them.

Whether there is such a value must not show in what others are answered. So it is never looked at
before it is known who asks: a challenge depends on the public values and on the request alone, and
who has proved to be somebody that may not see a value is answered as if it were not there. (The
reference server challenges where a value is hidden, and says of it that the permission lacks.)
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.handle.header import OpFlag
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
        authoritative = bool(message.header.flags & OpFlag.AUTHORITATIVE)
        if asks_for_more(public, request, authoritative=authoritative):
            return await challenge(service, message, peer)
        return []
    hidden = await service.administrator(identity, None).hidden(identifier)
    if message.envelope.session_id:
        return hidden
    return [value for value in hidden if value.type.upper() != SECRET_KEY]


def asks_for_more(
    public: Sequence[HandleValue], request: ResolutionRequest, *, authoritative: bool
) -> bool:
    """Whether a request without the flag public-only asks for more than the public values.

    So it does if an index or a type that it names has no public value. A request for everything
    does if it is authoritative, as administrators ask, or if there is no public value at all.
    Everybody else who asks for everything means what everybody may see: there are clients that
    never set the flag and prove nothing.
    """
    if not request.types and not request.indexes:
        return authoritative or not public
    return any(not select(public, (), (index,)) for index in request.indexes) or any(
        not select(public, (type_,)) for type_ in request.types
    )
