"""Which prefixes this node serves: op codes 300 to 302, for those who run it (RFC 3652 3.4).

A prefix belongs to an enterprise, which has applied for it: so homing is approving or resuming it,
and unhoming is suspending it. What is neither is not done over this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocol.errors import InvalidHandle, NotFound, ProtocolError, ResponseCode
from protocol.handle.header import OpCode
from protocol.handle.message import Message
from protocol.handle.requests import HandleRequest
from protocol.handle.responses import EmptyResponse
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from registry import prefixes, stored
from registry.prefixes import ACTIVE, HOSTED, PENDING, SUSPENDED
from registry.services import Record, Work
from resolver.handle.administrator import Administrator
from resolver.handle.listing import MAX_LISTED, list_of_names
from resolver.handle.protected import body, protected
from resolver.handle.service import Handler, HandleService

_HOME = {PENDING: "approve", SUSPENDED: "resume", ACTIVE: None}
_UNHOME = {ACTIVE: "suspend", SUSPENDED: None}
"""From the state of a prefix to the step to take; None where it is as wished."""


async def home(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """Serve a prefix: approve one that waits for it, resume a suspended one (300)."""
    async with who.node_work() as work:
        await _step(work, message, _HOME, None)
    return [service.reply(message, EmptyResponse())]


async def unhome(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """Stop serving a prefix: suspend it (301)."""
    async with who.node_work() as work:
        reason = f"unhomed over the Handle protocol by {who.identity}"
        await _step(work, message, _UNHOME, reason[: prefixes.MAX_REASON])
    return [service.reply(message, EmptyResponse())]


async def list_homed(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """List the handles of the prefixes that are served here (302)."""
    async with who.node_work() as work:
        served = await stored.served_prefixes(work.connection, MAX_LISTED)
    own = service.registry.node_prefix
    names = [f"{PREFIX_HANDLE_PREFIX}/{prefix}" for prefix in (own, *served)]
    return list_of_names(service, message, names)


async def _step(
    work: Work, message: Message, steps: Mapping[str, str | None], reason: str | None
) -> None:
    prefix = _place(message).suffix_key
    row = await _prefix(work, prefix)
    if row.hosting != HOSTED:
        raise _denied(f"prefix {prefix} is served by its own node")
    if row.status not in steps:
        raise _denied(f"prefix {prefix} is {row.status}")
    step = steps[row.status]
    if step is not None:
        await prefixes.take_step(work, prefix, step, reason)


async def _prefix(work: Work, prefix: str) -> Record:
    try:
        return await prefixes.get(work, prefix)
    except NotFound:
        raise _denied(f"nobody has applied for prefix {prefix}") from None


def _place(message: Message) -> Identifier:
    place = Identifier.parse(body(message, HandleRequest).handle)
    if place.prefix_key != PREFIX_HANDLE_PREFIX:
        raise InvalidHandle(f"{place} is not the handle of a prefix", field="handle")
    return place


def _denied(detail: str) -> ProtocolError:
    return ProtocolError(detail, code=ResponseCode.OPERATION_DENIED)


HANDLERS: Mapping[int, Handler] = {
    OpCode.HOME_PREFIX: protected(home),
    OpCode.UNHOME_PREFIX: protected(unhome),
    OpCode.LIST_HOMED_PREFIXES: protected(list_homed),
}
