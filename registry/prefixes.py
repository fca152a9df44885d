"""Prefixes of enterprises, and the states they go through.

    pending -> active | rejected;  active <-> suspended;  active | suspended -> revoked

Rejected and revoked are final, and their numbers are not given out again: labels with them may be
in the world.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import typed
from protocol.errors import Conflict, HandleExists, InvalidValue, NotFound
from protocol.handle.service import read_service
from protocol.identifier import Identifier, check_prefix
from registry import outbox, prefix_handles, prefix_numbers, prefix_steps, site_checks, tenancy
from registry.enterprises.status import APPROVED
from registry.principals import OPERATOR, REVIEWER, STAFF
from registry.schema import Name, enterprises, prefixes
from registry.services import Record, Work, check_text

PENDING, ACTIVE, REJECTED = "pending", "active", "rejected"
SUSPENDED, REVOKED = "suspended", "revoked"
HOSTED, DELEGATED = "hosted", "delegated"

MAX_REASON = 1000
_LOCK = "idnode prefix"


@dataclass(frozen=True)
class Step:
    """A step from one state to another; `filed`: the top-level node must learn of it."""

    before: tuple[str, ...]
    after: str
    reason_needed: bool
    filed: bool = True


STEPS = {
    "approve": Step((PENDING,), ACTIVE, reason_needed=False),
    "reject": Step((PENDING,), REJECTED, reason_needed=True, filed=False),
    "suspend": Step((ACTIVE,), SUSPENDED, reason_needed=True),
    "resume": Step((SUSPENDED,), ACTIVE, reason_needed=False),
    "revoke": Step((ACTIVE, SUSPENDED), REVOKED, reason_needed=True),
}


async def apply(
    work: Work,
    *,
    enterprise_id: uuid.UUID,
    hosting: str,
    prefix: str | None = None,
    site: Mapping[str, Any] | None = None,
    service: str | None = None,
    quota: int,
) -> Record:
    """Apply for a prefix, which then waits for approval; return its row.

    For operators, and for an enterprise on its own behalf. prefix: the one wished for, a child
    of the node's; None for the lowest number that was never given out. site: the HS_SITE of the
    enterprise's own node in Handle JSON, or service: the handle that has it as HS_SITE, one of
    both for hosting "delegated" alone. quota: prefixes that an enterprise may have where its own
    row says nothing. Raises InvalidValue with the field, InvalidHandle for a bad prefix,
    HandleExists for a taken one, NotFound for an unknown enterprise, and Conflict for one that is
    not approved or has its quota, and for a number that is reserved.
    """
    work.principal.require(OPERATOR, enterprise=enterprise_id, scope="enterprise:write")
    place = check_place(hosting, site, service)
    if prefix is not None:
        _check_child(work.node_prefix, prefix)
    await check_enterprise(work, enterprise_id)
    # One application at a time: the number found free is still free when it is taken.
    await prefix_numbers.lock(work)
    await prefix_numbers.check_quota(work, enterprise_id, quota)
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        if prefix is None:
            chosen = await prefix_numbers.next_free(work)
        else:
            await prefix_numbers.check_wish(work, chosen := prefix)
        await _refuse_alike(work, chosen)
    check_not_below(chosen, place["service"])
    row: Record | None = (
        await work.connection.execute(
            insert(prefixes)
            .values(prefix=chosen, enterprise_id=enterprise_id, hosting=hosting, **place)
            .on_conflict_do_nothing(index_elements=[prefixes.c.prefix])
            .returning(prefixes)
        )
    ).one_or_none()
    if row is None:
        raise HandleExists(f"prefix {chosen} is given out already", field="prefix")
    await prefix_steps.note(work, chosen, prefix_steps.Step(prefix_steps.APPLY, None, PENDING))
    await work.audit(
        "prefix.apply", chosen, {"enterprise_id": str(enterprise_id), "hosting": hosting}
    )
    work.changes(chosen, None)
    return row


def check_place(
    hosting: str, site: Mapping[str, Any] | None, service: str | None
) -> dict[str, Any]:
    """Return the columns that say where a prefix is served: both NULL for a hosted one.

    Raises InvalidValue with the field.
    """
    nowhere = {"site": sa.null(), "service": None}
    if hosting not in (HOSTED, DELEGATED):
        raise InvalidValue(f"not {HOSTED} or {DELEGATED}", field="hosting")
    if hosting == HOSTED:
        if site is not None:
            raise InvalidValue("a hosted prefix has no site of its own", field="site")
        if service is not None:
            raise InvalidValue("a hosted prefix is served by this node", field="service")
        return nowhere
    if site is not None and service is not None:
        raise InvalidValue("a site and a service: one of both", field="service")
    if service is not None:
        try:
            return nowhere | {"service": str(read_service(service))}
        except InvalidValue as error:
            raise error.at("service") from None
    if site is None:
        raise InvalidValue(
            "a delegated prefix needs the site, or the service, that serves it", field="site"
        )
    try:
        return nowhere | {"site": _reachable(typed.site_to_json(typed.site_from_json(site)))}
    except InvalidValue as error:
        raise error.at("site") from None


def _reachable(site: dict[str, Any]) -> dict[str, Any]:
    """Return a site of which each server can be asked. Raises InvalidValue."""
    if not site["servers"]:
        raise InvalidValue("a site has one server at least", field="servers", rule="min_length")
    for place, server in enumerate(site["servers"]):
        if not any(interface["query"] for interface in server["interfaces"]):
            raise InvalidValue(
                "a server has one interface at least that takes queries (query: true)",
                field=f"servers[{place}].interfaces",
                rule="min_length",
            )
    return site


def check_not_below(prefix: str, service: str | None) -> None:
    """Raise InvalidValue for a service that one can find only if one knows where it is."""
    if service is None:
        return
    owner = prefix_handles.owner_prefix(Identifier.parse(service))
    if f"{owner}.".startswith(f"{prefix}."):
        raise InvalidValue(f"the service itself stands under {prefix}", field="service")


def _check_child(node_prefix: str, prefix: str) -> None:
    check_prefix(prefix)
    parent, _, _ = prefix.rpartition(".")
    if parent != node_prefix:
        raise InvalidValue(f"not of the form {node_prefix}.number", field="prefix")


async def check_enterprise(work: Work, enterprise_id: uuid.UUID) -> None:
    """Let pass an enterprise that is approved, and stays so to the end of the transaction.

    Raises NotFound and Conflict.
    """
    query = sa.select(enterprises.c.status).where(enterprises.c.id == enterprise_id)
    status = await work.connection.scalar(query.with_for_update(read=True, key_share=True))
    if status is None:
        raise NotFound(f"no enterprise {enterprise_id}", field="enterprise_id")
    if status != APPROVED:
        raise Conflict(f"the enterprise is {status}", field="enterprise_id")


def _numbers(work: Work) -> sa.CTE:
    """Return the prefixes under that of the node, each with its number."""
    child = sa.func.split_part(prefixes.c.prefix, ".", work.node_prefix.count(".") + 2)
    return (
        sa.select(prefixes.c.prefix, sa.cast(child, sa.BigInteger).label("number"))
        # "/" follows "." in ASCII: the range of all that start so, by the index.
        .where(prefixes.c.prefix >= work.node_prefix + ".")
        .where(prefixes.c.prefix < work.node_prefix + "/")
        .cte("taken")
    )


async def _refuse_alike(work: Work, prefix: str) -> None:
    """Refuse a prefix that only zeros tell from one given out: people take one for the other."""
    taken = _numbers(work)
    number = int(prefix.rpartition(".")[2])
    alike = await work.connection.scalar(
        sa.select(taken.c.prefix).where(taken.c.number == number, taken.c.prefix != prefix)
    )
    if alike is not None:
        raise HandleExists(
            f"prefix {alike} is given out already, and nothing but zeros tells them apart",
            field="prefix",
        )


async def get(work: Work, prefix: str) -> Record:
    """Return one prefix; an enterprise sees its own alone. Raises NotFound."""
    query = sa.select(prefixes).where(prefixes.c.prefix == prefix)
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no prefix {prefix}")
    work.principal.require(*STAFF, enterprise=row.enterprise_id, scope="enterprise:read")
    return row


async def owners(connection: AsyncConnection, wanted: Collection[str]) -> dict[str, uuid.UUID]:
    """Return the enterprise that owns each of these prefixes; absent: not registered here.

    It sees the prefixes of all enterprises, also in the name of one: whether a prefix is given out
    is no secret.
    """
    prefix = sa.func.unnest(sa.cast(sorted(wanted), pg.ARRAY(Name))).column_valued("prefix")
    rows = await connection.execute(sa.select(prefix, sa.func.prefix_owner(prefix)))
    return {name: owner for name, owner in rows if owner is not None}


@dataclass(frozen=True)
class Wanted:
    """Which prefixes a list shows: those that all of these hold for.

    beginning: what the prefix begins with.
    """

    status: str | None = None
    hosting: str | None = None
    enterprise_id: uuid.UUID | None = None
    beginning: str | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return them in SQL."""
        same = (
            (prefixes.c.status, self.status),
            (prefixes.c.hosting, self.hosting),
            (prefixes.c.enterprise_id, self.enterprise_id),
        )
        found = [column == value for column, value in same if value is not None]
        if self.beginning is not None:
            found.append(prefixes.c.prefix.startswith(self.beginning, autoescape=True))
        return found


