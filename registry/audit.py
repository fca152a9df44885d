"""The audit log: who did what to what, written in the transaction that did it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncConnection

from registry.schema import audit_log

if TYPE_CHECKING:
    from registry.principals import Principal


async def append(  # noqa: PLR0917
    connection: AsyncConnection,
    principal: Principal,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    request_id: str | None,
) -> None:
    """Write one line.

    action: such as ``prefix.approve``. subject: what it was done to. detail: JSON, without
    secrets.
    """
    await connection.execute(
        audit_log.insert(),
        {
            "actor": principal.actor,
            "action": action,
            "subject": subject,
            "detail": dict(detail),
            "request_id": request_id,
        },
    )
