"""Which kinds of message the stub takes. Each kind is a file of its own and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from protocol.errors import InvalidValue
from registry import node_filing, outbox, reports
from registry.api.requests import decode_json
from registry.escrow import schedule
from resolver.federation.toplevel.messages import Kind, Message, Name, check_named_prefix
from resolver.federation.toplevel.nodes import NODE_KIND
from resolver.federation.toplevel.prefixes import PREFIX_KIND
from resolver.federation.toplevel.reports import ESCROW_KIND, STATISTICS_KIND, TEMPLATE_KIND

KINDS: Mapping[str, Kind[Any]] = {
    outbox.PREFIX: PREFIX_KIND,
    node_filing.NODE: NODE_KIND,
    reports.STATISTICS: STATISTICS_KIND,
    schedule.ESCROW: ESCROW_KIND,
    reports.TEMPLATE: TEMPLATE_KIND,
}


class _Named(msgspec.Struct):
    node: Name
    kind: str


def read(body: bytes) -> tuple[Kind[Any], Message[Any]]:
    """Read and check a message. Raises MalformedRequest, InvalidValue, Conflict with the field."""
    name = decode_json(body, _Named).kind
    kind = KINDS.get(name)
    if kind is None:
        raise InvalidValue(f"one of {', '.join(KINDS)}", field="kind")
    message = decode_json(body, kind.message)
    check_named_prefix(message.node, "node")
    kind.check(message)
    return kind, message
