"""idnode resolve: what an identifier says."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from typing import Any

import click

from admin.client import connect, node_url
from admin.commands.options import json_option, settings_options
from admin.settings import Settings
from admin.words import Failure, show, words
from protocol.errors import IdnodeError, ResponseCode
from protocol.identifier import Identifier

_NO_VALUES = "-"


@click.command(help=words("Resolve an identifier.", "解析一个标识。"))
@click.argument("identifier")
@click.option("--http", "transport", flag_value="http", default="http", help="Ask over HTTP.")
@click.option("--url", help="The node to ask. Default: the one of the settings.")
@json_option
@settings_options("bind", "http_port")
def resolve(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    identifier: str,
    transport: str,
    url: str | None,
    as_json: bool,
) -> None:
    """Resolve an identifier."""
    del read_settings, transport
    try:
        wanted = Identifier.parse(identifier)
    except IdnodeError as error:
        raise click.UsageError(f"{error.field}: {error.detail}") from error
    answer = asyncio.run(_ask(url or node_url(settings), wanted))
    show(answer, _table(answer), as_json=as_json)
    if answer.get("responseCode") != ResponseCode.SUCCESS:
        raise click.exceptions.Exit(1)


async def _ask(url: str, identifier: Identifier) -> dict[str, Any]:
    async with connect(url) as client:
        status, answer = await client.handle(identifier)
    if "responseCode" not in answer:
        raise Failure(f"{url} answered HTTP {status} without Handle JSON")
    return answer


def _table(answer: dict[str, Any]) -> str:
    code = answer["responseCode"]
    head = f"{answer.get('handle', _NO_VALUES)}  {_name(code)}"
    if answer.get("message"):
        head += f"  {answer['message']}"
    lines = [head]
    for value in answer.get("values", ()):
        data = value["data"]
        shown = data["value"] if isinstance(data, dict) else data
        lines.append(f"{value['index']:>7}  {_padded(value['type'], 16)}  {_printable(str(shown))}")
    return "\n".join(lines)


def _name(code: int) -> str:
    try:
        return f"{code} {ResponseCode(code).name}"
    except ValueError:
        return str(code)


def _padded(text: str, columns: int) -> str:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return text + " " * max(0, columns - len(text) - wide)


def _printable(text: str) -> str:
    """Keep what an identifier says from steering the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
