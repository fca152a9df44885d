"""Ask where nobody listens, on the loop that workers have; print how often that was told."""

from __future__ import annotations

import sys

import uvloop

from protocol.errors import PeerUnavailable
from resolver.client.exchange import Asking
from resolver.client.steps import Endpoint
from resolver.recursion import udp
from tests.recursion_world import PUMP

ROUNDS = 200


async def main(port: int) -> None:
    told = 0
    endpoint = Endpoint("udp", "127.0.0.1", port)
    for number in range(ROUNDS):
        asking = Asking(PUMP, request_id=number, now=1_800_000_000)
        try:
            await udp.ask(asking.message(), endpoint, seconds=20, dropped=lambda reason: None)
        except PeerUnavailable as error:
            told += "refused" in str(error)
    print(told)


uvloop.run(main(int(sys.argv[1])))
