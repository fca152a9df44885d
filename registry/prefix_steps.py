"""What became of a prefix: who took which step when, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from protocol.errors import NotFound
from registry.principals import STAFF
from registry.schema import prefix_steps, prefixes
from registry.services import Record, Work

APPLY, HOSTING, TRANSFER = "apply", "hosting", "transfer"
"""Steps beside those from state to state (registry/prefixes.py)."""


@dataclass(frozen=True)
class Step:
    """A step that was taken. before: the state so far; None for an application."""

    name: str
    before: str | None
    after: str
    reason: str | None = None


async def note(work: Work, prefix: str, step: Step) -> None:
    """Keep that a step was taken. The prefix is locked, or new."""
    last = sa.select(sa.func.coalesce(sa.func.max(prefix_steps.c.number), 0) + 1).where(
        prefix_steps.c.prefix == prefix
    )
    await work.connection.execute(
        prefix_steps.insert()
        .inline()
        .values(
            prefix=prefix,
            number=last.scalar_subquery(),
            step=step.name,
            before=step.before,
            after=step.after,
            actor=work.principal.actor,
            reason=step.reason,
            at=work.now,
        )
    )


async def page(work: Work, prefix: str, *, after: int, limit: int) -> Sequence[Record]:
    """Return at most `limit` steps of a prefix, those after number `after`.

    For staff and the enterprise itself. Raises NotFound.
    """
    query = sa.select(prefixes.c.enterprise_id).where(prefixes.c.prefix == prefix)
    owner = await work.connection.scalar(query)
    if owner is None:
        raise NotFound(f"no prefix {prefix}")
    work.principal.require(*STAFF, enterprise=owner, scope="enterprise:read")
    steps = (
        sa.select(prefix_steps)
        .where(prefix_steps.c.prefix == prefix, prefix_steps.c.number > after)
        .order_by(prefix_steps.c.number)
        .limit(limit)
    )
    return (await work.connection.execute(steps)).all()
