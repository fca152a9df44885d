"""Messages over UDP: cut into fragments, put together again (RFC 3652 section 2.3).

A datagram has at most 512 bytes: the envelope and 492 bytes of the message. Each fragment but the
last has exactly 492, because the reference client puts fragment n at offset 492 n. What the
envelope says of the length of the whole message tells whether there is more than one; the
truncated flag does not, since no server sets it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from protocol.errors import ProtocolError
from protocol.handle.envelope import SIZE, Envelope

MAX_DATAGRAM_BYTES = 512
FRAGMENT_BYTES = MAX_DATAGRAM_BYTES - SIZE


def count_fragments(message_length: int) -> int:
    """Return how many datagrams a message takes."""
    return max(1, -(-message_length // FRAGMENT_BYTES))


def cut(envelope: Envelope, payload: bytes, *, mark_truncated: bool = False) -> list[bytes]:
    """Return the datagrams of a message.

    payload: encrypted already, if it is to be. mark_truncated: set the flag on each of several
    fragments, as the reference client does with requests.
    """
    total = count_fragments(len(payload))
    truncated = envelope.truncated or (mark_truncated and total > 1)
    whole = replace(envelope, message_length=len(payload), truncated=truncated)
    return [
        replace(whole, sequence=number).encode()
        + payload[number * FRAGMENT_BYTES : (number + 1) * FRAGMENT_BYTES]
        for number in range(total)
    ]


@dataclass(slots=True)
class _Partial:
    envelope: Envelope
    since: float
    fragments: dict[int, bytes] = field(default_factory=dict)
    held: int = 0


class Reassembly:
    """Messages of which some fragments are still missing.

    max_messages, max_bytes: of all of them together; max_age: seconds a message may take.
    What is over a limit goes, the oldest first: a flood of beginnings costs those who are slow,
    not the memory of the process.
    """

    def __init__(
        self, *, max_messages: int = 1024, max_bytes: int = 8 << 20, max_age: float = 5.0
    ) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._partials: dict[tuple[Hashable, int, int], _Partial] = {}
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes of fragments held."""
        return self._held

    def __len__(self) -> int:
        """How many messages are not whole."""
        return len(self._partials)

    def add(
        self, source: Hashable, envelope: Envelope, part: bytes, now: float
    ) -> tuple[Envelope, bytes] | None:
        """Take one datagram; return envelope and payload of the message once it is whole.

        source: address and port of the sender; part: what follows the envelope; now: seconds, of
        a clock that does not go back. A fragment that came before is ignored.
        Raises ProtocolError where the fragment does not fit its message.
        """
        self.expire(now)
        _check(envelope, part)
        if envelope.message_length <= FRAGMENT_BYTES:
            return envelope, part
        key = (source, envelope.session_id, envelope.request_id)
        partial = self._partials.get(key)
        if partial is None:
            partial = self._partials[key] = _Partial(envelope, now)
        elif replace(envelope, sequence=0) != replace(partial.envelope, sequence=0):
            self._forget(key)
            raise ProtocolError("two fragments of one message have different envelopes")
        if envelope.sequence not in partial.fragments:
            partial.fragments[envelope.sequence] = part
            partial.held += len(part)
            self._held += len(part)
        if partial.held == envelope.message_length:
            self._forget(key)
            payload = b"".join(part for _, part in sorted(partial.fragments.items()))
            return replace(envelope, sequence=0), payload
        while len(self._partials) > self._max_messages or self._held > self._max_bytes:
            self._forget(next(iter(self._partials)))
        return None

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        while self._partials:
            key, oldest = next(iter(self._partials.items()))
            if now - oldest.since < self._max_age:
                return
            self._forget(key)

    def _forget(self, key: tuple[Hashable, int, int]) -> None:
        self._held -= self._partials.pop(key).held


def _check(envelope: Envelope, part: bytes) -> None:
    """Check that a fragment has the place and the size that the length of its message dictates."""
    total = count_fragments(envelope.message_length)
    if envelope.sequence >= total:
        raise ProtocolError(
            f"fragment {envelope.sequence} of a message that has {total}",
        )
    size = min(FRAGMENT_BYTES, envelope.message_length - envelope.sequence * FRAGMENT_BYTES)
    if len(part) != size:
        raise ProtocolError(f"a fragment has {len(part)} bytes, not {size}")
