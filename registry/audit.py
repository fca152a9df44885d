"""The audit log: who did what to what, written in the transaction that did it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
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
        audit_log.insert().inline(),  # without RETURNING: enterprises write the log, and read none
        {
            "actor": principal.actor,
            "action": action,
            "subject": subject,
            "detail": dict(detail),
            "request_id": request_id,
        },
    )


def of_values(values: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what a line says of the values that were written, so that it attests them too.

    That is ``values_sha256``: of the list in Handle JSON as the registry answers it, with the
    members of objects sorted and no space between (RFC 8785).
    """
    octets = msgspec.json.encode(values, order="sorted")
    return {"values_sha256": hashlib.sha256(octets).hexdigest()}


WRITER = "idnode.actor"
"""Setting of a transaction that says who writes; triggers put it into the history."""


def naming(actor: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return an expression that names the writer for the statements after it, to the end of the
    transaction.
    """  # noqa: D205
    only_this_transaction = True
    return sa.func.set_config(WRITER, actor, only_this_transaction, type_=sa.Text)


_NAME = sa.select(naming(sa.bindparam("actor", type_=sa.Text)))


async def name_writer(connection: AsyncConnection, actor: str) -> None:
    """Name the writer until the transaction ends."""
    await connection.execute(_NAME, {"actor": actor})
