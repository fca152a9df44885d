"""Places are shared fairly: whoever holds many of them keeps nobody else out."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest

from protocol.errors import Busy
from registry.api.places import Places
from tests.integration.enterprise_support import file
from tests.integration.registry_client import Node
from tests.integration.tenants import PDF

A, B, C = (uuid.UUID(int=number) for number in range(3))


async def test_a_tenant_holds_its_share_and_no_more() -> None:
    places = Places(3, each=2, full=lambda: Busy("full"))
    async with places.hold(A), places.hold(A):
        with pytest.raises(Busy, match="full"):
            async with places.hold(A):
                pass
        async with places.hold(B):
            for other in (B, C):
                with pytest.raises(Busy, match="full"):
                    async with places.hold(other):
                        pass
    async with places.hold(A), places.hold(B), places.hold(C):
        pass


async def test_who_waits_comes_in_when_a_place_is_free() -> None:
    places, came = Places(1, each=1, full=lambda: Busy("full")), []

    async def work(tenant: uuid.UUID) -> None:
        async with places.hold(tenant, wait=20):
            came.append(tenant)
            await asyncio.sleep(0)

    async with places.hold(C):
        waiting = [asyncio.create_task(work(tenant)) for tenant in (A, B, A)]
        await asyncio.sleep(0)
        assert not came
    await asyncio.gather(*waiting)
    assert sorted(came) == [A, A, B]


async def test_who_gives_up_waiting_leaves_the_places_as_they_were() -> None:
    places = Places(1, each=1, full=lambda: Busy("full"))
    async with places.hold(A):
        waiting = asyncio.create_task(places.hold(B, wait=20).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(Busy):
            async with places.hold(B, wait=0.01):
                pass
    async with places.hold(B):
        pass


@pytest.mark.parametrize("path", ["/api/v1/identifiers:batch"])
async def test_bodies_that_come_slowly_keep_no_other_enterprise_from_its_batches(
    node: Node, path: str
) -> None:
    (_, slow), (other, key) = [await node.enterprise(number) for number in (1, 2)]
    prefix = await node.prefix(other, key)
    assert node.client.host is not None
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {slow}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    writers = []
    for _ in range(20):
        _, writer = await asyncio.open_connection(node.client.host, node.client.port)
        writer.write(head.encode())
        await writer.drain()
        writers.append(writer)
    put = {"op": "put", "identifier": f"{prefix}/A", "values": []}
    status, told, _ = await node.call("POST", "/identifiers:batch", key, {"operations": [put]})
    assert status == 200, told
    for writer in writers:
        writer.close()


async def test_attachments_that_come_slowly_keep_no_other_enterprise_from_its_own(
    node: Node,
) -> None:
    (slow, session), (other, theirs) = [await file(node, number) for number in (1, 2)]
    assert node.client.host is not None
    head = (
        f"POST /api/v1/enterprises/{slow}/attachments?name=a.pdf HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {session}\r\nContent-Type: application/pdf\r\n"
        f"Content-Length: {len(PDF)}\r\n\r\n"
    )
    refused, writers = 0, []
    for _ in range(8):
        reader, writer = await asyncio.open_connection(node.client.host, node.client.port)
        writer.write(head.encode() + PDF[:5])
        writers.append((reader, writer))
    for reader, _ in writers:  # those that are let in say nothing before the rest has come
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                refused += (await reader.readline()).startswith(b"HTTP/1.1 503")
    assert refused == 6, "an enterprise has two places, whatever it sends"
    path = f"/enterprises/{other}/attachments?name=a.pdf"
    sent = {"Content_Type": "application/pdf"}
    status, told, _ = await node.call("POST", path, theirs, PDF, **sent)
    assert status == 201, told
    for _, writer in writers:
        writer.close()
