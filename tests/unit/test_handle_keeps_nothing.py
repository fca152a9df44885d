"""Reading a message leaves nothing behind, whatever stands in it; strangers may send any number."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from random import Random

from protocol.handle.admin import AdminRecord, Permission, decode_admin
from protocol.handle.envelope import Envelope
from protocol.handle.header import Header
from protocol.handle.message import Message, decode_message, reply
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ErrorResponse
from protocol.values import Reference

TIMES = 20_000
FEW_BLOCKS = 200
"""Memory blocks that may come and go for other reasons: a hundredth of one a message."""


def kept(work: Callable[[Random], None]) -> int:
    """Return how many blocks of memory more there are after TIMES rounds of some work."""
    random = Random(2641)
    for _ in range(200):  # what is made once
        work(random)
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(TIMES):
        work(random)
    gc.collect()
    return sys.getallocatedblocks() - before


def test_headers_of_any_content() -> None:
    content = Message(Envelope(1), Header(1, 0), ResolutionRequest("88.118.1/ABC", (), ())).encode()

    def work(random: Random) -> None:
        message = decode_message(content[:28] + random.randbytes(12) + content[40:])
        reply(message, ErrorResponse("no"), expiration=0, site_serial=1).encode()

    assert kept(work) < FEW_BLOCKS, "a header of which something is kept for ever"


def test_permissions_of_any_content() -> None:
    record = AdminRecord(Reference("0.NA/88.118.1", 300), Permission(0)).encode()
    for number in range(1 << 12):  # as many sums as there are
        Permission(number)

    def work(random: Random) -> None:
        decode_admin(random.randbytes(2) + record[2:])

    assert kept(work) < FEW_BLOCKS, "a record of which something is kept for ever"
