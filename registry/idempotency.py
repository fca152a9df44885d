"""Idempotency-Key: a POST that is sent again has one effect and gets the first answer again.

The key is claimed at the start of the transaction that has the effect, and the answer is stored
at its end. So both stand or neither does, and a duplicate that comes while the first is under way
waits in the database for its outcome: it gets the first's answer, or, if the first failed,
becomes the first. An answer is kept for 24 hours. Refusals are not kept: nothing has happened.

An answer that shows a secret is stored with another body, which does not: the database must not
hold what would let its reader in. Who sends such a request again learns that it had its effect,
and which one, but not the secret.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import InvalidValue, MalformedRequest
from registry.schema import idempotency_keys

KEPT = datetime.timedelta(hours=24)
"""How long an answer is kept."""

HEADER = "Idempotency-Key"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Answer:
    """An answer as it goes out: HTTP status, the headers that belong to it, and the body.

    kept: the body to store, where `body` shows a secret.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    kept: bytes | None = None


def check_key(key: str) -> str:
    """Return `key` if it may be one. Raises MalformedRequest."""
    if not _KEY.fullmatch(key):
        raise MalformedRequest("not 1 to 255 visible ASCII characters", field=HEADER)
    return key


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """Return what tells two requests apart; method and path hold no NUL."""
    return hashlib.sha256(f"{method}\0{path}\0".encode() + body).digest()


async def claim(
    connection: AsyncConnection, actor: str, key: str, request: bytes, now: datetime.datetime
) -> Answer | None:
    """Take `key` for this transaction, or return the answer that an earlier one stored.

    request: the fingerprint. Waits while another transaction holds the same key; the wait ends
    with StoreUnavailable after the lock timeout of the database. Raises InvalidValue if the key
    was used for another request.
    """
    fresh = {"fingerprint": request, "status": 0, "headers": {}, "body": b"", "created_at": now}
    claimed = await connection.execute(
        insert(idempotency_keys)
        .values(actor=actor, key=key, **fresh)
        .on_conflict_do_update(
            index_elements=[idempotency_keys.c.actor, idempotency_keys.c.key],
            set_=fresh,
            where=idempotency_keys.c.created_at <= now - KEPT,
        )
    )
    if claimed.rowcount:
        return None
    row = (
        await connection.execute(
            sa.select(
                idempotency_keys.c.fingerprint,
                idempotency_keys.c.status,
                idempotency_keys.c.headers,
                idempotency_keys.c.body,
            ).where(idempotency_keys.c.actor == actor, idempotency_keys.c.key == key)
        )
    ).one()
    if row.fingerprint != request:
        raise InvalidValue("the key was used for another request", field=HEADER)
    return Answer(row.status, row.headers, row.body)


async def store(connection: AsyncConnection, actor: str, key: str, answer: Answer) -> None:
    """Store the answer of the request that `claim` let pass."""
    await connection.execute(
        idempotency_keys.update()
        .where(idempotency_keys.c.actor == actor, idempotency_keys.c.key == key)
        .values(
            status=answer.status,
            headers=dict(answer.headers),
            body=answer.body if answer.kept is None else answer.kept,
        )
    )
