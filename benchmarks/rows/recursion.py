"""An answer by recursion, out of a warm cache of places, beside one of the node that has it."""

from __future__ import annotations

import socket
import time
from statistics import median, quantiles

from benchmarks import sample
from benchmarks.ask import WrongAnswer
from benchmarks.node import Node
from benchmarks.plan import KNOWN, Plan
from benchmarks.report import Row
from protocol.handle.envelope import Envelope
from protocol.handle.header import Header, OpCode
from protocol.handle.message import Message, decode_message
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ResolutionResponse

_EXPIRATION = 2_000_000_000
_SECONDS = 10.0
_MAX_BYTES = 512


def measure(plan: Plan, node: Node, recursive: Node) -> list[Row]:
    """Ask for each identifier over UDP: the node that has it, and the one that recurses, in turns.

    node: has all identifiers of KNOWN, and is the root of `recursive`. Raises WrongAnswer also
    where the latter has sent another number of questions than one for each identifier.
    """
    numbers = range(plan.recursive)
    with _socket(node) as there, _socket(recursive) as here:
        for number in numbers:  # from now on they are in its memory
            _ask(there, number)
        _ask(here, plan.recursive)  # and the place of the prefix in that of the other
        before = recursive.metric("idnode_recursion_sent")
        times = [(_ask(there, number), _ask(here, number)) for number in numbers]
    theirs, ours = zip(*times, strict=True)
    sent = recursive.metric("idnode_recursion_sent") - before
    if sent != plan.recursive:
        raise WrongAnswer(f"{sent:g} questions sent for {plan.recursive} identifiers")
    figure, peer = median(ours), median(theirs)
    return [
        Row(
            "recursion",
            "answer by recursion, one question to the node that has it",
            "ms",
            figure,
            "answer of that node itself",
            peer,
            figure / peer,
            detail={"p99_ms": round(quantiles(ours, n=100, method="inclusive")[98], 3)},
        )
    ]


def _socket(node: Node) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(_SECONDS)
    sock.connect(("127.0.0.1", node.handle.port))
    return sock


def _ask(sock: socket.socket, number: int) -> float:
    """Ask for an identifier; return the milliseconds that it took. Raises WrongAnswer."""
    name = sample.name(KNOWN, number)
    header = Header(OpCode.RESOLUTION, _EXPIRATION)
    request = Message(Envelope(number + 1), header, ResolutionRequest(name)).encode()
    started = time.perf_counter()
    sock.send(request)
    octets = sock.recv(_MAX_BYTES)
    took = 1000 * (time.perf_counter() - started)
    body = decode_message(octets).body
    expected = [value.data for value in sample.values(sample.number(number))]
    if not isinstance(body, ResolutionResponse) or body.handle != name:
        raise WrongAnswer(f"{name}: {body!r}")
    if [value.data for value in body.values] != expected:
        raise WrongAnswer(f"{name}: {body.values!r}, expected {expected!r}")
    return took
