"""Fragments of UDP messages: what fits is put together, what does not is refused or forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocol.errors import ProtocolError
from protocol.handle.envelope import Envelope, decode_envelope
from protocol.handle.fragment import Reassembly, count_fragments, cut

PAYLOAD = bytes(range(256)) * 4  # three fragments


def _parts(request_id: int = 1, payload: bytes = PAYLOAD) -> list[tuple[Envelope, bytes]]:
    return [(decode_envelope(d), d[20:]) for d in cut(Envelope(request_id), payload)]


def test_a_message_that_fits_is_one_datagram_without_the_truncated_flag() -> None:
    (datagram,) = cut(Envelope(1), bytes(492), mark_truncated=True)
    assert len(datagram) == 512
    assert not decode_envelope(datagram).truncated
    assert [count_fragments(n) for n in (0, 1, 492, 493, 985)] == [1, 1, 1, 2, 3]


def test_a_fragment_sent_twice_counts_once() -> None:
    reassembly, (one, two, three) = Reassembly(), _parts()
    for part in (one, one, three, one, three):
        assert reassembly.add("peer", *part, now=0) is None
    assert reassembly.held == 492 + 40
    whole = reassembly.add("peer", *two, now=0)
    assert whole == (replace(one[0], sequence=0), PAYLOAD)


def test_messages_of_two_peers_with_one_request_id_do_not_mix() -> None:
    reassembly, parts = Reassembly(), _parts()
    others = _parts(payload=PAYLOAD[::-1])
    for part, other in zip(parts[:2], others[:2], strict=True):
        assert reassembly.add("one", *part, now=0) is None
        assert reassembly.add("two", *other, now=0) is None
    assert reassembly.add("two", *others[2], now=0) == (others[0][0], PAYLOAD[::-1])
    assert reassembly.add("one", *parts[2], now=0) == (parts[0][0], PAYLOAD)


@pytest.mark.parametrize(
    ("sequence", "length", "size"),
    [(0, 493, 491), (0, 493, 493), (1, 493, 2), (2, 493, 1), (1, 492, 0), (0, 10, 9), (0, 0, 1)],
)
def test_fragments_of_another_size_or_place_are_refused(
    sequence: int, length: int, size: int
) -> None:
    reassembly = Reassembly()
    envelope = Envelope(1, sequence=sequence, message_length=length)
    with pytest.raises(ProtocolError):
        reassembly.add("peer", envelope, bytes(size), now=0)
    assert len(reassembly) == 0


def test_a_second_message_under_one_request_id_ends_the_first() -> None:
    reassembly, (one, _, _) = Reassembly(), _parts()
    reassembly.add("peer", *one, now=0)
    with pytest.raises(ProtocolError):
        reassembly.add("peer", replace(one[0], message_length=1025), one[1], now=0)
    assert (len(reassembly), reassembly.held) == (0, 0)


def test_a_message_that_takes_too_long_is_forgotten() -> None:
    reassembly, (one, two, three) = Reassembly(max_age=5), _parts()
    reassembly.add("peer", *one, now=0)
    reassembly.add("peer", *two, now=4.9)
    assert reassembly.add("peer", *three, now=5) is None
    assert reassembly.held == 40


def test_the_oldest_makes_room() -> None:
    reassembly = Reassembly(max_messages=2)
    for request_id in (1, 2, 3):
        reassembly.add("peer", *_parts(request_id)[0], now=request_id)
    assert len(reassembly) == 2
    assert reassembly.add("peer", *_parts(3)[1], now=3) is None
    assert reassembly.add("peer", *_parts(3)[2], now=3) is not None
    for part in _parts(1)[1:]:
        assert reassembly.add("peer", *part, now=3) is None


def test_one_message_larger_than_all_room_is_not_kept() -> None:
    reassembly = Reassembly(max_bytes=500)
    for part in _parts()[:2]:
        assert reassembly.add("peer", *part, now=0) is None
    assert (len(reassembly), reassembly.held) == (0, 0)
