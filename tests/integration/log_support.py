"""An audit log with lines in it, and its tree."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol import merkle
from registry.database import Database
from registry.transparency import heads, leaf
from registry.transparency.heads import SignedHead
from registry.transparency.sequencer import Sequencer

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NOW = 1_700_000_000.0


async def write(database: Database, count: int, subject: str = "88.118.1/A") -> None:
    """Write so many lines, each of which is different."""
    async with database.begin() as connection:
        await connection.execute(
            sa.text(
                """INSERT INTO audit_log (actor, action, subject, detail, request_id)
                SELECT 'account:root', 'identifier.put', :subject,
                    jsonb_build_object('version', n, 'name', '泵 "' || n), 'r-' || n
                FROM generate_series(1, :count) AS n"""
            ),
            {"subject": subject, "count": count},
        )


async def grow(database: Database, *sizes: int, now: float = NOW) -> list[SignedHead]:
    """Write so many lines, then take them into the tree and sign a head, again and again."""
    sequencer = await Sequencer.resume(database)
    signed = []
    for number, size in enumerate(sizes):
        await write(database, size)
        assert await sequencer.sweep() == size
        head = await heads.make(database, KEY, settled=sequencer.settled, now=now + number)
        assert head is not None
        signed.append(head)
    return signed


async def leaves(database: Database) -> list[bytes]:
    """Return the hashes of the lines as they are now, in the order of the tree."""
    async with database.begin() as connection:
        texts: Sequence[str] = (
            await connection.scalars(
                sa.text(
                    f"SELECT {leaf.TEXT} FROM log_entries JOIN audit_log AS a USING (seq)"
                    " ORDER BY leaf_index"
                )
            )
        ).all()
    return [merkle.leaf_hash(text.encode()) for text in texts]


async def as_superuser(database: Database, *statements: str) -> None:
    """Do what the triggers forbid."""
    async with database.begin() as connection:
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def sign(database: Database) -> None:
    """Take what is there into the tree, and sign it."""
    sequencer = await Sequencer.resume(database)
    await sequencer.sweep()
    await heads.make(database, KEY, settled=sequencer.settled, now=NOW)
