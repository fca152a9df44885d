"""The short way of the Handle protocol: a plain resolution request, answered from the cache.

Shared by UDP and TCP. The request is never taken apart into objects: it is compared with what a
plain one looks like, the identifier is looked up, and the answer is put together of pieces that
are encoded already. Everything that is not plain goes through the codecs and the service
(resolver/handle), which define what is right; a test holds both ways equal for every input.

A plain request, by offsets (RFC 3652 section 2.2; all of it is in protocol/handle)::

     0  major, minor, flags with suggested major, suggested minor | 4 zero bytes: no session
     8  request id
    12  4 zero bytes: sequence number | length of the message
    20  op code 1, response code 0, op flags, site serial, recursion count, 0
    36  expiration, which is not looked at
    40  length of the body | length of the handle | handle
        8 zero bytes: no indexes, no types | 4 zero bytes: no credential

The answer repeats the request id and the handle; but for them and its expiration it is the same
for everybody who writes the same bytes 0-7 and 20-35 (`Form`). Requests that have the lengths in
common too are told by one look into a dictionary (`Shape`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from protocol.errors import IdnodeError
from protocol.handle.message import Message, decode_message
from protocol.handle.requests import ResolutionRequest
from protocol.handle.value import encode_values
from registry.statistics.cells import FOUND
from registry.statistics.counter import SAMPLE, Sample
from resolver.cache import Answer, Cache

_HANDLE = 48  # where the handle begins
_TAIL = bytes(12)
_FIXED = _HANDLE + len(_TAIL)
_FORMS_KEPT = 256
_SHAPES_KEPT = 4096

Form = tuple[bytes, bytes]
"""How an answer begins: its bytes 0-7, and 20-39."""

Shape = tuple[bytes, dict[int, bytes], bytes, int]
"""What requests with the same bytes 0-7, 12-35 and 40-47 have in common: how their answers begin,
bytes 16-43 of those by the length of what follows the handle, bytes 20-39, and their own length."""


class HandleFront:
    """What all Handle sockets of a worker share."""

    def __init__(
        self,
        cache: Cache,
        head: Callable[[Message], Message | None],
        sample: Sample[bytes],
    ) -> None:
        """Take the cache, what heads an answer, and what is told the identifier of each.

        head: returns an answer to the request whose body and digest do not matter; None if
        answers to such requests are always to be made the long way.
        """
        self._cache = cache
        self._sample = sample
        self._names = sample.names
        self._head = head
        self._forms: dict[bytes, Form | None] = {}
        self._shapes: dict[bytes, Shape] = {}

    def renew(self) -> None:
        """Forget the forms: the expiration in them has to move on."""
        self._forms.clear()
        self._shapes.clear()

    def answer(self, request: bytes) -> bytes | None:
        """Return the answer to one whole message, None if it is to go the long way."""
        shape = self._shapes.get(request[:8] + request[12:36] + request[40:_HANDLE])
        if shape is None:
            shape = self._judge(request)
            if shape is None:
                return None
        begin, middles, head, length = shape
        if len(request) != length or not request.endswith(_TAIL):
            return None
        key = request[_HANDLE:-12].upper()
        answer = self._cache.answers.get(key)
        if answer is None or not answer.prefix.live:
            return None
        wire = answer.wire
        if wire is None:
            wire = self._encode(key, answer)
        if not wire:
            return None
        answer.seen = True
        answer.prefix.cells[FOUND] += 1
        if len(self._names) < SAMPLE:
            self._names.append(key)
        middle = middles.get(len(wire))
        if middle is None:
            body = length - _FIXED + len(wire)
            middle = (body + 28).to_bytes(4, "big") + head + body.to_bytes(4, "big")
            middles[len(wire)] = middle
        # bytes 8-15 of the answer are those of the request: its id, and sequence number 0
        return b"".join((begin, request[8:16], middle, request[44:-12], wire))

    def take_back(self, request: bytes) -> None:
        """Do not count the last answer, which was to this request: it is not sent."""
        key = request[_HANDLE:-12].upper()
        answer = self._cache.answers.get(key)
        if answer is not None:
            answer.prefix.cells[FOUND] -= 1
            self._sample.forget(key)

    def _judge(self, request: bytes) -> Shape | None:
        """Check the lengths, and remember the shape of a request that can be answered here."""
        length = len(request)
        size = length - _FIXED
        # One comparison each: no session, lengths as they must be.
        if (
            size < 1
            or request[4:8] != b"\0\0\0\0"
            or request[12:20] != b"\0\0\0\0" + (length - 20).to_bytes(4, "big")
            or request[40:48] != (size + 12).to_bytes(4, "big") + size.to_bytes(4, "big")
            or not request.endswith(_TAIL)
        ):
            return None
        kind = request[:8] + request[20:36]
        form = self._forms[kind] if kind in self._forms else self._learn(kind, request)
        if form is None:
            return None
        if len(self._shapes) >= _SHAPES_KEPT:
            self._shapes.clear()
        begin, head = form
        shape: Shape = (begin, {}, head, length)
        self._shapes[request[:8] + request[12:36] + request[40:_HANDLE]] = shape
        return shape

    def _learn(self, kind: bytes, request: bytes) -> Form | None:
        """Find out how answers to requests of this kind begin, and remember it."""
        if len(self._forms) >= _FORMS_KEPT:
            self._forms.clear()
        form = None
        with contextlib.suppress(IdnodeError):
            message = decode_message(request)
            asks = message.header.is_request and isinstance(message.body, ResolutionRequest)
            answer = self._head(message) if asks else None
            if answer is not None:
                encoded = answer.encode()
                form = encoded[:8], encoded[20:40]
        self._forms[kind] = form
        return form

    def _encode(self, key: bytes, answer: Answer) -> bytes:
        """Return what follows the handle in an answer, and keep it in the cache.

        That is the values, and an empty credential. Nothing, if there are no values: that answer
        has another form.
        """
        values = answer.values()
        if not values:
            return b""
        wire = encode_values(values) + bytes(4)
        self._cache.put_wire(key, answer, wire)
        return wire
