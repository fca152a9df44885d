"""Who may administer what over the Handle protocol (RFC 3651 section 3.2.1).

HS_ADMIN values say it: of an identifier, and of the prefix handle, whose administrators may do
under their prefix what is theirs to allow. Each names a key, or a group of keys: an HS_VLIST, which
may name further ones. What is allowed is then done in the name of the enterprise that owns the
prefix, whichever identity it was that its HS_ADMIN named.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import (
    IdnodeError,
    InsufficientPermission,
    InvalidAdmin,
    InvalidValue,
    ServerNotResponsible,
)
from protocol.handle.admin import (
    ADMIN,
    VALUE_LIST,
    AdminRecord,
    Permission,
    decode_admin,
    decode_value_list,
)
from protocol.identifier import Identifier, fold
from protocol.values import Reference
from registry import stored
from registry.access import handle_of, identity_name
from registry.prefix_handles import owner_prefix
from registry.prefixes import ACTIVE, HOSTED
from registry.principals import APPLICATION, IDENTITY, OPERATOR, Principal
from registry.schema import prefixes

MAX_GROUPS = 100
"""Groups that are looked into for one decision."""

MAX_DEPTH = 8
"""How many groups deep a group may stand in others."""

_NO_ID = uuid.UUID(int=0)


@dataclass(frozen=True)
class Identity:
    """A value that proves who somebody is: ``index:handle``, such as ``300:0.NA/88.118.35``."""

    index: int
    handle: str

    def __str__(self) -> str:
        return f"{self.index}:{self.handle}"

    @property
    def key(self) -> str:
        """The form that is equal for all spellings of one identity."""
        return identity_name(self.index, self.handle)


def _key(handle: str) -> str:
    """Return the canonical form of a handle, of anything that stands where one should too."""
    return fold(handle_of(handle))


async def authorise(
    connection: AsyncConnection,
    identity: Identity,
    permission: Permission,
    identifier: Identifier,
    *,
    administrators: Collection[str] = (),
    node_prefix: str | None = None,
) -> Principal:
    """Return in whose name `identity`, which has proved itself, does this to `identifier`.

    permission: all the bits it takes. administrators: identities that run this node and may do
    everything. node_prefix: the node's own prefix, which is not registered as others are.
    Raises ServerNotResponsible for a prefix that is not registered here, InvalidAdmin for an
    identity that no HS_ADMIN names, InsufficientPermission for one that lacks a bit.
    """
    enterprise = await owner_of(connection, identifier, node_prefix)
    if is_administrator(identity, administrators):
        return administrator(identity, administrators)
    owner = owner_prefix(identifier)
    records = await _records(connection, _places(permission, identifier, owner))
    named = [record for record in records if _names(record.admin, identity)]
    others = [record for record in records if not _names(record.admin, identity)]
    if not _allow(named, permission):
        named += await _through_groups(connection, identity, others)
    if not named:
        raise InvalidAdmin(f"{identity} is no administrator of {identifier}")
    if not _allow(named, permission):
        raise InsufficientPermission(f"{identity} may not do this to {identifier}")
    return Principal(IDENTITY, APPLICATION, _NO_ID, str(identity), enterprise)


async def owner_of(
    connection: AsyncConnection, identifier: Identifier, node_prefix: str | None
) -> uuid.UUID | None:
    """Return the enterprise that owns the identifier's prefix; None for the node's own prefix.

    Raises ServerNotResponsible for a prefix that is not registered here.
    """
    owner = owner_prefix(identifier)
    enterprise: uuid.UUID | None = await connection.scalar(
        sa.select(prefixes.c.enterprise_id).where(prefixes.c.prefix == owner)
    )
    if enterprise is None and owner != node_prefix:
        raise ServerNotResponsible(f"prefix {owner} is not registered here")
    return enterprise


async def check_served(
    connection: AsyncConnection, identifier: Identifier, node_prefix: str | None
) -> None:
    """Raise ServerNotResponsible unless the identifier's prefix is active and hosted here."""
    owner = owner_prefix(identifier)
    query = sa.select(sa.literal(1)).where(
        prefixes.c.prefix == owner, prefixes.c.status == ACTIVE, prefixes.c.hosting == HOSTED
    )
    if owner != node_prefix and await connection.scalar(query) is None:
        raise ServerNotResponsible(f"prefix {owner} is not served here")


