"""Proofs out of a log of a million lines, and how fast lines are taken into the tree."""

from __future__ import annotations

import random
import time
from statistics import median, quantiles
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.ask import Connection, Reply, WrongAnswer
from benchmarks.node import Node
from benchmarks.plan import Plan
from benchmarks.report import Limit, Row
from benchmarks.store import connected
from protocol import merkle
from registry.api.bodies import log as bodies
from registry.database import Database
from registry.transparency import heads, tree
from registry.transparency.sequencer import Sequencer

_PROOF = Limit("figure", "<=", 5.0, "ms")
_SEQUENCED = Limit("figure", ">=", 1_000_000 / 60, "lines per s")
_WARM_UP = 50

Body = TypeVar("Body", bound=msgspec.Struct)

_WRITE = """
INSERT INTO audit_log (actor, action, subject, detail, request_id)
SELECT 'key:00000000-0000-4000-8000-000000000000', 'identifier.put', '88.118.3/SN-' || n,
    jsonb_build_object('version', n), md5(n::text)
FROM generate_series($1::bigint, $2::bigint) AS n
"""
_AT_ONCE = 100_000


async def fill(plan: Plan, url: str) -> list[Row]:
    """Write the lines, and take them into the tree, as the jobs process does after a long stop."""
    async with connected(url) as sql:
        for start in range(1, plan.log_lines + 1, _AT_ONCE):
            await sql.execute(_WRITE, start, min(start + _AT_ONCE - 1, plan.log_lines))
        await sql.execute("VACUUM ANALYZE audit_log")
    database = Database(url)
    try:
        sequencer = Sequencer(database)
        started = time.monotonic()
        taken = await sequencer.sweep()
        seconds = time.monotonic() - started
        if taken != plan.log_lines:
            raise WrongAnswer(f"{taken:,} of {plan.log_lines:,} lines were taken into the tree")
        key = Ed25519PrivateKey.generate()
        await heads.make(database, key, settled=sequencer.settled, now=time.time())
    finally:
        await database.close()
    name = f"lines taken into the tree of the log, {plan.log_lines:,} at a stretch"
    return [Row("sequenced", name, "lines per s", taken / seconds, limit=_SEQUENCED)]


async def measure(plan: Plan, node: Node, url: str) -> list[Row]:
    """Ask for inclusion proofs of leaves drawn at random, one after the other, and check each."""
    draw = random.Random(0)
    database = Database(url)
    connection = await Connection.open(node.server.port)
    times = []
    try:
        reply = await connection.get("/api/v1/log/head")
        head = _decoded(reply, bodies.Head)
        size, root = head.tree_size, head.root_hash
        for _ in range(_WARM_UP + plan.proofs):
            index = draw.randrange(size)
            target = f"/api/v1/log/proofs/inclusion?leaf_index={index}&tree_size={size}"
            started = time.perf_counter()
            reply = await connection.get(target, token=node.token)
            times.append(1000 * (time.perf_counter() - started))
            path = _decoded(reply, bodies.Inclusion).inclusion_path
            async with database.begin() as session:
                (leaf,) = await tree.nodes(session, [(0, index)])
            merkle.check_inclusion(leaf, index, size, path, root)
    finally:
        await connection.close()
        await database.close()
    return [
        Row(
            "proof",
            f"inclusion proof of one entry of {size:,}, p99",
            "ms",
            quantiles(times[_WARM_UP:], n=100, method="inclusive")[98],
            limit=_PROOF,
            detail={"p50_ms": round(median(times[_WARM_UP:]), 2), "hashes": len(path)},
        )
    ]


def _decoded(reply: Reply, type_: type[Body]) -> Body:
    if reply.status != 200:
        raise WrongAnswer(f"{reply.status} {reply.body[:400]!r}")
    return msgspec.json.decode(reply.body, type=type_)
