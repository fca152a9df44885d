"""Messages broken in every way, over UDP and TCP: what comes back, and what does not.

Real sockets, a real database, and every operation. Seeded: the same messages in each run, of which
IDNODE_MUTATIONS says how many; `make fuzz` takes a million.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import asyncpg
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from structlog.testing import capture_logs

from protocol.errors import ResponseCode
from protocol.handle.digest import Digest, DigestAlgorithm
from protocol.handle.envelope import SIZE, Envelope
from protocol.handle.header import Header, OpCode, OpFlag
from protocol.handle.message import Message
from protocol.handle.requests import (
    ChallengeAnswer,
    HandleRequest,
    KeyExchange,
    RemoveRequest,
    Request,
    ResolutionRequest,
    SessionSetupRequest,
    ValuesRequest,
    VerifyRequest,
)
from protocol.values import HandleValue
from registry.database import Database
from registry.metrics import private_row
from registry.services import Registry
from resolver.handle.dispatch import HANDLERS
from resolver.handle.service import HandleService
from resolver.lookup import Resolver
from resolver.site import make_site
from resolver.transports.handle_server import HandleServer, start_handle
from resolver.transports.limits import Limits
from resolver.transports.udp import MAX_ANSWER_DATAGRAMS
from tests.handle_vectors import CASES

COUNT = int(os.environ.get("IDNODE_MUTATIONS", "6000"))
BATCH = 100
WARM = 3 * COUNT // 10
"""Messages after which what is bounded is full."""

MAX_GROWTH_BLOCKS = 3_000 + COUNT // 200
"""Objects that Python may have more after the last message than after WARM.

