"""What an identifier of anybody says to who asks with a bearer token: public and shared values."""

from __future__ import annotations

from typing import Any

from protocol import json_api
from protocol.errors import HandleNotFound
from protocol.identifier import Identifier
from registry import admins, requesters, stored, tenancy
from registry.access import visible
from registry.principals import STAFF
from registry.services import Work


async def read(work: Work, identifier: Identifier) -> list[dict[str, Any]]:
    """Return the values of an identifier that the caller may see, in Handle JSON.

    Raises ServerNotResponsible for a prefix that is not served here, and HandleNotFound where there
    is nothing for the caller to see: whether or not there is something for others.
    """
    who = work.principal
    who.require(*STAFF, enterprise=who.enterprise_id, scope=requesters.SCOPE)
    # Row-level security lets nobody see rows of another; what leaves here is what `visible` says.
    async with tenancy.lifted(work.connection, who.enterprise_id):
        await admins.check_served(work.connection, identifier, work.node_prefix)
        requester = await requesters.of_principal(work.connection, who, identifier)
        values = await stored.read(work.connection, identifier)
    seen = visible(values or (), requester)
    if not seen:
        raise HandleNotFound(f"{identifier} is not registered, or shows you nothing")
    return [json_api.encode_value(value) for value in seen]
