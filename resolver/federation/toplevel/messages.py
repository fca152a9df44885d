"""Messages of the outboxes of secondary nodes: each takes effect exactly once.

What each kind of message is, how it is checked and what it does, is in `kinds.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import Conflict, InvalidHandle
from protocol.identifier import check_prefix
from registry.database import Database
from resolver.federation.toplevel.schema import messages

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]

P = TypeVar("P", bound=msgspec.Struct)


class Message(msgspec.Struct, Generic[P], forbid_unknown_fields=True, frozen=True):
    """Body of POST /filings: one message of a secondary node's outbox."""

    message_id: uuid.UUID
    node: Name
    subject: Name
    kind: str
    payload: P


@dataclass(frozen=True)
class Kind(Generic[P]):
    """One kind of message.

    message: what its body is read as, `Message[payload]`.
    check: raises InvalidValue or Conflict, with the field, for what this node may not send.
    apply: does within the transaction what the message asks for; Conflict if it may not.
    """

    message: type[Message[P]]
    check: Callable[[Message[P]], None]
    apply: Callable[[AsyncConnection, Message[P]], Awaitable[None]]


async def take(database: Database, kind: Kind[P], message: Message[P]) -> bool:
    """Commit the message and its effect; False if it was taken before, and nothing is done.

    Raises Conflict if its kind says so, or if the message_id came with something else before;
    StoreUnavailable.
    """
    async with database.begin() as connection:
        taken = await connection.execute(
            pg.insert(messages)
            .values(**_columns(message))
            .on_conflict_do_nothing(index_elements=[messages.c.message_id])
            .returning(messages.c.arrival)
        )
        if taken.one_or_none() is None:
            await _check_same(connection, message)
            return False
        await kind.apply(connection, message)
        return True


def _columns(message: Message[P]) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "node": message.node,
        "subject": message.subject,
        "kind": message.kind,
        "payload": msgspec.to_builtins(message.payload),
    }


async def _check_same(connection: AsyncConnection, message: Message[P]) -> None:
    """To say "I have it" of a message that differs would lose it."""
    same = [messages.c[name] == value for name, value in _columns(message).items()]
    if await connection.scalar(sa.select(messages.c.arrival).where(*same)) is None:
        raise Conflict("another message came with this message_id", field="message_id")


def check_named_prefix(prefix: str, field: str) -> str:
    """Return the prefix as it is written canonically. Raises InvalidHandle that names `field`."""
    try:
        return check_prefix(prefix)
    except InvalidHandle as error:
        error.field = field
        raise