The share of COUNT is far below one object for each strange message; the rest is what comes and
goes. Objects and not bytes of the process, which depend on how the allocator fits them.
"""

MAX_DATAGRAM, MAX_MESSAGE, PART, HEADER = 512, 262_144, 492, 24
SENTINEL = 0xFEEDFACE
UNKNOWN = 0xFFFFFFFF
PLAIN = OpFlag.PUBLIC_ONLY | OpFlag.CACHE_CERTIFY
SIGNED = PLAIN | OpFlag.CERTIFY
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SITE = {
    "servers": [
        {
            "serverId": 1,
            "address": "192.0.2.7",
            "interfaces": [{"query": True, "protocol": "UDP", "port": 2641}],
        }
    ]
}
DIGEST = Digest(DigestAlgorithm.SHA256, bytes(32))
EDGES = (0, 1, 2, 20, 24, 491, 492, 493, 0x7F, 0x80, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)


def generated() -> Iterator[bytes]:
    """Yield one sound message for each form of request."""
    name, values = "88.118.1/ABC", (HandleValue(1, "URL", b"https://example.org"),)
    resolution = ResolutionRequest(name, (), ())
    yield request(OpCode.RESOLUTION, resolution, 0, SIGNED)
    yield request(OpCode.RESOLUTION, resolution, 0, SIGNED | OpFlag.REQUEST_DIGEST)
    yield request(OpCode.RESOLUTION, ResolutionRequest("88.118.1/NO", (), ()), 0, SIGNED)
    yield request(OpCode.RESOLUTION, ResolutionRequest("88.118.2/X", (), ()), 0, SIGNED)
    bodies: list[tuple[int, Request]] = [
        (OpCode.RESOLUTION, resolution),
        (OpCode.RESOLUTION, ResolutionRequest("88.118.2/X", (), ())),
        (OpCode.RESOLUTION, ResolutionRequest(name, (1, 2, 300), ("URL", "EMAIL."))),
        (OpCode.RESOLUTION, ResolutionRequest("88.118.1/LARGE", (), ())),
        (OpCode.RESOLUTION, ResolutionRequest("0.NA/88.118.1", (), ())),
        (OpCode.RESOLUTION, ResolutionRequest(name, (), tuple(f"T{n}" for n in range(100)))),
        (OpCode.GET_SITE_INFO, HandleRequest("/")),
        (OpCode.CREATE_HANDLE, ValuesRequest("88.118.1/NEW", values)),
        (OpCode.ADD_VALUE, ValuesRequest(name, values)),
        (OpCode.MODIFY_VALUE, ValuesRequest(name, values)),
        (OpCode.REMOVE_VALUE, RemoveRequest(name, (1,))),
        (OpCode.DELETE_HANDLE, HandleRequest(name)),
        (OpCode.LIST_HANDLES, HandleRequest("0.NA/88.118.1")),
        (OpCode.SESSION_SETUP, SessionSetupRequest(KeyExchange.DIFFIE_HELLMAN, 60)),
        (OpCode.CHALLENGE_ANSWER, ChallengeAnswer("HS_SECKEY", "0.NA/88.118.1", 301, bytes(40))),
        (
            OpCode.VERIFY_CHALLENGE,
            VerifyRequest("0.NA/88.118.1", 301, bytes(16), DIGEST, bytes(40)),
        ),
    ]
    for op_code, body in bodies:
        yield request(op_code, body, 0)


def request(op_code: int, body: Request, number: int, flags: int = PLAIN) -> bytes:
    return Message(
        Envelope(request_id=number), Header(op_code, 2_000_000_000, flags=flags), body
    ).encode()


def captured() -> Iterator[bytes]:
    """Yield what the reference client and server sent, both ways."""
    for case in CASES:
        for step in case["steps"]:
            if "hex" in step:
                yield bytes.fromhex(step["hex"])


def mutate(random: Random, seeds: list[bytes], repaired: float) -> bytes:
    """Return one of the messages, broken in one to four places.

    repaired: how likely its length is what its envelope says; likely that of its body then is too.
    """
    octets = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(octets) + 1)
        match random.randrange(8):
            case 0 if octets:
                octets[at % len(octets)] ^= 1 << random.randrange(8)
            case 1:
                octets[at : at + 4] = random.choice(EDGES).to_bytes(4, "big")
            case 2:  # a number where one is: the header is made of words
                at = 4 * random.randrange(12)
                # and any number, so that what is kept for each of them is seen to grow
                number = random.choice((*EDGES, random.getrandbits(32)))
                octets[at : at + 4] = number.to_bytes(4, "big")
            case 3:
                del octets[at:]
            case 4:
                del octets[at : at + random.randint(1, 16)]
            case 5:
                octets[at:at] = random.randbytes(random.randint(1, 16))
            case 6:
                octets[at:at] = octets[at : at + random.randint(1, 64)]
            case 7:
                octets[at:] = random.choice(seeds)[at:]
    if random.random() < repaired and len(octets) >= SIZE + HEADER:
        octets[16:20] = (len(octets) - SIZE).to_bytes(4, "big")
        if random.random() < 0.7:
            octets[40:44] = max(0, len(octets) - SIZE - HEADER - 4).to_bytes(4, "big")
    if random.random() < 0.9:  # else the id may be anybody's
        octets[8:12] = random.getrandbits(32).to_bytes(4, "big")
    return bytes(octets)


def word(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 4], "big")


def may_be_answered(part: bytes) -> bool:
    """Whether a datagram is part of a message that is, or may turn out to be, a request.

    Written from the protocol alone, apart from what is tested.
    """
    length, sequence = word(part, 16), word(part, 12)
    if len(part) < SIZE or not HEADER <= length <= MAX_MESSAGE:
        return False
    total = -(-length // PART)
    if sequence >= total or len(part) - SIZE != min(PART, length - sequence * PART):
        return False
    encrypted, response_code = part[2] & 0x40, word(part, 24)
    return bool(encrypted) or sequence > 0 or response_code == 0


class Bench:
    """A server, and the clients that send it what is broken."""

    def __init__(self, server: HandleServer, random: Random) -> None:
        self.server = server
        self.random = random
        self.seeds = [*generated()] * 10 + [*captured()]  # as many of ours as captured ones
        self.answers: Counter[str] = Counter()
        self.loop = asyncio.get_running_loop()
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.client.setblocking(False)
        self.client.connect(("127.0.0.1", server.port))

    def close(self) -> None:
        self.client.close()

    def datagrams(self, count: int) -> list[bytes]:
        """Return broken messages as datagrams: too long as they are, or cut into parts."""
        found: list[bytes] = []
        for _ in range(count):
            message = mutate(self.random, self.seeds, 0.8)
            payload = message[SIZE:]
            if len(payload) <= PART or self.random.random() < 0.1:
                found.append(message)
                continue
            head, length = message[:12], len(payload).to_bytes(4, "big")
            found += [
                head + number.to_bytes(4, "big") + length + payload[PART * number :][:PART]
                for number in range(-(-len(payload) // PART))
            ]
        return found

    async def over_udp(self, count: int) -> None:
        """Send datagrams and a sound request behind them; check all that comes back."""
        sent = self.datagrams(count)
        received: list[bytes] = []
        done = self.loop.create_future()

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    received.append(self.client.recv(65_535))
                    if word(received[-1], 8) == SENTINEL and not done.done():
                        done.set_result(None)

        self.loop.add_reader(self.client, readable)
        for datagram in [*sent, sentinel()]:
            self.client.send(datagram)
        async with asyncio.timeout(60):
            await done
            while tasks := self.server._udp._tasks:
                await asyncio.wait(tasks)
        readable()
        self.loop.remove_reader(self.client)
        self.check_udp(sent, received)

    def check_udp(self, sent: list[bytes], received: list[bytes]) -> None:
        """Check that only requests are answered, each once, within the limits."""
        asked = Counter(word(part, 8) for part in sent if may_be_answered(part))
        asked[SENTINEL] += 1
        parts = Counter(word(part, 8) for part in received)
        answered = Counter(word(part, 8) for part in received if word(part, 12) == 0)
        for part in received:
            assert len(part) <= MAX_DATAGRAM, "a datagram over the limit"
            assert parts[word(part, 8)] <= MAX_ANSWER_DATAGRAMS * asked[word(part, 8)]
            length, place = word(part, 16), PART * word(part, 12)
            assert len(part) - SIZE == min(PART, length - place), "a part that does not fit"
        wrong = answered - asked
        assert not wrong, [part.hex() for part in sent if word(part, 8) in wrong]
        self.answers["udp"] += answered.total() - 1
        self.answers["udp referral"] += sum(
            word(part, 12) == 0 and word(part, 24) == ResponseCode.SERVICE_REFERRAL
            for part in received
        )

    async def over_tcp(self, count: int) -> None:
        """Send messages in streams of one to twenty; check all that comes back."""
        while count > 0:
            size = min(count, self.random.randint(1, 20))
            count -= size
            sent = [mutate(self.random, self.seeds, 0.97) for _ in range(size)]
            stream = b"".join(sent)
            received = await self.exchange(stream)
            self.check_tcp(stream, received)

    async def exchange(self, stream: bytes) -> bytes:
        """Return all that the server sends until it closes, which it must."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        received = bytearray()
        # It may close while there is more for it to read, and with a reset then.
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(60):
                writer.write(stream)
                writer.write_eof()
                while octets := await reader.read(65_536):
                    received += octets
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return bytes(received)

    def check_tcp(self, stream: bytes, received: bytes) -> None:
        """Check that only requests are answered, in their order, within the limits."""
        asked = [word(frame, 8) for frame in frames(stream) if not is_answer(frame)]
        answers = list(frames(received))
        self.answers["tcp"] += len(answers)
        for frame in answers:
            self.answers["tcp referral"] += word(frame, 24) == ResponseCode.SERVICE_REFERRAL
            self.answers["tcp signed"] += not frame[2] & 0x40 and frame[-4:] != bytes(4)
        if answers and word(answers[-1], 8) == UNKNOWN:
            asked.append(UNKNOWN)  # the one that says that the stream makes no sense
        left = iter(asked)
        last = None
        for frame in answers:
            assert word(frame, 16) <= MAX_MESSAGE, "an answer over the limit"
            number = word(frame, 8)
            if number == last and word(frame, 28) & OpFlag.CONTINUOUS:
                continue
            assert number in left, f"an answer to nothing, or out of order: {stream.hex()}"
            last = number


