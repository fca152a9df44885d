"""HS_ADMIN and HS_VLIST as values: who may do what (RFC 3651 section 3.2.1 and 3.2.7).

How both look in JSON is in protocol.typed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag

from protocol.handle import value as wire_value
from protocol.handle import wire
from protocol.values import Reference

ADMIN, VALUE_LIST = "HS_ADMIN", "HS_VLIST"


class Permission(IntFlag):
    """What an HS_ADMIN record allows: of the first four, under its prefix."""

    ADD_HANDLE = 0x001
    DELETE_HANDLE = 0x002
    ADD_DERIVED_PREFIX = 0x004
    DELETE_DERIVED_PREFIX = 0x008
    MODIFY_VALUE = 0x010
    REMOVE_VALUE = 0x020
    ADD_VALUE = 0x040
    MODIFY_ADMIN = 0x080
    REMOVE_ADMIN = 0x100
    ADD_ADMIN = 0x200
    READ_VALUE = 0x400
    LIST_HANDLES = 0x800


ALL_PERMISSIONS = Permission(0xFFF)


@dataclass(frozen=True, slots=True)
class AdminRecord:
    """The data of HS_ADMIN: what the key, or each key in the list, at `admin` may do."""

    admin: Reference
    permissions: Permission = ALL_PERMISSIONS

    def encode(self) -> bytes:
        """Return the data. Raises InvalidValue."""
        return wire.number(self.permissions, 2) + wire_value.encode_reference(self.admin)


def decode_admin(data: bytes) -> AdminRecord:
    """Read the data of HS_ADMIN. Raises InvalidValue.

    Two bytes may follow: old tools wrote them, and the reference implementation takes them.
    """
    reader = wire.ValueReader(data)
    # The four bits that mean nothing are dropped: the class keeps an object for each sum it meets.
    permissions = Permission(reader.number(2) & ALL_PERMISSIONS)
    admin = wire_value.read_reference(reader)
    if reader.left != 2:
        reader.end()
    return AdminRecord(admin, permissions)


def encode_value_list(references: Iterable[Reference]) -> bytes:
    """Return the data of HS_VLIST. Raises InvalidValue."""
    return wire.sequence(references, wire_value.encode_reference)


def decode_value_list(data: bytes) -> tuple[Reference, ...]:
    """Read the data of HS_VLIST. Raises InvalidValue."""
    reader = wire.ValueReader(data)
    references = wire_value.read_references(reader)
    reader.end()
    return references
