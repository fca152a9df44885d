"""Questions and their answers, without any I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from protocol import json_api
from protocol.errors import MalformedRequest, ProtocolError, ResponseCode
from protocol.handle.digest import digest_request
from protocol.handle.envelope import Envelope
from protocol.handle.header import DEFAULT_FLAGS, LIFETIME, Header, OpCode
from protocol.handle.message import Message
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ErrorResponse, ReferralResponse, ResolutionResponse
from protocol.handle.version import COMPATIBLE
from protocol.identifier import Identifier, fold
from protocol.values import HandleValue

NO_REQUEST = 0xFFFFFFFF
"""Request id in the answer of the reference server to bytes that it could not read."""

REFERRALS = (ResponseCode.SERVICE_REFERRAL, ResponseCode.PREFIX_REFERRAL)


@dataclass(frozen=True, slots=True)
class Asking:
    """One question.

    types, indexes: which values; all if neither is given. request_id: random, 32 bits: an answer
    must repeat it. now: Unix seconds.
    """

    identifier: Identifier
    request_id: int
    now: int
    types: Sequence[str] = ()
    indexes: Sequence[int] = ()
    flags: int = DEFAULT_FLAGS

    def message(self) -> Message:
        """Return the request, as a client writes it that does not know the site yet."""
        message = Message(
            envelope=Envelope(request_id=self.request_id, version=COMPATIBLE),
            header=Header(OpCode.RESOLUTION, expiration=self.now + LIFETIME, flags=self.flags),
            body=ResolutionRequest(str(self.identifier), tuple(self.indexes), tuple(self.types)),
        )
        length = len(message.encode_payload())
        return replace(message, envelope=replace(message.envelope, message_length=length))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: response code, handle as it spells it, values, words for people."""

    code: int
    handle: str | None = None
    values: tuple[HandleValue, ...] = ()
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as Handle JSON, whatever way it came."""
        body: dict[str, Any] = {"responseCode": self.code}
        if self.handle is not None:
            body["handle"] = self.handle
        if self.detail:
            body["message"] = self.detail
        if self.values:
            body["values"] = [json_api.encode_value(value) for value in self.values]
        return body


def check_answer(request: Message, answer: Message, *, own_connection: bool = False) -> None:
    """Check that a message answers the request. Raises ProtocolError with the rule it breaks.

    own_connection: nothing else was asked there, so that an error without a request id can be
    meant for this request alone.
    """
    header, asked = answer.header, request.envelope.request_id
    if header.is_request:
        raise ProtocolError("the message is a request", field="response_code")
    unread = answer.envelope.request_id == NO_REQUEST and header.response_code in _UNREAD
    if answer.envelope.request_id != asked and not (own_connection and unread):
        raise ProtocolError("the request id is not that of the request", field="request_id")
    if header.op_code != request.header.op_code and not unread:
        raise ProtocolError("the op code is not that of the request", field="op_code")
    if answer.digest is not None:
        expected = digest_request(answer.envelope.version, request.content)
        if expected.algorithm == answer.digest.algorithm and expected != answer.digest:
            raise ProtocolError("the digest is not that of the request", field="digest")
    asked_for, told_of = request.body, answer.body
    if (
        isinstance(asked_for, ResolutionRequest)
        and isinstance(told_of, ResolutionResponse)
        and fold(told_of.handle) != fold(asked_for.handle)
    ):
        raise ProtocolError("the handle is not that of the request", field="handle")


_UNREAD = (ResponseCode.ERROR, ResponseCode.PROTOCOL_ERROR)


def read_answer(message: Message) -> Answer:
    """Return what the answer to a resolution says. Raises ProtocolError for another body."""
    code, body = message.header.response_code, message.body
    match body:
        case ResolutionResponse(handle, values):
            return Answer(code, handle, values)
        case ReferralResponse(handle, values):
            return Answer(code, handle or None, values or ())
        case ErrorResponse(detail):
            return Answer(code, detail=detail)
    if code == ResponseCode.AUTHENTICATION_NEEDED:
        return Answer(code, detail="the server asks who wants to know")
    raise ProtocolError(f"no answer to a resolution: {type(body).__name__}")


def read_json(body: object) -> Answer:
    """Return what Handle JSON says. Raises MalformedRequest, InvalidValue."""
    if not isinstance(body, Mapping) or not isinstance(body.get("responseCode"), int):
        raise MalformedRequest("not Handle JSON", field="responseCode")
    handle, detail = body.get("handle"), body.get("message")
    return Answer(
        code=body["responseCode"],
        handle=handle if isinstance(handle, str) else None,
        values=json_api.decode_values(body.get("values", [])),
        detail=detail if isinstance(detail, str) else "",
    )
