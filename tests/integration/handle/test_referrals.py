"""Referrals over the Handle protocol: delegated prefixes (302), and derived ones (302 and 303)."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from protocol import typed
from protocol.errors import ResponseCode
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ReferralResponse, ResolutionResponse
from protocol.identifier import Identifier
from resolver.client import udp
from resolver.client.exchange import Asking
from resolver.client.resolving import resolve
from resolver.client.steps import Endpoint, Step
from tests.integration.handle_support import PLAIN, Node, ask
from tests.integration.registry_client import SITE

NOT_FOUND, NOT_HERE = ResponseCode.HANDLE_NOT_FOUND, ResponseCode.SERVER_NOT_RESPONSIBLE
RECORD = typed.site_from_json(SITE)
Places = set[tuple[str, bytes]]


def place(index: int, type_: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a value of a prefix handle: a service by its name, or else the site SITE."""
    data = {"format": "site", "value": SITE}
    if text is not None:
        data = {"format": "string", "value": text}
    return {"index": index, "type": type_, "data": data, **more}


async def answer(node: Node, name: str, *, worker: int = 0, flags: int = PLAIN) -> Message:
    request = ask(OpCode.RESOLUTION, ResolutionRequest(name), flags)
    (message,) = await node.send(request, worker=worker)
    return message


def referred(message: Message) -> tuple[int, Places]:
    """Return the code of an answer, and where it refers to."""
    code = message.header.response_code
    if not isinstance(message.body, ReferralResponse):
        return code, set()
    assert message.body.handle == "", "values follow, as the reference server writes them"
    return code, {(value.type, value.data) for value in message.body.values or ()}


async def delegated(node: Node) -> str:
    id_, key = await node.http.enterprise(2)
    return await node.http.prefix(id_, key, hosting="delegated", site=SITE)


async def write(node: Node, prefix: str, token: str, **body: Any) -> None:
    path = f"/identifiers/0.NA/{prefix}"
    status, said, _ = await node.http.call("PATCH", path, token, body)
    assert status == 200, said


async def test_what_is_below_a_delegated_prefix_is_where_that_is_served(node: Node) -> None:
    prefix = await delegated(node)
    expected = (ResponseCode.SERVICE_REFERRAL, {("HS_SITE", RECORD)})
    names = (f"{prefix}/X", f"{prefix}.5/X", f"0.NA/{prefix}.5", f"{prefix}.5", f"{prefix}.5.x/Y")
    for _, name in itertools.product(range(2), names):
        assert referred(await answer(node, name)) == expected, name
        stay = await answer(node, name, flags=PLAIN | OpFlag.DO_NOT_REFER)
        assert stay.header.response_code == NOT_FOUND, name
    own = await answer(node, f"0.NA/{prefix}")
    assert own.header.response_code == 1, "what is known of the prefix itself is known here"


async def test_what_is_below_a_hosted_prefix_is_where_its_prefix_handle_says(node: Node) -> None:
    prefix, token = await node.enterprise(1)
    names = (f"0.NA/{prefix}.5", f"{prefix}.5", f"{prefix}.5/X", f"0.na/{prefix}.5.6")
    for name in names:
        code = NOT_HERE if name.endswith("/X") else NOT_FOUND
        assert referred(await answer(node, name)) == (code, set()), "nothing is said of it yet"
    values = [
        place(2, "HS_SITE.PREFIX"),
        place(3, "hs_serv.prefix", f"{prefix}/NODE"),
        place(4, "HS_SITE"),
        place(5, "HS_SERV", f"{prefix}/OWN"),
        place(6, "HS_SERV.PREFIX", f"{prefix}/HIDDEN", permissions="1100"),
    ]
    await write(node, prefix, token, values=values)
    expected: Places = {("HS_SITE.PREFIX", RECORD), ("hs_serv.prefix", f"{prefix}/NODE".encode())}
    for worker, name in itertools.product(range(2), names):
        found = await _until(node, name, ResponseCode.PREFIX_REFERRAL, worker)
        assert referred(found) == (303, expected), name
        stay = await answer(node, name, flags=PLAIN | OpFlag.DO_NOT_REFER)
        assert stay.header.response_code == NOT_FOUND, name
    for name, code in ((f"{prefix}/X", NOT_FOUND), (f"0.NA/{prefix}", 1), (f"{prefix}5/X", 301)):
        assert referred(await answer(node, name)) == (code, set()), f"{name} is not below it"
    await write(node, prefix, token, remove=[2, 3])
    for worker in range(2):
        await _until(node, names[0], NOT_FOUND, worker)


