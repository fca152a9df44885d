"""What an identity that has proved itself does, whether it came by a Handle message or by JSON.

Each method is one transaction: the identifier is locked, HS_ADMIN is asked whether the identity may
do it, and the service of the registry does it that the HTTP API of the registry calls. So what is
written, logged and told to caches is the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import json_api
from protocol.errors import (
    HandleExists,
    HandleNotFound,
    IdnodeError,
    PreconditionFailed,
    ProtocolError,
    ResponseCode,
)
from protocol.handle.admin import Permission
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from protocol.values import ADMIN_READ, HandleValue
from registry import admins, identifiers, stored
from registry.admins import Identity
from registry.identifiers import Condition
from registry.principals import Principal
from registry.services import Registry, Work, work_as
from resolver.handle import changes

_ABSENT, _ANY = Condition(none_match=("*",)), Condition()
_NOT_ALLOWED = (ResponseCode.INVALID_ADMIN, ResponseCode.INSUFFICIENT_PERMISSION)

Json: TypeAlias = list[dict[str, Any]]
"""Values in Handle JSON, as the registry takes them."""

Values: TypeAlias = Mapping[int, HandleValue]
"""Values by index."""


@dataclass(frozen=True)
class Administrator:
    """Who does it. node_administrators: the identities, ``index:handle``, that run this node."""

    registry: Registry
    node_administrators: frozenset[str]
    identity: Identity
    request_id: str | None = None

    async def put(self, identifier: Identifier, values: Json, *, overwrite: bool) -> bool:
        """Create or replace an identifier; return whether it was created.

        A replaced one keeps its template. Raises HandleExists without `overwrite`, and as
        registry.identifiers.put does.
        """
        after = _decoded(values)

        def needs(before: Values | None) -> Permission:
            if before is None or not overwrite:
                return to_create(identifier)
            return _needed(before, after)

        async with self._work(identifier, needs) as (work, before):
            if before is not None and not overwrite:
                raise HandleExists(f"{identifier} is registered already")
            template = None
            if before is not None:
                template = (await identifiers.get(work, identifier)).template
            try:
                _, created = await identifiers.put(
                    work,
                    identifier,
                    values=values,
                    template=template,
                    when=_ABSENT if before is None else _ANY,
                )
            except PreconditionFailed:  # somebody was faster
                raise HandleExists(f"{identifier} is registered already") from None
        return created

    async def add(self, identifier: Identifier, values: Json, *, overwrite: bool) -> bool:
        """Add values, or put them in the place of others; return whether all of them were new.

        Raises HandleNotFound, ProtocolError with code 201 without `overwrite`, and as
        registry.identifiers.patch does.
        """
        added = _decoded(values)

        def needs(before: Values | None) -> Permission:
            old = _registered(identifier, before)
            return _needed(old, {**old, **added})

        async with self._work(identifier, needs) as (work, before):
            old = _registered(identifier, before)
            there = old.keys() & added.keys()
            if there and not overwrite:
                raise changes.conflict(min(there))
            # What stays as it is keeps its timestamp.
            new = [one for index, one in added.items() if not changes.same(old.get(index), one)]
            if new:
                await _patch(work, identifier, values=new)
        return not there

    async def modify(self, identifier: Identifier, values: Json) -> None:
        """Put values in the place of those with the same indexes.

        Raises HandleNotFound, ProtocolError with code 200 for an index that is not there, and as
        registry.identifiers.patch does.
        """
        changed = _decoded(values)

        def needs(before: Values | None) -> Permission:
            old = _registered(identifier, before)
            return _needed(old, {index: changed.get(index, one) for index, one in old.items()})

        async with self._work(identifier, needs) as (work, before):
            _all_there(_registered(identifier, before), changed)
            await _patch(work, identifier, values=changed.values())

    async def remove(self, identifier: Identifier, indexes: Iterable[int]) -> None:
        """Remove values. Raises HandleNotFound, ProtocolError with code 200 as `modify` does."""
        wanted = set(indexes)

        def needs(before: Values | None) -> Permission:
            old = _registered(identifier, before)
            return _needed(old, {index: one for index, one in old.items() if index not in wanted})

        async with self._work(identifier, needs) as (work, before):
            _all_there(_registered(identifier, before), wanted)
            await _patch(work, identifier, remove=sorted(wanted))

    async def delete(self, identifier: Identifier) -> None:
        """Delete an identifier. Raises HandleNotFound."""

        def needs(before: Values | None) -> Permission:
            _registered(identifier, before)
            return Permission.DELETE_HANDLE

        async with self._work(identifier, needs) as (work, _):
            await identifiers.delete(work, identifier, when=_ANY)

    async def names(self, prefix: str, limit: int) -> Sequence[str]:
        """Return at most `limit` of the identifiers under a prefix, as they are spelled."""
        async with self.registry.database.begin() as connection:
            await self._authorise(connection, Permission.LIST_HANDLES, stored.prefix_handle(prefix))
            return await stored.names(connection, prefix, limit)

    async def page(self, prefix: str, *, offset: int, limit: int) -> tuple[int, list[str]]:
        """Return how many identifiers a prefix has, and a page of their canonical names."""
        async with self.registry.database.begin() as connection:
            await self._authorise(connection, Permission.LIST_HANDLES, stored.prefix_handle(prefix))
            return await stored.page(connection, prefix, offset=offset, limit=limit)

    async def check_may_read(self, identifier: Identifier) -> None:
        """Raise, as registry.admins.authorise does, unless all values may be read."""
        async with self.registry.database.begin() as connection:
            await self._authorise(connection, Permission.READ_VALUE, identifier)

    async def hidden(self, identifier: Identifier) -> list[HandleValue]:
        """Return the values that are not public, if the identity may read them; else none."""
        try:
            await self.check_may_read(identifier)
        except IdnodeError as error:
            if error.response_code not in _NOT_ALLOWED:
                raise
            return []
        async with self.registry.database.begin() as connection:
            values = await stored.read(connection, identifier)
        return [one for one in values or () if not one.public and one.permissions & ADMIN_READ]

    @contextlib.asynccontextmanager
    async def node_work(self) -> AsyncIterator[Work]:
        """Do the block, in one transaction, if the identity runs this node."""

        async def authenticate(connection: AsyncConnection) -> Principal:
            return admins.administrator(self.identity, self.node_administrators)

        async with work_as(self.registry, authenticate, self.request_id) as work:
            yield work

    @contextlib.asynccontextmanager
    async def _work(
        self, identifier: Identifier, needs: Callable[[Values | None], Permission]
    ) -> AsyncIterator[tuple[Work, Values | None]]:
        """Do the block, in one transaction, if the identity may.

        needs: takes what the identifier holds, which stays so until the block ends, None where it
        is not registered; it returns the permissions that it takes, or raises.
        """
        before: Values | None = None

        async def authenticate(connection: AsyncConnection) -> Principal:
            nonlocal before
            held = await stored.lock(connection, identifier)
            if held is None:  # of a prefix that is not here nobody hears what is missing
                await admins.owner_of(connection, identifier, self.registry.node_prefix)
            else:
                before = changes.by_index(held)
            return await self._authorise(connection, needs(before), identifier)

        async with work_as(self.registry, authenticate, self.request_id) as work:
            yield work, before

    async def _authorise(
        self, connection: AsyncConnection, permission: Permission, identifier: Identifier
    ) -> Principal:
        return await admins.authorise(
            connection,
            self.identity,
            permission,
            identifier,
            administrators=self.node_administrators,
            node_prefix=self.registry.node_prefix,
        )


def to_create(identifier: Identifier) -> Permission:
    """Return what it takes to create an identifier, from HS_ADMIN of a prefix handle.

    For the handle of a prefix it is the one of the prefix above it, from which that is derived,
    else its own (RFC 3651 section 3.2.1, and the reference server).
    """
    if identifier.prefix_key == PREFIX_HANDLE_PREFIX:
        return Permission.ADD_DERIVED_PREFIX
    return Permission.ADD_HANDLE


def _needed(before: Values, after: Values) -> Permission:
    """Return what the change takes; who changes nothing must be allowed to change something.

    Otherwise anybody could try out what is there.
    """
    return changes.needed(before, after) or Permission.MODIFY_VALUE


def _decoded(values: Json) -> dict[int, HandleValue]:
    return changes.by_index(json_api.decode_values(values))


def _registered(identifier: Identifier, values: Values | None) -> Values:
    if values is None:
        raise HandleNotFound(f"{identifier} is not registered")
    return values


def _all_there(old: Values, indexes: Iterable[int]) -> None:
    for index in sorted(set(indexes) - old.keys()):
        raise ProtocolError(
            f"there is no value {index}", code=ResponseCode.VALUES_NOT_FOUND, field="index"
        )


async def _patch(
    work: Work,
    identifier: Identifier,
    *,
    values: Iterable[HandleValue] = (),
    remove: Sequence[int] = (),
) -> None:
    await identifiers.patch(
        work,
        identifier,
        values=[json_api.encode_value(value) for value in values],
        remove=remove,
        when=_ANY,
    )
