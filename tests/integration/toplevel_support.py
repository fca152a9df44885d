"""What tests of the top-level stub share: messages as nodes send them."""

from __future__ import annotations

import uuid
from typing import Any

from tests.integration.uplink_support import filing

NODE = "88.118"


def site(address: str = "192.0.2.7", port: int = 2641) -> dict[str, Any]:
    """Return an HS_SITE in Handle JSON of one server that speaks UDP and TCP."""
    interfaces = [
        {"query": True, "admin": False, "protocol": protocol, "port": port}
        for protocol in ("TCP", "UDP")
    ]
    return {
        "version": 1,
        "protocolVersion": "2.10",
        "serialNumber": 1,
        "primarySite": True,
        "multiPrimary": False,
        "attributes": [],
        "servers": [{"serverId": 1, "address": address, "interfaces": interfaces}],
    }


def prefix_message(prefix: str = "88.118.1", **payload: Any) -> dict[str, Any]:
    """Return the filing of a prefix of NODE."""
    return _message(prefix, "prefix", filing(prefix) | payload)


def node_message(node: str = NODE, **changes: Any) -> dict[str, Any]:
    """Return the filing of a node's own site."""
    return _message(node, "node", {"site": site()}) | {"node": node} | changes


def _message(subject: str, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "message_id": str(uuid.uuid4()),
        "node": NODE,
        "subject": subject,
        "kind": kind,
        "payload": payload,
    }
