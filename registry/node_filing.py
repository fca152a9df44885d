"""The message by which a node tells the top-level node where it is itself."""

from __future__ import annotations

from typing import Any

import msgspec

from registry import outbox
from registry.database import Database

NODE = "node"
"""Kind of the messages whose payload is a NodeFiling; their subject is the prefix of the node."""


class NodeFiling(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Payload of a message of kind "node": the HS_SITE of the node in Handle JSON."""

    site: dict[str, Any]


async def file_node(database: Database, node_prefix: str, site: dict[str, Any]) -> bool:
    """File the site of this node, unless it was what was filed last; whether it was filed.

    The outbox forgets what was delivered long ago: then the same is filed again, which does no
    harm. Raises StoreUnavailable.
    """
    payload = msgspec.to_builtins(NodeFiling(site))
    async with database.begin() as connection:
        if await outbox.last(connection, subject=node_prefix, kind=NODE) == payload:
            return False
        await outbox.enqueue(connection, subject=node_prefix, kind=NODE, payload=payload)
        return True