def is_administrator(identity: Identity, administrators: Iterable[str]) -> bool:
    """Whether `identity` is one of those that run this node, written ``index:handle``."""
    return any(identity.key == fold(name) for name in administrators)


def administrator(identity: Identity, administrators: Iterable[str]) -> Principal:
    """Return in whose name an identity that runs this node acts. Raises InvalidAdmin."""
    if not is_administrator(identity, administrators):
        raise InvalidAdmin(f"{identity} does not run this node")
    return Principal(IDENTITY, OPERATOR, _NO_ID, str(identity), None)


def _places(permission: Permission, identifier: Identifier, owner: str) -> list[Identifier]:
    """Return the identifiers whose HS_ADMIN values decide."""
    if permission & (Permission.ADD_DERIVED_PREFIX | Permission.DELETE_DERIVED_PREFIX):
        return [stored.prefix_handle(owner.rpartition(".")[0])]
    if permission & (Permission.ADD_HANDLE | Permission.LIST_HANDLES):
        return [stored.prefix_handle(owner)]
    return [identifier, stored.prefix_handle(owner)]


async def _records(
    connection: AsyncConnection, places: Collection[Identifier]
) -> list[AdminRecord]:
    found = await stored.of_type(connection, set(places), ADMIN)
    return list(_readable(found))


def _readable(found: Iterable[stored.Stored]) -> Iterator[AdminRecord]:
    for one in found:
        try:
            yield decode_admin(one.value.data)
        except IdnodeError:
            continue  # what nobody can read names nobody


def _names(reference: Reference, identity: Identity) -> bool:
    """Whether the reference is to the identity; index 0 is any key of its handle."""
    same_index = reference.index in (0, identity.index)
    return same_index and _key(reference.handle) == _key(identity.handle)


def _allow(records: Iterable[AdminRecord], permission: Permission) -> bool:
    """Whether one record alone allows all of it, as the reference server wants it."""
    return any(permission in record.permissions for record in records)


async def _through_groups(
    connection: AsyncConnection, identity: Identity, records: list[AdminRecord]
) -> list[AdminRecord]:
    """Return those of `records` that name a group in which the identity is."""
    groups = await _groups(connection, [record.admin for record in records])
    return [record for record in records if _is_in(record.admin, identity, groups)]


Groups = dict[tuple[int, str], list[Reference]]


def _place(reference: Reference) -> tuple[int, str]:
    return reference.index, _key(reference.handle)


async def _groups(connection: AsyncConnection, wanted: list[Reference]) -> Groups:
    """Read the groups that are referred to, and those in them, within MAX_GROUPS and MAX_DEPTH."""
    groups: Groups = {}
    for _ in range(MAX_DEPTH):
        new = {_place(reference): reference for reference in wanted if reference.index > 0}
        new = {place: reference for place, reference in new.items() if place not in groups}
        for place in list(new)[MAX_GROUPS - len(groups) :]:
            del new[place]
        if not new:
            break
        groups |= {place: [] for place in new}
        for one in await stored.of_type(connection, set(_parsed(new.values())), VALUE_LIST):
            place = (one.value.index, one.key)
            if place in new:
                groups[place] = _members(one.value.data)
        wanted = [member for place in new for member in groups[place]]
    return groups


def _parsed(references: Iterable[Reference]) -> Iterator[Identifier]:
    for reference in references:
        try:
            yield Identifier.parse(reference.handle)
        except IdnodeError:
            continue  # no identifier, so nothing stands there


def _members(data: bytes) -> list[Reference]:
    try:
        return list(decode_value_list(data))
    except InvalidValue:
        return []


def _is_in(group: Reference, identity: Identity, groups: Groups) -> bool:
    seen = {_place(group)}
    waiting = [group]
    while waiting:
        for member in groups.get(_place(waiting.pop()), ()):
            if _names(member, identity):
                return True
            if _place(member) not in seen:
                seen.add(_place(member))
                waiting.append(member)
    return False
