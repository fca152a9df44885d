"""A client that keeps its connection, and logs in on it, as the id-pointer SDK does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from protocol.handle.header import OpCode
from protocol.handle.message import Message, decode_message, read_frame
from protocol.handle.requests import LoginRequest, Request
from protocol.handle.responses import Challenge
from tests.integration.handle_support import PLAIN, Actor, Node, answer_to, ask

CHOSEN = 41
"""The session id, which clients of this kind choose themselves."""


@dataclass
class Connection:
    """One TCP connection, as the SDK keeps it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, message: Message, session_id: int = CHOSEN) -> Message:
        envelope = replace(message.envelope, session_id=session_id)
        self.writer.write(replace(message, envelope=envelope).encode())
        octets = b""
        async with asyncio.timeout(20):
            while (frame := read_frame(octets)) is None:
                part = await self.reader.read(65_536)
                assert part, "the node keeps the connection"
                octets += part
        assert frame[-1] == len(octets)
        return decode_message(octets)

    async def code(self, op_code: int, body: Request, flags: int = PLAIN) -> int:
        return (await self.send(ask(op_code, body, flags))).header.response_code

    async def login(self, actor: Actor, session_id: int = CHOSEN) -> Message:
        """Log in as `actor`; return the last answer."""
        wanted = LoginRequest(actor.identity.handle, actor.identity.index)
        challenge = await self.send(ask(OpCode.LOGIN, wanted), session_id)
        if not isinstance(challenge.body, Challenge):
            return challenge
        answer = answer_to(challenge, actor)
        return await self.send(answer, answer.envelope.session_id)


@contextlib.asynccontextmanager
async def connected(node: Node, worker: int = 0) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.servers[worker].port)
    with contextlib.closing(writer):
        yield Connection(reader, writer)
