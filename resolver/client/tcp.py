"""Asking over TCP: a connection for each question, as the reference client does."""

from __future__ import annotations

import asyncio
import contextlib

from protocol.errors import PeerUnavailable, ProtocolError
from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.message import Message, decode_payload
from resolver.client.exchange import check_answer
from resolver.client.steps import Endpoint, Step, Watch, nobody

SECONDS = 10.0
"""Time for the connection, the question and its answer."""


async def ask(
    request: Message, endpoint: Endpoint, *, watch: Watch = nobody, seconds: float = SECONDS
) -> Message:
    """Return the answer. Raises PeerUnavailable, and ProtocolError for what is no answer."""
    octets = request.encode()
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
            with contextlib.closing(writer):
                watch(Step("send", endpoint, size=len(octets), message=request))
                writer.write(octets)
                await writer.drain()
                size, message = await _read(reader)
    except TimeoutError:
        raise PeerUnavailable(f"{endpoint}: no answer in {seconds:g} s") from None
    except asyncio.IncompleteReadError as error:
        came = f"after {len(error.partial)} bytes of the answer" if error.partial else "unanswered"
        raise PeerUnavailable(f"{endpoint}: the connection ended {came}") from None
    except OSError as error:
        raise PeerUnavailable(f"{endpoint}: {error.strerror or error}") from None
    watch(Step("receive", endpoint, size=size, message=message))
    check_answer(request, message, own_connection=True)
    return message


async def _read(reader: asyncio.StreamReader) -> tuple[int, Message]:
    """Read one message: its size on the wire, and what it says."""
    head = await reader.readexactly(SIZE)
    try:
        envelope = decode_envelope(head)
        payload = await reader.readexactly(envelope.message_length)
        return SIZE + len(payload), decode_payload(envelope, payload)
    except ProtocolError as error:
        raise error.at("answer") from None
