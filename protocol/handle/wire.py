"""Primitive fields: big-endian numbers, octets with a length before them, UTF-8 strings.

Source: RFC 3651 section 3.1, RFC 3652 section 2.1; the limits are those of the reference server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

from protocol.errors import InvalidValue, ProtocolError, ResponseCode

MAX_MESSAGE_BYTES = 262_144
"""Longest message, in bytes, without its envelope."""

MAX_HANDLE_BYTES = 2048

T = TypeVar("T")


def number(value: int, size: int) -> bytes:
    """Return `value` as an unsigned number of `size` bytes. Raises InvalidValue."""
    try:
        return value.to_bytes(size, "big")
    except OverflowError:
        raise InvalidValue(f"{value} is not a number of {8 * size} bits") from None


def octets(data: bytes) -> bytes:
    """Return `data` with its length (4 bytes) before it."""
    return len(data).to_bytes(4, "big") + data


def text(value: str) -> bytes:
    """Return a UTF-8 string with its length in bytes before it. Raises InvalidValue."""
    try:
        return octets(value.encode())
    except UnicodeEncodeError:
        raise InvalidValue("a string holds half of a surrogate pair") from None


def sequence(items: Iterable[T], encode: Callable[[T], bytes]) -> bytes:
    """Return the number of items (4 bytes) and the items after it."""
    parts = [encode(item) for item in items]
    return number(len(parts), 4) + b"".join(parts)


class Reader:
    """Reads fields one after the other and never past the end.

    data: what is read; at: where to begin. A field that does not fit in what is left, or is over
    its limit, ends in `fail`: here a ProtocolError with response code 2, which is what the
    reference server answers to a message whose frame is whole and whose content is not.
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    def fail(self, detail: str) -> NoReturn:
        """Raise the error of this reader."""
        raise ProtocolError(detail, code=ResponseCode.ERROR)

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """Read `size` bytes."""
        end = self._at + size
        if end > len(self._data):
            self.fail("the data ends too soon")
        part = self._data[self._at : end]
        self._at = end
        return part

    def number(self, size: int) -> int:
        """Read an unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def octets(self, limit: int = MAX_MESSAGE_BYTES) -> bytes:
        """Read octets with a length before them, at most `limit`."""
        size = self.number(4)
        if size > limit:
            self.fail(f"a field is longer than {limit} bytes")
        return self.take(size)

    def text(self, limit: int = MAX_MESSAGE_BYTES) -> str:
        """Read a UTF-8 string of at most `limit` bytes."""
        try:
            return self.octets(limit).decode()
        except UnicodeDecodeError:
            self.fail("a string is not UTF-8")

    def count(self, limit: int, size: int = 4) -> int:
        """Read how many items follow: at most `limit`, each of at least `size` bytes."""
        count = self.number(4)
        if count > limit:
            self.fail(f"a list has more than {limit} items")
        if count * size > self.left:
            self.fail("a list is longer than the data")
        return count

    def rest(self) -> bytes:
        """Read all that is left."""
        return self.take(self.left)

    def end(self) -> None:
        """Check that nothing is left."""
        if self.left:
            self.fail("bytes follow the end of the data")


class ValueReader(Reader):
    """Reads the data of a handle value: what is wrong with them is an InvalidValue."""

    __slots__ = ()

    def fail(self, detail: str) -> NoReturn:
        """Raise the error of this reader."""
        raise InvalidValue(detail)
