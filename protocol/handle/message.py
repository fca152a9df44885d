"""Whole messages: envelope, header, body, credential (RFC 3652 section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from protocol.errors import ProtocolError, ResponseCode
from protocol.handle import envelope as wire_envelope
from protocol.handle import header as wire_header
from protocol.handle import wire
from protocol.handle.credential import Credential, read_credential
from protocol.handle.digest import Digest, DigestAlgorithm, digest_request, read_digest
from protocol.handle.envelope import Envelope, decode_envelope
from protocol.handle.header import Header, OpFlag, decode_header
from protocol.handle.requests import Request, read_request
from protocol.handle.responses import Challenge, Response, read_response
from protocol.handle.version import (
    COMPATIBLE,
    LATEST,
    code_from_wire,
    code_on_wire,
    negotiate,
)

Body: TypeAlias = Request | Response


@dataclass(frozen=True, slots=True)
class Message:
    """One request or response.

    digest: of the request, in a response that was asked for it and in every challenge.
    received: header and body as they came, which digests and signatures are made over; empty in
        a message that was not received.
    """

    envelope: Envelope
    header: Header
    body: Body
    digest: Digest | None = None
    credential: Credential | None = None
    received: bytes = field(default=b"", compare=False, repr=False)

    @property
    def content(self) -> bytes:
        """Header and body: what digests and signatures cover."""
        return self.received or self._encode_content()

    def encode_payload(self) -> bytes:
        """Return header, body and credential: what is encrypted, and cut into UDP fragments.

        Raises ProtocolError where it would be longer than a message may be.
        """
        end = self.credential.encode() if self.credential else bytes(4)
        payload = self.content + end
        if len(payload) > wire.MAX_MESSAGE_BYTES:
            raise ProtocolError(
                f"a message has at most {wire.MAX_MESSAGE_BYTES} bytes", code=ResponseCode.ERROR
            )
        return payload

    def encode(self) -> bytes:
        """Return the message in one piece, as it goes on TCP. Raises ProtocolError."""
        payload = self.encode_payload()
        return replace(self.envelope, message_length=len(payload)).encode() + payload

    def _encode_content(self) -> bytes:
        body, flags = self.body.encode(), self.header.flags
        if not self.header.is_request:
            flags &= ~OpFlag.REQUEST_DIGEST
        if self.digest is not None:
            if self._is_old_challenge:
                body += wire.octets(self.digest.value)
            else:
                body, flags = self.digest.encode() + body, flags | OpFlag.REQUEST_DIGEST
        code = code_on_wire(self.envelope.version, self.header.response_code)
        return replace(self.header, flags=flags, response_code=code).encode(len(body)) + body

    @property
    def _is_old_challenge(self) -> bool:
        return isinstance(self.body, Challenge) and not self.envelope.version.at_least(1)


def decode_message(data: bytes) -> Message:
    """Read one message in one piece. Raises ProtocolError, also for bytes behind it."""
    envelope = decode_envelope(data)
    return decode_payload(envelope, data[wire_envelope.SIZE :])


def decode_payload(envelope: Envelope, payload: bytes) -> Message:
    """Read header, body and credential.

    envelope: as received. payload: reassembled, and decrypted if the envelope says encrypted;
        then pass the envelope with `encrypted` off and the new length.
    Raises ProtocolError with the code that the reference server answers: 4 for what is no
    message, 2 for one whose content cannot be read.
    """
    if envelope.encrypted:
        raise ProtocolError("the message is encrypted", code=ResponseCode.SESSION_FAILED)
    if len(payload) != envelope.message_length:
        raise ProtocolError(f"the message has {len(payload)} bytes, not {envelope.message_length}")
    header, body_length = decode_header(payload)
    end = wire_header.SIZE + body_length
    code = code_from_wire(envelope.version, header.response_code)
    header = replace(header, response_code=code)
    body, digest = _read_body(envelope, header, wire.Reader(payload[:end], wire_header.SIZE))
    tail = wire.Reader(payload, end)
    credential = read_credential(tail)
    tail.end()
    return Message(envelope, header, body, digest, credential, payload[:end])


def _read_body(
    envelope: Envelope, header: Header, reader: wire.Reader
) -> tuple[Body, Digest | None]:
    if header.is_request:
        return read_request(header.op_code, reader), None
    code = header.response_code
    if code == ResponseCode.AUTHENTICATION_NEEDED and not envelope.version.at_least(1):
        challenge = read_response(header.op_code, code, reader)
        return challenge, Digest(DigestAlgorithm.UNNAMED, reader.octets())
    digest = read_digest(reader) if header.flags & OpFlag.REQUEST_DIGEST else None
    return read_response(header.op_code, code, reader), digest


def read_frame(buffer: bytes, at: int = 0) -> tuple[Envelope, bytes, int] | None:
    """Take the message that begins at `at` out of a stream.

    Return its envelope, its payload and where the next one begins; None as long as it is not
    whole. Raises ProtocolError as soon as the envelope is wrong.
    """
    start = at + wire_envelope.SIZE
    if len(buffer) < start:
        return None
    envelope = decode_envelope(buffer[at:start])
    end = start + envelope.message_length
    return (envelope, buffer[start:end], end) if len(buffer) >= end else None


def reply(
    request: Message,
    body: Response,
    *,
    expiration: int,
    site_serial: int,
    code: int = ResponseCode.SUCCESS,
    authoritative: bool = True,
    session_id: int | None = None,
    answered: Envelope | None = None,
) -> Message:
    """Return the response to `request`, as the reference server heads it.

    expiration: Unix seconds; site_serial: of our site; authoritative: whether our site is a
    primary one. session_id: of a challenge or a new session; by default the request's.
    answered: envelope of the challenge answer, where `request` is what was challenged before.
    """
    asked = answered or request.envelope
    version = negotiate(asked.peer)
    flags = request.header.flags & ~(OpFlag.CONTINUOUS | OpFlag.AUTHORITATIVE)
    if authoritative:
        flags |= OpFlag.AUTHORITATIVE
    digest = None
    asked_for = flags & OpFlag.REQUEST_DIGEST and version.at_least(1)
    if asked_for or isinstance(body, Challenge):
        digest = digest_request(version, request.content)
        flags |= OpFlag.REQUEST_DIGEST
    return Message(
        envelope=Envelope(
            request_id=asked.request_id,
            version=version,
            suggested=LATEST,
            session_id=asked.session_id if session_id is None else session_id,
            compressed=asked.compressed,
        ),
        header=replace(
            request.header,
            response_code=code,
            flags=flags,
            site_serial=site_serial,
            expiration=expiration,
        ),
        body=body,
        digest=digest,
    )


def refuse(body: Response, *, code: int, op_code: int, request_id: int, expiration: int) -> Message:
    """Return the response to bytes that could not be read as a message.

    request_id: of their envelope where it could be read, so that the client can match the
    answer; the reference server writes 0xFFFFFFFF. It is written in COMPATIBLE, since nothing
    is known of the peer.
    """
    return Message(
        envelope=Envelope(request_id=request_id, version=COMPATIBLE, suggested=LATEST),
        header=Header(op_code=op_code, response_code=code, expiration=expiration),
        body=body,
    )
