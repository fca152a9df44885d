"""Bodies of requests, one class a form (RFC 3652 sections 3.1 to 3.7).

Bytes after the last field known here are left unread: later versions add fields at the end, and
the reference implementation reads bodies in the same way. Digests and signatures are made over
the bytes as received, so nothing is lost by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from protocol.errors import ProtocolError, ResponseCode
from protocol.handle import value as wire_value
from protocol.handle import wire
from protocol.handle.digest import Digest, read_digest
from protocol.handle.header import OpCode
from protocol.values import HandleValue

MAX_ITEMS = 2048
"""Most indexes, and most types, that one request may name."""

NO_INDEX = 0xFFFFFFFF
"""Index of an identity that a session setup does not name."""

SESSION_PADDING = b"\0\0"
"""What follows the body of a session setup and of its answer: the reference implementation
counts four bytes for the mode and writes two."""


@dataclass(frozen=True, slots=True)
class ResolutionRequest:
    """Which values of an identifier are asked for: by index or by type; all if neither is given."""

    handle: str
    indexes: tuple[int, ...] = ()
    types: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return the body."""
        return (
            wire.text(self.handle)
            + encode_indexes(self.indexes)
            + wire.sequence(self.types, wire.text)
        )


@dataclass(frozen=True, slots=True)
class HandleRequest:
    """A request that names an identifier and nothing else.

    Of op codes 2, 101, 105, 300, 301, 302, 401, 1000 and 1003; ``/`` where none is meant.
    """

    handle: str = "/"

    def encode(self) -> bytes:
        """Return the body."""
        return wire.text(self.handle)


@dataclass(frozen=True, slots=True)
class ValuesRequest:
    """The values of an identifier to be created (100), added (102) or modified (104)."""

    handle: str
    values: tuple[HandleValue, ...]

    def encode(self) -> bytes:
        """Return the body."""
        return wire.text(self.handle) + wire_value.encode_values(self.values)


@dataclass(frozen=True, slots=True)
class RemoveRequest:
    """The indexes of the values to be removed (103)."""

    handle: str
    indexes: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the body."""
        return wire.text(self.handle) + encode_indexes(self.indexes)


@dataclass(frozen=True, slots=True)
class ChallengeAnswer:
    """Who answers a challenge, and the answer (200).

    type: ``HS_PUBKEY`` or ``HS_SECKEY``; handle, index: the value that holds the key, index 0 for
    any of that type; answer: see protocol.handle.challenge.
    """

    type: str
    handle: str
    index: int
    answer: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return b"".join(
            (
                wire.text(self.type),
                wire.text(self.handle),
                wire.number(self.index, 4),
                wire.octets(self.answer),
            )
        )


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Asks the server that keeps a secret key whether an answer was made with it (201)."""

    handle: str
    index: int
    nonce: bytes
    digest: Digest
    answer: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return b"".join(
            (
                wire.text(self.handle),
                wire.number(self.index, 4),
                wire.octets(self.nonce),
                self.digest.encode(),
                wire.octets(self.answer),
            )
        )


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """Who wants to act on this connection (2001); index of the value that holds the key."""

    handle: str
    index: int

    def encode(self) -> bytes:
        """Return the body."""
        return wire.text(self.handle) + wire.number(self.index, 4)


class KeyExchange(IntEnum):
    """How two peers come to a session key.

    CLIENT_CIPHER, HANDLE_CIPHER: the server encrypts it with an RSA key of the client, which
    stands in the request or in a value that the request names. SERVER_CIPHER: the client encrypts
    it with the server's RSA key. DIFFIE_HELLMAN: the reference client's way.
    """

    CLIENT_CIPHER = 1
    SERVER_CIPHER = 2
    HANDLE_CIPHER = 3
    DIFFIE_HELLMAN = 4


@dataclass(frozen=True, slots=True)
class SessionSetupRequest:
    """Asks for a session (400).

    mode: a KeyExchange; timeout: seconds without a message after which the session may end.
    identity, identity_index: who will authenticate; ``""`` and NO_INDEX for nobody.
    public_key: of modes 1 and 4, as in HS_PUBKEY. key_handle, key_index: of mode 3.
    """

    mode: KeyExchange
    timeout: int
    identity: str = ""
    identity_index: int = NO_INDEX
    public_key: bytes = b""
    key_handle: str = ""
    key_index: int = 0

    def encode(self) -> bytes:
        """Return the body."""
        parts = [
            wire.number(self.mode, 2),
            wire.number(self.timeout, 4),
            wire.text(self.identity),
            wire.number(self.identity_index, 4),
        ]
        if self.mode in _WITH_KEY:
            parts.append(wire.octets(self.public_key))
        elif self.mode is KeyExchange.HANDLE_CIPHER:
            parts += wire.text(self.key_handle), wire.number(self.key_index, 4)
        return b"".join((*parts, SESSION_PADDING))


_WITH_KEY = (KeyExchange.CLIENT_CIPHER, KeyExchange.DIFFIE_HELLMAN)


@dataclass(frozen=True, slots=True)
class ExchangeKeyRequest:
    """The session key, encrypted with the server's RSA key (402)."""

    encrypted_key: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return wire.octets(self.encrypted_key)


@dataclass(frozen=True, slots=True)
class OpaqueBody:
    """A body that this code does not look into: replication, op codes 1001 and 1002."""

    data: bytes

    def encode(self) -> bytes:
        """Return the body."""
        return self.data


