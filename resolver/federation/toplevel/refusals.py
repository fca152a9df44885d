"""What was refused of what nodes filed: each reason once, with how often and when it came last."""

from __future__ import annotations

import hashlib

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql as pg

from protocol.errors import IdnodeError, StoreUnavailable
from registry.database import Database
from resolver.federation.toplevel.schema import refusals

log = structlog.get_logger("idnode.toplevel")

MOST_KEPT = 1000
"""Reasons that are kept; of more, the one that came longest ago is forgotten."""

_LONGEST_NAME, _LONGEST_DETAIL = 255, 500
_LOCK = "idnode toplevel refusals"


class _Said(msgspec.Struct):
    """What a message that may not be one says of itself."""

    node: str = ""
    kind: str = ""
    subject: str = ""


async def keep(database: Database, body: bytes, sender: str | None, error: IdnodeError) -> None:
    """Keep that a message was refused. sender: the node whose certificate was shown.

    That the database is away is told in the log: the refusal itself stands.
    """
    said = _read(body)
    values = {
        "node": _short(said.node if sender is None else sender),
        "kind": _short(said.kind),
        "subject": _short(said.subject),
        "field": None if error.field is None else _short(error.field),
        "reason": _printable(error.detail)[:_LONGEST_DETAIL],
    }
    digest = hashlib.sha256(msgspec.json.encode(values)).digest()
    statement = pg.insert(refusals).values(digest=digest, status=error.http_status, **values)
    again = {"times": refusals.c.times + 1, "last_at": sa.func.now()}
    key = refusals.c.digest
    newest = sa.select(key).order_by(refusals.c.last_at.desc(), key).limit(MOST_KEPT)
    try:
        async with database.begin() as connection:
            # One at a time: two that forget the same reasons would wait for each other.
            await connection.execute(
                sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(_LOCK)))
            )
            await connection.execute(
                statement.on_conflict_do_update(index_elements=[key], set_=again)
            )
            await connection.execute(refusals.delete().where(key.not_in(newest)))
    except StoreUnavailable as failure:
        log.warning("refusal_not_kept", error=failure.detail, refused=values["reason"])


def _read(body: bytes) -> _Said:
    try:
        return msgspec.json.decode(body, type=_Said)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Said()


def _short(text: str) -> str:
    return _printable(text)[:_LONGEST_NAME]


def _printable(text: str) -> str:
    """Return `text` without what a PostgreSQL text can not have."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
