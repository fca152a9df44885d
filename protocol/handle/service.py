"""HS_SERV and HS_SERV.PREFIX: the name of a service, where HS_SITE would say the same for each.

The data are the handle of the service in UTF-8, without a length (RFC 3651 section 3.2.3); that
handle has the HS_SITE values. Of a name without a slash the reference implementation makes the
handle of a prefix; no service is one, so here it is taken for a mistake.
"""

from __future__ import annotations

from protocol.errors import InvalidHandle, InvalidValue
from protocol.identifier import Identifier


def encode_service(handle: str) -> bytes:
    """Return the data that name a service. Raises InvalidValue."""
    return str(read_service(handle)).encode()


def decode_service(data: bytes) -> Identifier:
    """Read the data of HS_SERV. Raises InvalidValue."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidValue("the name of a service is in UTF-8") from None
    return read_service(text)


def read_service(text: str) -> Identifier:
    """Read the name of a service. Raises InvalidValue with the rule that it breaks."""
    if "/" not in text:
        raise InvalidValue("the name of a service has the form prefix/suffix")
    try:
        return Identifier.parse(text)
    except InvalidHandle as error:
        raise InvalidValue(f"not the name of a service: {error.detail}") from None
