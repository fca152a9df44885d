"""Asking over UDP, as the reference client does (RFC 3652 section 2.3.1).

Each try has a socket of its own, so that whoever wants to forge an answer has to guess its port
as well as the request id. The socket is connected: the system hands over what comes from the
server's address and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from time import monotonic

from protocol.errors import IdnodeError, PeerUnavailable
from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.fragment import Reassembly, cut
from protocol.handle.message import Message, decode_payload
from protocol.handle.wire import MAX_MESSAGE_BYTES
from resolver.client.exchange import check_answer
from resolver.client.steps import Endpoint, Step, Watch, nobody

TRIES = (0.5, 1.0, 1.5)
"""Seconds to wait for an answer, of each try."""

_MOST_STRANGE = 100  # datagrams of one try that are no answer and are told of


async def ask(
    request: Message,
    endpoint: Endpoint,
    *,
    watch: Watch = nobody,
    tries: Sequence[float] = TRIES,
) -> Message:
    """Return the answer. All tries have the same request id.

    What is no answer is ignored, for anybody may send it. Raises PeerUnavailable.
    """
    datagrams = cut(request.envelope, request.encode_payload(), mark_truncated=True)
    detail = "no answer"
    for attempt, seconds in enumerate(tries, 1):
        waiting = _Waiting(request, endpoint, attempt, watch)
        size = sum(map(len, datagrams))
        watch(Step("send", endpoint, attempt, size, len(datagrams), request))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await _try(datagrams, endpoint, waiting)
        detail = waiting.trouble or detail
        watch(Step("wait", endpoint, attempt, 0, 0, detail=f"{detail} in {seconds:g} s"))
    raise PeerUnavailable(f"{endpoint}: {detail} in {len(tries)} tries, {sum(tries):g} s")


async def _try(datagrams: list[bytes], endpoint: Endpoint, waiting: _Waiting) -> Message:
    """Send from a new socket and wait for the answer."""
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: waiting, remote_addr=(endpoint.host, endpoint.port)
        )
    except OSError as error:
        raise PeerUnavailable(f"{endpoint}: {error.strerror or error}") from None
    with contextlib.closing(transport):
        for datagram in datagrams:
            transport.sendto(datagram)
        return await waiting.answer


class _Waiting(asyncio.DatagramProtocol):
    """Waits for the answer on one socket."""

    def __init__(self, request: Message, endpoint: Endpoint, attempt: int, watch: Watch) -> None:
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.trouble = ""
        self._request = request
        self._place = (endpoint, attempt)
        self._watch = watch
        self._reassembly = Reassembly(max_messages=4, max_bytes=2 * MAX_MESSAGE_BYTES)
        self._size = self._packets = self._strange = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take what the server's address sent."""
        if self.answer.done():
            return
        try:
            message = self._take(data)
        except IdnodeError as error:
            self._strange += 1
            if self._strange <= _MOST_STRANGE:
                self._watch(Step("ignore", *self._place, len(data), detail=error.detail))
            return
        if message is not None:
            self._watch(Step("receive", *self._place, self._size, self._packets, message))
            self.answer.set_result(message)

    def _take(self, data: bytes) -> Message | None:
        """Return the answer, once it is whole. Raises ProtocolError for what is none."""
        envelope = decode_envelope(data)
        whole = self._reassembly.add(None, envelope, data[SIZE:], monotonic())
        self._size += len(data)
        self._packets += 1
        if whole is None:
            return None
        message = decode_payload(*whole)
        check_answer(self._request, message)
        return message

    def error_received(self, exc: Exception) -> None:
        """Remember that nobody listens. It is no answer: anybody may send that, too."""
        self.trouble = getattr(exc, "strerror", None) or str(exc)
