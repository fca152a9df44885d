"""A client over plain connections: it asks, and checks what it gets. It measures no throughput."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from benchmarks import sample

_SECONDS = 30.0


class WrongAnswer(Exception):
    """A server answered something else than what is registered."""


@dataclass(frozen=True)
class Reply:
    """Status and body of one answer, and the bytes of all of it, head included."""

    status: int
    body: bytes
    size: int


@dataclass
class Connection:
    """One HTTP/1.1 connection that is kept open."""

    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to `port` on loopback."""
        return cls(port, *await asyncio.open_connection("127.0.0.1", port))

    @property
    def local_port(self) -> int:
        """The port at this end."""
        port: int = self.writer.get_extra_info("sockname")[1]
        return port

    async def get(self, target: str, *, token: str | None = None) -> Reply:
        """Send a GET, with a bearer token if one is given, and read its answer."""
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if token is not None:
            head += f"Authorization: Bearer {token}\r\n"
        return await self._exchange(f"{head}\r\n".encode())

    async def send(
        self, method: str, target: str, body: bytes, *, token: str, media: str = "application/json"
    ) -> Reply:
        """Send a request with a body and a bearer token, and read its answer."""
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return await self._exchange(head.encode() + body)

    async def _exchange(self, request: bytes) -> Reply:
        async with asyncio.timeout(_SECONDS):
            self.writer.write(request)
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            body = await self.reader.readexactly(length)
        return Reply(int(head[9:12]), body, len(head) + length)

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        await self.writer.wait_closed()


async def check_all(port: int, prefix: str, numbers: range, *, connections: int = 64) -> int:
    """Ask for every identifier once and compare each answer with what it must be.

    Returns the bytes of one answer as sent, head included. Raises WrongAnswer.
    """
    bodies, left = sample.Bodies(prefix), iter(numbers)
    sizes = await asyncio.gather(
        *(_check(port, prefix, left, bodies) for _ in range(min(connections, len(numbers))))
    )
    return max(sizes)


async def _check(port: int, prefix: str, numbers: Iterator[int], bodies: sample.Bodies) -> int:
    connection = await Connection.open(port)
    size = 0
    try:
        for n in numbers:
            reply = await connection.get(f"/api/handles/{sample.name(prefix, n)}")
            if reply.status != 200 or reply.body != bodies[n]:
                raise WrongAnswer(
                    f"{sample.name(prefix, n)}: status {reply.status}, {reply.body[:400]!r}, "
                    f"expected {bodies[n]!r}"
                )
            size = reply.size
    finally:
        await connection.close()
    return size


async def check_registered(port: int, prefix: str, numbers: range) -> None:
    """Ask for identifiers that the registry has stamped with a time of its own.

    Raises WrongAnswer where one is not there or its values are not the sample's.
    """
    connection = await Connection.open(port)
    try:
        for n in numbers:
            reply = await connection.get(f"/api/handles/{sample.name(prefix, n)}")
            wanted = [value.data.decode() for value in sample.values(sample.number(n))]
            told = msgspec.json.decode(reply.body).get("values", [])
            if [value["data"]["value"] for value in told] != wanted:
                raise WrongAnswer(f"{sample.name(prefix, n)}: {reply.status} {reply.body!r}")
    finally:
        await connection.close()
