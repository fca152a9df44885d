"""Bodies of responses, one class a form (RFC 3652 sections 3.1 to 3.7).

As in requests, bytes after the last field known here are left unread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from protocol.errors import ResponseCode
from protocol.handle import value as wire_value
from protocol.handle import wire
from protocol.handle.header import OpCode
from protocol.handle.requests import (
    SESSION_PADDING,
    KeyExchange,
    OpaqueBody,
    read_handle,
    read_mode,
)
from protocol.values import HandleValue

NONCE_BYTES = 16
"""Bytes of a challenge's nonce."""

NAMES_PER_MESSAGE = 50
"""Names in one message of a list, as the reference server cuts it; all messages but the last
have the flag CONTINUOUS."""

_MAX_NONCE_BYTES = 256


@dataclass(frozen=True, slots=True)
class ResolutionResponse:
    """The values of an identifier, spelled as it was asked for."""

    handle: str
    values: tuple[HandleValue, ...]

    def encode(self) -> bytes:
        """Return the body."""
        return wire.text(self.handle) + wire_value.encode_values(self.values)


@dataclass(frozen=True, slots=True)
class SiteResponse:
    """The server's own site: an HS_SITE record (see protocol.typed), to the end of the body."""

    site: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return self.site


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """The identifier created; None where the server does not say, as old ones do not."""

    handle: str | None

    def encode(self) -> bytes:
        """Return the body."""
        return b"" if self.handle is None else wire.text(self.handle)


@dataclass(frozen=True, slots=True)
class EmptyResponse:
    """Success of an operation that returns nothing."""

    def encode(self) -> bytes:
        """Return the body."""
        return b""


@dataclass(frozen=True, slots=True)
class NamesResponse:
    """A part of a list of identifiers (105) or of homed prefixes (302)."""

    names: tuple[str, ...]

    def encode(self) -> bytes:
        """Return the body."""
        return wire.sequence(self.names, wire.text)


@dataclass(frozen=True, slots=True)
class VerifyResponse:
    """Whether the answer to a challenge was made with the secret key (201)."""

    valid: bool

    def encode(self) -> bytes:
        """Return the body."""
        return bytes((self.valid,))


@dataclass(frozen=True, slots=True)
class SessionSetupResponse:
    """The server's part of a key exchange (400).

    data: mode 4: cipher (4 bytes, from version 2.4 on) and the server's DH key as in HS_PUBKEY;
    modes 1 and 3: the encrypted session key; mode 2: the server's RSA key as in HS_PUBKEY.
    """

    mode: KeyExchange
    data: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return wire.number(self.mode, 2) + wire.octets(self.data) + SESSION_PADDING


@dataclass(frozen=True, slots=True)
class Challenge:
    """Authentication needed (402). The digest that is to be answered too is the message's own."""

    nonce: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return wire.octets(self.nonce)


@dataclass(frozen=True, slots=True)
class ReferralResponse:
    """Where to ask instead (302, 303): at a handle, or at the sites in the values."""

    handle: str = ""
    values: tuple[HandleValue, ...] | None = None

    def encode(self) -> bytes:
        """Return the body."""
        if self.values is None:
            return wire.text(self.handle)
        return wire.text(self.handle) + wire_value.encode_values(self.values)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """Any other response code: a message for people, often empty."""

    message: str = ""

    def encode(self) -> bytes:
        """Return the body."""
        return wire.text(self.message)


Response: TypeAlias = (
    ResolutionResponse
    | SiteResponse
    | CreateResponse
    | EmptyResponse
    | NamesResponse
    | VerifyResponse
    | SessionSetupResponse
    | Challenge
    | ReferralResponse
    | ErrorResponse
    | OpaqueBody
)


def read_response(op_code: int, code: int, reader: wire.Reader) -> Response:
    """Read the body of a response, after its digest. Raises ProtocolError."""
    if code == ResponseCode.SUCCESS:
        read = _READERS.get(op_code)
        if read is None:
            reader.fail(f"op code {op_code} is not known")
        return read(reader)
    if code == ResponseCode.AUTHENTICATION_NEEDED:
        return Challenge(reader.octets(_MAX_NONCE_BYTES))
    if code in (ResponseCode.SERVICE_REFERRAL, ResponseCode.PREFIX_REFERRAL):
        return _read_referral(reader)
    return _read_error(reader)


def _read_resolution(reader: wire.Reader) -> ResolutionResponse:
    return ResolutionResponse(handle=read_handle(reader), values=wire_value.read_values(reader))


def _read_site(reader: wire.Reader) -> SiteResponse:
    return SiteResponse(reader.rest())


def _read_create(reader: wire.Reader) -> CreateResponse:
    return CreateResponse(read_handle(reader) if reader.left else None)


def _read_empty(_reader: wire.Reader) -> EmptyResponse:
    return EmptyResponse()


def _read_names(reader: wire.Reader) -> NamesResponse:
    count = reader.count(wire.MAX_MESSAGE_BYTES)
    return NamesResponse(tuple(read_handle(reader) for _ in range(count)))


def _read_verify(reader: wire.Reader) -> VerifyResponse:
    return VerifyResponse(bool(reader.number(1) & 1))


def _read_session_setup(reader: wire.Reader) -> SessionSetupResponse:
    return SessionSetupResponse(mode=read_mode(reader), data=reader.octets())


def _read_referral(reader: wire.Reader) -> ReferralResponse:
    handle = read_handle(reader)
    return ReferralResponse(handle, wire_value.read_values(reader) if reader.left else None)


def _read_error(reader: wire.Reader) -> ErrorResponse:
    # The code matters and the words are for people: they must not hide it. Servers of version
    # 2.0 write no words, not even their length.
    octets = reader.octets() if reader.left else b""
    return ErrorResponse(octets.decode(errors="replace"))


def _read_opaque(reader: wire.Reader) -> OpaqueBody:
    return OpaqueBody(reader.rest())


_READERS: dict[int, Callable[[wire.Reader], Response]] = {
    OpCode.RESOLUTION: _read_resolution,
    OpCode.GET_SITE_INFO: _read_site,
    OpCode.CREATE_HANDLE: _read_create,
    OpCode.DELETE_HANDLE: _read_empty,
    OpCode.ADD_VALUE: _read_empty,
    OpCode.REMOVE_VALUE: _read_empty,
    OpCode.MODIFY_VALUE: _read_empty,
    OpCode.LIST_HANDLES: _read_names,
    OpCode.VERIFY_CHALLENGE: _read_verify,
    OpCode.HOME_PREFIX: _read_empty,
    OpCode.UNHOME_PREFIX: _read_empty,
    OpCode.LIST_HOMED_PREFIXES: _read_names,
    OpCode.SESSION_SETUP: _read_session_setup,
    OpCode.SESSION_TERMINATE: _read_empty,
    OpCode.SESSION_EXCHANGE_KEY: _read_empty,
    OpCode.GET_NEXT_TRANSACTION_ID: _read_opaque,
    OpCode.RETRIEVE_TRANSACTION_LOG: _read_opaque,
    OpCode.DUMP_HANDLES: _read_opaque,
    OpCode.BACKUP_SERVER: _read_empty,
    OpCode.LOGIN: _read_empty,
}
