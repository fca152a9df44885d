"""By whom a prefix is served: here, or by the enterprise's own node; changed after it was given."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from protocol import typed
from protocol.errors import Conflict, InvalidValue, NotFound
from protocol.identifier import Identifier
from registry import outbox, prefix_handles, prefix_steps, site_checks, stored
from registry.prefixes import (
    ACTIVE,
    HOSTED,
    MAX_REASON,
    PENDING,
    SUSPENDED,
    check_not_below,
    check_place,
    hold_alone,
)
from registry.principals import OPERATOR, REVIEWER
from registry.schema import prefixes
from registry.services import Record, Work, check_text


@dataclass(frozen=True)
class Wish:
    """By whom a prefix shall be served: as `apply` takes it.

    force: go on with a site that was not checked, for `reason`.
    """

    hosting: str
    site: Mapping[str, Any] | None = None
    service: str | None = None
    force: bool = False
    reason: str | None = None


async def change(work: Work, prefix: str, wish: Wish) -> Record:
    """Say by whom a prefix is served from now on, and return its row.

    For operators, and for the enterprise itself while the prefix is pending. A site that the world
    is sent to must have passed a check; `force` with a reason goes without. What is registered here
    stays, and resolves again when the prefix comes back. Raises InvalidValue with the field,
    NotFound and Conflict.
    """
    columns = check_place(wish.hosting, wish.site, wish.service)
    check_not_below(prefix, columns["service"])
    if wish.reason is not None:
        check_text(wish.reason, "reason", maximum=MAX_REASON)
    await hold_alone(work.connection, prefix)
    query = sa.select(prefixes).where(prefixes.c.prefix == prefix).with_for_update()
    before = (await work.connection.execute(query)).one_or_none()
    if before is None:
        raise NotFound(f"no prefix {prefix}")
    own = before.enterprise_id if before.status == PENDING else None
    work.principal.require(OPERATOR, enterprise=own, scope="enterprise:write")
    if before.status not in (PENDING, ACTIVE, SUSPENDED):
        raise Conflict(f"prefix {prefix} is {before.status}")
    if wish.hosting != HOSTED and before.status != PENDING:
        place = site_checks.Place(columns["site"], columns["service"])
        await site_checks.require_passed(work, prefix, place, force=wish.force, reason=wish.reason)
    row: Record = (
        await work.connection.execute(
            prefixes.update()
            .where(prefixes.c.prefix == prefix)
            .values(hosting=wish.hosting, **columns, updated_at=work.now)
            .returning(prefixes)
        )
    ).one()
    step = prefix_steps.Step(prefix_steps.HOSTING, before.status, before.status, wish.reason)
    await prefix_steps.note(work, prefix, step)
    detail = {
        "before": before.hosting,
        "after": wish.hosting,
        "force": wish.force,
        "reason": wish.reason,
    }
    await work.audit("prefix.hosting", prefix, detail)
    if row.status != PENDING:
        if wish.hosting == HOSTED:
            await prefix_handles.ensure(work, prefix)
        await outbox.enqueue_prefix(work.connection, prefix)
    work.changes(prefix, None)
    return row


async def site_to_check(
    work: Work, prefix: str, wished: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], str | None]:
    """Return the site to ask, and the service that it is of, if the prefix has one.

    wished: a site in its normal form in the place of that of the prefix. For reviewers and
    operators. Raises NotFound, and Conflict where no site is known here.
    """
    work.principal.require(OPERATOR, REVIEWER, scope="enterprise:write")
    query = sa.select(prefixes.c.site, prefixes.c.service).where(prefixes.c.prefix == prefix)
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no prefix {prefix}")
    site: Mapping[str, Any] | None = wished or row.site
    if site is None and row.service is not None:
        site = await _site_of_service(work, row.service)
    if site is None:
        raise Conflict(f"nothing is known here of a site of prefix {prefix}: name it", field="site")
    return site, row.service


async def _site_of_service(work: Work, service: str) -> Mapping[str, Any] | None:
    """Return the first HS_SITE of a service whose handle is kept here, and everybody may read."""
    found = await stored.of_type(work.connection, [Identifier.parse(service)], "HS_SITE")
    for one in found:
        if one.value.public:
            with contextlib.suppress(InvalidValue):  # a record that nobody can read is none
                return typed.site_to_json(one.value.data)
    return None
