"""All parts of one thing, down to five levels, in one answer."""

from __future__ import annotations

import time
import uuid
from statistics import median, quantiles

import msgspec

from benchmarks import sample
from benchmarks.ask import Connection, Reply, WrongAnswer
from benchmarks.node import Node
from benchmarks.plan import WRITTEN, Plan
from benchmarks.report import Limit, Row
from benchmarks.store import connected, fill

_LIMIT = Limit("figure", "<=", 100.0, "ms")
_PARTS = 10_000
_DEPTH = 5
_UNDER_ONE = 7
"""Parts of each whole: 10 000 parts are five levels then."""
_TREES = 10
_WARM_UP = 5

# Number 0 of each tree is the whole; number n hangs on number (n - 1) / 7.
_RELATE = """
INSERT INTO relations (prefix, suffix_key, kind, target_prefix, target_suffix_key, suffix, target,
    audience)
SELECT $1, n.name, 'part-of', $1, n.whole, n.name, $1 || '/' || n.whole, 'public'
FROM (
    SELECT 'SN-' || lpad((tree * ($3 + 1) + part)::text, $5, '0') AS name,
        'SN-' || lpad((tree * ($3 + 1) + (part - 1) / $4)::text, $5, '0') AS whole
    FROM generate_series(0, $2 - 1) AS tree, generate_series(1, $3) AS part
) AS n
"""


async def measure(plan: Plan, node: Node, url: str) -> list[Row]:
    """Ask for all parts of one of several trees, in the name of the enterprise that has them."""
    await fill(url, WRITTEN, _TREES * (_PARTS + 1))
    async with connected(url) as sql:
        await sql.execute(_RELATE, WRITTEN, _TREES, _PARTS, _UNDER_ONE, sample.DIGITS)
        await sql.execute("VACUUM ANALYZE relations")
        enterprise = await sql.fetchval("SELECT id FROM enterprises")
    connection = await Connection.open(node.server.port)
    try:
        token = await _key(connection, node.token, enterprise)
        times = []
        for number in range(_WARM_UP + plan.walks):
            whole = sample.name(WRITTEN, number % _TREES * (_PARTS + 1))
            target = f"/api/v1/identifiers/{whole}/parts?depth={_DEPTH}&limit={_PARTS}"
            started = time.perf_counter()
            reply = await connection.get(target, token=token)
            times.append(1000 * (time.perf_counter() - started))
            _check(target, reply)
    finally:
        await connection.close()
    return [
        Row(
            "parts",
            f"{_PARTS:,} parts to depth {_DEPTH} in one answer, p99",
            "ms",
            quantiles(times[_WARM_UP:], n=100, method="inclusive")[98],
            limit=_LIMIT,
            detail={
                "p50_ms": round(median(times[_WARM_UP:]), 1),
                "relations": _TREES * _PARTS,
                "bytes": len(reply.body),
            },
        )
    ]


async def _key(connection: Connection, operator: str, enterprise: uuid.UUID) -> str:
    target = f"/api/v1/enterprises/{enterprise}/keys"
    reply = await connection.send("POST", target, b"{}", token=operator)
    if reply.status != 201:
        raise WrongAnswer(f"{target}: {reply.status} {reply.body!r}")
    key: str = msgspec.json.decode(reply.body)["key"]
    return key


def _check(target: str, reply: Reply) -> None:
    if reply.status != 200:
        raise WrongAnswer(f"{target}: {reply.status} {reply.body[:400]!r}")
    page = msgspec.json.decode(reply.body)
    handles = {item["handle"] for item in page["items"]}
    if len(handles) != _PARTS or page["next"] or page["items"][-1]["depth"] != _DEPTH:
        raise WrongAnswer(f"{target}: {len(handles)} parts, then {page['next']}")
