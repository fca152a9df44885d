"""The URL that stands in a symbol."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, urlsplit

from protocol.identifier import Identifier

RESOLVE_PATH = "/resolve/"

_DOTS = (".", "..")


def leads_to_loopback(public_url: str) -> bool:
    """Whether links below a public address lead each reader to its own machine.

    So do loopback addresses (RFC 6890), and localhost with the names below it (RFC 6761 section
    6.3); and the address that stands for none (RFC 1122 section 3.2.1.3), to which most systems
    connect as to loopback.
    """
    host = (urlsplit(public_url).hostname or "").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def link(public_url: str, identifier: Identifier) -> str:
    """Return the address at which people and programs resolve an identifier.

    public_url: ``https://host`` with or without a path, and without a slash at its end. Only the
    unreserved characters of RFC 3986 section 2.3 and slashes stand as they are. A part that
    browsers would take for a step in the path (section 5.2.4), ``.`` or ``..``, is joined to what
    stands before it by an encoded slash; a dot at the end is encoded, because programs that look
    for links in text take it for the end of a sentence.
    """
    text = str(identifier)
    slash = "%2F" if any(part in _DOTS for part in text.split("/")) else "/"
    path = slash.join(quote(part, safe="") for part in text.split("/"))
    if path.endswith("."):
        path = path[:-1] + "%2E"
    return f"{public_url}{RESOLVE_PATH}{path}"
