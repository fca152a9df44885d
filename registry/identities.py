"""The keys by which identities prove themselves (RFC 3651 sections 3.2.4 and 3.2.5).

An identity is a value: HS_PUBKEY holds a public key, HS_SECKEY a secret. Both may be without
public read permission; they are read here and never leave.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import IdnodeError, InvalidAdmin, InvalidValue, ProtocolError, ResponseCode
from protocol.handle.keys import (
    PUBLIC_KEY,
    SECRET_KEY,
    PublicKey,
    decode_public_key,
    decode_verifying_key,
)
from protocol.handle.signing import VerifyingKey
from protocol.identifier import Identifier
from registry import stored
from registry.admins import Identity
from registry.database import Database
from registry.prefix_handles import owner_prefix
from registry.schema import prefixes

Key: TypeAlias = PublicKey | bytes
"""A public key, or a secret."""

MAX_KEYS = 16
"""Keys of one handle that are tried where an identity does not say which."""


@dataclass(frozen=True)
class IdentityKey:
    """A key. identity: with the index at which it stands; type: HS_PUBKEY or HS_SECKEY."""

    identity: Identity
    type: str
    data: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """What tells this key from every other one, without giving it away."""
        return hashlib.sha256(f"{self.identity.key} {self.type} ".encode() + self.data).digest()

    def verifying(self) -> VerifyingKey | None:
        """Return a public key that signs; None for data that are none."""
        try:
            return decode_verifying_key(self.data)
        except InvalidValue:
            return None


Find = Callable[[Identity, str], Awaitable[Sequence[IdentityKey] | None]]
"""Finds the keys of one type of an identity that lives elsewhere; None if it cannot."""


async def find_keys(
    database: Database, identity: Identity, type_: str, find: Find | None
) -> list[IdentityKey]:
    """Return what keys_of does, and the keys of an identity that lives elsewhere by `find`.

    No connection is held while another server is asked. Raises as keys_of does.
    """
    async with database.begin() as connection:
        keys = await _kept(connection, identity, type_)
    if keys is None and find is not None:
        keys = list(await find(identity, type_) or ())[:MAX_KEYS]
    return keys or _unreadable(identity)


async def digests(database: Database, identity: Identity, find: Find | None) -> frozenset[bytes]:
    """Return the digests of all keys by which an identity can prove itself now.

    Who has proved to be it before need not do so again as long as the key is among them. Empty for
    an identity that has none, or that cannot be found. Raises StoreUnavailable.
    """
    found: set[bytes] = set()
    missing: list[str] = []
    async with database.begin() as connection:
        for type_ in (PUBLIC_KEY, SECRET_KEY):
            try:
                keys = await _kept(connection, identity, type_)
            except InvalidAdmin:
                continue  # none of this type
            if keys is None:
                missing.append(type_)
            else:
                found.update(key.digest for key in keys)
    if find is not None:
        for type_ in missing:
            found.update(key.digest for key in list(await find(identity, type_) or ())[:MAX_KEYS])
    return frozenset(found)


async def keys_of(connection: AsyncConnection, identity: Identity, type_: str) -> list[IdentityKey]:
    """Return the keys of `type_` that `identity` names; several only for index 0.

    Raises InvalidAdmin for an identity that is not there and should be here, ProtocolError with
    code 406 for one that lives elsewhere.
    """
    return await _kept(connection, identity, type_) or _unreadable(identity)


async def _kept(
    connection: AsyncConnection, identity: Identity, type_: str
) -> list[IdentityKey] | None:
    """Return the keys that are kept here; None where the identity is not ours to keep."""
    try:
        identifier = Identifier.parse(identity.handle)
    except IdnodeError:
        raise InvalidAdmin(f"there is no identity {identity}") from None
    keys = [
        IdentityKey(Identity(one.value.index, identity.handle), type_, one.value.data)
        for one in await stored.of_type(connection, [identifier], type_)
        if one.serving and identity.index in (0, one.value.index)
    ]
    if keys:
        return keys[:MAX_KEYS]
    if await _is_here(connection, identifier):
        raise InvalidAdmin(f"there is no identity {identity}")
    return None


def _unreadable(identity: Identity) -> NoReturn:
    raise ProtocolError(
        f"the key of {identity} cannot be read", code=ResponseCode.UNABLE_TO_AUTHENTICATE
    )


async def key_of(connection: AsyncConnection, identity: Identity) -> Key | None:
    """Return the public key or the secret of an identity with an index; None if it has none."""
    for type_ in (PUBLIC_KEY, SECRET_KEY):
        try:
            key = (await keys_of(connection, identity, type_))[0]
            return key.data if type_ == SECRET_KEY else decode_public_key(key.data)
        except IdnodeError:
            continue  # nothing of this type is there, or what is there is no key
    return None


async def _is_here(connection: AsyncConnection, identifier: Identifier) -> bool:
    owner = owner_prefix(identifier)
    query = sa.select(sa.literal(1)).where(prefixes.c.prefix == owner)
    return await connection.scalar(query) is not None