def frames(stream: bytes) -> Iterator[bytes]:
    """Yield the whole messages of a stream, as far as it makes sense."""
    at = 0
    while len(stream) - at >= SIZE:
        end = at + SIZE + word(stream, at + 16)
        if word(stream, at + 16) > MAX_MESSAGE or end > len(stream):
            return
        yield stream[at:end]
        at = end


def is_answer(frame: bytes) -> bool:
    return not frame[2] & 0x40 and len(frame) >= SIZE + HEADER and word(frame, 24) != 0


def sentinel() -> bytes:
    return request(OpCode.RESOLUTION, ResolutionRequest("88.118.1/ABC", (), ()), SENTINEL)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    sql = await asyncpg.connect(database_url)
    await sql.execute(
        """WITH e AS (
               INSERT INTO enterprises (name, credit_code, industry, contact)
               VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
           INSERT INTO prefixes (prefix, enterprise_id, hosting, status, site)
               SELECT p, id, h, 'active', s::jsonb FROM e, (VALUES
                   ('88.118.1', 'hosted', NULL), ('88.118.2', 'delegated', $1)) AS v (p, h, s)""",
        json.dumps(SITE),
    )
    for name, lengths in {"ABC": [20, 30], "LARGE": [500] * 20, "HUGE": [1000] * 100}.items():
        values = [
            {"index": n, "type": "URL", "data": {"format": "string", "value": "x" * length}}
            for n, length in enumerate(lengths, 1)
        ]
        await sql.execute(
            """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
               VALUES ('88.118.1', $1, $1, $2)""",
            name,
            json.dumps(values),
        )
    await sql.close()
    database, row = Database(database_url), private_row()
    site = make_site("127.0.0.1", handle_port=2641, http_port=8000, key=KEY)
    resolver = Resolver(
        database, row=row, cache_bytes=1 << 20, node_prefix="88.118", site=site.record
    )
    registry = Registry(database, "88.118", resolver.forget, row)
    service = HandleService(resolver, registry, site, handlers=HANDLERS)
    await resolver.start()
    async with asyncio.timeout(20):
        while not resolver.ready:
            await asyncio.sleep(0.01)
    server = await start_handle(service, row=row, host="127.0.0.1", port=0, limits=Limits())
    bench = Bench(server, Random(2641))
    yield bench
    bench.close()
    await server.stop(1)
    await resolver.close()
    await database.close()


