"""Cached resolution in the Handle protocol, over UDP and TCP, beside echo servers in C."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from statistics import median

from benchmarks import compiled, sample
from benchmarks.ask import WrongAnswer
from benchmarks.compiled import HandleLoad
from benchmarks.load import Run
from benchmarks.node import Node
from benchmarks.plan import KNOWN, READ_CONNECTIONS, UDP_WINDOW, Plan
from benchmarks.report import Limit, Row, unmeasured
from benchmarks.rows.cached import UNIT, check_hits, detail_of
from benchmarks.servers import Server
from protocol.handle.envelope import SIZE, Envelope, decode_envelope
from protocol.handle.header import Header, OpCode, OpFlag
from protocol.handle.message import Message, decode_message
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ResolutionResponse

_ECHOES = {
    "udp_echo_batched": "C echo over UDP, 64 datagrams a system call",
    "udp_echo": "C echo over UDP, one datagram a system call",
    "tcp_echo": "C echo over TCP, epoll",
}
_OURS = {
    "udp": f"Handle over UDP, {UDP_WINDOW} requests under way",
    "tcp": f"Handle over TCP, {READ_CONNECTIONS} connections",
}
_WINDOWS = {"udp": UDP_WINDOW, "tcp": READ_CONNECTIONS}
_AT_LEAST = {
    "udp_echo_batched": Limit("ratio", ">=", 0.3),
    "tcp_echo": Limit("ratio", ">=", 0.6),
}
_UDP_AT_LEAST = Limit("figure", ">=", 100_000, "/s")
_EXPIRATION = 2_000_000_000
_SITE_UNKNOWN = 0xFFFF
_SECONDS = 10.0


def measure(plan: Plan, node: Node, programs: Path, core: int) -> list[Row]:
    """Warm the cache over TCP, then load the echo servers and the node in turns.

    programs: where the C programs are; core: where whatever serves is to run.
    """
    request = _request()
    answer = _answer(node.handle.port, request)
    ours = {name: _load(plan, programs, name, request, answer) for name in _OURS}
    ours["tcp"].ask_each(node.handle)
    loads = {name: _load(plan, programs, name[:3], request, request) for name in _ECHOES} | ours
    runs: dict[str, list[Run]] = {name: [] for name in loads}
    before = node.metric("idnode_cache_requests", outcome="hit")
    with contextlib.ExitStack() as stack:
        echoes = {
            "udp_echo_batched": compiled.udp_echo(programs, core, batch=64),
            "udp_echo": compiled.udp_echo(programs, core, batch=1),
            "tcp_echo": compiled.tcp_echo(programs, core),
        }
        servers: dict[str, Server] = dict.fromkeys(ours, node.handle)
        servers |= {name: stack.enter_context(echo) for name, echo in echoes.items()}
        for number in range(1, plan.rounds + 1):
            for name, load in loads.items():
                run = load.against(servers[name], seed=number, seconds=plan.seconds)
                runs[name].append(run)
    check_hits(node, before, sum(run.requests for name in ours for run in runs[name]))
    return [
        *(_echo(name, runs[name]) for name in _ECHOES),
        Row("handle_udp", _OURS["udp"], UNIT, _per_cpu(runs["udp"]), limit=_UDP_AT_LEAST),
        *(_compared(name, runs[name[:3]], runs[name]) for name in _ECHOES),
    ]


def not_measured(why: str) -> list[Row]:
    """Return the rows without figures."""
    return [
        *(unmeasured(name, text, UNIT, why) for name, text in _ECHOES.items()),
        unmeasured("handle_udp", _OURS["udp"], UNIT, why, _UDP_AT_LEAST),
        *(
            unmeasured(f"handle_{name}", _OURS[name[:3]], UNIT, why, _AT_LEAST.get(name))
            for name in _ECHOES
        ),
    ]


def _load(plan: Plan, programs: Path, transport: str, request: bytes, answer: bytes) -> HandleLoad:
    window = _WINDOWS[transport]
    return HandleLoad(programs, transport, request, answer, plan.handle_identifiers, window)


def _request() -> bytes:
    """Return a request for identifier 0 as the reference client sends it, with request id 0."""
    flags = OpFlag.RECURSIVE | OpFlag.CACHE_CERTIFY | OpFlag.PUBLIC_ONLY
    header = Header(OpCode.RESOLUTION, _EXPIRATION, flags=flags, site_serial=_SITE_UNKNOWN)
    body = ResolutionRequest(sample.name(KNOWN, 0), (), ())
    return Message(Envelope(request_id=0), header, body).encode()


def _answer(port: int, request: bytes) -> bytes:
    """Return the node's answer, which all others must be like. Raises WrongAnswer."""
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as stream:
            head = stream.read(SIZE)
            answer = head + stream.read(decode_envelope(head).message_length)
    body = decode_message(answer).body
    name, values = sample.name(KNOWN, 0), sample.values(sample.number(0))
    if not isinstance(body, ResolutionResponse) or (body.handle, body.values) != (name, values):
        raise WrongAnswer(f"{name}: {body!r}, expected {values!r}")
    return answer


def _per_cpu(runs: list[Run]) -> float:
    return median(run.per_cpu for run in runs)


def _echo(name: str, runs: list[Run]) -> Row:
    return Row(name, _ECHOES[name], UNIT, _per_cpu(runs), detail=detail_of(runs))


def _compared(name: str, ours: list[Run], theirs: list[Run]) -> Row:
    return Row(
        f"handle_{name}",
        _OURS[name[:3]],
        UNIT,
        _per_cpu(ours),
        _ECHOES[name],
        _per_cpu(theirs),
        median(a.per_cpu / b.per_cpu for a, b in zip(ours, theirs, strict=True)),
        _AT_LEAST.get(name),
        detail=detail_of(ours),
    )
