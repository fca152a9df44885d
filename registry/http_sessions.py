"""Sessions of the Handle JSON API: a nonce to sign and, once that is done, who has signed it.

They are in the database because the next request may reach another worker. Their table is not
logged: after a crash of PostgreSQL clients sign in again. Kept is the digest of an id, since who
knows the id of an authenticated session is taken for its identity.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.admins import Identity
from registry.identities import IdentityKey
from registry.schema import handle_http_sessions as sessions

CHALLENGE_SECONDS = 60
"""How long a nonce waits for its signature."""

SESSION_SECONDS = 900
"""How long an identity need not be proved again."""

MAX_CHALLENGES_PER_ADDRESS = 100
MAX_CHALLENGES = 4000
MAX_SESSIONS_PER_IDENTITY = 200

NONCE_BYTES = 16
_ID_BYTES = 24
_LONGEST_ID = 64


@dataclass(frozen=True)
class Session:
    """id: as the client has it. identity: None until it is proved, and then `proof` is the digest
    of the key that did it.
    """  # noqa: D205

    id: str
    nonce: bytes
    identity: Identity | None = None
    proof: bytes | None = None


async def create(connection: AsyncConnection, address: str, now: float) -> Session:
    """Make a session. address: of the client. now: Unix seconds.

    Of those to which nothing has been proved yet, the oldest go when there are too many: first
    those of the address, then of all. An honest client answers at once.
    """
    session = Session(secrets.token_urlsafe(_ID_BYTES), secrets.token_bytes(NONCE_BYTES))
    await connection.execute(
        sessions.insert().values(
            digest=_digest(session.id),
            nonce=session.nonce,
            address=address,
            expires_at=_moment(now + CHALLENGE_SECONDS),
        )
    )
    waiting = sessions.c.identity_index.is_(None)
    here = sa.and_(waiting, sessions.c.address == address)
    await _keep(connection, here, MAX_CHALLENGES_PER_ADDRESS)
    await _keep(connection, waiting, MAX_CHALLENGES)
    return session


async def _keep(connection: AsyncConnection, those: sa.ColumnElement[bool], most: int) -> None:
    """Delete all but the newest `most` of some sessions."""
    surplus = sa.select(sessions.c.digest).where(those).order_by(sessions.c.expires_at.desc())
    # Whoever else cleans up at the same time takes the others.
    free = (
        sa.select(sessions.c.digest)
        .where(sessions.c.digest.in_(surplus.offset(most)))
        .with_for_update(skip_locked=True)
    )
    await connection.execute(sessions.delete().where(sessions.c.digest.in_(free)))


async def find(connection: AsyncConnection, session_id: str, now: float) -> Session | None:
    """Return a session that has not ended."""
    if len(session_id) > _LONGEST_ID:
        return None
    query = sa.select(sessions).where(
        sessions.c.digest == _digest(session_id), sessions.c.expires_at > _moment(now)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    known = row.identity_index is not None
    identity = Identity(row.identity_index, row.identity_handle) if known else None
    return Session(session_id, row.nonce, identity, row.proof)


async def authenticate(
    connection: AsyncConnection, session_id: str, key: IdentityKey, now: float
) -> None:
    """Note that whoever has the session has proved itself with `key`."""
    identity = key.identity
    await connection.execute(
        sessions.update()
        .where(sessions.c.digest == _digest(session_id))
        .values(
            identity_index=identity.index,
            identity_handle=identity.handle,
            proof=key.digest,
            expires_at=_moment(now + SESSION_SECONDS),
        )
    )
    theirs = sa.and_(
        sessions.c.identity_index == identity.index,
        sessions.c.identity_handle == identity.handle,
    )
    await _keep(connection, theirs, MAX_SESSIONS_PER_IDENTITY)


async def end(connection: AsyncConnection, session_id: str) -> bool:
    """End a session; return whether there was one."""
    ended = await connection.execute(
        sessions.delete().where(sessions.c.digest == _digest(session_id))
    )
    return bool(ended.rowcount)


def _digest(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "surrogateescape")).digest()


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
