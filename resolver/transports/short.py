"""The short way: a complete, plain GET of a cached identifier, answered in data_received.

A complete, plain PUT of an identifier is read here too, by short_put.py, and answered once it is
committed; what comes on the connection meanwhile waits.

A request on the short way costs two comparisons, one dictionary look-up and one write; aiohttp's
parser, request, task and response are never made. Everything else, and everything that this file
is not certain of, goes the long way through aiohttp, whose behaviour is the definition of what is
right: tests hold both ways equal byte for byte.

What makes it safe:

- *Only at a message boundary.* A connection starts on the short way. It stays there only while
  all that aiohttp was given are whole requests (without bodies, but for plain PUTs, of which
  short_put.py knows what is still to come), and a request is answered only while aiohttp is idle
  (it waits for a message and holds none). As soon as anything else arrives (half a head, another
  body, an upgrade), the connection is aiohttp's for good (`_long`).
- *Only plain heads.* The header block, compared as a whole, must be one that aiohttp's own parser
  has read as exactly one bodyless, keep-alive request, without any header that the long way
  looks at (`is_plain`). The verdict is remembered, for clients send the same block again and
  again; so is the end of the last plain request of a connection, from `` HTTP/1.1`` on (`_tail`).
- *Only exact targets.* The target must be, byte for byte or in another ASCII case, an identifier
  in the cache whose spelling needs no escape in a URL or in JSON.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from protocol.errors import Busy
from registry.batch import Done
from registry.statistics.cells import FOUND
from registry.statistics.counter import SAMPLE
from resolver.cache import Answer
from resolver.transports import short_put
from resolver.transports.short_head import parse

PATH = "/api/handles/"

_START = b"GET " + PATH.encode()
_START_LENGTH = len(_START)
_VERSION_LENGTH = len(b" HTTP/1.1")
_LINE_END = b" HTTP/1.1\r\n"
_LINE_END_LENGTH = len(_LINE_END)

_WRITE_BYTES = 1 << 20
"""Answers of one read that are put together. What was asked after them goes the long way, which
waits until the client has taken these: a few bytes that ask for much shall not fill the memory."""

_HELD_BYTES = 1 << 16
"""What may come on a connection while its PUT is written; then it is not read on."""

_BLOCKS_KEPT = 1024
_BLOCK_LENGTH_KEPT = _TAIL_LENGTH_KEPT = 2048

# Headers that may change what the long way does. All others it does not look at.
_TELLING = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "http2-settings",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class Front:
    """What all connections of a worker share.

    head: status line and headers of every found answer up to ``Content-Length:``; it holds the
        date, and whether answers are stale.
    idle_until: when a connection that is active now has been idle too long, on the loop's clock.
        transports/server.py renews both, each TICK_SECONDS.
    answers: the cache's dictionary itself.
    puts: what registers; None where nothing does.
    names: the canonical identifiers of the first answers; see registry.statistics.counter.Sample.
    hits, seconds: answers given and the time that they took together.
    slow: (seconds, answers) of the reads that took longer than FAST seconds.
        transports/server.py moves these into the metrics and sets them to zero.
    """

    __slots__ = (
        "_blocks",
        "answers",
        "head",
        "hits",
        "idle_until",
        "loop",
        "names",
        "puts",
        "seconds",
        "slow",
    )

    FAST = 0.0001

    def __init__(
        self,
        answers: dict[bytes, Answer],
        loop: asyncio.AbstractEventLoop,
        names: list[bytes],
        puts: short_put.Puts | None = None,
    ) -> None:
        self.answers = answers
        self.puts = puts
        self.names = names
        self._blocks: dict[bytes, bool] = {}
        self.head = b""
        self.hits = 0
        self.idle_until = 0.0
        self.loop = loop
        self.seconds = 0.0
        self.slow: list[tuple[float, int]] = []

    def is_plain(self, block: bytes) -> bool:
        """Whether a header block, with the empty line that ends it, is one for the short way."""
        verdict = self._blocks.get(block)
        if verdict is None:
            verdict = self._judge(block)
            if len(block) <= _BLOCK_LENGTH_KEPT:
                if len(self._blocks) >= _BLOCKS_KEPT:
                    self._blocks.clear()
                self._blocks[block] = verdict
        return verdict

    def _judge(self, block: bytes) -> bool:
        message = parse(b"GET / HTTP/1.1\r\n" + block, self.loop)
        if message is None:
            return False
        telling = _TELLING.intersection(name.lower() for name in message.headers)
        return not telling or (
            telling == {"connection"}
            and [v.lower() for v in message.headers.getall("Connection")] == ["keep-alive"]
        )


class ShortRequestHandler(RequestHandler):
    """One connection: aiohttp's, with the short way before it."""

    __slots__ = ("_front", "_held", "_long", "_owed", "_tail", "refused")

    def __init__(self, manager: web.Server, *, front: Front, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._front = front
        self._held: bytearray | None = None
        """What has come since a PUT on the short way, which is under way; None: none is."""
        self._long = False
        self._owed = 0
        """Bytes of the body of a plain PUT that aiohttp has not been given yet."""
        self._tail = b""
        self.refused: tuple[object, BaseException] | None = None
        """The message of a PUT that aiohttp was given, and why it was refused already."""

    @property
    def idle(self) -> bool:
        """Whether it waits for a request, or for the rest of its head."""
        waiter = self._waiter
        return self._held is None and waiter is not None and not waiter.done()

    def data_received(self, data: bytes) -> None:
        """Answer what is plain and cached, in order; hand the rest to aiohttp."""
        started = perf_counter()
        # Nearly always a read brings one request that differs from the one before on this
        # connection in nothing but its target.
        tail = self._tail
        if tail and data.endswith(tail) and data.startswith(_START):
            waiter = self._waiter
            # aiohttp is idle while it waits for a message that it has not been given.
            if waiter is not None and not waiter.done():
                target = data[_START_LENGTH : -len(tail)]
                front = self._front
                key = target.upper()
                answer = front.answers.get(key)
                if answer is not None and answer.spelling == target and answer.prefix.live:
                    answer.seen = True
                    answer.prefix.cells[FOUND] += 1
                    if len(front.names) < SAMPLE:
                        front.names.append(key)
                    self.transport.write(front.head + answer.http)  # type: ignore[union-attr]
                    self._next_keepalive_close_time = front.idle_until
                    took = perf_counter() - started
                    front.hits += 1
                    front.seconds += took
                    if took > Front.FAST:
                        front.slow.append((took, 1))
                    return
        if self._held is not None:
            self._hold(data)
        elif self._owed:
            self._pay(data)
        elif self._long or not data:  # empty: aiohttp wakes its own parser
            super().data_received(data)
        elif not (data.startswith(short_put.START) and self._register(data)):
            self._several(data, started)

    def _register(self, data: bytes) -> bool:
        """Begin with a plain PUT; False: it is none."""
        puts = self._front.puts
        wanted = None if puts is None else puts.read(data)
        if puts is None or wanted is None:
            return False
        if isinstance(wanted, int) or not self.idle:  # not idle: other answers come first
            self._tail = b""  # nothing of the body is a request
            self._owed = wanted if isinstance(wanted, int) else 0
            super().data_received(data)
            return True
        try:
            written = puts.begin(wanted)
        except Busy as busy:
            self._refuse(data, busy)
            return True
        self._held = bytearray()
        self._tail = b""  # no GET may be answered before it
        self._request_in_progress = True
        self._next_keepalive_close_time = self._front.idle_until

        def end(written: asyncio.Future[Done]) -> None:
            try:
                refusal = written.exception()
                if refusal is None:
                    self._acknowledge(puts.answer(wanted, written.result()))
                else:
                    self._refuse(data, refusal)
                self._release()
            except BaseException:  # which the loop logs
                self.force_close()
                raise

        written.add_done_callback(end)
        return True

    def _acknowledge(self, answer: bytes) -> None:
        if self.transport is not None:
            self.transport.write(answer)
        self._next_keepalive_close_time = self._front.idle_until
        self._request_in_progress = False
        if self._handler_waiter is not None:  # the server ends once this is done
            self._handler_waiter.set_result(None)

    def _refuse(self, data: bytes, refusal: BaseException) -> None:
        """Let aiohttp have the request after all, and what there is to be said of it."""
        super().data_received(data)
        if self._messages:  # none: the connection is over
            self.refused = (self._messages[-1][0], refusal)

    def _pay(self, data: bytes) -> None:
        """Give aiohttp the rest of a body, and all that follows where more than that has come."""
        self._long = len(data) > self._owed
        self._owed = max(self._owed - len(data), 0)
        super().data_received(data)

    def _hold(self, data: bytes) -> None:
        assert self._held is not None  # noqa: S101  (the caller has looked)
        self._held += data
        if len(self._held) >= _HELD_BYTES:
            self._pause_reading_for_buffer()

    def _release(self) -> None:
        """Go on with what has come meanwhile."""
        held, self._held = self._held, None
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        if held and self.transport is not None:
            self.data_received(bytes(held))

    def _several(self, data: bytes, started: float) -> None:
        """Do the same for any number of requests, any spelling, and tails not seen before."""
        front = self._front
        waiter = self._waiter
        # Else answers of aiohttp are to come first.
        idle = waiter is not None and not waiter.done()
        replies: list[bytes] = []
        at, end, room = 0, len(data), _WRITE_BYTES
        whole = 0  # up to here, what is not answered is whole, plain requests
        while whole < end:
            stop = data.find(b"\r\n\r\n", whole) + 4
            line = data.find(b"\r\n", whole) - _VERSION_LENGTH
            if (
                stop == 3
                or not data.startswith(_START, whole)
                or not data.startswith(_LINE_END, line)
                or not front.is_plain(data[line + _LINE_END_LENGTH : stop])
            ):
                break
            if idle:
                target = data[whole + _START_LENGTH : line]
                key = target.upper()
                answer = front.answers.get(key)
                if answer is None or not answer.prefix.live or answer.spelling is None:
                    idle = False
                else:
                    answer.seen = True
                    answer.prefix.cells[FOUND] += 1
                    if len(front.names) < SAMPLE:
                        front.names.append(key)
                    replies += (front.head, _spelled(answer, target))
                    at = stop
                    room -= len(answer.http)
                    idle = room > 0
            whole = stop
            if stop - line <= _TAIL_LENGTH_KEPT:
                self._tail = data[line:stop]

        if replies:
            self._reply(replies, started)
        if at < end:
            if whole < end:
                self._long, self._tail = True, b""
            super().data_received(data[at:] if at else data)

    def _reply(self, replies: list[bytes], started: float) -> None:
        """Write answers, two pieces each, and count them."""
        if self.transport is not None:
            self.transport.write(b"".join(replies))
        front, count = self._front, len(replies) // 2
        self._next_keepalive_close_time = front.idle_until
        took = perf_counter() - started
        front.hits += count
        front.seconds += took * count
        if took > Front.FAST:
            front.slow.append((took, count))

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read: its answers must not pile up here."""
        super().pause_writing()
        self._pause_transport_reading()

    def resume_writing(self) -> None:
        """Read on, unless aiohttp has reasons of its own not to."""
        super().resume_writing()
        if not self._reading_paused and not self._buffer_paused:
            self._resume_transport_reading()


def _spelled(answer: Answer, target: bytes) -> bytes:
    """Return the answer with the identifier as it was asked for, which may be in another case.

    The spelling's first occurrence is the handle: before it stand only the length and the
    response code, which hold no slash.
    """
    spelling = answer.spelling
    if spelling is None or spelling == target:
        return answer.http
    start = answer.http.index(spelling)
    return answer.http[:start] + target + answer.http[start + len(spelling) :]