@pytest.mark.timeout(60 + COUNT // 50)
async def test_no_broken_message_does_harm(bench: Bench) -> None:
    escaped: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: escaped.append(context))
    process, early, resident = psutil.Process(), 0, 0
    try:
        for number in range(0, COUNT, BATCH):
            with capture_logs() as logs:
                await (bench.over_tcp if number // BATCH % 2 else bench.over_udp)(BATCH)
            failed = [line for line in logs if line["log_level"] in ("error", "critical")]
            assert not failed, failed
            if number <= WARM < number + BATCH:
                gc.collect()
                early, resident = sys.getallocatedblocks(), process.memory_info().rss
        gc.collect()  # what nobody holds any more tells of itself, if it was an exception
    finally:
        loop.set_exception_handler(None)
    late, resident_late = sys.getallocatedblocks(), process.memory_info().rss
    print(
        f"{COUNT:,} messages, {dict(bench.answers)} answers, {early:,} then {late:,} objects,"
        f" RSS {resident:,} then {resident_late:,} bytes"
    )
    assert not escaped, escaped
    assert min(bench.answers["udp"], bench.answers["tcp"]) > COUNT // 50, "hardly any was read"
    for met in ("udp referral", "tcp referral", "tcp signed"):
        assert bench.answers[met] > COUNT // 1000, f"hardly any {met}"
    assert late - early <= MAX_GROWTH_BLOCKS, "something keeps an object for each message"
