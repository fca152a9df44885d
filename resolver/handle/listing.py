"""Lists of names, in as many messages as it takes (RFC 3652 section 3.3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protocol.errors import ProtocolError, ResponseCode
from protocol.handle.header import OpFlag
from protocol.handle.message import Message
from protocol.handle.responses import NAMES_PER_MESSAGE, NamesResponse
from resolver.handle.service import HandleService

MAX_LISTED = 20_000
"""Names in one list, which is made as a whole; longer ones are read elsewhere, page by page."""


def list_of_names(service: HandleService, message: Message, names: Sequence[str]) -> list[Message]:
    """Return the messages that list `names`; all but the last have the flag CONTINUOUS.

    Raises ProtocolError, code 5, for more than MAX_LISTED.
    """
    if len(names) > MAX_LISTED:
        raise ProtocolError(
            f"a list of more than {MAX_LISTED} names is read over HTTP",
            code=ResponseCode.OPERATION_DENIED,
        )
    parts = [
        service.reply(message, NamesResponse(tuple(names[at : at + NAMES_PER_MESSAGE])))
        for at in range(0, len(names) or 1, NAMES_PER_MESSAGE)
    ]
    for at, part in enumerate(parts[:-1]):
        flags = part.header.flags | OpFlag.CONTINUOUS
        parts[at] = replace(part, header=replace(part.header, flags=flags))
    return parts