async def page(work: Work, wanted: Wanted, *, after: str | None, limit: int) -> Sequence[Record]:
    """Return at most `limit` prefixes that the caller may see, in order of their bytes."""
    own = work.principal.enterprise_id
    work.principal.require(*STAFF, enterprise=own, scope="enterprise:read")
    query = sa.select(prefixes).where(*wanted.conditions())
    query = query.order_by(prefixes.c.prefix).limit(limit)
    if own is not None:
        query = query.where(prefixes.c.enterprise_id == own)
    if after is not None:
        query = query.where(prefixes.c.prefix > after)
    return (await work.connection.execute(query)).all()


async def hold_state(connection: AsyncConnection, prefix: str) -> None:
    """Let nobody change the state of a prefix before the transaction ends.

    `prefix_to_write` (migration 0004) does it too. It is the first lock that a writer of
    identifiers takes: the order keeps writers from waiting for each other in a circle.
    """
    await _lock(connection, sa.func.pg_advisory_xact_lock_shared, prefix)


async def hold_alone(connection: AsyncConnection, prefix: str) -> None:
    """Let nobody write identifiers under a prefix, or change its state, before the end."""
    await _lock(connection, sa.func.pg_advisory_xact_lock, prefix)


async def _lock(connection: AsyncConnection, lock: Any, prefix: str) -> None:
    await connection.execute(sa.select(lock(sa.func.hashtext(_LOCK), sa.func.hashtext(prefix))))


