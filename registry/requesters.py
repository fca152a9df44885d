"""Who asks for values, as registry/access.py wants it: worked out from what is there now.

It is read outside of any tenancy, by the node itself: neither the groups of an owner nor whose
prefix it is are told to who asks.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import IdnodeError, ResponseCode
from protocol.handle.admin import Permission
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from registry import access, admins
from registry.access import ENTERPRISE, EVERYBODY, GROUP, Requester
from registry.admins import Identity
from registry.enterprises.status import APPROVED
from registry.prefix_handles import owner_prefix
from registry.prefixes import ACTIVE
from registry.principals import STAFF, Principal
from registry.schema import Name

SCOPE = "identifiers:read"
"""What a key must be good for to see more than everybody."""

_NOT_ALLOWED = (
    ResponseCode.INVALID_ADMIN,
    ResponseCode.INSUFFICIENT_PERMISSION,
    # Nothing of it is here to be seen; where it is instead, everybody may hear.
    ResponseCode.SERVER_NOT_RESPONSIBLE,
)

# An identity is of an enterprise if it is a key in the prefix handle: those are the enterprise's
# own, while identities under a prefix may be anybody's to whom it has given one.
_FACTS = sa.text(
    f"""
    SELECT p.enterprise_id AS owner, asker.names, ARRAY(
        SELECT g.name FROM partner_groups AS g
        WHERE g.enterprise_id = p.enterprise_id AND g.members && asker.names) AS groups
    FROM (
        SELECT CAST(:names AS text[]) || ARRAY(
            SELECT '{ENTERPRISE}' || e.credit_code FROM enterprises AS e
            WHERE e.status = '{APPROVED}' AND e.id = coalesce(:enterprise_id, (
                SELECT q.enterprise_id FROM prefixes AS q
                WHERE q.prefix = :own_prefix AND q.status = '{ACTIVE}'))) AS names
    ) AS asker
    LEFT JOIN prefixes AS p ON p.prefix = :owner_prefix"""  # noqa: S608  only names of ours
).bindparams(
    sa.bindparam("names", type_=pg.ARRAY(Name)),
    sa.bindparam("enterprise_id", type_=pg.UUID(as_uuid=True)),
    sa.bindparam("own_prefix", type_=Name),
    sa.bindparam("owner_prefix", type_=Name),
)


async def of_principal(
    connection: AsyncConnection, principal: Principal, identifier: Identifier
) -> Requester:
    """Return what the holder of a bearer token is for the values of `identifier`.

    A key without SCOPE is nobody in particular.
    """
    if SCOPE not in principal.scopes:
        return EVERYBODY
    if principal.role in STAFF:
        return Requester(owner=True)
    if principal.enterprise_id is None:
        return EVERYBODY
    owner, names = await _facts(connection, identifier, enterprise_id=principal.enterprise_id)
    return Requester(owner=owner == principal.enterprise_id, names=names)


async def of_identity(
    connection: AsyncConnection,
    identity: Identity,
    identifier: Identifier,
    *,
    administrators: Collection[str] = (),
    node_prefix: str | None = None,
) -> Requester:
    """Return what a Handle identity that has proved itself is for the values of `identifier`.

    administrators, node_prefix: as for registry.admins.authorise.
    """
    indexes = {identity.index, 0}
    own = [access.identity_name(index, identity.handle) for index in indexes]
    prefix = _prefix_of(identity)
    _, names = await _facts(connection, identifier, names=own, own_prefix=prefix)
    administrator = await _may_read(
        connection, identity, identifier, administrators=administrators, node_prefix=node_prefix
    )
    return Requester(administrator=administrator, names=names)


def _prefix_of(identity: Identity) -> str | None:
    """Return the prefix in whose prefix handle the identity stands."""
    try:
        place = Identifier.parse(access.handle_of(identity.handle))
    except IdnodeError:
        return None  # what is no identifier is not registered either
    return place.suffix_key if place.prefix_key == PREFIX_HANDLE_PREFIX else None


async def _may_read(
    connection: AsyncConnection,
    identity: Identity,
    identifier: Identifier,
    *,
    administrators: Collection[str],
    node_prefix: str | None,
) -> bool:
    try:
        await admins.authorise(
            connection,
            identity,
            Permission.READ_VALUE,
            identifier,
            administrators=administrators,
            node_prefix=node_prefix,
        )
    except IdnodeError as error:
        if error.response_code not in _NOT_ALLOWED:
            raise
        return False
    return True


async def _facts(
    connection: AsyncConnection,
    identifier: Identifier,
    *,
    names: Collection[str] = (),
    enterprise_id: uuid.UUID | None = None,
    own_prefix: str | None = None,
) -> tuple[uuid.UUID | None, frozenset[str]]:
    """Return who owns the identifier, and all partners that the requester counts as."""
    found = await connection.execute(
        _FACTS,
        {
            "names": list(names),
            "enterprise_id": enterprise_id,
            "own_prefix": own_prefix,
            "owner_prefix": owner_prefix(identifier),
        },
    )
    row = found.one()
    groups = (f"{GROUP}{name}" for name in row.groups)
    return row.owner, frozenset((*row.names, *groups))
