"""The Handle face of the top-level node: it says which node serves a prefix, and refers there.

What it answers is public, so there is nothing to prove, no session and nothing to administer here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from time import perf_counter

import structlog

from protocol.errors import (
    Busy,
    HandleNotFound,
    IdnodeError,
    ProtocolError,
    ResponseCode,
    ServerNotResponsible,
)
from protocol.handle.envelope import Envelope
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message, decode_message, decode_payload
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ErrorResponse, ReferralResponse, SiteResponse
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from registry.metrics import Row
from registry.prefix_handles import owner_prefix
from resolver.federation.toplevel.directory import Directory
from resolver.federation.toplevel.faults import Fault, Faults
from resolver.handle.resolve import values_reply
from resolver.handle.service import EXPIRES_SECONDS, Peer, Replies
from resolver.site import Site
from resolver.transports.handle_counts import count
from resolver.transports.handle_endpoint import over_tcp, refusal

log = structlog.get_logger("idnode.toplevel")


class _NoShortWay:
    """Every answer is looked up: the directory remembers what makes it quick."""

    fresh = True

    def answer(self, request: bytes) -> bytes | None:
        return None

    def take_back(self, request: bytes) -> None:
        raise AssertionError("no answer was given that could be taken back")

    def renew(self) -> None:
        return


class ToplevelEndpoint:
    """Answers the sockets of resolver/transports/handle_server.py."""

    def __init__(
        self,
        directory: Directory,
        site: Site,
        row: Row,
        *,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what is filed, our own site, where to count, and a clock in Unix seconds.

        faults: those that who asks meets.
        """
        self.front = self.freshness = _NoShortWay()
        self.row = row
        self._directory = directory
        self._faults = faults or Faults()
        self._replies = Replies(site, clock)

    @property
    def expiration(self) -> int:
        """Unix seconds at which an answer made now is void."""
        return int(self._replies.clock()) + EXPIRES_SECONDS

    def too_long(self, request: bytes) -> bytes:
        """Answer a plain request over UDP, for which there is an answer that is too long."""
        message = decode_message(request)
        return over_tcp(self._replies.reply(message, ErrorResponse(""))).encode()

    async def answer(self, envelope: Envelope, payload: bytes, peer: Peer) -> list[Message]:
        """Answer one message; nothing for what is no request."""
        started = perf_counter()
        if envelope.encrypted:
            error = ProtocolError("this server has no sessions")
            return [refusal(error, self.expiration, envelope.request_id)]
        try:
            message = decode_payload(envelope, payload)
        except IdnodeError as error:
            if payload[4:8] != bytes(4):
                return []  # never answer an answer: two servers would do so for ever
            op_code = int.from_bytes(payload[:4], "big")
            return [refusal(error, self.expiration, envelope.request_id, op_code)]
        if not message.header.is_request:
            return []
        fault = self._faults.take("handle")
        if fault is not None and fault.fault == "down":
            return []
        answer = await self._answer(message, fault)
        header = answer.header
        seconds = perf_counter() - started
        count(self.row, peer.transport, header.op_code, header.response_code, seconds)
        return [answer]

    async def _answer(self, message: Message, fault: Fault | None) -> Message:
        replies = self._replies
        if fault is not None and fault.fault == "slow":
            await asyncio.sleep(fault.delay)
        try:
            if fault is not None and fault.fault == "refuses":
                raise Busy("refused for a rehearsal", retry_after=1)
            answer = await self._result(message)
        except IdnodeError as error:
            answer = replies.error(message, error.response_code, error.detail)
        except Exception:
            log.exception("handle_request_failed", op_code=int(message.header.op_code))
            answer = replies.error(message, ResponseCode.ERROR, "internal error")
        return replies.bounded(message, replies.signed(message, answer))

    async def _result(self, message: Message) -> Message:
        request, replies = message.body, self._replies
        if message.header.op_code == OpCode.GET_SITE_INFO:
            return replies.reply(message, SiteResponse(replies.site.record))
        if isinstance(request, ResolutionRequest):
            return await self._resolve(message, request)
        return replies.error(message, ResponseCode.OPERATION_DENIED, "this server only resolves")

    async def _resolve(self, message: Message, request: ResolutionRequest) -> Message:
        flags, replies = message.header.flags, self._replies
        identifier = Identifier.parse(request.handle)
        prefix = owner_prefix(identifier)
        if not self._directory.covers(prefix):
            raise ServerNotResponsible(f"{prefix} is not under {self._directory.prefix}")
        place = await self._directory.find(prefix, authoritative=bool(flags & OpFlag.AUTHORITATIVE))
        of_prefix = identifier.prefix_key == PREFIX_HANDLE_PREFIX
        if place is not None and of_prefix and place.prefix == prefix:
            return values_reply(replies, message, request, [place.value])
        # Under our own prefix itself nothing stands but what its nodes have filed.
        if place is None or place.prefix == self._directory.prefix:
            raise HandleNotFound(f"no node has filed {prefix}")
        if flags & OpFlag.DO_NOT_REFER:
            raise HandleNotFound(f"{identifier} is served elsewhere")
        referral = ReferralResponse(values=(place.value,))
        return replies.reply(message, referral, code=ResponseCode.SERVICE_REFERRAL)
