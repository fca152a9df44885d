"""Faults on demand, so that nodes and their operators can rehearse what an authority may do.

There is at most one at each place; it ends after a time, after a number of requests, or when it is
ended. It is kept in memory: a stub that starts anew is well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from protocol.errors import InvalidValue

log = structlog.get_logger("idnode.toplevel")

Place = Literal["filings", "heartbeats", "certificates", "handle"]
"""What fails: requests of one kind of the nodes, or the Handle protocol."""

Failure = Literal["down", "slow", "refuses", "loses_answers", "sends_twice", "answers_twice"]

OF_HANDLE: frozenset[Failure] = frozenset({"down", "slow", "refuses"})
"""Those that there are in the Handle protocol."""

LONGEST_DELAY = 60.0


class Fault(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is to fail, and for how long.

    fault: down: the connection is closed, nothing is done. slow: `delay` seconds pass before
    anything is done. refuses: answered with `status`, nothing is done; by the Handle protocol with
    SERVER_BUSY. loses_answers: done, and the connection closed without an answer. sends_twice: the
    request arrives twice, the second answer is given. answers_twice: the answer is sent twice.
    seconds, count: how long, or for how many requests; whatever comes first.
    """

    fault: Failure
    at: Place = "filings"
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 86_400.0
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1_000_000
    delay: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_DELAY)] = 5.0
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 503


class Faults:
    """The faults that there are now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock in seconds that does not go back."""
        self._clock = clock
        self._now: dict[Place, tuple[Fault, float]] = {}

    def set(self, fault: Fault) -> None:
        """Begin a fault, in the place of the one that is there. Raises InvalidValue."""
        if fault.at == "handle" and fault.fault not in OF_HANDLE:
            raise InvalidValue("there is no such fault of the Handle protocol", field="fault")
        self._now[fault.at] = (fault, self._clock() + fault.seconds)
        log.info("fault_set", fault=fault.fault, at=fault.at)

    def end(self) -> None:
        """End all of them."""
        self._now.clear()
        log.info("faults_ended")

    def listed(self) -> list[Fault]:
        """Return those that there are, with the time and the requests that are left."""
        now = self._clock()
        return [
            msgspec.structs.replace(fault, seconds=until - now)
            for fault, until in self._now.values()
            if until > now
        ]

    def take(self, at: Place) -> Fault | None:
        """Return the fault that the next request there meets, and count that."""
        fault, until = self._now.get(at, (None, 0.0))
        if fault is None:
            return None
        if until <= self._clock():
            del self._now[at]
            return None
        if fault.count == 1:
            del self._now[at]
        else:
            self._now[at] = (msgspec.structs.replace(fault, count=fault.count - 1), until)
        return fault


async def meet(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request as the fault has it."""
    log.info("fault_met", fault=fault.fault, at=fault.at)
    return await _WAYS[fault.fault](fault, request, handler)


async def _down(_: Fault, request: web.Request, __: Handler) -> web.StreamResponse:
    return _cut_off(request)


async def _slow(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    await asyncio.sleep(fault.delay)
    return await handler(request)


async def _refuses(fault: Fault, _: web.Request, __: Handler) -> web.StreamResponse:
    return web.json_response(
        {"title": "refused", "status": fault.status, "detail": "refused for a rehearsal"},
        status=fault.status,
        content_type="application/problem+json",
    )


async def _loses(_: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    await handler(request)
    return _cut_off(request)


async def _sends_twice(_: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    await handler(request)
    return await handler(request)


async def _answers_twice(_: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    answer = await handler(request)
    await answer.prepare(request)
    await answer.write_eof()
    body = answer.body if isinstance(answer, web.Response) else None
    octets = body if isinstance(body, bytes) else b""
    if request.transport is not None:
        request.transport.write(
            b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (answer.status, len(octets), octets)
        )
    return answer


def _cut_off(request: web.Request) -> web.Response:
    """Close the connection at once; nobody gets the response that is returned."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


_WAYS: dict[Failure, Callable[[Fault, web.Request, Handler], Awaitable[web.StreamResponse]]] = {
    "down": _down,
    "slow": _slow,
    "refuses": _refuses,
    "loses_answers": _loses,
    "sends_twice": _sends_twice,
    "answers_twice": _answers_twice,
}
