"""DNS cookies (RFC 7873) as RFC 9018 has them, so that all workers of a node take each other's.

A server cookie proves that its client gets what is sent to its address: it is a hash of the
client's cookie, its address and the time under a secret of the node.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from protocol.dns.query import CLIENT_COOKIE_BYTES

SECRET_BYTES = 16
VALID_SECONDS, FUTURE_SECONDS, RENEW_SECONDS = 3600, 300, 1800
"""RFC 9018 section 4.3: how old a cookie may be, how far ahead, and when there is a new one."""

_VERSION = b"\1\0\0\0"
_SERVER_BYTES = 16
_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Judged:
    """A cookie that came. proved: whether we made it for this client. answer: what goes back."""

    proved: bool = False
    answer: bytes = b""


NONE = Judged()


def judge(cookie: bytes, address: bytes, secret: bytes, now: float) -> Judged:
    """Judge the COOKIE option of a query.

    cookie: client's and server's part; empty for no option. address: of the client, 4 or 16 bytes.
    now: Unix seconds.
    """
    if not cookie:
        return NONE
    client, server = cookie[:CLIENT_COOKIE_BYTES], cookie[CLIENT_COOKIE_BYTES:]
    moment = int(now) % 2**32
    if len(server) == _SERVER_BYTES and server.startswith(_VERSION):
        stamp = server[4:8]
        age = (moment - int.from_bytes(stamp, "big") + 2**31) % 2**32 - 2**31  # RFC 1982
        if -FUTURE_SECONDS <= age <= VALID_SECONDS and hmac.compare_digest(
            server, make(client, address, secret, stamp)
        ):
            return Judged(
                True, cookie if age <= RENEW_SECONDS else _anew(client, address, secret, moment)
            )
    return Judged(False, _anew(client, address, secret, moment))


def _anew(client: bytes, address: bytes, secret: bytes, moment: int) -> bytes:
    return client + make(client, address, secret, moment.to_bytes(4, "big"))


def make(client: bytes, address: bytes, secret: bytes, stamp: bytes) -> bytes:
    """Return a server cookie. stamp: Unix seconds in 4 bytes."""
    head = _VERSION + stamp
    return head + siphash24(client + head + address, secret)


def siphash24(data: bytes, key: bytes) -> bytes:
    """Return the SipHash-2-4 of data, 8 bytes. key: 16 bytes.

    Source: J.-P. Aumasson and D. Bernstein, SipHash: a fast short-input PRF, 2012. Python has only
    SipHash-1-3, inside of hash().
    """
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    state = (
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    )
    whole = len(data) // 8 * 8
    last = data[whole:].ljust(7, b"\0") + bytes((len(data) & 0xFF,))
    for at in range(0, whole + 8, 8):
        block = data[at : at + 8] if at < whole else last
        word = int.from_bytes(block, "little")
        v0, v1, v2, v3 = state
        v0, v1, v2, v3 = _rounds((v0, v1, v2, v3 ^ word), 2)
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = state
    v0, v1, v2, v3 = _rounds((v0, v1, v2 ^ 0xFF, v3), 4)
    return (v0 ^ v1 ^ v2 ^ v3).to_bytes(8, "little")


def _rounds(state: tuple[int, int, int, int], times: int) -> tuple[int, int, int, int]:
    v0, v1, v2, v3 = state
    for _ in range(times):
        v0, v2 = (v0 + v1) & _MASK, (v2 + v3) & _MASK
        v1, v3 = _left(v1, 13) ^ v0, _left(v3, 16) ^ v2
        v0 = _left(v0, 32)
        v2, v0 = (v2 + v1) & _MASK, (v0 + v3) & _MASK
        v1, v3 = _left(v1, 17) ^ v2, _left(v3, 21) ^ v0
        v2 = _left(v2, 32)
    return v0, v1, v2, v3


def _left(word: int, by: int) -> int:
    return (word << by | word >> 64 - by) & _MASK
