"""A login as id-pointer-sdk 2.3.1 writes it, taken from the wire."""

from __future__ import annotations

from protocol.handle.header import OpCode, OpFlag
from protocol.handle.message import decode_message
from protocol.handle.requests import LoginRequest

LOGIN = bytes.fromhex(
    "020a020b000027110000000b000000000000002d"
    "000007d10000000010800000ffff00006b06fbf300000015"
    "0000000d302e4e412f38382e3131382e310000012c"
)
"""It ends with its body: the SDK leaves out even the length of the credential."""


def test_login_is_read_and_written_as_the_sdk_does() -> None:
    message = decode_message(LOGIN)
    assert message.header.op_code == OpCode.LOGIN
    assert message.body == LoginRequest("0.NA/88.118.1", 300)
    assert str(message.envelope.version) == "2.10"
    assert message.envelope.session_id == 10_001, "of the client's choice"
    assert message.header.flags == OpFlag.RECURSIVE | OpFlag.REQUEST_DIGEST
    assert message.credential is None
    assert message.body.encode() == LOGIN[20 + 24 :]
