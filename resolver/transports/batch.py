"""Datagrams by the batch: up to 64 with one recvmmsg, their answers with one sendmmsg.

Python has neither of the two, so they are called through ctypes, on memory that is set up once.
`open_batches` falls back to one datagram a system call where they are missing.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from array import array
from collections.abc import Sequence
from errno import EAGAIN, EINTR
from itertools import accumulate
from typing import Any, Protocol

from protocol.handle.fragment import MAX_DATAGRAM_BYTES

BATCH = 64
"""Datagrams a turn, so that other sockets get theirs."""


class Batches(Protocol):
    """Reads datagrams, and answers those that were read last, by their places among them."""

    def receive(self) -> Sequence[bytes]:
        """Return what has come, none if nothing has. Raises OSError."""

    def host(self, place: int) -> str:
        """Return the address from which a datagram came."""

    def source(self, place: int) -> Any:
        """Return address and port from which it came, as sendto takes them."""

    def send(self, replies: Sequence[bytes], places: Sequence[int]) -> None:
        """Send answers of `most_sent` bytes at most; what there is no room for is lost."""


def open_batches(
    sock: socket.socket, *, most_read: int = MAX_DATAGRAM_BYTES, most_sent: int = MAX_DATAGRAM_BYTES
) -> Batches:
    """Return the best that there is for a non-blocking UDP socket.

    most_read: bytes of a request; of a longer one, which is none, one byte more is read.
    most_sent: bytes of an answer.
    """
    if _LIBC is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        return Native(sock, most_read + 1, most_sent)
    return Plain(sock, most_read + 1)


class Plain:
    """One datagram a system call."""

    def __init__(self, sock: socket.socket, most_read: int = MAX_DATAGRAM_BYTES + 1) -> None:
        self._socket = sock
        self._most_read = most_read
        self._sources: list[Any] = []

    def receive(self) -> Sequence[bytes]:
        """See Batches."""
        self._sources.clear()
        found: list[bytes] = []
        try:
            while len(found) < BATCH:
                datagram, source = self._socket.recvfrom(self._most_read)
                found.append(datagram)
                self._sources.append(source)
        except (BlockingIOError, InterruptedError):
            pass
        return found

    def host(self, place: int) -> str:
        """See Batches."""
        host: str = self._sources[place][0]
        return host

    def source(self, place: int) -> Any:
        """See Batches."""
        return self._sources[place]

    def send(self, replies: Sequence[bytes], places: Sequence[int]) -> None:
        """See Batches."""
        for reply, place in zip(replies, places, strict=True):
            try:
                self._socket.sendto(reply, self._sources[place])
            except OSError:
                continue  # no room, or an address that takes nothing


class _Part(ctypes.Structure):  # struct iovec
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):  # struct mmsghdr, with struct msghdr in it
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("parts", ctypes.c_void_p),
        ("part_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("_", ctypes.c_int),  # the end of msghdr is aligned
        ("length", ctypes.c_uint32),
    )


_NAME_BYTES = 28  # struct sockaddr_in6, the longer one
_HEADER_BYTES, _WORD = ctypes.sizeof(_Header), 8


class Native:
    """recvmmsg and sendmmsg."""

    def __init__(
        self,
        sock: socket.socket,
        most_read: int = MAX_DATAGRAM_BYTES + 1,
        most_sent: int = MAX_DATAGRAM_BYTES,
    ) -> None:
        self._fd = sock.fileno()
        self._most_read = most_read
        self._family = sock.family
        self._host = slice(4, 8) if sock.family == socket.AF_INET else slice(8, 24)
        name_length = 16 if sock.family == socket.AF_INET else _NAME_BYTES
        self._names = ctypes.create_string_buffer(BATCH * _NAME_BYTES)
        self._name_view = memoryview(self._names).cast("B")
        self._in, self._in_parts, self._in_view = _area(most_read)
        self._out, self._out_parts, self._out_view = _area(most_sent)
        names = ctypes.addressof(self._names)
        self._name_at = [names + _NAME_BYTES * place for place in range(BATCH)]
        self._received = _headers(self._name_at, name_length, self._in_parts)
        self._sent = _headers(self._name_at, name_length, self._out_parts)
        self._starts = range(0, BATCH * most_read, most_read)
        # Views into the structures: a whole column is read or written at once.
        self._lengths = _words(self._received, "I")[
            _Header.length.offset // 4 :: _HEADER_BYTES // 4
        ]
        self._sent_names = _words(self._sent, "Q")[:: _HEADER_BYTES // _WORD]
        self._part_words = _words(self._out_parts, "Q")
        self._out_at = ctypes.addressof(self._out)

    def receive(self) -> Sequence[bytes]:
        """See Batches."""
        count = _LIBC.recvmmsg(self._fd, self._received, BATCH, socket.MSG_DONTWAIT, None)
        if count < 0:
            error = ctypes.get_errno()
            if error in (EAGAIN, EINTR):
                return ()
            raise OSError(error, "recvmmsg")
        octets = bytes(self._in_view[: count * self._most_read])
        lengths = self._lengths[:count].tolist()
        return [
            octets[start : start + length]
            for start, length in zip(self._starts, lengths, strict=False)
        ]

    def host(self, place: int) -> str:
        """See Batches."""
        return socket.inet_ntop(self._family, self._name(place)[self._host])

    def source(self, place: int) -> Any:
        """See Batches."""
        name, host = self._name(place), self.host(place)
        port, flow = struct.unpack_from("!HI", name, 2)
        if self._family == socket.AF_INET:
            return host, port
        return host, port, flow, struct.unpack_from("=I", name, 24)[0]

    def _name(self, place: int) -> bytes:
        return bytes(self._name_view[_NAME_BYTES * place :][:_NAME_BYTES])

    def send(self, replies: Sequence[bytes], places: Sequence[int]) -> None:
        """See Batches."""
        octets, count = b"".join(replies), len(replies)
        self._out_view[: len(octets)] = octets
        lengths = [len(reply) for reply in replies]
        parts = array("Q", bytes(2 * _WORD * count))
        parts[0::2] = array("Q", accumulate(lengths[:-1], initial=self._out_at))
        parts[1::2] = array("Q", lengths)
        self._part_words[: 2 * count] = parts
        self._sent_names[:count] = array("Q", [self._name_at[place] for place in places])
        done = 0
        while done < count:
            first = ctypes.byref(self._sent, done * _HEADER_BYTES)
            sent = _LIBC.sendmmsg(self._fd, first, count - done, socket.MSG_DONTWAIT)
            if sent < 0 and ctypes.get_errno() == EAGAIN:
                return
            done += max(1, sent)  # an address that takes nothing is passed over


def _area(size: int) -> tuple[ctypes.Array[ctypes.c_char], ctypes.Array[_Part], memoryview[int]]:
    """Make room for a batch of datagrams: the memory, the parts that point into it, a view."""
    memory = ctypes.create_string_buffer(BATCH * size)
    at = ctypes.addressof(memory)
    parts = (_Part * BATCH)(*[_Part(at + size * place, size) for place in range(BATCH)])
    return memory, parts, memoryview(memory).cast("B")


def _headers(
    names: Sequence[int], name_length: int, parts: ctypes.Array[_Part]
) -> ctypes.Array[_Header]:
    at, size = ctypes.addressof(parts), ctypes.sizeof(_Part)
    return (_Header * BATCH)(
        *[_Header(name, name_length, at + size * place, 1) for place, name in enumerate(names)]
    )


def _words(structures: ctypes.Array[Any], kind: str) -> memoryview[int]:
    return memoryview(structures).cast("B").cast(kind)  # type: ignore[call-overload, no-any-return]


def _load() -> Any:
    """Return the C library, None where the two calls are not there or laid out in another way."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != _WORD:
        return None
    library = ctypes.CDLL(None, use_errno=True)
    try:
        receive, send = library.recvmmsg, library.sendmmsg
    except AttributeError:
        return None
    count, flags = ctypes.c_uint, ctypes.c_int
    receive.argtypes = (ctypes.c_int, ctypes.c_void_p, count, flags, ctypes.c_void_p)
    send.argtypes = (ctypes.c_int, ctypes.c_void_p, count, flags)
    return library


_LIBC = _load()
