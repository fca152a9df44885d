"""How soon an update is seen by every worker."""

from __future__ import annotations

import asyncio
import time
from statistics import median, quantiles

import psutil

from benchmarks import sample
from benchmarks.ask import Connection, WrongAnswer
from benchmarks.node import Node
from benchmarks.plan import WRITTEN, Plan
from benchmarks.report import Limit, Row

_LIMIT = Limit("figure", "<=", 100.0, "ms")
_POLL_SECONDS = 0.0005
_MOST_CONNECTIONS = 200
_LONGEST_SECONDS = 10.0
_SUFFIX = "UPDATED"
_TARGET = f"/api/handles/{WRITTEN}/{_SUFFIX}"


async def measure(plan: Plan, node: Node) -> list[Row]:
    """Update one identifier at one worker after the other, and ask all of them until they know.

    The time begins when the update is acknowledged. Before each update every worker has the
    former value in its cache.
    """
    workers = await _connect_to_each(node)
    seen: list[float] = []
    try:
        await _put(workers[0], node.token, "0")
        await asyncio.gather(*(_until(worker, "0", time.monotonic()) for worker in workers))
        for n in range(1, plan.updates + 1):
            await _put(workers[n % len(workers)], node.token, str(n))
            acknowledged = time.monotonic()
            waits = (_until(worker, str(n), acknowledged) for worker in workers)
            seen.append(1000 * max(await asyncio.gather(*waits)))
    finally:
        for worker in workers:
            await worker.close()
    p99 = quantiles(seen, n=100, method="inclusive")[98]
    return [
        Row(
            "update_seen",
            f"update seen by all of {len(workers)} workers, p99",
            "ms",
            p99,
            limit=_LIMIT,
            detail={"p50_ms": round(median(seen), 2), "max_ms": round(max(seen), 2)},
        )
    ]


async def _connect_to_each(node: Node) -> list[Connection]:
    """Return a connection to each worker: the kernel deals them out, so open until all have one."""
    found: dict[int, Connection] = {}
    spare: list[Connection] = []
    while len(found) < len(node.workers):
        if len(spare) > _MOST_CONNECTIONS:
            raise WrongAnswer(f"after {len(spare)} connections only {len(found)} workers have one")
        connection = await Connection.open(node.server.port)
        await connection.get(_TARGET)  # it is now accepted, whatever the answer
        owner = _owner(node.workers, connection.local_port)
        if owner in found:
            spare.append(connection)
        else:
            found[owner] = connection
    for connection in spare:
        await connection.close()
    return list(found.values())


def _owner(workers: list[int], client_port: int) -> int:
    for pid in workers:
        for socket in psutil.Process(pid).net_connections("tcp"):
            if socket.raddr and socket.raddr.port == client_port:
                return pid
    raise WrongAnswer("a connection was accepted by none of the workers")


async def _put(connection: Connection, token: str, value: str) -> None:
    target = f"/api/v1/identifiers/{WRITTEN}/{_SUFFIX}"
    reply = await connection.send("PUT", target, sample.registration(value), token=token)
    if reply.status not in (200, 201):
        raise WrongAnswer(f"PUT {target}: {reply.status} {reply.body!r}")


async def _until(connection: Connection, value: str, since: float) -> float:
    """Return the seconds since `since` after which this worker answers the new value."""
    wanted = f'/product/{value}"'.encode()
    async with asyncio.timeout(_LONGEST_SECONDS):
        while True:
            reply = await connection.get(_TARGET)
            if wanted in reply.body:
                return time.monotonic() - since
            await asyncio.sleep(_POLL_SECONDS)
