"""The message header: 24 bytes that say what is asked or answered (RFC 3652 section 2.2.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from protocol.errors import ProtocolError, ResponseCode

SIZE = 24
"""Bytes of a header."""

REQUEST = 0
"""The response code of a message that is a request."""

SERIAL_UNKNOWN = 0xFFFF
"""Site serial number of a client that does not know the site."""

LIFETIME = 43_200
"""Seconds from now to the expiration that the reference client and server write."""

_FORM = struct.Struct(">IIIHBBII")


class OpCode(IntEnum):
    """Operations, RFC 3652 section 2.2.2.1.

    1000 to 1003 are the reference implementation's, 2001 is the id-pointer SDK's.
    """

    RESOLUTION = 1
    GET_SITE_INFO = 2
    CREATE_HANDLE = 100
    DELETE_HANDLE = 101
    ADD_VALUE = 102
    REMOVE_VALUE = 103
    MODIFY_VALUE = 104
    LIST_HANDLES = 105
    CHALLENGE_ANSWER = 200
    VERIFY_CHALLENGE = 201
    HOME_PREFIX = 300
    UNHOME_PREFIX = 301
    LIST_HOMED_PREFIXES = 302
    SESSION_SETUP = 400
    SESSION_TERMINATE = 401
    SESSION_EXCHANGE_KEY = 402
    GET_NEXT_TRANSACTION_ID = 1000
    RETRIEVE_TRANSACTION_LOG = 1001
    DUMP_HANDLES = 1002
    BACKUP_SERVER = 1003
    LOGIN = 2001


class OpFlag(IntEnum):
    """Flags, RFC 3652 section 2.2.2.3; the last three are the reference implementation's.

    Sums of them are plain integers. An IntFlag keeps an object for each sum that it ever met, and
    a message may come with any of 2^32.
    """

    AUTHORITATIVE = 0x80000000
    CERTIFY = 0x40000000
    ENCRYPT = 0x20000000
    RECURSIVE = 0x10000000
    CACHE_CERTIFY = 0x08000000
    CONTINUOUS = 0x04000000
    KEEP_ALIVE = 0x02000000
    PUBLIC_ONLY = 0x01000000
    REQUEST_DIGEST = 0x00800000
    OVERWRITE = 0x00400000
    MINT_SUFFIX = 0x00200000
    DO_NOT_REFER = 0x00100000


DEFAULT_FLAGS = OpFlag.RECURSIVE | OpFlag.CACHE_CERTIFY | OpFlag.PUBLIC_ONLY
"""Flags of a request of the reference client unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a message asks or answers.

    op_code, response_code, flags: as on the wire, so that what is unknown can be repeated in the
        answer; response code 0 is a request, flags are a sum of OpFlag.
    expiration: Unix seconds at which the message is void; servers do not look at it.
    site_serial: serial number of the site information that the sender goes by.
    recursion_count: how many servers have passed the request on.
    """

    op_code: int
    expiration: int
    response_code: int = REQUEST
    flags: int = DEFAULT_FLAGS
    site_serial: int = SERIAL_UNKNOWN
    recursion_count: int = 0

    @property
    def is_request(self) -> bool:
        """Whether this heads a request."""
        return self.response_code == REQUEST

    def encode(self, body_length: int) -> bytes:
        """Return the 24 bytes. Raises ProtocolError where a field does not fit."""
        try:
            return _FORM.pack(
                self.op_code,
                self.response_code,
                self.flags,
                self.site_serial,
                self.recursion_count,
                0,
                self.expiration,
                body_length,
            )
        except struct.error:
            raise ProtocolError("a number of the header does not fit its field") from None


def decode_header(data: bytes) -> tuple[Header, int]:
    """Read the header at the start of a message; return it and the length of the body in bytes.

    Raises ProtocolError: with code 4 where there are fewer than 24 bytes or the op code is 0,
    with code 2 where the body would end behind the message.
    """
    if len(data) < SIZE:
        raise ProtocolError(f"a header has {SIZE} bytes, not {len(data)}")
    op_code, response_code, flags, serial, recursion, _, expiration, body_length = (
        _FORM.unpack_from(data)
    )
    if op_code == 0:
        raise ProtocolError("op code 0 is reserved")
    if body_length > len(data) - SIZE:
        raise ProtocolError("the body ends behind the message", code=ResponseCode.ERROR)
    header = Header(
        op_code=op_code,
        expiration=expiration,
        response_code=response_code,
        flags=flags,
        site_serial=serial,
        recursion_count=recursion,
    )
    return header, body_length
