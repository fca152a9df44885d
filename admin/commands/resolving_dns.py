"""idnode resolve --dns: what an identifier says over DNS."""

from __future__ import annotations

import asyncio
from typing import Any

import click
import dns.message
import dns.rcode
import dns.rdatatype

from admin.settings import Settings, zone_settings
from admin.words import show
from protocol.dns.naptr import url_of
from protocol.dns.zones import Zones, text_of
from protocol.errors import IdnodeError, ResponseCode
from protocol.identifier import Identifier
from resolver.client.dns import ask

_CODES = {
    dns.rcode.NXDOMAIN: ResponseCode.HANDLE_NOT_FOUND,
    dns.rcode.REFUSED: ResponseCode.SERVER_NOT_RESPONSIBLE,
    dns.rcode.SERVFAIL: ResponseCode.SERVER_BUSY,
}


def resolve_by_dns(
    settings: Settings,
    identifier: Identifier,
    *,
    host: str | None,
    port: int | None,
    trace: bool,
    as_json: bool,
) -> ResponseCode:
    """Ask a name server, print what it says, and return the code of the Handle protocol for it.

    host, port: of the server; None: the node of the settings, whose zones the name is in anyway.
    Raises UsageError for an identifier that has no name there, PeerUnavailable, ProtocolError.
    """
    port = port or settings.dns_port
    if not port:
        raise click.UsageError("--port: IDNODE_DNS_PORT is 0, so this node has no dns")
    try:
        name = Zones.of(zone_settings(settings).zones()).name_of(identifier)
    except IdnodeError as error:
        raise click.UsageError(f"{error.field}: {error.detail}") from error
    seen: list[dict[str, str]] = []

    def watch(event: str, message: dns.message.Message) -> None:
        if trace and as_json:
            seen.append({"event": event, "server": f"dns://{host}:{port}", "message": str(message)})
        elif trace:
            click.echo(f"{'-->' if event == 'send' else '<--'} dns://{host}:{port}\n{message}\n")

    host = host or settings.bind
    answer = asyncio.run(ask(name, host, port, watch))
    body = describe(str(identifier), text_of(name), answer)
    show(body | {"trace": seen} if seen else body, _table(body), as_json=as_json)
    return ResponseCode(body["responseCode"])


def describe(identifier: str, name: str, answer: dns.message.Message) -> dict[str, Any]:
    """Return a response of the DNS as one of the Handle JSON API, as far as it says the same.

    The index of a value is not known over DNS; what its record says besides stands beside it.
    """
    values = [
        {
            "type": "URL",
            "data": {"format": "string", "value": url_of(record.regexp.decode())},
            "ttl": rrset.ttl,
            "order": record.order,
            "preference": record.preference,
            "service": record.service.decode(),
        }
        for rrset in answer.answer
        if rrset.rdtype == dns.rdatatype.NAPTR
        for record in sorted(rrset, key=lambda one: (one.order, one.preference))
    ]
    code = _CODES.get(answer.rcode(), ResponseCode.ERROR)
    if answer.rcode() == dns.rcode.NOERROR:
        code = ResponseCode.SUCCESS if values else ResponseCode.VALUES_NOT_FOUND
    return {
        "responseCode": int(code),
        "handle": identifier,
        "name": name,
        "rcode": dns.rcode.to_text(answer.rcode()),
        "values": values,
    }


def _table(body: dict[str, Any]) -> str:
    lines = [f"{body['handle']}  {body['name']}  {body['rcode']}"]
    for value in body["values"]:
        place = f"{value['order']:>5} {value['preference']:>5}"
        lines.append(f"{place}  {value['service']:16}  {value['data']['value']}")
    return "\n".join(
        "".join(c if c.isprintable() else repr(c)[1:-1] for c in line) for line in lines
    )
