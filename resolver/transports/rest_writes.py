"""Writes of the Handle JSON API, each in the name of an identity and in one transaction.

They are those of the registry: same rules, audit log, history and change feed.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import json_api
from protocol.errors import (
    HandleExists,
    HandleNotFound,
    IdnodeError,
    PreconditionFailed,
    ResponseCode,
    ServerNotResponsible,
)
from protocol.handle.admin import Permission
from protocol.identifier import Identifier
from protocol.values import ADMIN_READ, HandleValue
from registry import admins, identifiers, stored
from registry.admins import Identity
from registry.identifiers import Condition
from registry.prefix_handles import owner_prefix
from registry.principals import Principal
from registry.services import Registry, Work, work_as
from resolver.handle import changes

_ABSENT, _ANY = Condition(none_match=("*",)), Condition()
_NOT_ALLOWED = (ResponseCode.INVALID_ADMIN, ResponseCode.INSUFFICIENT_PERMISSION)

Before = list[HandleValue] | None
"""What an identifier held; None: it was not there."""


class ValuesNotFound(IdnodeError):
    """The identifier has no value with such an index."""

    response_code = ResponseCode.VALUES_NOT_FOUND
    http_status = 400
    slug, title, title_zh = "values-not-found", "Values not found", "标识值不存在"


class ValueExists(IdnodeError):
    """The identifier has a value with such an index already."""

    response_code = ResponseCode.VALUE_EXISTS
    http_status = 409
    slug, title, title_zh = "value-exists", "Value exists already", "标识值已存在"


@dataclass(frozen=True)
class Writer:
    """Who writes. administrators: the identities, ``index:handle``, that run this node."""

    registry: Registry
    administrators: frozenset[str]
    identity: Identity
    request_id: str | None = None

    async def put(self, identifier: Identifier, values: list[Any], *, overwrite: bool) -> bool:
        """Create or replace an identifier; return whether it was created.

        A replaced one keeps its template. Raises HandleExists without `overwrite`, and as
        registry.identifiers.put does.
        """
        after = json_api.decode_values(values)

        def needed(before: Before) -> Permission:
            if before is None or not overwrite:
                return Permission.ADD_HANDLE
            return _needed(before, after)

        async with self._work(identifier, needed) as (work, before):
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

    async def put_values(
        self, identifier: Identifier, values: list[Any], *, overwrite: bool
    ) -> bool:
        """Add or replace values by their indexes; return whether all of them were added.

        Raises HandleNotFound, ValueExists without `overwrite`, and as registry.identifiers.patch.
        """
        after = json_api.decode_values(values)

        def needed(before: Before) -> Permission:
            merged = {value.index: value for value in before or ()}
            merged |= {value.index: value for value in after}
            return _needed(before or (), merged.values())

        async with self._work(identifier, needed) as (work, before):
            there = _among(_registered(identifier, before), {value.index for value in after})
            if there and not overwrite:
                raise ValueExists(f"value {there[0].index} is there already", field="index")
            await identifiers.patch(work, identifier, values=values, remove=(), when=_ANY)
        return not there

    async def remove(self, identifier: Identifier, indexes: Sequence[int]) -> None:
        """Remove values. Raises HandleNotFound, ValuesNotFound."""
        wanted = set(indexes)

        def needed(before: Before) -> Permission:
            left = [value for value in before or () if value.index not in wanted]
            return _needed(before or (), left)

        async with self._work(identifier, needed) as (work, before):
            there = _among(_registered(identifier, before), wanted)
            for index in sorted(wanted - {value.index for value in there}):
                raise ValuesNotFound(f"there is no value {index}", field="index")
            await identifiers.patch(work, identifier, values=[], remove=list(wanted), when=_ANY)

    async def delete(self, identifier: Identifier) -> None:
        """Delete an identifier. Raises HandleNotFound."""
        async with self._work(identifier, lambda _: Permission.DELETE_HANDLE) as (work, before):
            _registered(identifier, before)
            await identifiers.delete(work, identifier, when=_ANY)

    async def page(self, prefix: str, *, offset: int, limit: int) -> tuple[int, list[str]]:
        """Return how many identifiers a prefix has, and a page of their canonical names."""
        async with self.registry.database.begin() as connection:
            handle = stored.prefix_handle(prefix)
            await self._authorise(connection, Permission.LIST_HANDLES, handle)
            return await stored.page(connection, prefix, offset=offset, limit=limit)

    async def hidden(self, identifier: Identifier) -> list[HandleValue]:
        """Return the values that are not public, if the identity may read them; else none."""
        async with self.registry.database.begin() as connection:
            try:
                await self._authorise(connection, Permission.READ_VALUE, identifier)
            except IdnodeError as error:
                if error.response_code not in _NOT_ALLOWED:
                    raise
                return []
            values = await stored.read(connection, identifier)
        return [one for one in values or () if not one.public and one.permissions & ADMIN_READ]

    @contextlib.asynccontextmanager
    async def _work(
        self, identifier: Identifier, needed: Callable[[Before], Permission]
    ) -> AsyncIterator[tuple[Work, Before]]:
        """Lock the identifier, see whether the identity may do it, and do the block."""
        found: list[Before] = []

        async def authenticate(connection: AsyncConnection) -> Principal:
            before = await stored.lock(connection, identifier)
            found.append(before)
            return await self._authorise(connection, needed(before), identifier)

        async with work_as(self.registry, authenticate, self.request_id) as work:
            yield work, found[0]

    async def _authorise(
        self, connection: AsyncConnection, permission: Permission, identifier: Identifier
    ) -> Principal:
        return await admins.authorise(
            connection,
            self.identity,
            permission,
            identifier,
            administrators=self.administrators,
            node_prefix=self.registry.node_prefix,
        )


def check_ours(identifier: Identifier, node_prefix: str) -> None:
    """Raise ServerNotResponsible for a prefix that is not under the node's."""
    owner = owner_prefix(identifier)
    if not f"{owner}.".startswith(f"{node_prefix}."):
        raise ServerNotResponsible(f"prefix {owner} does not live on this node", field="prefix")


def _needed(before: Collection[HandleValue], after: Collection[HandleValue]) -> Permission:
    """Return what the change takes; who changes nothing must be allowed to change something."""
    needed = changes.needed(
        {value.index: value for value in before}, {value.index: value for value in after}
    )
    return needed or Permission.MODIFY_VALUE


def _registered(identifier: Identifier, before: Before) -> list[HandleValue]:
    if before is None:
        raise HandleNotFound(f"{identifier} is not registered")
    return before


def _among(values: list[HandleValue], indexes: set[int]) -> list[HandleValue]:
    return [value for value in values if value.index in indexes]
