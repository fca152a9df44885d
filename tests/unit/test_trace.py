"""A message as `idnode resolve --trace` shows it."""

from __future__ import annotations

from admin.trace import describe
from protocol.handle.envelope import Envelope
from protocol.handle.header import Header, OpCode, OpFlag
from protocol.handle.message import Message
from protocol.handle.requests import HandleRequest


def test_flags_have_names_and_what_has_none_is_a_number() -> None:
    for flags, shown in (
        (0, []),
        (OpFlag.CERTIFY | OpFlag.AUTHORITATIVE, ["AUTHORITATIVE", "CERTIFY"]),
        (OpFlag.KEEP_ALIVE | 0x20001, ["KEEP_ALIVE", "0x20001"]),
    ):
        header = Header(OpCode.GET_SITE_INFO, 0, flags=flags)
        assert (
            describe(Message(Envelope(1), header, HandleRequest("/")))["header"]["flags"] == shown
        )
