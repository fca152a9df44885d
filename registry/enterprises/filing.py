"""Self-service filing: an enterprise that has no account yet files itself.

Nobody knows who asks, so what may be filed is bounded: by source and in total for each quarter of
an hour, and by how many filings wait for a decision.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import InsufficientPermission, TooManyRequests
from registry.accounts import people, throttle
from registry.enterprises import service, steps
from registry.enterprises.service import Facts
from registry.enterprises.status import FILED, OPEN
from registry.principals import ACCOUNT, ADMINISTRATOR, Principal
from registry.schema import enterprises
from registry.services import Record, Registry, Work

log = structlog.get_logger("idnode.filing")

MAX_OPEN = 2000
"""Filings that may wait for a decision."""

_WAIT_SECONDS = 3600
_LOCK = "idnode filings"


@dataclass(frozen=True)
class Administrator:
    """The first account of an enterprise. password: as a person types it."""

    name: str
    password: str


async def file(
    registry: Registry,
    facts: Facts,
    administrator: Administrator,
    *,
    address: str | None,
    request_id: str | None,
) -> Record:
    """File an enterprise with the account that looks after it; return its row.

    address: of the peer. Raises InsufficientPermission where the node takes no filings by itself,
    TooManyRequests, InvalidValue with the field, and HandleExists for a credit code or a name that
    is taken.
    """
    if not registry.self_filing:
        raise InsufficientPermission(
            "this node takes no filings by itself: turn to its operator to be registered"
        )
    now = datetime.datetime.fromtimestamp(registry.clock(), datetime.UTC)
    source = throttle.source_of(address)
    async with registry.database.begin() as connection:
        await throttle.claim_filing(connection, source, now)
    columns = facts.checked()
    people.check_name(administrator.name, "administrator.name")
    # No connection is held while the hash is worked out.
    hashed = await registry.passwords.hash(
        administrator.password, administrator.name, field="administrator.password"
    )
    async with registry.database.begin() as connection:
        await _check_room(connection)
        row = await service.add(connection, columns, FILED)
        account = await people.add(
            connection,
            field="administrator.name",
            name=administrator.name,
            role=ADMINISTRATOR,
            enterprise_id=row.id,
            password=hashed,
        )
        first = Principal(ACCOUNT, ADMINISTRATOR, account.id, account.name, row.id)
        work = Work(connection, first, registry.node_prefix, now, request_id)
        await steps.note(work, row.id, steps.FILE, None, FILED, None)
        filed = {"credit_code": row.credit_code, "source": source}
        await work.audit("enterprise.file", str(row.id), filed)
        made = {"name": account.name, "role": ADMINISTRATOR, "enterprise_id": str(row.id)}
        await work.audit("account.create", str(account.id), made)
    log.info("enterprise_filed", enterprise=str(row.id), source=source, request_id=request_id)
    return row


async def _check_room(connection: AsyncConnection) -> None:
    lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(_LOCK))
    await connection.execute(sa.select(lock))
    waiting = sa.select(sa.func.count()).where(enterprises.c.status.in_(OPEN))
    if (await connection.scalar(waiting) or 0) >= MAX_OPEN:
        raise TooManyRequests(
            "too many filings wait for a decision; come again later", retry_after=_WAIT_SECONDS
        )
