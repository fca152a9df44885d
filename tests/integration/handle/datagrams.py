"""A client over UDP: a socket for each request."""

from __future__ import annotations

import asyncio
import socket

from protocol.handle.envelope import SIZE, decode_envelope
from protocol.handle.fragment import Reassembly, cut
from protocol.handle.message import Message, decode_payload


async def over_udp(port: int, message: Message) -> Message:
    """Send a request to a port of this machine; return the answer once it is whole."""
    loop, whole = asyncio.get_running_loop(), Reassembly()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(("127.0.0.1", port))
        for datagram in cut(message.envelope, message.encode_payload(), mark_truncated=True):
            await loop.sock_sendall(client, datagram)
        async with asyncio.timeout(20):
            while True:
                part = await loop.sock_recv(client, 65_535)
                done = whole.add("server", decode_envelope(part), part[SIZE:], 0.0)
                if done is not None:
                    return decode_payload(*done)
