"""Which permissions it takes to turn the values of an identifier into others (RFC 3651 3.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from protocol.errors import InsufficientPermission, ProtocolError, ResponseCode
from protocol.handle.admin import ADMIN, Permission
from protocol.values import ADMIN_WRITE, HandleValue

NOTHING = Permission(0)


def by_index(values: Iterable[HandleValue]) -> dict[int, HandleValue]:
    """Return values by index. Raises ProtocolError, code 201, for an index that comes twice."""
    result: dict[int, HandleValue] = {}
    for value in values:
        if value.index in result:
            raise conflict(value.index)
        result[value.index] = value
    return result


def conflict(index: int) -> ProtocolError:
    """Return the error that says that there is a value with this index already."""
    return ProtocolError(f"Index conflict for {index}", code=ResponseCode.VALUE_EXISTS)


def same(one: HandleValue | None, other: HandleValue | None) -> bool:
    """Whether nothing but the timestamp tells two values apart."""
    return _untimed(one) == _untimed(other)


def _untimed(value: HandleValue | None) -> tuple[object, ...] | None:
    if value is None:
        return None
    return (
        value.type,
        value.data,
        value.ttl,
        value.ttl_absolute,
        value.permissions,
        value.references,
        value.partners,
    )


def needed(before: Mapping[int, HandleValue], after: Mapping[int, HandleValue]) -> Permission:
    """Return all the permissions that the change takes.

    Raises InsufficientPermission for a value that not even administrators may write.
    """
    permission = NOTHING
    for index in before.keys() | after.keys():
        old, new = before.get(index), after.get(index)
        if same(old, new):
            continue
        if old is not None and not old.permissions & ADMIN_WRITE:
            raise InsufficientPermission(f"value {index} is read-only")
        permission |= _needed(old, new)
    return permission


def _needed(old: HandleValue | None, new: HandleValue | None) -> Permission:
    if old is not None and new is not None and is_admin(old) == is_admin(new):
        return Permission.MODIFY_ADMIN if is_admin(new) else Permission.MODIFY_VALUE
    # What becomes or stops being an administrator is removed and added.
    permission = NOTHING
    if old is not None:
        permission |= Permission.REMOVE_ADMIN if is_admin(old) else Permission.REMOVE_VALUE
    if new is not None:
        permission |= Permission.ADD_ADMIN if is_admin(new) else Permission.ADD_VALUE
    return permission


def is_admin(value: HandleValue) -> bool:
    """Whether the value is an HS_ADMIN."""
    return value.type.upper() == ADMIN
