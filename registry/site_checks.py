"""Whether the site of a delegated prefix answers for it: asked before the world is sent there.

How a site is asked is the resolver's part (resolver/site_asker.py); what came of it is kept here,
the latest check of each prefix.
"""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from protocol.errors import Conflict, InvalidValue, NotFound, ResponseCode
from registry.principals import OPERATOR, REVIEWER, STAFF
from registry.schema import prefixes, site_checks
from registry.services import Record, Work, check_text

VALID = datetime.timedelta(hours=24)
"""How long a check holds good."""

MAX_REASON = 1000

SERVING = frozenset(
    {
        ResponseCode.SUCCESS,
        ResponseCode.HANDLE_NOT_FOUND,
        ResponseCode.VALUES_NOT_FOUND,
        ResponseCode.AUTHENTICATION_NEEDED,
    }
)
"""Answers of a server that is responsible for a prefix, whatever it knows of the identifier."""


@dataclass(frozen=True)
class Asked:
    """One interface of a site, and what came of asking it.

    response_code: of the answer (RFC 3652 section 2.2.2.2); None without one. detail: for people.
    """

    address: str
    protocol: str
    port: int
    response_code: int | None
    detail: str

    @property
    def serving(self) -> bool:
        """Whether it answers for the prefix."""
        return self.response_code in SERVING


AskSite = Callable[[str, Mapping[str, Any]], Awaitable[Sequence[Asked]]]
"""Asks the site of a prefix, an HS_SITE in JSON, by each of its interfaces; does not raise."""


@dataclass(frozen=True)
class Place:
    """Where a delegated prefix is served: a site, an HS_SITE in JSON, or a service by its name."""

    site: Mapping[str, Any] | None = None
    service: str | None = None


async def record(work: Work, prefix: str, place: Place, asked: Sequence[Asked]) -> Record:
    """Keep what came of a check in place of the one before, and return it.

    place: the site that was asked, and the service that it is of, if the prefix has one.
    """
    work.principal.require(OPERATOR, REVIEWER, scope="enterprise:write")
    passed = bool(asked) and all(one.serving for one in asked)
    new = {
        "site": dict(place.site or {}),
        "service": place.service,
        "passed": passed,
        "asked": msgspec.to_builtins(list(asked)),
        "actor": work.principal.actor,
        "checked_at": work.now,
    }
    row: Record = (
        await work.connection.execute(
            insert(site_checks)
            .values(prefix=prefix, **new)
            .on_conflict_do_update(index_elements=[site_checks.c.prefix], set_=new)
            .returning(site_checks)
        )
    ).one()
    await work.audit("prefix.check", prefix, {"passed": passed, "asked": new["asked"]})
    return row


async def last(work: Work, prefix: str) -> Record:
    """Return the latest check. For staff and the enterprise itself. Raises NotFound."""
    query = (
        sa.select(prefixes.c.enterprise_id, *site_checks.c)
        .select_from(prefixes.outerjoin(site_checks, site_checks.c.prefix == prefixes.c.prefix))
        .where(prefixes.c.prefix == prefix)
    )
    row: Record | None = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no prefix {prefix}")
    work.principal.require(*STAFF, enterprise=row.enterprise_id, scope="enterprise:read")
    if row.checked_at is None:
        raise NotFound(f"the site of prefix {prefix} was not checked")
    return row


async def require_passed(
    work: Work, prefix: str, place: Place, *, force: bool, reason: str | None
) -> None:
    """Let pass a place that answered lately, or who goes on without that and says why.

    Of a service a site of it counts that was asked while the prefix had this service.

    Raises Conflict, and InvalidValue for `force` without a reason.
    """
    if force:
        if reason is None:
            raise InvalidValue("to go on by force needs a reason", field="reason")
        check_text(reason, "reason", maximum=MAX_REASON)
        return
    query = sa.select(site_checks).where(site_checks.c.prefix == prefix)
    row = (await work.connection.execute(query)).one_or_none()
    if row is None or not _holds(row, place, work.now):
        raise Conflict(
            "its site has not answered for the prefix lately: check it, or go on by force with a"
            " reason",
            field="site",
        )


def _holds(check: Record, place: Place, now: datetime.datetime) -> bool:
    if not check.passed or check.checked_at <= now - VALID:
        return False
    if place.service is not None:
        return bool(check.service == place.service)
    return bool(check.site == place.site)
