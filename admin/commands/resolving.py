"""idnode resolve: what an identifier says."""

from __future__ import annotations

import asyncio
import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

import click

from admin.commands.options import json_option, settings_options
from admin.commands.resolving_dns import resolve_by_dns
from admin.settings import Settings
from admin.supervisor import address
from admin.trace import as_text, describe_step, name
from admin.words import Failure, show, words
from protocol.errors import IdnodeError, PeerUnavailable, ResponseCode
from protocol.identifier import Identifier
from protocol.values import MAX_INDEX
from resolver.client.exchange import Asking
from resolver.client.resolving import resolve as resolve_at
from resolver.client.steps import Endpoint, Step, Transport
from resolver.recursion.once import walk_once
from resolver.recursion.places import Place, read_root

DEFAULT: Transport = "http"
_DNS: Final = "dns"


def _transport_options(command: Callable[..., None]) -> Callable[..., None]:
    for transport in (*get_args(Transport), _DNS):
        command = click.option(
            f"--{transport}",
            "transport",
            flag_value=transport,
            help=f"Ask over {transport.upper()}." + " The default." * (transport == DEFAULT),
        )(command)
    return command


@click.command(help=words("Resolve an identifier.", "解析一个标识。"))
@click.argument("identifier")
@_transport_options
@click.option("--host", help="The server to ask. Default: the node of the settings.")
@click.option("--port", type=click.IntRange(1, 65535), help="Its port. Default: of the settings.")
@click.option("--url", help="The server to ask over HTTP, instead of --host and --port.")
@click.option("--type", "types", multiple=True, help="Only values of this type; may be repeated.")
@click.option(
    "--index",
    "indexes",
    multiple=True,
    type=click.IntRange(1, MAX_INDEX),
    help="Only the value with this index; may be repeated.",
)
@click.option(
    "--trace",
    is_flag=True,
    help="Print each server asked and each message, decoded; with --recursion-root also the way"
    " from the root to the node that has it.",
)
@json_option
@settings_options("bind", "http_port", "handle_port", "dns_port", "recursion_root")
def resolve(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    identifier: str,
    transport: Literal[Transport, "dns"] | None,
    host: str | None,
    port: int | None,
    url: str | None,
    types: tuple[str, ...],
    indexes: tuple[int, ...],
    trace: bool,
    as_json: bool,
) -> None:
    """Resolve an identifier. Exit code 1 where the answer is not success."""
    del read_settings
    if transport == _DNS:
        if url or types or indexes:
            raise click.UsageError("--dns: --url, --type and --index are for the other transports")
        _over_dns(settings, identifier, host=host, port=port, trace=trace, as_json=as_json)
        return
    endpoint = _endpoint(settings, transport or DEFAULT, host=host, port=port, url=url)
    try:
        asking = Asking(
            Identifier.parse(identifier),
            request_id=secrets.randbits(31),
            now=int(time.time()),
            types=types,
            indexes=indexes,
        )
    except IdnodeError as error:
        raise click.UsageError(f"{error.field}: {error.detail}") from error
    seen = _Seen(trace, as_json)
    try:
        answer = asyncio.run(resolve_at(asking, endpoint, url=url, watch=seen.watch))
    except IdnodeError as error:
        if seen.steps:
            show({"trace": seen.steps}, "", as_json=True)
        raise _failure(error) from error
    body = answer.to_json()
    text = _table(body, identifier)
    if seen.steps:
        body["trace"] = seen.steps
    if trace and settings.recursion_root is not None:
        body["walk"] = _walk(asking.identifier, read_root(settings.recursion_root), as_json)
    show(body, text, as_json=as_json)
    if answer.code != ResponseCode.SUCCESS:
        raise click.exceptions.Exit(1)


@dataclass
class _Seen:
    """Prints steps, or keeps them for JSON, with the seconds since the first one."""

    wanted: bool
    as_json: bool
    steps: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def watch(self, step: Step) -> None:
        at = time.monotonic() - self.started
        if self.wanted and self.as_json:
            self.steps.append(describe_step(step, at))
        elif self.wanted:
            click.echo("\n".join(map(_safe, as_text(step, at).split("\n"))))


def _walk(identifier: Identifier, root: Place, as_json: bool) -> dict[str, Any]:
    """Walk from the root, print or return the steps, and what came of it."""
    if not as_json:
        click.echo(words("=== the way from the root", "=== 从根节点开始的路径"))
    seen = _Seen(True, as_json)
    try:
        body = asyncio.run(walk_once(identifier, root, seen.watch)).to_json()
        end = _table(body, str(identifier))
    except IdnodeError as error:
        body, end = {"message": error.detail}, _safe(error.detail)
    if not as_json:
        click.echo(end + "\n" + words("=== the answer of the server", "=== 服务器的应答"))
    return body | {"trace": seen.steps}


def _over_dns(
    settings: Settings,
    identifier: str,
    *,
    host: str | None,
    port: int | None,
    trace: bool,
    as_json: bool,
) -> None:
    try:
        asked = Identifier.parse(identifier)
    except IdnodeError as error:
        raise click.UsageError(f"{error.field}: {error.detail}") from error
    try:
        code = resolve_by_dns(settings, asked, host=host, port=port, trace=trace, as_json=as_json)
    except IdnodeError as error:
        raise _failure(error) from error
    if code != ResponseCode.SUCCESS:
        raise click.exceptions.Exit(1)


def _failure(error: IdnodeError) -> Failure:
    if isinstance(error, PeerUnavailable):
        return Failure(
            f"the server does not answer: {error.detail}", f"服务器没有应答:{error.detail}"
        )
    return Failure(error.detail)


def _endpoint(
    settings: Settings, transport: Transport, *, host: str | None, port: int | None, url: str | None
) -> Endpoint:
    """Return where to ask first. Raises UsageError."""
    if url is not None and (transport != "http" or host or port):
        raise click.UsageError("--url is for HTTP, instead of --host and --port")
    port = port or (settings.http_port if transport == "http" else settings.handle_port)
    if not port:
        raise click.UsageError(f"--port: IDNODE_HANDLE_PORT is 0, so this node has no {transport}")
    parts = urlsplit(url or address(host or settings.bind, port))
    try:
        where, port = parts.hostname, parts.port or {"https": 443}.get(parts.scheme, 80)
    except ValueError as error:
        raise click.UsageError(f"--url: {error}") from error
    if parts.scheme not in ("http", "https") or not where:
        raise click.UsageError("--url: not of the form http://host:port")
    return Endpoint(transport, where, port)


def _table(answer: dict[str, Any], asked: str) -> str:
    code = answer["responseCode"]
    head = f"{answer.get('handle', asked)}  {name(ResponseCode, code)}"
    if answer.get("message"):
        head += f"  {answer['message']}"
    lines = [_safe(head)]
    for value in answer.get("values", ()):
        shown = _safe(str(value["data"]["value"]))
        lines.append(f"{value['index']:>7}  {_padded(_safe(value['type']), 16)}  {shown}")
    return "\n".join(lines)


def _padded(text: str, columns: int) -> str:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return text + " " * max(0, columns - len(text) - wide)


def _safe(text: str) -> str:
    """Keep what a server says from steering the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
