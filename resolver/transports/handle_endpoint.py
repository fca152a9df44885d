"""What the Handle sockets of a worker share: from the bytes of a request to its answer."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from protocol.errors import IdnodeError, ResponseCode
from protocol.handle.envelope import Envelope
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import Message, decode_message, refuse
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ErrorResponse, ResolutionResponse
from protocol.identifier import Identifier
from registry.metrics import Row
from resolver.handle.service import EXPIRES_SECONDS, HandleService, Peer
from resolver.handle.sessions import open_message, seal
from resolver.transports.handle_counts import count
from resolver.transports.handle_short import HandleFront

UNKNOWN_REQUEST = 0xFFFFFFFF
"""Request id of an answer that belongs to no request, as the reference server writes it."""

_REQUEST = bytes(4)
"""Where an answer has its response code."""

# Requests of which the answer depends on more than the request's kind and the handle.
_LONG_WAY = OpFlag.AUTHORITATIVE | OpFlag.ENCRYPT | OpFlag.REQUEST_DIGEST


class HandleEndpoint:
    """Answers whole messages, on the short way where that can be."""

    def __init__(self, service: HandleService, row: Row) -> None:
        self.service = service
        self.row = row
        resolver = service.resolver
        self.freshness = resolver.feed
        self.front = HandleFront(resolver.cache, self._head, resolver.counter.found)

    def _head(self, message: Message) -> Message | None:
        """Head the answers to requests like this one; see HandleFront."""
        flags = message.header.flags
        signed = flags & OpFlag.CERTIFY and self.service.site.key is not None
        if flags & _LONG_WAY or signed or not flags & OpFlag.PUBLIC_ONLY:
            return None
        return self.service.reply(message, ResolutionResponse("", ()))

    async def answer(self, envelope: Envelope, payload: bytes, peer: Peer) -> list[Message]:
        """Answer one message the long way; nothing for what is no request."""
        started = perf_counter()
        try:
            message, key = await open_message(self.service, envelope, payload)
        except IdnodeError as error:
            if not envelope.encrypted and payload[4:8] != _REQUEST:
                return []
            return [self._refused(envelope, payload, error, peer)]
        if not message.header.is_request:
            return []  # never answer an answer: two servers would do so for ever
        answers = await self.service.answer(message, peer)
        if answers:
            last = answers[-1].header
            took = perf_counter() - started
            result = count(self.row, peer.transport, last.op_code, last.response_code, took)
            if result is not None:
                self.service.resolver.count(_asked(message, answers[-1]), result)
        return answers if key is None else [seal(one, key) for one in answers]

    def too_long(self, request: bytes) -> bytes:
        """Answer a plain request over UDP, for which there is an answer that is too long."""
        return over_tcp(self.service.reply(decode_message(request), ErrorResponse(""))).encode()

    def _refused(
        self, envelope: Envelope, payload: bytes, error: IdnodeError, peer: Peer
    ) -> Message:
        """Answer bytes that are framed as a message and cannot be read as one."""
        op_code = 0 if envelope.encrypted else int.from_bytes(payload[:4], "big")
        result = count(self.row, peer.transport, op_code, error.response_code, 0.0)
        if result is not None:
            self.service.resolver.count(None, result)
        return refusal(error, self.expiration, envelope.request_id, op_code)

    @property
    def expiration(self) -> int:
        """Unix seconds at which an answer made now is void."""
        return int(self.service.clock()) + EXPIRES_SECONDS


def _asked(request: Message, answer: Message) -> Identifier | None:
    """Return the identifier that was resolved.

    The answer to a challenge does not name it; if it was good, the answer to that does.
    """
    for body in (request.body, answer.body):
        if isinstance(body, ResolutionRequest | ResolutionResponse):
            try:
                return Identifier.parse(body.handle)
            except IdnodeError:
                return None
    return None


def over_tcp(answer: Message) -> Message:
    """Return what is sent over UDP in the place of an answer that is too long for that."""
    return replace(
        answer,
        header=replace(answer.header, response_code=ResponseCode.ERROR),
        body=ErrorResponse("too long for UDP: ask over TCP"),
        digest=None,
        credential=None,
    )


def refusal(
    error: IdnodeError, expiration: int, request_id: int = UNKNOWN_REQUEST, op_code: int = 0
) -> Message:
    """Return the answer to bytes that are no request.

    Without a request id it is for a stream in which no message can be found any more.
    """
    return refuse(
        ErrorResponse(error.detail),
        code=error.response_code,
        op_code=op_code or OpCode.RESOLUTION,
        request_id=request_id,
        expiration=expiration,
    )
