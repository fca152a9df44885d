"""Enterprises are kept apart by PostgreSQL itself: row-level security.

A transaction in the name of an enterprise runs in the role `idnode_tenant`, with the enterprise in
the setting `idnode.tenant`; both end with the transaction. The role reaches the rows of that
enterprise and no others (policies: registry/migrations/tenancy.py), so that a condition that was
forgotten in a query shows and changes nothing of somebody else. The node itself, which owns the
tables, is not restricted: staff, resolution, imports under way, housekeeping.

It is a second wall behind the checks of the services, not one against statements of an
attacker's own making: those could take back the role.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

ROLE = "idnode_tenant"
SETTING = "idnode.tenant"

NODE_TABLES = {
    "alembic_version": "which tables there are",
    "change_log": "what all caches must forget; triggers write it as its owner",
    "handle_challenges": "read and written by the Handle protocol before it is known who asks",
    "handle_http_sessions": "read and written by the Handle protocol before it is known who asks",
    "handle_sessions": "read and written by the Handle protocol before it is known who asks",
    "log_entries": "the tree over what all have done; proofs are read for them",
    "log_heads": "the tree over what all have done; proofs are read for them",
    "log_nodes": "the tree over what all have done; proofs are read for them",
    "outbox": "what the node itself tells the top-level node",
    "reports": "what the node itself has told the top-level node",
    "reserved_numbers": "kept back from all; asked with tenancy lifted",
    "resolution_sources": "what workers have written into the statistics; they alone use it",
    "top_sources": "the error of estimates over all names of all enterprises",
    "sign_in_attempts": "counted before it is known who asks",
    "snms_tokens": "given out and looked up before it is known who asks",
}
"""Tables that enterprises do not reach at all, each with the reason."""


class RoleMissing(Exception):
    """The database user cannot make or take on the role; the message says what helps."""

    def __init__(self, user: str) -> None:
        super().__init__(
            f"the database user {user} may not make the role {ROLE}, which keeps enterprises"
            f" apart; let an administrator of the database run: CREATE ROLE {ROLE} NOLOGIN;"
            f" GRANT {ROLE} TO {user};"
        )


def entering(enterprise_id: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return an expression that, where `enterprise_id` is not null, does what `enter` does.

    It takes effect with the statement after the one in which it stands.
    """
    both = _set(SETTING, sa.cast(enterprise_id, sa.Text)) + _set("role", sa.literal(ROLE))
    return sa.case((enterprise_id.is_not(None), both))


def _set(name: str, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    only_this_transaction = True
    return sa.func.set_config(name, value, only_this_transaction, type_=sa.Text)


_ENTER = sa.select(entering(sa.bindparam("enterprise_id", type_=sa.Uuid)))
_LEAVE = sa.select(_set("role", sa.literal("none")))
_RETURN = sa.select(_set("role", sa.literal(ROLE)))


async def enter(connection: AsyncConnection, enterprise_id: uuid.UUID | None) -> None:
    """Go on in the name of an enterprise until the transaction ends; None: of the node."""
    if enterprise_id is not None:
        await connection.execute(_ENTER, {"enterprise_id": enterprise_id})


@contextlib.asynccontextmanager
async def lifted(
    connection: AsyncConnection, enterprise_id: uuid.UUID | None
) -> AsyncIterator[None]:
    """Let the block see all enterprises, where a rule is about all of them.

    enterprise_id: in whose name the transaction is. What the block learns must not leave it but
    by the rule.
    """
    if enterprise_id is None:
        yield
        return
    await connection.execute(_LEAVE)
    yield
    # After an exception the transaction is not gone on with.
    await connection.execute(_RETURN)
