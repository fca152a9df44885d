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
    """Serve a prefix (300)."""
    await serve(who, body(message, HandleRequest).handle)
    return [service.reply(message, EmptyResponse())]


async def unhome(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """Stop serving a prefix (301)."""
    await stop_serving(who, body(message, HandleRequest).handle)
    return [service.reply(message, EmptyResponse())]


async def list_homed(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """List the handles of the prefixes that are served here (302)."""
    return list_of_names(service, message, await served(who, MAX_LISTED))


async def serve(who: Administrator, handle: str) -> None:
    """Approve a prefix that waits for it, or resume a suspended one.

    handle: ``0.NA/<prefix>``, or the prefix alone. Raises InvalidHandle, InvalidAdmin, and
    ProtocolError, code 5, for what is neither.
    """
    async with who.node_work() as work:
        await _step(work, handle, _HOME, None)


async def stop_serving(who: Administrator, handle: str) -> None:
    """Suspend a prefix. Raises as `serve` does."""
    async with who.node_work() as work:
        reason = f"unhomed over the Handle protocol by {who.identity}"
        await _step(work, handle, _UNHOME, reason[: prefixes.MAX_REASON])


async def served(who: Administrator, limit: int) -> list[str]:
    """Return the handle of the node's own prefix, and of at most `limit` that are served here.

    Raises InvalidAdmin.
    """
    async with who.node_work() as work:
        others = await stored.served_prefixes(work.connection, limit)
    return [f"{PREFIX_HANDLE_PREFIX}/{prefix}" for prefix in (work.node_prefix, *others)]


async def _step(
    work: Work, handle: str, steps: Mapping[str, str | None], reason: str | None
) -> None:
    place = Identifier.parse(handle)
    if place.prefix_key != PREFIX_HANDLE_PREFIX:
        raise InvalidHandle(f"{place} is not the handle of a prefix", field="handle")
    prefix = place.suffix_key
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


def _denied(detail: str) -> ProtocolError:
    return ProtocolError(detail, code=ResponseCode.OPERATION_DENIED)


HANDLERS: Mapping[int, Handler] = {
    OpCode.HOME_PREFIX: protected(home),
    OpCode.UNHOME_PREFIX: protected(unhome),
    OpCode.LIST_HOMED_PREFIXES: protected(list_homed),
}
