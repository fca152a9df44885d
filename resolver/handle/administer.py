"""Identifiers over the wire: op codes 100 to 105 (RFC 3652 section 3.2 and 3.3).

What the messages say; what is done is in administrator.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from protocol import json_api
from protocol.errors import InvalidHandle, InvalidValue, ProtocolError, ResponseCode
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message
from protocol.handle.requests import HandleRequest, RemoveRequest, ValuesRequest
from protocol.handle.responses import CreateResponse, EmptyResponse
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier, check_registrable
from protocol.values import HandleValue
from resolver.handle import homing
from resolver.handle.administrator import Administrator
from resolver.handle.listing import MAX_LISTED, list_of_names
from resolver.handle.protected import body, protected
from resolver.handle.service import Handler, HandleService, Peer

Item = TypeVar("Item")


async def create(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """Register an identifier, under a name of the node's choice if that is wished (100).

    With the flag OVERWRITE the values may take the place of others; the template stays.
    """
    request = body(message, ValuesRequest)
    name = request.handle
    if message.header.flags & OpFlag.MINT_SUFFIX:
        name = _mint(name)
    identifier = check_registrable(Identifier.parse(name))
    created = await who.put(identifier, _json(request.values), overwrite=_overwrites(message))
    answer = service.reply(message, CreateResponse(name))
    return [answer if not created else _without(answer, OpFlag.OVERWRITE)]


def _mint(start: str) -> str:
    """Return `start`, a prefix or a prefix and the start of a suffix, with a suffix of its own."""
    return f"{start}{'' if '/' in start else '/'}{uuid.uuid4()}"


async def delete(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """Delete an identifier (101)."""
    await who.delete(Identifier.parse(body(message, HandleRequest).handle))
    return [service.reply(message, EmptyResponse())]


async def add(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """Add values; with the flag OVERWRITE, they may take the place of others (102)."""
    request = body(message, ValuesRequest)
    values = _json(_some(request.values))
    identifier = Identifier.parse(request.handle)
    new = await who.add(identifier, values, overwrite=_overwrites(message))
    answer = service.reply(message, EmptyResponse())
    return [answer if not new else _without(answer, OpFlag.OVERWRITE)]


async def modify(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """Put values in the place of those with the same indexes (104)."""
    request = body(message, ValuesRequest)
    await who.modify(Identifier.parse(request.handle), _json(_some(request.values)))
    return [service.reply(message, EmptyResponse())]


async def remove(service: HandleService, message: Message, who: Administrator) -> list[Message]:
    """Remove the values with these indexes (103)."""
    request = body(message, RemoveRequest)
    await who.remove(Identifier.parse(request.handle), _some(request.indexes))
    return [service.reply(message, EmptyResponse())]


async def list_handles(
    service: HandleService, message: Message, who: Administrator
) -> list[Message]:
    """List the identifiers under a prefix, 50 in a message (105)."""
    names = await who.names(_prefix_handle(message).suffix_key, MAX_LISTED + 1)
    return list_of_names(service, message, names)


async def _unsupported(service: HandleService, message: Message, peer: Peer) -> list[Message]:
    raise ProtocolError(
        "this node does not replicate over the Handle protocol", code=ResponseCode.OPERATION_DENIED
    )


def _place(message: Message) -> Identifier:
    """Read which identifier a message is about. Raises InvalidHandle."""
    handle = getattr(message.body, "handle", "")
    if message.header.flags & OpFlag.MINT_SUFFIX and message.header.op_code == OpCode.CREATE_HANDLE:
        handle = _mint(handle)
    return Identifier.parse(handle)


def _prefix_handle(message: Message) -> Identifier:
    place = Identifier.parse(body(message, HandleRequest).handle)
    if place.prefix_key != PREFIX_HANDLE_PREFIX:
        raise InvalidHandle(f"{place} is not the handle of a prefix", field="handle")
    return place


def _overwrites(message: Message) -> bool:
    return bool(message.header.flags & OpFlag.OVERWRITE)


def _some(items: Sequence[Item]) -> Sequence[Item]:
    if not items:
        raise InvalidValue("the list is empty", field="values")
    return items


def _json(values: Iterable[HandleValue]) -> list[dict[str, Any]]:
    return [json_api.encode_value(value) for value in values]


def _without(message: Message, flag: OpFlag) -> Message:
    return replace(message, header=replace(message.header, flags=message.header.flags & ~flag))


HANDLERS: Mapping[int, Handler] = {
    OpCode.CREATE_HANDLE: protected(create, _place),
    OpCode.DELETE_HANDLE: protected(delete, _place),
    OpCode.ADD_VALUE: protected(add, _place),
    OpCode.REMOVE_VALUE: protected(remove, _place),
    OpCode.MODIFY_VALUE: protected(modify, _place),
    OpCode.LIST_HANDLES: protected(list_handles, _prefix_handle),
    **homing.HANDLERS,
    OpCode.GET_NEXT_TRANSACTION_ID: _unsupported,
    OpCode.RETRIEVE_TRANSACTION_LOG: _unsupported,
    OpCode.DUMP_HANDLES: _unsupported,
    OpCode.BACKUP_SERVER: _unsupported,
}
