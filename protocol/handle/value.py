"""Handle values as they stand in messages (RFC 3651 section 3.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from protocol.errors import InvalidValue
from protocol.handle import wire
from protocol.values import MAX_VALUES, HandleValue, Reference

MIN_BYTES = 26
"""Bytes of a value with empty type, empty data and no reference."""

_MIN_REFERENCE_BYTES = 8
_HEAD = struct.Struct(">IIBIB")


def encode_value(value: HandleValue) -> bytes:
    """Return one value as bytes. Raises InvalidValue where a number does not fit its field."""
    try:
        head = _HEAD.pack(
            value.index, value.timestamp, value.ttl_absolute, value.ttl, value.permissions
        )
    except struct.error:
        raise InvalidValue("a number of the value does not fit its field") from None
    return b"".join(
        (
            head,
            wire.text(value.type),
            wire.octets(value.data),
            wire.sequence(value.references, encode_reference),
        )
    )


def read_value(reader: wire.Reader) -> HandleValue:
    """Read one value. Raises ProtocolError.

    The rules on indexes, types and permissions are in protocol.values.check_values: a value may
    be well written and yet not one that may be registered.
    """
    index, timestamp, ttl_type, ttl, permissions = _HEAD.unpack(reader.take(_HEAD.size))
    if ttl_type > 1:
        reader.fail("a ttl is neither relative nor absolute")
    return HandleValue(
        index=index,
        timestamp=timestamp,
        ttl_absolute=ttl_type == 1,
        ttl=ttl,
        permissions=permissions,
        type=reader.text(),
        data=reader.octets(),
        references=read_references(reader),
    )


def encode_values(values: Iterable[HandleValue]) -> bytes:
    """Return a list of values as bytes. Raises InvalidValue."""
    return wire.sequence(values, encode_value)


def read_values(reader: wire.Reader) -> tuple[HandleValue, ...]:
    """Read a list of at most 2048 values. Raises ProtocolError."""
    return tuple(read_value(reader) for _ in range(reader.count(MAX_VALUES, MIN_BYTES)))


def encode_reference(reference: Reference) -> bytes:
    """Return ``index:handle`` as bytes: handle, index."""
    return wire.text(reference.handle) + wire.number(reference.index, 4)


def read_reference(reader: wire.Reader) -> Reference:
    """Read a handle and an index. Raises ProtocolError."""
    return Reference(handle=reader.text(wire.MAX_HANDLE_BYTES), index=reader.number(4))


def read_references(reader: wire.Reader) -> tuple[Reference, ...]:
    """Read a list of references; what is left of the message bounds it. Raises ProtocolError."""
    count = reader.count(wire.MAX_MESSAGE_BYTES, _MIN_REFERENCE_BYTES)
    return tuple(read_reference(reader) for _ in range(count))
