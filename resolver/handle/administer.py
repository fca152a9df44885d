"""Identifiers over the wire: op codes 100 to 105 (RFC 3652 section 3.2 and 3.3).

Each is the service of the registry that the HTTP API calls, so what is written, logged and told to
caches is the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from protocol import json_api
from protocol.errors import (
    HandleExists,
    HandleNotFound,
    InvalidHandle,
    InvalidValue,
    PreconditionFailed,
    ProtocolError,
    ResponseCode,
)
from protocol.handle.admin import Permission
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message
from protocol.handle.requests import HandleRequest, RemoveRequest, ValuesRequest
from protocol.handle.responses import CreateResponse, EmptyResponse
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier, check_registrable
from protocol.values import HandleValue
from registry import identifiers, stored
from registry.admins import Identity
from registry.identifiers import Condition
from resolver.handle import homing
from resolver.handle.changes import by_index, conflict, needed, same
from resolver.handle.listing import MAX_LISTED, list_of_names
from resolver.handle.protected import Values, body, protected, work_on
from resolver.handle.service import Handler, HandleService, Peer

Item = TypeVar("Item")

_ANYTHING = Condition()
_NEW = Condition(none_match=("*",))


async def create(service: HandleService, message: Message, identity: Identity) -> list[Message]:
    """Register an identifier, under a name of the node's choice if that is wished (100).

    With the flag OVERWRITE the values may take the place of others; the template stays.
    """
    request = body(message, ValuesRequest)
    name = request.handle
    if message.header.flags & OpFlag.MINT_SUFFIX:
        name = _mint(name)
    identifier = check_registrable(Identifier.parse(name))
    overwrite = bool(message.header.flags & OpFlag.OVERWRITE)
    after = by_index(request.values)
    there = False

    def needs(before: Values) -> Permission:
        nonlocal there
        if before is None:
            return _to_create(identifier)
        there = True
        if not overwrite:
            raise HandleExists(f"{identifier} is registered")
        return needed(by_index(before), after)

    async with work_on(service, message, identity, identifier, needs) as work:
        template = None
        if there:
            template = (await identifiers.get(work, identifier)).template
        try:
            _, created = await identifiers.put(
                work,
                identifier,
                values=_json(request.values),
                template=template,
                when=_ANYTHING if overwrite else _NEW,
            )
        except PreconditionFailed:  # somebody was faster
            raise HandleExists(f"{identifier} is registered") from None
    answer = service.reply(message, CreateResponse(name))
    return [answer if not created else _without(answer, OpFlag.OVERWRITE)]


def _to_create(identifier: Identifier) -> Permission:
    if identifier.prefix_key == PREFIX_HANDLE_PREFIX:
        return Permission.ADD_DERIVED_PREFIX
    return Permission.ADD_HANDLE


def _mint(start: str) -> str:
    """Return `start`, a prefix or a prefix and the start of a suffix, with a suffix of its own."""
    return f"{start}{'' if '/' in start else '/'}{uuid.uuid4()}"


async def delete(service: HandleService, message: Message, identity: Identity) -> list[Message]:
    """Delete an identifier (101)."""
    identifier = Identifier.parse(body(message, HandleRequest).handle)

    def needs(before: Values) -> Permission:
        _there(identifier, before)
        return Permission.DELETE_HANDLE

    async with work_on(service, message, identity, identifier, needs) as work:
        await identifiers.delete(work, identifier, when=_ANYTHING)
    return [service.reply(message, EmptyResponse())]


async def add(service: HandleService, message: Message, identity: Identity) -> list[Message]:
    """Add values; with the flag OVERWRITE, they may take the place of others (102)."""
    request = body(message, ValuesRequest)
    identifier = Identifier.parse(request.handle)
    added = by_index(_some(request.values))
    overwrite = bool(message.header.flags & OpFlag.OVERWRITE)
    replaced: set[int] = set()

    def needs(before: Values) -> Permission:
        old = _there(identifier, before)
        replaced.update(old.keys() & added.keys())
        if replaced and not overwrite:
            raise conflict(min(replaced))
        for index in replaced:
            if same(old[index], added[index]):  # it keeps its timestamp
                del added[index]
        return needed(old, {**old, **added})

    async with work_on(service, message, identity, identifier, needs) as work:
        if added:
            await identifiers.patch(
                work, identifier, values=_json(added.values()), remove=(), when=_ANYTHING
            )
    answer = service.reply(message, EmptyResponse())
    return [answer if replaced else _without(answer, OpFlag.OVERWRITE)]


async def modify(service: HandleService, message: Message, identity: Identity) -> list[Message]:
    """Put values in the place of those with the same indexes (104)."""
    request = body(message, ValuesRequest)
    identifier = Identifier.parse(request.handle)
    changed = by_index(_some(request.values))

    def needs(before: Values) -> Permission:
        old = _there(identifier, before)
        _all_there(old, changed)
        permission = needed(old, {**old, **changed})
        # Who may change nothing may not try it out with what is there.
        return permission or Permission.MODIFY_VALUE

    async with work_on(service, message, identity, identifier, needs) as work:
        await identifiers.patch(
            work, identifier, values=_json(request.values), remove=(), when=_ANYTHING
        )
    return [service.reply(message, EmptyResponse())]


async def remove(service: HandleService, message: Message, identity: Identity) -> list[Message]:
    """Remove the values with these indexes (103)."""
    request = body(message, RemoveRequest)
    identifier = Identifier.parse(request.handle)
    indexes = list(dict.fromkeys(_some(request.indexes)))

    def needs(before: Values) -> Permission:
        old = _there(identifier, before)
        _all_there(old, indexes)
        return needed(old, {index: value for index, value in old.items() if index not in indexes})

    async with work_on(service, message, identity, identifier, needs) as work:
        await identifiers.patch(work, identifier, values=[], remove=indexes, when=_ANYTHING)
    return [service.reply(message, EmptyResponse())]


async def list_handles(
    service: HandleService, message: Message, identity: Identity
) -> list[Message]:
    """List the identifiers under a prefix, 50 in a message (105)."""
    place = _prefix_handle(message)

    def needs(before: Values) -> Permission:
        return Permission.LIST_HANDLES

    async with work_on(service, message, identity, place, needs) as work:
        names = await stored.names(work.connection, place.suffix_key, MAX_LISTED + 1)
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


def _there(identifier: Identifier, values: Values) -> dict[int, HandleValue]:
    if values is None:
        raise HandleNotFound(f"{identifier} is not registered")
    return by_index(values)


def _all_there(old: Mapping[int, HandleValue], indexes: Iterable[int]) -> None:
    for index in indexes:
        if index not in old:
            raise ProtocolError(f"there is no value {index}", code=ResponseCode.VALUES_NOT_FOUND)


def _some(items: Sequence[Item]) -> Sequence[Item]:
    if not items:
        raise InvalidValue("the list is empty", field="values")
    return items


def _json(values: Iterable[HandleValue]) -> list[dict[str, object]]:
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
