"""Challenges and sessions of the Handle protocol, kept in PostgreSQL.

What follows a challenge, or what belongs to a session, may reach another worker. Both kinds of ids
are random; those of sessions have a bit that those of challenges lack, so that no message is taken
for the other kind.
"""

from __future__ import annotations

import datetime
import secrets
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.handle.session import REPLAY_WINDOW, ReplayWindow
from registry.admins import Identity
from registry.schema import handle_challenges as challenges
from registry.schema import handle_sessions as sessions

CHALLENGE_SECONDS = 60
MAX_CHALLENGES_PER_ADDRESS = 100
MAX_CHALLENGES = 4000
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""All requests together that wait for an answer to a challenge."""

SESSION_IDLE_SECONDS = 3600
"""How long a session lives without a message, whatever the client asks for."""

SESSION_SECONDS = 12 * 3600
MAX_SESSIONS_PER_ADDRESS = 200
MAX_SESSIONS = 10_000

_SESSION_BIT = 1 << 30
_SEEN_BYTES = -(-REPLAY_WINDOW // 8)
_TRIES = 8


@dataclass(frozen=True)
class Challenge:
    """A request that waits for the answer to `nonce`. id: in the envelopes of both."""

    id: int
    nonce: bytes
    request: bytes = field(repr=False)


@dataclass(frozen=True)
class Session:
    """A session.

    key: empty as long as the client has not sent it (mode 2).
    claimed: who said, when it was set up, that they would prove themselves; "" for nobody.
    proved: who has, and `proof` the digest of the key that did it.
    """

    id: int
    key: bytes = field(repr=False)
    claimed: Identity
    proved: Identity | None
    proof: bytes | None
    window: ReplayWindow
    timeout: int
    ends: datetime.datetime


async def add_challenge(
    connection: AsyncConnection,
    *,
    nonce: bytes,
    request: bytes,
    request_id: int,
    address: str,
    session: int | None,
    now: float,
) -> Challenge:
    """Keep a request until its challenge is answered, for CHALLENGE_SECONDS at most.

    request: the whole message. address: of the peer. session: its session, which has one
    challenge at a time: a request that comes twice gets the same one, another one takes its place.
    Over the bounds, the oldest of the address go, then the oldest of all: an honest client answers
    at once, so a flood does not push it out. now: Unix seconds.
    """
    moment = _moment(now)
    row = {
        "nonce": nonce,
        "request": request,
        "request_id": request_id,
        "address": address,
        "created_at": moment,
        "expires_at": moment + datetime.timedelta(seconds=CHALLENGE_SECONDS),
    }
    if session is not None:
        made = await _replace(connection, session, row, moment)
    else:
        made = Challenge(await _insert(connection, challenges, row, bit=0), nonce, request)
    await _keep(connection, challenges, address, MAX_CHALLENGES_PER_ADDRESS, MAX_CHALLENGES)
    return made


async def _replace(
    connection: AsyncConnection, session: int, row: dict[str, Any], now: datetime.datetime
) -> Challenge:
    new = insert(challenges).values(id=session, **row)
    same = sa.and_(
        challenges.c.request_id == new.excluded.request_id,
        challenges.c.request == new.excluded.request,
        challenges.c.expires_at > now,
    )
    nonce = sa.case((same, challenges.c.nonce), else_=new.excluded.nonce)
    kept = new.on_conflict_do_update(
        index_elements=[challenges.c.id],
        set_={**{name: new.excluded[name] for name in row}, "nonce": nonce},
    ).returning(challenges.c.nonce)
    return Challenge(session, (await connection.execute(kept)).scalar_one(), row["request"])


async def take_challenge(connection: AsyncConnection, id_: int, now: float) -> Challenge | None:
    """Return a challenge that has not expired and forget it: it can be answered once."""
    taken = (
        challenges.delete()
        .where(challenges.c.id == id_, challenges.c.expires_at > _moment(now))
        .returning(challenges.c.id, challenges.c.nonce, challenges.c.request)
    )
    row = (await connection.execute(taken)).one_or_none()
    return None if row is None else Challenge(row.id, row.nonce, row.request)


async def add_session(
    connection: AsyncConnection,
    *,
    key: bytes,
    claimed: Identity,
    idle_seconds: int,
    address: str,
    now: float,
) -> int:
    """Keep a new session and return its id.

    key: empty where the client sends it later.
    idle_seconds: without a message, after which it may end, as asked for; 0 for the longest.
    Over the bounds, the oldest sessions go; those in which nobody has proved who they are push out
    their like alone.
    """
    moment = _moment(now)
    idle = min(idle_seconds or SESSION_IDLE_SECONDS, SESSION_IDLE_SECONDS)
    row = {
        "key": key,
        "identity_handle": claimed.handle,
        "identity_index": claimed.index,
        "seen": _encode_seen(ReplayWindow()),
        "timeout": idle,
        "address": address,
        "created_at": moment,
        "expires_at": moment + datetime.timedelta(seconds=idle),
    }
    id_ = await _insert(connection, sessions, row, bit=_SESSION_BIT)
    await _keep(connection, sessions, address, MAX_SESSIONS_PER_ADDRESS, MAX_SESSIONS)
    return id_


async def read_session(
    connection: AsyncConnection, id_: int, now: float, *, lock: bool = False
) -> Session | None:
    """Return a session that has not ended.

    lock: nobody else uses it before the transaction ends.
    """
    query = sa.select(sessions).where(sessions.c.id == id_, sessions.c.expires_at > _moment(now))
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        return None
    claimed = Identity(row.identity_index, row.identity_handle)
    proved = None
    if row.proved_index is not None:
        proved = Identity(row.proved_index, row.identity_handle)
    window = ReplayWindow(row.highest, int.from_bytes(row.seen, "big"))
    ends = row.created_at + datetime.timedelta(seconds=SESSION_SECONDS)
    return Session(row.id, row.key, claimed, proved, row.proof, window, row.timeout, ends)


async def use_session(
    connection: AsyncConnection, session: Session, window: ReplayWindow, now: float
) -> None:
    """Record which counters are used up, and that the session goes on."""
    until = _moment(now) + datetime.timedelta(seconds=session.timeout)
    await connection.execute(
        sessions.update()
        .where(sessions.c.id == session.id)
        .values(
            highest=window.highest,
            seen=_encode_seen(window),
            expires_at=min(until, session.ends),
        )
    )


async def prove_session(
    connection: AsyncConnection, session: Session, index: int | None, proof: bytes | None
) -> None:
    """Record that the claimed identity has proved itself with the key at `index`.

    None: that its proof does not hold any more.
    """
    await connection.execute(
        sessions.update().where(sessions.c.id == session.id).values(proved_index=index, proof=proof)
    )


async def give_key(connection: AsyncConnection, session: Session, key: bytes) -> None:
    """Record the key of a session that has waited for it."""
    await connection.execute(sessions.update().where(sessions.c.id == session.id).values(key=key))


async def end_session(connection: AsyncConnection, id_: int) -> None:
    """Forget a session, its key, and the challenge that waits in it."""
    await connection.execute(sessions.delete().where(sessions.c.id == id_))
    await connection.execute(challenges.delete().where(challenges.c.id == id_))


def _moment(now: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(now, datetime.UTC)


def _encode_seen(window: ReplayWindow) -> bytes:
    return window.seen.to_bytes(_SEEN_BYTES, "big")


async def _insert(
    connection: AsyncConnection, table: sa.Table, row: dict[str, Any], *, bit: int
) -> int:
    """Insert `row` with a random id that is free."""
    for _ in range(_TRIES):
        id_ = bit | (1 + secrets.randbelow(_SESSION_BIT - 1))
        new = insert(table).values(id=id_, **row).on_conflict_do_nothing()
        if (await connection.execute(new)).rowcount:
            return id_
    raise RuntimeError("no session id is free")  # with 10 000 of 2**30 in use: never


async def _keep(
    connection: AsyncConnection, table: sa.Table, address: str, per_address: int, in_all: int
) -> None:
    """Delete what is over the bounds, the oldest first."""
    newest = (table.c.created_at.desc(), table.c.id)
    groups: list[sa.ColumnElement[bool]] = [sa.true()]
    if table is sessions:
        groups = [table.c.proved_index.is_(None), table.c.proved_index.is_not(None)]
    surplus = []
    for group in groups:
        those = sa.select(table.c.id).where(group).order_by(*newest)
        surplus += [
            those.where(table.c.address == address).offset(per_address),
            those.offset(in_all),
        ]
    if table is challenges:
        size = sa.func.sum(sa.func.octet_length(challenges.c.request)).over(order_by=newest)
        counted = sa.select(challenges.c.id, size.label("bytes")).subquery()
        surplus.append(sa.select(counted.c.id).where(counted.c.bytes > MAX_WAITING_BYTES))
    chosen = sa.union_all(*(one.subquery().select() for one in surplus)).subquery()
    # Whoever else cleans up at the same time takes the others.
    free = (
        sa.select(table.c.id)
        .where(table.c.id.in_(sa.select(chosen.c.id)))
        .with_for_update(skip_locked=True)
    )
    await connection.execute(table.delete().where(table.c.id.in_(free)))
