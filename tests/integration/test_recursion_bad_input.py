"""What comes in the name of other nodes and is not true: dropped, counted, never remembered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from protocol.errors import PeerUnavailable
from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.fragment import cut
from protocol.handle.message import Message
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ResolutionResponse
from protocol.values import HandleValue
from resolver.client.exchange import Asking
from resolver.client.steps import Endpoint
from resolver.recursion import udp
from resolver.recursion.udp import DropReason
from tests.integration.recursion_support import Listening, Spoil, listening
from tests.recursion_world import PUMP, URL, Server

FORGED = HandleValue(1, "URL", b"https://forged.example/")


def forged(answer: Message, **envelope: Any) -> Message:
    """Return an answer that tells something else."""
    body = ResolutionResponse(str(PUMP), (FORGED,))
    return replace(answer, body=body, envelope=replace(answer.envelope, **envelope), received=b"")


def datagrams(message: Message) -> list[bytes]:
    return cut(message.envelope, message.encode_payload())


@contextlib.contextmanager
def socket_of(address: str) -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        yield sock


def _request_id(here: Listening, request: Message, answer: Message, to: Any) -> bool:
    for number in (request.envelope.request_id ^ 1, 0, 0xFFFFFFFF):
        for datagram in datagrams(forged(answer, request_id=number)):
            here.send(datagram, to)
    return True


def _port(here: Listening, request: Message, answer: Message, to: Any) -> bool:
    with socket_of("127.0.0.1") as sock:
        sock.sendto(datagrams(forged(answer))[0], to)
    return True


def _source(here: Listening, request: Message, answer: Message, to: Any) -> bool:
    with socket_of("127.0.0.2") as sock:
        sock.sendto(datagrams(forged(answer))[0], to)
    return True


def _question(here: Listening, request: Message, answer: Message, to: Any) -> bool:
    other = replace(answer, body=ResolutionResponse("88.120.7/OTHER", (FORGED,)), received=b"")
    here.send(datagrams(other)[0], to)
    return True


def _op_code(here: Listening, request: Message, answer: Message, to: Any) -> bool:
    header = replace(answer.header, op_code=2)
    body = ResolutionRequest(str(PUMP))
    here.send(datagrams(replace(answer, header=header, received=b""))[0], to)
    here.send(datagrams(replace(request, body=body, received=b""))[0], to)
    return True


def _too_long(here: Listening, request: Message, answer: Message, to: Any) -> bool:
    here.send(datagrams(forged(answer))[0] + bytes(600), to)
    return True


def _says_too_long(here: Listening, request: Message, answer: Message, to: Any) -> bool:
    datagram = datagrams(forged(answer))[0]
    here.send(datagram[:16] + (262_145).to_bytes(4, "big") + datagram[20:], to)
    here.send(datagram[:16] + (0xFFFFFFFF).to_bytes(4, "big") + datagram[20:], to)
    return True


def _garbage(here: Listening, request: Message, answer: Message, to: Any) -> bool:
    good = datagrams(forged(answer))[0]
    here.send(b"", to)
    here.send(good[:19], to)
    here.send(good[:-1], to)
    here.send(good[:SIZE] + bytes(len(good) - SIZE), to)
    return True


def _fragments(here: Listening, request: Message, answer: Message, to: Any) -> bool:
    """Beginnings of messages that never end, and fragments that fit no message."""
    envelope = replace(answer.envelope, message_length=200_000)
    for number in (0, 5, 406, 407, 0xFFFFFFFF):
        here.send(replace(envelope, sequence=number).encode() + bytes(492), to)
        here.send(replace(envelope, sequence=number).encode() + bytes(7), to)
    return True


CASES: list[tuple[Spoil, DropReason]] = [
    (_request_id, "request_id"),
    (_port, "source"),
    (_source, "source"),
    (_question, "question"),
    (_op_code, "question"),
    (_too_long, "oversized"),
    (_says_too_long, "oversized"),
    (_garbage, "malformed"),
    (_fragments, "malformed"),
]


@contextlib.asynccontextmanager
async def asked(
    spoil: Spoil, seconds: float = 10
) -> AsyncIterator[tuple[Callable[[], Any], list[DropReason]]]:
    """Run a server that sends more than answers; yield what asks it, and what was dropped."""
    dropped: list[DropReason] = []
    async with listening(Server({PUMP.key: (URL,)}), spoil=spoil) as server:
        endpoint = Endpoint("udp", "127.0.0.1", server.port)
        request = Asking(PUMP, 0x12345678, 1_800_000_000).message()
        yield (
            lambda: udp.ask(request, endpoint, seconds=seconds, dropped=dropped.append),
            dropped,
        )


@pytest.mark.parametrize(("spoil", "reason"), CASES, ids=lambda case: getattr(case, "__name__", ""))
async def test_what_is_no_answer_is_dropped_and_counted_and_the_answer_taken(
    spoil: Spoil, reason: DropReason
) -> None:
    async with asked(spoil) as (ask, dropped):
        message = await ask()
    assert isinstance(message.body, ResolutionResponse)
    assert message.body.values == (URL,), "the forged one was believed"
    assert set(dropped) == {reason}, dropped


@pytest.mark.parametrize("spoil", [case for case, _ in CASES])
async def test_where_there_is_nothing_else_there_is_no_answer(spoil: Spoil) -> None:
    def only(here: Listening, request: Message, answer: Message, to: Any) -> bool:
        spoil(here, request, answer, to)
        return False

    async with asked(only, seconds=0.3) as (ask, dropped):
        with pytest.raises(PeerUnavailable, match="no answer"):
            await ask()
        assert dropped


async def test_what_is_changed_in_id_op_code_or_name_is_never_the_answer() -> None:
    """Seeded: each of these octets in turn is another one; the letters may change their case."""
    dice = random.Random(7)
    name = 48

    def changed(here: Listening, request: Message, answer: Message, to: Any) -> bool:
        good = datagrams(forged(answer))[0]
        assert good[name:].startswith(str(PUMP).encode())
        for place in (*range(8, 12), *range(20, 24), *range(name, name + len(str(PUMP)))):
            for _ in range(3):
                octets = bytearray(good)
                octets[place] ^= dice.choice([1, 2, 4, 7, 8, 16, 0x80, 0xFF])
                here.send(bytes(octets), to)
        return True

    async with asked(changed) as (ask, dropped):
        message = await ask()
    assert isinstance(message.body, ResolutionResponse)
    assert message.body.values == (URL,), "the forged one was believed"
    assert len(dropped) == 3 * (8 + len(str(PUMP)))


async def test_each_try_has_a_port_of_its_own_which_is_not_to_be_guessed() -> None:
    ports: list[int] = []

    def note(here: Listening, request: Message, answer: Message, to: Any) -> bool:
        ports.append(to[1])
        return True

    async with asked(note) as (ask, _):
        for _ in range(40):
            await ask()
    assert len(set(ports)) > 30, ports
    steps = {b - a for a, b in itertools.pairwise(ports)}
    assert len(steps) > 20, "they do not count on"


async def test_a_port_where_nobody_listens_is_told_at_once() -> None:
    with socket_of("127.0.0.1") as sock:
        port = sock.getsockname()[1]
    request = Asking(PUMP, 1, 1_800_000_000).message()
    async with asyncio.timeout(10):
        with pytest.raises(PeerUnavailable, match="refused"):
            await udp.ask(
                request,
                Endpoint("udp", "127.0.0.1", port),
                seconds=60,
                dropped=lambda _reason: None,
            )


async def test_what_comes_too_late_is_nobodys() -> None:
    """The socket is gone with the question: a late answer reaches no later one."""
    late: list[tuple[bytes, Any]] = []

    def hold(here: Listening, request: Message, answer: Message, to: Any) -> bool:
        if late:
            for octets, where in late:
                here.send(octets, where)
            return True
        late.append((datagrams(forged(answer))[0], to))
        return False

    async with asked(hold, seconds=0.3) as (ask, dropped):
        with pytest.raises(PeerUnavailable):
            await ask()
        message = await ask()
    assert message.body.values == (URL,)
    assert decode_envelope(late[0][0]).request_id == message.envelope.request_id
    assert dropped == []


def test_a_server_that_is_gone_does_not_take_the_worker_with_it() -> None:
    with socket_of("127.0.0.1") as sock:
        port = sock.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.ask_nobody", str(port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"the process ended by itself: {done.returncode} {done.stderr}"
    assert done.stdout.split() == ["200"], "that nobody listens is told, and not waited for"
