"""One question over UDP, and which of the datagrams that come is its answer.

Whoever wants to forge an answer has to guess the request id, 32 random bits, and the port, which
is another one for each try (RFC 5452 section 9.2 says so of DNS). The socket is not connected, so
that what comes from elsewhere is seen and counted before it is dropped; that nobody listens at the
other end is told all the same (IP_RECVERR, ip(7)).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any, Literal, TypeAlias, get_args

from protocol.errors import IdnodeError, PeerUnavailable
from protocol.handle.envelope import SIZE, Envelope, decode_envelope
from protocol.handle.fragment import MAX_DATAGRAM_BYTES, Reassembly, cut
from protocol.handle.message import Message, decode_payload
from protocol.handle.wire import MAX_MESSAGE_BYTES
from resolver.client.exchange import check_answer
from resolver.client.steps import Endpoint, Step, Watch, nobody

DropReason: TypeAlias = Literal[
    "source", "request_id", "question", "oversized", "malformed", "referral"
]
"""Why something that came is not believed: it is from another address or port; it repeats another
request id; it answers another question (identifier, op code, digest, or it is a request itself); it
is longer than a datagram or a message may be; it cannot be read; a site of it must not be asked."""

DROP_REASONS: tuple[str, ...] = get_args(DropReason)

Dropped = Callable[[DropReason], None]

_IP_RECVERR, _IPV6_RECVERR = 11, 25  # of Linux; the socket module does not name them
_MOST_BYTES = 65536  # more than any datagram has
_RULES: dict[str | None, DropReason] = {
    "request_id": "request_id",
    "op_code": "question",
    "digest": "question",
    "response_code": "question",
    "handle": "question",
}


def reason_of(error: IdnodeError) -> DropReason:
    """Return why a message is no answer, by the rule that it breaks."""
    return _RULES.get(error.field, "malformed")


async def ask(
    request: Message,
    endpoint: Endpoint,
    *,
    seconds: float,
    dropped: Dropped,
    watch: Watch = nobody,
) -> Message:
    """Send a request once and return its answer. Raises PeerUnavailable when none came in time.

    endpoint: an IP address and a port. dropped: is told of each datagram that is no answer.
    """
    loop = asyncio.get_running_loop()
    waiting = _Waiting(request, endpoint, dropped, watch)
    datagrams = cut(request.envelope, request.encode_payload(), mark_truncated=True)
    with _socket(endpoint) as sock:
        watch(Step("send", endpoint, 1, sum(map(len, datagrams)), len(datagrams), request))
        _send(sock, datagrams, endpoint)
        # Not a transport of the loop: that of uvloop 0.23 ends the process by SIGSEGV where
        # IP_RECVERR is set and nobody listens at the other end.
        loop.add_reader(sock, waiting.read, sock)
        try:
            async with asyncio.timeout(seconds):
                return await waiting.answer
        except TimeoutError:
            watch(Step("wait", endpoint, detail=f"no answer in {seconds:.3g} s"))
            raise PeerUnavailable(f"{endpoint}: no answer in {seconds:.3g} s") from None
        finally:
            loop.remove_reader(sock)


def _socket(endpoint: Endpoint) -> socket.socket:
    v6 = ":" in endpoint.host
    sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        sock.bind(("::" if v6 else "0.0.0.0", 0))  # noqa: S104 - a port of the system's choice
    except OSError as error:
        sock.close()
        raise PeerUnavailable(f"{endpoint}: {error.strerror or error}") from None
    return sock


def _send(sock: socket.socket, datagrams: list[bytes], endpoint: Endpoint) -> None:
    try:
        for datagram in datagrams:
            sock.sendto(datagram, (endpoint.host, endpoint.port))
    except OSError as error:  # of a network that is not there, or a buffer that is full
        raise PeerUnavailable(f"{endpoint}: {error.strerror or error}") from None


class _Waiting:
    """Waits for the answer on one socket."""

    def __init__(
        self, request: Message, endpoint: Endpoint, dropped: Dropped, watch: Watch
    ) -> None:
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.answer.add_done_callback(_retrieve)
        self._request = request
        self._endpoint = endpoint
        self._dropped = dropped
        self._watch = watch
        self._reassembly = Reassembly(max_messages=4, max_bytes=2 * MAX_MESSAGE_BYTES)
        self._size = self._packets = 0

    def read(self, sock: socket.socket) -> None:
        """Take what anybody sent, or that nobody listens there."""
        if self.answer.done():
            return
        try:
            data, addr = sock.recvfrom(_MOST_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.answer.set_exception(PeerUnavailable(f"{self._endpoint}: {error.strerror}"))
            return
        try:
            message = self._take(data, addr)
        except _NotOurs as drop:
            self._dropped(drop.reason)
            self._watch(Step("ignore", self._endpoint, size=len(data), detail=drop.detail))
            return
        if message is not None:
            self._watch(Step("receive", self._endpoint, 1, self._size, self._packets, message))
            self.answer.set_result(message)

    def _take(self, data: bytes, addr: tuple[Any, ...]) -> Message | None:
        """Return the answer, once it is whole. Raises _NotOurs for what is none."""
        if addr[:2] != (self._endpoint.host, self._endpoint.port):
            raise _NotOurs("source", "comes from another address or port")
        if len(data) > MAX_DATAGRAM_BYTES:
            raise _NotOurs("oversized", f"a datagram has at most {MAX_DATAGRAM_BYTES} bytes")
        try:
            envelope = decode_envelope(data)
        except IdnodeError as error:
            longer = len(data) >= SIZE  # of the message, as it says itself
            raise _NotOurs("oversized" if longer else "malformed", error.detail) from None
        try:
            if envelope.request_id != self._request.envelope.request_id:
                raise _NotOurs("request_id", "the request id is not that of the request")
            whole = self._reassembly.add(None, envelope, data[SIZE:], monotonic())
            self._size += len(data)
            self._packets += 1
            return None if whole is None else self._read(*whole)
        except IdnodeError as error:
            raise _NotOurs("malformed", error.detail) from None

    def _read(self, envelope: Envelope, payload: bytes) -> Message:
        message = decode_payload(envelope, payload)
        try:
            check_answer(self._request, message)
        except IdnodeError as error:
            raise _NotOurs(reason_of(error), error.detail) from None
        return message


class _NotOurs(Exception):
    """A datagram is not the answer."""

    def __init__(self, reason: DropReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _retrieve(future: asyncio.Future[Message]) -> None:
    if not future.cancelled():
        future.exception()