async def _until(node: Node, name: str, code: int, worker: int) -> Message:
    """Ask a worker until the change feed has told it of the last write."""
    async with asyncio.timeout(20):
        while True:
            message = await answer(node, name, worker=worker)
            if message.header.response_code == code:
                return message
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("step", ["suspend", "revoke"])
async def test_a_prefix_that_is_not_served_refers_to_nobody(node: Node, step: str) -> None:
    prefix, token = await node.enterprise(1)
    await write(node, prefix, token, values=[place(2, "HS_SITE.PREFIX")])
    other = await delegated(node)
    for one in (prefix, other):
        assert (await answer(node, f"0.NA/{one}.5")).header.response_code in (302, 303)
        status, said, _ = await node.http.call(
            "POST", f"/prefixes/{one}/{step}", node.http.reviewer, {"reason": "late"}
        )
        assert status == 200, said
        await _until(node, f"0.NA/{one}.5", NOT_FOUND, 0)
        await _until(node, f"{one}.5/X", NOT_HERE, 0)


async def test_referrals_come_over_udp_too(node: Node) -> None:
    prefix, token = await node.enterprise(1)
    await write(node, prefix, token, values=[place(2, "HS_SITE.PREFIX")])
    other = await delegated(node)
    server = Endpoint("udp", "127.0.0.1", node.servers[0].port)
    for name, code in ((f"{prefix}.5/X", 303), (f"0.NA/{prefix}.5", 303), (f"{other}/X", 302)):
        request = ask(OpCode.RESOLUTION, ResolutionRequest(name))
        assert referred(await udp.ask(request, server))[0] == code, name


async def test_a_prefix_is_delegated_to_a_service_by_its_name(node: Node) -> None:
    id_, key = await node.http.enterprise(1)
    prefix = await node.http.prefix(id_, key, hosting="delegated", service="0.serv/Pumps")
    expected = (ResponseCode.SERVICE_REFERRAL, {("HS_SERV", b"0.serv/Pumps")})
    for _, name in itertools.product(range(2), (f"{prefix}/X", f"{prefix}.5/X", f"{prefix}.5")):
        assert referred(await answer(node, name)) == expected, name
        stay = await answer(node, name, flags=PLAIN | OpFlag.DO_NOT_REFER)
        assert stay.header.response_code == NOT_FOUND, name
    own = await answer(node, f"0.NA/{prefix}")
    assert isinstance(own.body, ResolutionResponse), own
    (value,) = own.body.values
    assert (value.index, value.type, value.data) == (1, "HS_SERV", b"0.serv/Pumps")


async def test_our_client_finds_the_node_of_a_prefix_by_its_service(node: Node) -> None:
    """The service is registered here, and its site is the second worker."""
    prefix, token = await node.enterprise(1)
    port = node.servers[1].port
    interface = {"query": True, "protocol": "TCP", "port": port}
    site = {"servers": [{"serverId": 1, "address": "127.0.0.1", "interfaces": [interface]}]}
    values = [{"index": 1, "type": "HS_SITE", "data": {"format": "site", "value": site}}]
    path = f"/identifiers/{prefix}/NODE"
    assert (await node.http.call("PUT", path, token, {"values": values}))[0] == 201
    id_, key = await node.http.enterprise(2)
    other = await node.http.prefix(id_, key, hosting="delegated", service=f"{prefix}/NODE")
    steps: list[Step] = []
    asking = Asking(Identifier.parse(f"{other}/X"), 7, 1_800_000_000)
    first = Endpoint("tcp", "127.0.0.1", node.servers[0].port)
    got = await resolve(asking, first, watch=steps.append)
    assert got.code == ResponseCode.SERVICE_REFERRAL, "the second one refers there again"
    asked = [(step.endpoint.port, step.detail) for step in steps if step.event == "ask"]
    assert asked == [
        (first.port, f"for {other}/X"),
        (first.port, f"for {prefix}/NODE"),
        (port, f"for {other}/X"),
    ]
