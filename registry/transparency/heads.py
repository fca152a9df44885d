"""Signed heads of the tree: made at a bounded pace, as long as there is something new."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import tree_head
from protocol.tree_head import TreeHead
from registry.database import Database
from registry.schema import log_heads
from registry.transparency import tree
from registry.transparency.sequencer import Sequencer, hold

log = structlog.get_logger("idnode.log")

HEAD_SECONDS = 10.0
"""Between two heads at least; a line is under a signed head so long after its commit at most, while
the jobs process keeps up."""

SWEEP_SECONDS = 1.0


@dataclass(frozen=True)
class SignedHead:
    """A head as it is kept. public_key: SubjectPublicKeyInfo of the key that signed it, DER."""

    head: TreeHead
    signature: bytes
    public_key: bytes

    def check(self) -> None:
        """See that the key that it names has signed it. Raises BadProof."""
        tree_head.check(self.head, self.signature, tree_head.decode_key(self.public_key))


def of_row(row: Any) -> SignedHead:
    """Return a row of `log_heads`."""
    head = TreeHead(row.timestamp, row.tree_size, row.root_hash)
    return SignedHead(head, row.signature, row.public_key)


async def latest(connection: AsyncConnection) -> SignedHead | None:
    """Return the newest head; None where there is none yet."""
    query = log_heads.select().order_by(log_heads.c.tree_size.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else of_row(row)


async def make(
    database: Database, key: Ed25519PrivateKey, *, settled: int, now: float
) -> SignedHead | None:
    """Sign what the tree has come to; None where nothing is new.

    settled: see Sequencer. now: Unix seconds. Raises StoreUnavailable.
    """
    async with database.begin() as connection:
        await hold(connection)
        size, before = await tree.size(connection), await latest(connection)
        if size == 0 or (before is not None and before.head.size >= size):
            return None
        edge = await tree.frontier(connection, size)
        moment = int(now * 1000)
        if before is not None:
            moment = max(moment, before.head.timestamp + 1)
        head = TreeHead(moment, size, edge.root)
        signed = SignedHead(head, tree_head.sign(head, key), tree_head.encode_key(key.public_key()))
        if before is not None and before.public_key != signed.public_key:
            log.warning("log_key_changed", log_id=tree_head.log_id(key.public_key()).hex())
        await connection.execute(
            log_heads.insert(),
            {
                "tree_size": size,
                "timestamp": moment,
                "root_hash": head.root,
                "signature": signed.signature,
                "public_key": signed.public_key,
                "settled": settled,
            },
        )
    return signed


async def run_log(
    database: Database,
    key: Ed25519PrivateKey,
    stop: asyncio.Event,
    clock: Callable[[], float] = time.time,
) -> None:
    """Take lines into the tree and sign heads until `stop`. Raises StoreUnavailable."""
    sequencer = await Sequencer.resume(database)
    due = 0.0
    while not stop.is_set():
        await sequencer.sweep(stop)
        if time.monotonic() >= due:
            signed = await make(database, key, settled=sequencer.settled, now=clock())
            if signed is not None:
                log.info("tree_head_signed", tree_size=signed.head.size)
                due = time.monotonic() + HEAD_SECONDS
        try:
            async with asyncio.timeout(SWEEP_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
