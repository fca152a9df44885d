"""The short way of a registration: a complete, plain PUT that came in one read.

Of what a PUT through aiohttp costs, more than half is aiohttp's: its parser, request, task, route,
middlewares and response. None of them is made here. The registration itself is the same: it joins
the others that wait (registry/batch/groups.py), and is answered after the commit. Everything else,
and everything that this file is not certain of, goes the long way; tests hold both equal byte for
byte.

- *Only plain heads.* The header block, compared as a whole, must be one that aiohttp's own parser
  has read as exactly one keep-alive request with a length and JSON, and without any header that
  the long way looks at and this does not. What it says (token, length, condition) is remembered.
- *Only exact targets*: identifiers that need no escape, without a slash in the suffix.
- *Only good news.* What is refused before it is written goes the long way as if it had never been
  here. What the registry itself refuses goes there too, with the refusal, and is worded there.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter

import msgspec
from aiohttp.helpers import rfc822_formatted_time

from protocol.errors import IdnodeError
from protocol.identifier import Identifier, check_registrable
from registry.api.app import observe
from registry.api.bodies.identifiers import NewIdentifier
from registry.api.conditions import condition_of
from registry.api.identifiers import PATH, registered
from registry.api.requests import bearer_of, decode_json, new_request_id
from registry.batch import Done, Put
from registry.batch.groups import Groups
from registry.identifiers import Condition, etag
from registry.metrics import Row
from resolver.transports.short_head import parse

START = b"PUT " + PATH.encode()

# A segment of dots alone would be another path; see RFC 3986 section 5.2.4.
_LINE = re.compile(rb"([0-9][0-9.]*)/([0-9A-Za-z][0-9A-Za-z._~-]*) HTTP/1\.1\r\n")

MAX_BODY_BYTES = 64 * 1024
_BLOCKS_KEPT = 1024
_BLOCK_LENGTH_KEPT = 2048

# Headers that may change what the long way does, and that are not looked at here.
_TELLING = frozenset(
    {
        "content-encoding",
        "expect",
        "http2-settings",
        "if-modified-since",
        "if-range",
        "if-unmodified-since",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)
_JSON = ("application/json", "application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Head:
    """What the headers of a plain PUT say. length: of its body, in bytes."""

    token: str
    length: int
    when: Condition


@dataclass(frozen=True, slots=True)
class Wanted:
    """A PUT on the short way. started: when it came, by perf_counter."""

    token: str
    put: Put
    request_id: str
    started: float


class Puts:
    """What all connections of a worker share.

    groups: writes. row: of the metrics. server: how the node names itself in its answers.
    """

    def __init__(
        self, groups: Groups, row: Row, server: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._groups = groups
        self._row = row
        self._server = server
        self._loop = loop
        self._heads: dict[bytes, Head | None] = {}
        self.taken = 0

    def read(self, data: bytes) -> Wanted | int | None:
        """Read one read of a connection; None: it is no plain PUT.

        A number: it is one for the long way, and so many bytes of its body are still to come, no
        more. Many clients send head and body one after the other.
        """
        started = perf_counter()
        line = _LINE.match(data, len(START))
        if line is None:
            return None
        stop = data.find(b"\r\n\r\n", line.end() - 2) + 4
        if stop == 3:
            return None
        head = self._head(data[line.end() : stop])
        if head is None or len(data) - stop > head.length:
            return None
        if len(data) - stop < head.length:
            return head.length - (len(data) - stop)
        prefix, suffix = line[1].decode(), line[2].decode()
        try:
            identifier = check_registrable(Identifier.of(prefix, suffix))
            body = decode_json(data[stop:], NewIdentifier)
        except IdnodeError:  # the long way says which
            return 0
        request_id = new_request_id()
        put = Put(identifier, body.values, body.template, head.when, request_id)
        return Wanted(head.token, put, request_id, started)

    def begin(self, wanted: Wanted) -> asyncio.Future[Done]:
        """Let it be written; return what to wait for. Raises Busy."""
        return self._groups.put(wanted.token, wanted.put)

    def answer(self, wanted: Wanted, done: Done) -> bytes:
        """Return what is answered to a PUT that is done, and count it."""
        body = msgspec.json.encode(registered(done))
        status = HTTPStatus.CREATED if done.what == "created" else HTTPStatus.OK
        self.taken += 1
        observe(
            self._row,
            wanted.request_id,
            "PUT",
            f"{PATH}{done.identifier}",
            status.value,
            perf_counter() - wanted.started,
        )
        return (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"ETag: {etag(done.version)}\r\n"
            f"Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"Date: {rfc822_formatted_time()}\r\n"
            f"Server: {self._server}\r\n"
            f"X-Request-Id: {wanted.request_id}\r\n"
            "Cache-Control: no-store\r\n"
            "\r\n"
        ).encode() + body

    def _head(self, block: bytes) -> Head | None:
        try:
            return self._heads[block]
        except KeyError:
            pass
        head = _judge(block, self._loop)
        if len(block) <= _BLOCK_LENGTH_KEPT:
            if len(self._heads) >= _BLOCKS_KEPT:
                self._heads.clear()
            self._heads[block] = head
        return head


def _judge(block: bytes, loop: asyncio.AbstractEventLoop) -> Head | None:
    message = parse(b"PUT / HTTP/1.1\r\n" + block, loop)
    if message is None or message.should_close or message.upgrade or message.chunked:
        return None
    headers = message.headers
    given = Counter(name.lower() for name in headers)
    if (
        given.keys() & _TELLING
        or given["content-type"] != 1
        or given["content-length"] != 1
        or headers["Content-Type"].lower() not in _JSON
        or [v.lower() for v in headers.getall("Connection", [])] not in ([], ["keep-alive"])
    ):
        return None
    length = headers["Content-Length"]
    if not (length.isascii() and length.isdecimal() and 0 < int(length) <= MAX_BODY_BYTES):
        return None
    try:
        return Head(bearer_of(headers), int(length), condition_of(headers))
    except IdnodeError:  # the long way says which
        return None