Request: TypeAlias = (
    ResolutionRequest
    | HandleRequest
    | ValuesRequest
    | RemoveRequest
    | ChallengeAnswer
    | VerifyRequest
    | SessionSetupRequest
    | ExchangeKeyRequest
    | LoginRequest
    | OpaqueBody
)


def read_request(op_code: int, reader: wire.Reader) -> Request:
    """Read the body of a request. Raises ProtocolError, code 2 also for an unknown op code.

    A handle that is not UTF-8 is nowhere registered: code 100 in a resolution, 102 elsewhere.
    """
    read = _READERS.get(op_code)
    if read is None:
        reader.fail(f"op code {op_code} is not known")
    return read(reader)


def read_handle(
    reader: wire.Reader, code: ResponseCode = ResponseCode.INVALID_HANDLE, *, field: str = "handle"
) -> str:
    """Read an identifier of at most 2048 bytes; `code` is for one that is not UTF-8."""
    octets = reader.octets(wire.MAX_HANDLE_BYTES)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise ProtocolError("the identifier is not UTF-8", code=code, field=field) from None


def encode_indexes(indexes: tuple[int, ...]) -> bytes:
    """Return a list of indexes as bytes."""
    return wire.sequence(indexes, lambda index: wire.number(index, 4))


def read_indexes(reader: wire.Reader) -> tuple[int, ...]:
    """Read a list of at most MAX_ITEMS indexes."""
    return tuple(reader.number(4) for _ in range(reader.count(MAX_ITEMS)))


def _read_resolution(reader: wire.Reader) -> ResolutionRequest:
    return ResolutionRequest(
        handle=read_handle(reader, ResponseCode.HANDLE_NOT_FOUND),
        indexes=read_indexes(reader),
        types=tuple(reader.text() for _ in range(reader.count(MAX_ITEMS))),
    )


def _read_handle_request(reader: wire.Reader) -> HandleRequest:
    return HandleRequest(read_handle(reader))


def _read_values_request(reader: wire.Reader) -> ValuesRequest:
    return ValuesRequest(handle=read_handle(reader), values=wire_value.read_values(reader))


def _read_remove(reader: wire.Reader) -> RemoveRequest:
    return RemoveRequest(handle=read_handle(reader), indexes=read_indexes(reader))


def _read_challenge_answer(reader: wire.Reader) -> ChallengeAnswer:
    return ChallengeAnswer(
        type=reader.text(),
        handle=read_handle(reader),
        index=reader.number(4),
        answer=reader.octets(),
    )


def _read_verify(reader: wire.Reader) -> VerifyRequest:
    return VerifyRequest(
        handle=read_handle(reader),
        index=reader.number(4),
        nonce=reader.octets(),
        digest=read_digest(reader),
        answer=reader.octets(),
    )


def read_mode(reader: wire.Reader) -> KeyExchange:
    """Read a key exchange mode. Raises ProtocolError, code 501 for one that does not exist."""
    number = reader.number(2)
    try:
        return KeyExchange(number)
    except ValueError:
        raise ProtocolError(
            f"{number} is not a way to exchange keys", code=ResponseCode.SESSION_FAILED
        ) from None


def _read_session_setup(reader: wire.Reader) -> SessionSetupRequest:
    mode, timeout = read_mode(reader), reader.number(4)
    identity, identity_index = read_handle(reader, field="identity"), reader.number(4)
    public_key, key_handle, key_index = b"", "", 0
    if mode in _WITH_KEY:
        public_key = reader.octets()
    elif mode is KeyExchange.HANDLE_CIPHER:
        key_handle, key_index = read_handle(reader, field="key_handle"), reader.number(4)
    return SessionSetupRequest(
        mode, timeout, identity, identity_index, public_key, key_handle, key_index
    )


def _read_exchange_key(reader: wire.Reader) -> ExchangeKeyRequest:
    return ExchangeKeyRequest(reader.octets())


def _read_login(reader: wire.Reader) -> LoginRequest:
    return LoginRequest(handle=read_handle(reader), index=reader.number(4))


def _read_opaque(reader: wire.Reader) -> OpaqueBody:
    return OpaqueBody(reader.rest())


_READERS: dict[int, Callable[[wire.Reader], Request]] = {
    OpCode.RESOLUTION: _read_resolution,
    OpCode.GET_SITE_INFO: _read_handle_request,
    OpCode.CREATE_HANDLE: _read_values_request,
    OpCode.DELETE_HANDLE: _read_handle_request,
    OpCode.ADD_VALUE: _read_values_request,
    OpCode.REMOVE_VALUE: _read_remove,
    OpCode.MODIFY_VALUE: _read_values_request,
    OpCode.LIST_HANDLES: _read_handle_request,
    OpCode.CHALLENGE_ANSWER: _read_challenge_answer,
    OpCode.VERIFY_CHALLENGE: _read_verify,
    OpCode.HOME_PREFIX: _read_handle_request,
    OpCode.UNHOME_PREFIX: _read_handle_request,
    OpCode.LIST_HOMED_PREFIXES: _read_handle_request,
    OpCode.SESSION_SETUP: _read_session_setup,
    OpCode.SESSION_TERMINATE: _read_handle_request,
    OpCode.SESSION_EXCHANGE_KEY: _read_exchange_key,
    OpCode.GET_NEXT_TRANSACTION_ID: _read_handle_request,
    OpCode.RETRIEVE_TRANSACTION_LOG: _read_opaque,
    OpCode.DUMP_HANDLES: _read_opaque,
    OpCode.BACKUP_SERVER: _read_handle_request,
    OpCode.LOGIN: _read_login,
}
