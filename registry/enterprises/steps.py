"""The steps of an enterprise from state to state, each kept with who, when and why.

What a state means is told in docs/enterprises.md: keys open something while the enterprise is
approved alone (registry/principals.py), and under its prefixes nothing is written while it is not
(`prefix_to_write`). To close it ends its keys and sessions and revokes its prefixes here.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from protocol.errors import Conflict, InvalidValue, NotFound
from registry import prefixes, tenancy
from registry.enterprises.status import (
    APPROVED,
    CLOSED,
    FILED,
    REJECTED,
    SUSPENDED,
    UNDER_REVIEW,
)
from registry.principals import ADMINISTRATOR, OPERATOR, REVIEWER, STAFF
from registry.schema import (
    accounts,
    api_keys,
    enterprise_steps,
    enterprises,
    password_resets,
    sessions,
)
from registry.schema import prefixes as prefixes_table
from registry.services import Record, Work, check_text

FILE = "file"
"""The step with which an enterprise comes into the registry."""


@dataclass(frozen=True)
class Step:
    """A step from one of some states to another; `own`: the enterprise takes it itself."""

    before: tuple[str, ...]
    after: str
    reason_needed: bool = False
    own: bool = False


STEPS = {
    "review": Step((FILED,), UNDER_REVIEW),
    "approve": Step((UNDER_REVIEW,), APPROVED),
    "reject": Step((UNDER_REVIEW,), REJECTED, reason_needed=True),
    "refile": Step((REJECTED,), FILED, own=True),
    "suspend": Step((APPROVED,), SUSPENDED, reason_needed=True),
    "resume": Step((SUSPENDED,), APPROVED),
    "close": Step((FILED, UNDER_REVIEW, REJECTED, APPROVED, SUSPENDED), CLOSED, reason_needed=True),
}

_LAST_STEP = {prefixes.PENDING: "reject", prefixes.ACTIVE: "revoke", prefixes.SUSPENDED: "revoke"}
"""What a prefix of an enterprise that is closed ends with."""


async def take(work: Work, enterprise_id: uuid.UUID, name: str, reason: str | None) -> Record:
    """Take the step `name` of STEPS and return the new row.

    For reviewers and operators; "refile" for an administrator of the enterprise too. Raises
    NotFound, InvalidValue for a reason that is missing, and Conflict if the state does not allow
    the step.
    """
    step = STEPS[name]
    own = step.own and work.principal.role == ADMINISTRATOR
    work.principal.require(OPERATOR, REVIEWER, enterprise=enterprise_id if own else None)
    if reason is not None:
        check_text(reason, "reason", maximum=prefixes.MAX_REASON)
    elif step.reason_needed:
        raise InvalidValue(f"to {name} an enterprise needs a reason", field="reason")
    await _hold_prefixes(work, enterprise_id)
    current = await _lock(work, enterprise_id)
    if current not in step.before:
        raise Conflict(f"to {name} it must be {' or '.join(step.before)}, but it is {current}")
    # Its state is not an enterprise's own to write, in whatever way it got here.
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        row: Record = (
            await work.connection.execute(
                enterprises.update()
                .where(enterprises.c.id == enterprise_id)
                .values(status=step.after, updated_at=work.now)
                .returning(enterprises)
            )
        ).one()
    await note(work, enterprise_id, name, current, step.after, reason)
    detail = {"before": current, "after": step.after, "reason": reason}
    await work.audit(f"enterprise.{name}", str(enterprise_id), detail)
    if step.after == CLOSED:
        await _end(work, enterprise_id, reason)
    return row


async def _hold_prefixes(work: Work, enterprise_id: uuid.UUID) -> None:
    """Let nobody write under the prefixes of the enterprise before the transaction ends.

    In the order in which all lock: prefixes by name, then the enterprise.
    """
    query = sa.select(prefixes_table.c.prefix).where(
        prefixes_table.c.enterprise_id == enterprise_id
    )
    for name in (await work.connection.scalars(query.order_by(prefixes_table.c.prefix))).all():
        await prefixes.hold_alone(work.connection, name)
    await work.connection.execute(query.order_by(prefixes_table.c.prefix).with_for_update())


async def _lock(work: Work, enterprise_id: uuid.UUID) -> str:
    query = sa.select(enterprises.c.status).where(enterprises.c.id == enterprise_id)
    status: str | None = await work.connection.scalar(query.with_for_update())
    if status is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    return status


async def _end(work: Work, enterprise_id: uuid.UUID, reason: str | None) -> None:
    """End what a closed enterprise has: keys, sessions, one-time tokens and prefixes."""
    connection = work.connection
    await connection.execute(
        api_keys.update()
        .where(api_keys.c.enterprise_id == enterprise_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=work.now)
    )
    people = sa.select(accounts.c.id).where(accounts.c.enterprise_id == enterprise_id)
    await connection.execute(sessions.delete().where(sessions.c.account_id.in_(people)))
    await connection.execute(
        password_resets.delete().where(password_resets.c.account_id.in_(people))
    )
    states = await connection.execute(
        sa.select(prefixes_table.c.prefix, prefixes_table.c.status)
        .where(prefixes_table.c.enterprise_id == enterprise_id)
        .order_by(prefixes_table.c.prefix)
    )
    for prefix, status in states.all():
        if status in _LAST_STEP:
            await prefixes.take_step(work, prefix, _LAST_STEP[status], reason)


async def note(  # noqa: PLR0917
    work: Work,
    enterprise_id: uuid.UUID,
    step: str,
    before: str | None,
    after: str,
    reason: str | None,
) -> None:
    """Keep that a step was taken. The row of the enterprise is locked, or new."""
    last = sa.select(sa.func.coalesce(sa.func.max(enterprise_steps.c.number), 0) + 1).where(
        enterprise_steps.c.enterprise_id == enterprise_id
    )
    await work.connection.execute(
        enterprise_steps.insert().values(
            enterprise_id=enterprise_id,
            number=last.scalar_subquery(),
            step=step,
            before=before,
            after=after,
            actor=work.principal.actor,
            reason=reason,
            at=work.now,
        )
    )


async def page(work: Work, enterprise_id: uuid.UUID, *, after: int, limit: int) -> Sequence[Record]:
    """Return at most `limit` steps of an enterprise, those after number `after`.

    Raises NotFound.
    """
    work.principal.require(*STAFF, enterprise=enterprise_id, scope="enterprise:read")
    there = sa.select(enterprises.c.id).where(enterprises.c.id == enterprise_id)
    if await work.connection.scalar(there) is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    query = (
        sa.select(enterprise_steps)
        .where(enterprise_steps.c.enterprise_id == enterprise_id, enterprise_steps.c.number > after)
        .order_by(enterprise_steps.c.number)
        .limit(limit)
    )
    return (await work.connection.execute(query)).all()