async def take_step(
    work: Work, prefix: str, name: str, reason: str | None, *, force: bool = False
) -> Record:
    """Take the step `name` of STEPS and return the new row. For reviewers and operators.

    force: approve a delegated prefix whose site did not answer; needs a reason. Raises NotFound,
    InvalidValue for a reason that is missing, and Conflict if the state or the site does not allow
    the step.
    """
    work.principal.require(OPERATOR, REVIEWER, scope="enterprise:write")
    step = STEPS[name]
    if reason is not None:
        check_text(reason, "reason", maximum=MAX_REASON)
    elif step.reason_needed:
        raise InvalidValue(f"to {name} a prefix needs a reason", field="reason")
    await hold_alone(work.connection, prefix)
    query = sa.select(prefixes).where(prefixes.c.prefix == prefix)
    before = (await work.connection.execute(query.with_for_update())).one_or_none()
    if before is None:
        raise NotFound(f"no prefix {prefix}")
    current = before.status
    if current not in step.before:
        raise Conflict(f"to {name} it must be {' or '.join(step.before)}, but it is {current}")
    if step.after == ACTIVE:
        await check_enterprise(work, before.enterprise_id)
    if name == "approve" and before.hosting == DELEGATED:
        place = site_checks.Place(before.site, before.service)
        await site_checks.require_passed(work, prefix, place, force=force, reason=reason)
    row: Record = (
        await work.connection.execute(
            prefixes.update()
            .where(prefixes.c.prefix == prefix)
            .values(status=step.after, reason=reason, updated_at=work.now)
            .returning(prefixes)
        )
    ).one()
    taken = prefix_steps.Step(name, current, step.after, reason)
    await prefix_steps.note(work, prefix, taken)
    detail = {"before": current, "after": step.after, "reason": reason}
    await work.audit(f"prefix.{name}", prefix, detail | ({"force": True} if force else {}))
    if name == "approve" and row.hosting == HOSTED:
        await prefix_handles.ensure(work, prefix)
    if step.filed:
        await outbox.enqueue_prefix(work.connection, prefix)
    work.changes(prefix, None)
    return row
