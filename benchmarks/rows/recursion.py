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
    """Ask for each identifier over UDP: the node that has it, and then the one that recurses.

    node: has all identifiers of KNOWN, and is the root of `recursive`. Raises WrongAnswer also
    where the latter has sent another number of questions than one for each identifier.
    """
    numbers = range(plan.recursive)
    _ask(node, numbers)  # from now on they are in its memory
    _ask(recursive, [plan.recursive])  # and the place of the prefix in that of the other
    before = recursive.metric("idnode_recursion_sent")
    theirs, ours = _ask(node, numbers), _ask(recursive, numbers)
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


def _ask(node: Node, numbers: range | list[int]) -> list[float]:
    """Ask for identifiers one after the other; return the milliseconds that each took."""
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_SECONDS)
        sock.connect(("127.0.0.1", node.handle.port))
        for number in numbers:
            name = sample.name(KNOWN, number)
            header = Header(OpCode.RESOLUTION, _EXPIRATION)
            request = Message(Envelope(number + 1), header, ResolutionRequest(name)).encode()
            started = time.perf_counter()
            sock.send(request)
            octets = sock.recv(_MAX_BYTES)
            times.append(1000 * (time.perf_counter() - started))
            body = decode_message(octets).body
            expected = [value.data for value in sample.values(sample.number(number))]
            if not isinstance(body, ResolutionResponse) or body.handle != name:
                raise WrongAnswer(f"{name}: {body!r}")
            if [value.data for value in body.values] != expected:
                raise WrongAnswer(f"{name}: {body.values!r}, expected {expected!r}")
    return times
