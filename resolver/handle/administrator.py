"""What an identity that has proved itself does, whether it came by a Handle message or by JSON.

Each method is one transaction: the identifier is locked, HS_ADMIN is asked whether the identity may
do it, and the service of the registry does it that the HTTP API of the registry calls. So what is
written, logged and told to caches is the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import json_api
from protocol.errors import (
    HandleExists,
    HandleNotFound,
    PreconditionFailed,
    ProtocolError,
    ResponseCode,
)
from protocol.handle.admin import Permission
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from protocol.values import HandleValue
from registry import admins, identifiers, requesters, stored
from registry.access import visible
from registry.admins import Identity
from registry.identifiers import Condition
from registry.principals import Principal
from registry.services import Registry, Work, work_as
from resolver.handle import changes

_ABSENT, _ANY = Condition(none_match=("*",)), Condition()

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

        A replaced one keeps its template, and the partners of values that say nothing of theirs.
        Raises HandleExists without `overwrite`, and as registry.identifiers.put does.
        """
        given = _Given.read(values)

        def needs(before: Values | None) -> Permission:
            if before is None or not overwrite:
                return to_create(identifier)
            return _needed(before, given.after(before))

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
                    values=_stored(given.after(before or {}).values()),
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
        given = _Given.read(values)

        def needs(before: Values | None) -> Permission:
            old = _registered(identifier, before)
            return _needed(old, {**old, **given.after(old)})

        async with self._work(identifier, needs) as (work, before):
            old = _registered(identifier, before)
            added = given.after(old)
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
        given = _Given.read(values)

        def needs(before: Values | None) -> Permission:
            old = _registered(identifier, before)
            changed = given.after(old)
            return _needed(old, {index: changed.get(index, one) for index, one in old.items()})

        async with self._work(identifier, needs) as (work, before):
            old = _registered(identifier, before)
            changed = given.after(old)
            _all_there(old, changed)
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
            return _to_delete(identifier)

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

    async def hidden(self, identifier: Identifier) -> list[HandleValue]:
        """Return the values that not everybody may see, as far as the identity may."""
        async with self.registry.database.begin() as connection:
            requester = await requesters.of_identity(
                connection,
                self.identity,
                identifier,
                administrators=self.node_administrators,
                node_prefix=self.registry.node_prefix,
            )
            values = await stored.read(connection, identifier)
        return [one for one in visible(values or (), requester) if not one.public]

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


def _to_delete(identifier: Identifier) -> Permission:
    """Return the permission to delete an identifier; of a prefix handle, the one above allows it.

    So nobody takes away the HS_ADMIN that lets them in (RFC 3651 section 3.2.1; the reference
    server asks for DELETE_HANDLE of either kind).
    """
    if identifier.prefix_key == PREFIX_HANDLE_PREFIX:
        return Permission.DELETE_DERIVED_PREFIX
    return Permission.DELETE_HANDLE


def _needed(before: Values, after: Values) -> Permission:
    """Return what the change takes; who changes nothing must be allowed to change something.

    Otherwise anybody could try out what is there.
    """
    return changes.needed(before, after) or Permission.MODIFY_VALUE


@dataclass(frozen=True, slots=True)
class _Given:
    """Values that are to be written. silent: the indexes of those that say nothing of access."""

    values: Values
    silent: frozenset[int]

    @classmethod
    def read(cls, values: Json) -> _Given:
        decoded = changes.by_index(json_api.decode_values(values))
        return cls(decoded, frozenset(one["index"] for one in values if "access" not in one))

    def after(self, before: Values) -> dict[int, HandleValue]:
        """Return what they will be in the place of `before`.

        A value that says nothing of its partners, as no message of the Handle protocol can, keeps
        those of the value whose place it takes, unless it is for everybody now.
        """
        return {index: self._kept(one, before.get(index)) for index, one in self.values.items()}

    def _kept(self, value: HandleValue, old: HandleValue | None) -> HandleValue:
        if old is None or value.public or value.index not in self.silent:
            return value
        return replace(value, partners=old.partners)


def _registered(identifier: Identifier, values: Values | None) -> Values:
    if values is None:
        raise HandleNotFound(f"{identifier} is not registered")
    return values


def _all_there(old: Values, indexes: Iterable[int]) -> None:
    for index in sorted(set(indexes) - old.keys()):
        raise ProtocolError(
            f"there is no value {index}", code=ResponseCode.VALUES_NOT_FOUND, field="index"
        )


def _stored(values: Iterable[HandleValue]) -> Json:
    return [json_api.encode_stored(value) for value in values]


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
        values=_stored(values),
        remove=remove,
        when=_ANY,
    )
