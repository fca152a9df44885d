"""Asking a name server for the records of one identifier, over UDP and, if they are cut, TCP."""

from __future__ import annotations

from collections.abc import Callable

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

from protocol.dns.query import PAYLOAD
from protocol.dns.zones import Labels
from protocol.errors import PeerUnavailable, ProtocolError

SECONDS = 5.0

Watch = Callable[[str, dns.message.Message], None]
"""Told ``send`` and ``receive``, each with the message."""


async def ask(name: Labels, host: str, port: int, watch: Watch) -> dns.message.Message:
    """Ask for the NAPTR records of a name. Raises PeerUnavailable, ProtocolError for no answer."""
    query = dns.message.make_query(
        dns.name.Name((*name, b"")), "NAPTR", use_edns=0, payload=PAYLOAD, flags=0
    )
    watch("send", query)
    try:
        answer, _ = await dns.asyncquery.udp_with_fallback(query, host, SECONDS, port)
    except (OSError, dns.exception.Timeout) as error:
        raise PeerUnavailable(f"{host}:{port} over DNS: {error}") from error
    except dns.exception.DNSException as error:
        raise ProtocolError(f"{host}:{port} over DNS: {error}") from error
    watch("receive", answer)
    return answer
