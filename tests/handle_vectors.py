"""What the reference client and server said to each other: tests/vectors/handle-net-9.2.json.

The file names its source. Each message stands beside what another decoder read in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.handle.envelope import Envelope, decode_envelope
from protocol.handle.fragment import Reassembly
from protocol.handle.keys import decode_verifying_key
from protocol.handle.message import Message, decode_payload, read_frame
from protocol.handle.responses import ResolutionResponse
from protocol.handle.signing import VerifyingKey

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "handle-net-9.2.json").read_text(encoding="utf-8")
)["cases"]
CASE_NAMES = [case["case"] for case in CASES]


@dataclass(frozen=True)
class Captured:
    """One message. datagrams: as they were sent, empty on TCP. read: by the other decoder."""

    case: str
    from_client: bool
    envelope: Envelope
    payload: bytes
    datagrams: tuple[bytes, ...]
    read: Any

    def message(self) -> Message:
        return decode_payload(self.envelope, self.payload)


def captured(case: dict[str, Any]) -> Iterator[Captured]:
    """Yield the messages of a case in the order in which they became whole."""
    reassembly, datagrams = Reassembly(), dict[tuple[str, int], list[bytes]]()
    for step in case["steps"]:
        if "hex" not in step:
            continue
        data, from_client = bytes.fromhex(step["hex"]), step["dir"] == "c2s"
        if step["proto"] == "udp":
            envelope = decode_envelope(data)
            source = (step["dir"], envelope.request_id)
            datagrams.setdefault(source, []).append(data)
            whole = reassembly.add(source, envelope, data[20:], now=0)
            if whole is not None:
                read = step.get("reassembled") or step.get("message")
                sent = tuple(datagrams.pop(source))
                yield Captured(case["case"], from_client, *whole, sent, read)
            continue
        at = 0
        for entry in step["messages"]:
            frame = read_frame(data, at)
            assert frame is not None, f"{case['case']}: a message on TCP is cut short"
            yield Captured(case["case"], from_client, *frame[:2], (), entry["message"])
            at = frame[2]
        assert at == len(data), f"{case['case']}: bytes behind the last message"
    assert len(reassembly) == 0, f"{case['case']}: fragments left over"


def all_captured() -> list[Captured]:
    return [message for case in CASES for message in captured(case)]


def plain_messages() -> list[tuple[Captured, Message]]:
    """Return all messages that are not encrypted, read."""
    return [(one, one.message()) for one in all_captured() if not one.envelope.encrypted]


def known_keys() -> dict[tuple[str, int], VerifyingKey]:
    """Return the public keys in the resolved values, by handle and index."""
    return {
        (message.body.handle, value.index): decode_verifying_key(value.data)
        for _, message in plain_messages()
        if isinstance(message.body, ResolutionResponse)
        for value in message.body.values
        if value.type == "HS_PUBKEY"
    }
