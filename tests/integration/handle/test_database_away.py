"""While PostgreSQL is away, what is known is answered; for the rest the server is busy (code 3)."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from admin.embedded import EmbeddedPostgres
from protocol.errors import ResponseCode
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.requests import ResolutionRequest
from registry.database import Database, migrate
from tests.integration.handle.datagrams import over_udp
from tests.integration.handle_support import PLAIN, Node, ask, owned, running
from tests.integration.test_resolver import until

KNOWN, UNKNOWN = "KNOWN", "UNKNOWN"
PUBLIC_OR_MORE = PLAIN & ~OpFlag.PUBLIC_ONLY


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL of its own, that may be stopped."""
    directory = Path(tempfile.mkdtemp(prefix="idnode-test-"))
    server = EmbeddedPostgres(directory)
    yield server
    await asyncio.to_thread(server.stop)
    shutil.rmtree(directory)


async def codes(node: Node, suffix: str, flags: int = PLAIN) -> set[int]:
    """Return the response codes over UDP and TCP."""
    message = ask(OpCode.RESOLUTION, ResolutionRequest(suffix), flags)
    answers = (await over_udp(node.servers[0].port, message), *await node.send(message))
    return {answer.header.response_code for answer in answers}


async def test_what_is_known_goes_on_and_the_rest_is_told_that_it_is_busy(
    server: EmbeddedPostgres,
) -> None:
    url = await asyncio.to_thread(server.start)
    await migrate(url)
    database = Database(url, timeout=2)
    try:
        async with running(database) as node:
            prefix, token, _ = await owned(node)
            known, unknown = f"{prefix}/{KNOWN}", f"{prefix}/{UNKNOWN}"
            values = [{"index": 1, "type": "URL", "data": {"format": "string", "value": "u"}}]
            for name in (known, unknown):
                status, answer, _ = await node.http.call(
                    "PUT", f"/identifiers/{name}", token, {"values": values}
                )
                assert status == 201, answer
            assert await codes(node, known) == {ResponseCode.SUCCESS}
            await asyncio.to_thread(server.stop)
            await until(lambda: not node.services[0].resolver.ready)
            busy = {ResponseCode.SERVER_BUSY}
            assert await codes(node, known) == {ResponseCode.SUCCESS}, "from memory"
            assert await codes(node, known, PUBLIC_OR_MORE) == {ResponseCode.SUCCESS}
            assert await codes(node, unknown) == busy
            assert await codes(node, f"{prefix}/MISSING") == busy, "nobody knows that it is missing"
            assert await codes(node, known, PLAIN | OpFlag.AUTHORITATIVE) == busy, "not from memory"
            assert await codes(node, unknown, PLAIN | OpFlag.AUTHORITATIVE) == busy
            await asyncio.to_thread(server.start)
            await until(lambda: node.services[0].resolver.ready)
            assert await codes(node, unknown) == {ResponseCode.SUCCESS}
            assert await codes(node, f"{prefix}/MISSING") == {ResponseCode.HANDLE_NOT_FOUND}
            authoritative = PLAIN | OpFlag.AUTHORITATIVE
            assert await codes(node, known, authoritative) == {ResponseCode.SUCCESS}
    finally:
        await database.close()
