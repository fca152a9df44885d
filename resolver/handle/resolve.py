"""Resolution and site information: op codes 1 and 2 (RFC 3652 sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Mapping

from protocol.errors import HandleNotFound, ProtocolError, ResponseCode, ServerNotResponsible
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ReferralResponse, ResolutionResponse, SiteResponse
from protocol.identifier import Identifier
from protocol.values import HandleValue, select
from registry.access import together
from resolver.handle import restricted
from resolver.handle.service import Handler, HandleService, Peer, Replies
from resolver.handle.sessions import conceal
from resolver.lookup import PrefixNotServed
from resolver.recursion.front import Client, find
from resolver.recursion.model import Found
from resolver.referrals import Referral


async def resolve(service: HandleService, message: Message, peer: Peer) -> list[Message]:
    """Answer with the values asked for, or with the site of a delegated prefix.

    The handle comes back as it was asked for. Values that are not public are for those who may
    read them: see resolver/handle/restricted.py.
    """
    request = message.body
    if not isinstance(request, ResolutionRequest):
        raise ProtocolError("not a resolution request")
    flags = message.header.flags
    identifier = Identifier.parse(request.handle)
    try:
        found = await find(
            service.resolver,
            service.recursion,
            identifier,
            _client(message, peer),
            authoritative=bool(flags & OpFlag.AUTHORITATIVE),
        )
    except PrefixNotServed as error:
        # As the reference server says it of a prefix that is not homed.
        raise ServerNotResponsible(f"prefix {identifier.prefix} is not served here") from error
    if isinstance(found, Referral):
        if flags & OpFlag.DO_NOT_REFER:
            raise HandleNotFound(f"{identifier} is served elsewhere")
        referral = ReferralResponse(values=tuple(found.values()))
        return [service.reply(message, referral, code=found.code)]
    if isinstance(found, Found):
        # What another node shows to us it shows to everybody.
        if found.code != ResponseCode.SUCCESS:
            return [service.error(message, ResponseCode(found.code), "")]
        return [values_reply(service, message, request, found.values())]
    public = found.values()
    if flags & OpFlag.PUBLIC_ONLY:
        return [values_reply(service, message, request, public)]
    hidden = await restricted.read(service, message, peer, identifier, public)
    if isinstance(hidden, Message):
        return [hidden]
    answer = values_reply(service, message, request, together(public, hidden))
    return [await conceal(service, message, answer) if hidden else answer]


def _client(message: Message, peer: Peer) -> Client | None:
    """Return who asks for recursion; None for who does not, or wants to know where to ask."""
    flags = message.header.flags
    if not flags & OpFlag.RECURSIVE or flags & OpFlag.DO_NOT_REFER:
        return None
    return Client(peer.address, message.header.recursion_count)


def values_reply(
    service: Replies,
    message: Message,
    request: ResolutionRequest,
    values: list[HandleValue],
) -> Message:
    """Return the response with those of `values` that were asked for."""
    chosen = select(values, request.types, request.indexes)
    if not chosen:
        return service.error(message, ResponseCode.VALUES_NOT_FOUND, "")
    return service.reply(message, ResolutionResponse(request.handle, tuple(chosen)))


async def site_info(service: HandleService, message: Message, peer: Peer) -> list[Message]:
    """Answer with our own HS_SITE record."""
    return [service.reply(message, SiteResponse(service.site.record))]


HANDLERS: Mapping[int, Handler] = {
    OpCode.RESOLUTION: resolve,
    OpCode.GET_SITE_INFO: site_info,
}
