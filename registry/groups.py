"""Groups of partners that an enterprise keeps: many to whom it shows values, under one name.

A group has enterprises and identities, no groups. Who is in it is asked each time that somebody
reads (registry/requesters.py): a change holds from its commit on.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from protocol.errors import Conflict, InvalidValue, MalformedRequest, NotFound
from registry.access import GROUP, group_name, is_group_name, partner
from registry.identifiers import Condition
from registry.principals import OPERATOR, STAFF
from registry.schema import enterprises, identifier_version, partner_groups
from registry.services import Record, Work

MAX_GROUPS = 1000
"""Groups of one enterprise."""

MAX_MEMBERS = 1000
"""Members of one group."""

_groups = partner_groups.c
_LOCK = sa.select(
    sa.func.pg_advisory_xact_lock(
        sa.func.hashtextextended(sa.bindparam("name", type_=sa.Text), 0, type_=sa.BigInteger)
    )
)


async def put(
    work: Work,
    enterprise_id: uuid.UUID | None,
    name: str,
    *,
    members: Sequence[str],
    when: Condition,
) -> tuple[Record, bool]:
    """Create or replace a group; return its row and whether it was created.

    enterprise_id: whose it is; None: the caller's. Raises InvalidValue with the field, Conflict for
    one group too many, NotFound for an enterprise that is not there, and PreconditionFailed.
    """
    owner = _owner(work, enterprise_id, OPERATOR, scope="identifiers:write")
    group_name(name, "name")
    named = _members(members)
    # Whoever writes groups of an enterprise does so alone: the limit is exact.
    await work.connection.execute(_LOCK, {"name": f"partner_groups {owner}"})
    before = await _find(work, owner, name)
    when.check(None if before is None else before.version)
    if before is None:
        await _check_room(work, owner)
    new = insert(partner_groups).values(enterprise_id=owner, name=name, members=named)
    change = {
        "members": new.excluded.members,
        "updated_at": work.now,
        "version": identifier_version.next_value(),
    }
    key = [_groups.enterprise_id, _groups.name]
    made = new.on_conflict_do_update(index_elements=key, set_=change).returning(partner_groups)
    row: Record = (await work.connection.execute(made)).one()
    held = frozenset(() if before is None else before.members)
    added, removed = [m for m in named if m not in held], sorted(held.difference(named))
    await work.audit("group.put", f"{owner}/{name}", {"added": added, "removed": removed})
    return row, before is None


def _members(members: Sequence[str]) -> list[str]:
    """Return the members in canonical form, each once. Raises InvalidValue."""
    if len(members) > MAX_MEMBERS:
        raise InvalidValue(f"a group has at most {MAX_MEMBERS} members", field="members")
    named: dict[str, None] = {}
    for position, member in enumerate(members):
        field = f"members[{position}]"
        if member.startswith(GROUP):
            raise InvalidValue("a group has no groups in it", field=field)
        named[partner(member, field)] = None
    return list(named)


async def _check_room(work: Work, owner: uuid.UUID) -> None:
    there = sa.select(enterprises.c.id).where(enterprises.c.id == owner)
    if await work.connection.scalar(there) is None:
        raise NotFound(f"no enterprise {owner}")
    count = sa.select(sa.func.count()).where(_groups.enterprise_id == owner)
    if (await work.connection.scalar(count) or 0) >= MAX_GROUPS:
        raise Conflict(f"an enterprise has at most {MAX_GROUPS} groups")


async def get(work: Work, enterprise_id: uuid.UUID | None, name: str) -> Record:
    """Return one group. Raises NotFound."""
    owner = _owner(work, enterprise_id, *STAFF, scope="identifiers:read")
    row = await _find(work, owner, name)
    if row is None:
        raise NotFound(f"no group {name!r}")
    return row


async def page(
    work: Work, enterprise_id: uuid.UUID | None, *, after: str | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` groups of an enterprise by name, those after `after`."""
    owner = _owner(work, enterprise_id, *STAFF, scope="identifiers:read")
    query = (
        sa.select(partner_groups)
        .where(_groups.enterprise_id == owner, _groups.name > (after or ""))
        .order_by(_groups.name)
        .limit(limit)
    )
    return (await work.connection.execute(query)).all()


async def delete(
    work: Work, enterprise_id: uuid.UUID | None, name: str, *, when: Condition
) -> None:
    """Delete a group: values that name it are no longer shown to who was in it.

    Raises NotFound, PreconditionFailed.
    """
    owner = _owner(work, enterprise_id, OPERATOR, scope="identifiers:write")
    await work.connection.execute(_LOCK, {"name": f"partner_groups {owner}"})
    row = await _find(work, owner, name)
    when.check(None if row is None else row.version)
    if row is None:
        raise NotFound(f"no group {name!r}")
    one = sa.and_(_groups.enterprise_id == owner, _groups.name == name)
    await work.connection.execute(partner_groups.delete().where(one))
    await work.audit("group.delete", f"{owner}/{name}", {"removed": list(row.members)})


def _owner(work: Work, enterprise_id: uuid.UUID | None, *roles: str, scope: str) -> uuid.UUID:
    """Return whose groups are meant, if the caller may. Raises InsufficientPermission."""
    owner = enterprise_id or work.principal.enterprise_id
    work.principal.require(*roles, enterprise=owner, scope=scope)
    if owner is None:
        raise MalformedRequest("say whose groups: ?enterprise_id=", field="enterprise_id")
    return owner


async def _find(work: Work, owner: uuid.UUID, name: str) -> Record | None:
    if not is_group_name(name):
        return None
    query = sa.select(partner_groups).where(_groups.enterprise_id == owner, _groups.name == name)
    row: Record | None = (await work.connection.execute(query)).one_or_none()
    return row
