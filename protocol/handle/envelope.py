"""The message envelope: 20 bytes before each message and before each of its UDP fragments.

Sources: RFC 3652 section 2.2.1; reference implementation for the suggested version in the low
bits of byte 2 and in byte 3, which the RFC reserves.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocol.errors import ProtocolError, ResponseCode
from protocol.handle.version import LATEST, Version
from protocol.handle.wire import MAX_MESSAGE_BYTES

SIZE = 20
"""Bytes of an envelope."""

MAX_NUMBER = 0xFFFFFFFF

_FORM = struct.Struct(">BBBBIIII")
_COMPRESSED, _ENCRYPTED, _TRUNCATED, _SUGGESTED_MAJOR = 0x80, 0x40, 0x20, 0x03


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known of a message before it is read.

    request_id: chosen by the client, repeated by the server.
    version: the version in which the message is written.
    suggested: the latest version of the sender; None where it does not say.
    session_id: 0 for none; in a challenge and its answer, the challenge's own.
    sequence: number of the UDP fragment, from 0.
    message_length: bytes of the whole message, without any envelope.
    compressed: repeated by servers and otherwise of no effect.
    encrypted: the message is encrypted with the session's key.
    truncated: the reference client sets it on every fragment of a request; no server does.
    """

    request_id: int
    version: Version = LATEST
    suggested: Version | None = LATEST
    session_id: int = 0
    sequence: int = 0
    message_length: int = 0
    compressed: bool = False
    encrypted: bool = False
    truncated: bool = False

    @property
    def peer(self) -> Version:
        """The latest version that the sender speaks."""
        return self.version if self.suggested is None else self.suggested

    def encode(self) -> bytes:
        """Return the 20 bytes. Raises ProtocolError where a field does not fit."""
        major, minor = self.suggested or (0, 0)
        flags = (
            _COMPRESSED * self.compressed
            | _ENCRYPTED * self.encrypted
            | _TRUNCATED * self.truncated
            | (major & _SUGGESTED_MAJOR)
        )
        try:
            return _FORM.pack(
                *self.version,
                flags,
                minor,
                self.session_id,
                self.request_id,
                self.sequence,
                self.message_length,
            )
        except struct.error:
            raise ProtocolError("a number of the envelope does not fit its field") from None


def decode_envelope(data: bytes) -> Envelope:
    """Read the envelope at the start of `data`; the message itself need not be there yet.

    Raises ProtocolError: with code 4 where there are fewer than 20 bytes, with code 2 where the
    message would be longer than 262 144 bytes.
    """
    if len(data) < SIZE:
        raise ProtocolError(f"an envelope has {SIZE} bytes, not {len(data)}")
    major, minor, flags, suggested_minor, session_id, request_id, sequence, length = (
        _FORM.unpack_from(data)
    )
    if length > MAX_MESSAGE_BYTES:
        raise ProtocolError(
            f"a message has at most {MAX_MESSAGE_BYTES} bytes", code=ResponseCode.ERROR
        )
    suggested_major = flags & _SUGGESTED_MAJOR
    return Envelope(
        request_id=request_id,
        version=Version(major, minor),
        suggested=Version(suggested_major, suggested_minor) if suggested_major else None,
        session_id=session_id,
        sequence=sequence,
        message_length=length,
        compressed=bool(flags & _COMPRESSED),
        encrypted=bool(flags & _ENCRYPTED),
        truncated=bool(flags & _TRUNCATED),
    )
