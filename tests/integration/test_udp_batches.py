"""Datagrams by the batch: both ways to read and send them do the same, on real sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from resolver.transports import batch
from resolver.transports.batch import BATCH, Batches, Native, Plain, open_batches


@dataclass
class Pair:
    """A server's socket, read by the batch, and a client's."""

    batches: Batches
    server: socket.socket
    client: socket.socket


@pytest.fixture(params=[Native, Plain])
def kind(request: pytest.FixtureRequest) -> Callable[[socket.socket], Batches]:
    if request.param is Native and batch._LIBC is None:
        pytest.skip("recvmmsg is not to be had here")
    kind: Callable[[socket.socket], Batches] = request.param
    return kind


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(
    request: pytest.FixtureRequest, kind: Callable[[socket.socket], Batches]
) -> Iterator[Pair]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with (
        socket.socket(family, socket.SOCK_DGRAM) as server,
        socket.socket(family, socket.SOCK_DGRAM) as client,
    ):
        try:
            server.bind((request.param, 0))
        except OSError:
            pytest.skip(f"no {request.param} here")
        server.setblocking(False)
        client.connect(server.getsockname())
        client.settimeout(10)
        yield Pair(kind(server), server, client)


def test_nothing_is_there_when_nothing_came(pair: Pair) -> None:
    assert list(pair.batches.receive()) == []


def test_datagrams_come_whole_and_in_order(pair: Pair) -> None:
    sent = [bytes([n]) * n for n in range(100)]
    for datagram in sent:
        pair.client.send(datagram)
    first = pair.batches.receive()
    assert len(first) == BATCH
    assert [*first, *pair.batches.receive()] == sent
    assert list(pair.batches.receive()) == []


def test_a_source_is_told_as_the_socket_tells_it(pair: Pair) -> None:
    pair.client.send(b"x")
    assert list(pair.batches.receive()) == [b"x"]
    assert pair.batches.host(0) == pair.client.getsockname()[0]
    assert pair.batches.source(0) == pair.client.getsockname()
    pair.server.sendto(b"y", pair.batches.source(0))
    assert pair.client.recv(10) == b"y"


def test_answers_go_to_those_who_asked_and_to_no_others(pair: Pair) -> None:
    clients = [socket.socket(pair.client.family, socket.SOCK_DGRAM) for _ in range(BATCH)]
    try:
        for turn in range(3):
            for number, client in enumerate(clients):
                client.settimeout(10)
                client.connect(pair.server.getsockname())
                client.send(b"%d" % number)
            requests = pair.batches.receive()
            places = [place for place in range(BATCH) if place % 3 != turn]
            pair.batches.send([b"to " + requests[place] for place in places], places)
            for place in places:
                assert clients[int(requests[place])].recv(512) == b"to " + requests[place]
        for client in clients:
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(512)
    finally:
        for client in clients:
            client.close()


def test_answers_of_every_length_arrive_as_they_are(pair: Pair) -> None:
    for _ in range(BATCH):
        pair.client.send(b"?")
    pair.batches.receive()
    replies = [bytes([n]) * (512 - n) for n in range(BATCH)]
    pair.batches.send(replies, range(BATCH))
    assert [pair.client.recv(1000) for _ in range(BATCH)] == replies


def test_a_datagram_that_is_too_long_is_seen_to_be(pair: Pair) -> None:
    pair.client.send(b"x" * 512)
    pair.client.send(b"x" * 5000)
    pair.client.send(b"next")
    assert [len(datagram) for datagram in pair.batches.receive()] == [512, 513, 4]


def test_one_address_that_takes_nothing_does_not_keep_others_from_their_answers(
    pair: Pair,
) -> None:
    for _ in range(3):
        pair.client.send(b"?")
    pair.batches.receive()
    _forge_port_zero(pair.batches, 1)
    pair.batches.send([b"1", b"2", b"3"], range(3))
    assert [pair.client.recv(10) for _ in range(2)] == [b"1", b"3"]


def _forge_port_zero(batches: Batches, place: int) -> None:
    """Let a datagram come from port 0, as only a forged one does."""
    if isinstance(batches, Native):
        at = batch._NAME_BYTES * place + 2
        batches._name_view[at : at + 2] = bytes(2)
    else:
        assert isinstance(batches, Plain)
        host, _, *more = batches._sources[place]
        batches._sources[place] = (host, 0, *more)


def test_the_fallback_is_taken_where_the_calls_are_missing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_LIBC", None)
    assert isinstance(open_batches(pair.server), Plain)
