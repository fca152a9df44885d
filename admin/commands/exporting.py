"""idnode export: all identifiers of a prefix into a file."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import click

from admin.client import connect, node_url
from admin.commands.options import bearer_token, json_option, settings_options, token_option
from admin.settings import Settings
from admin.words import Failure, show, words

_FORMATS = {".csv": "csv", ".xlsx": "xlsx", ".ndjson": "ndjson", ".jsonl": "ndjson"}


@click.command(help=words("Export the identifiers of a prefix.", "导出前缀下的标识。"))
@click.argument("prefix")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; it must not be there. Default: standard output.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv", "xlsx"]),
    help="Default: by the name of the file; ndjson.",
)
@click.option("--members/--no-members", default=True, help="Members of ranges too.")
@click.option("--url", help="The node to export from. Default: the one of the settings.")
@token_option
@json_option
@settings_options("bind", "http_port", "data_dir")
def export_file(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    prefix: str,
    output: Path | None,
    form: str | None,
    members: bool,
    url: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    """Export the identifiers of a prefix."""
    del read_settings
    if form is None:
        form = _FORMATS.get(output.suffix.lower(), "ndjson") if output else "ndjson"
    if output is None and form == "xlsx" and sys.stdout.isatty():
        raise click.UsageError("a workbook goes into a file: name one with --output")
    query = {"prefix": prefix, "format": form, "members": str(members).lower()}
    place, bearer = url or node_url(settings), bearer_token(token, settings)
    if output is None:
        asyncio.run(_take(place, bearer, query, sys.stdout.buffer))
        return
    size = _into(output, lambda file: asyncio.run(_take(place, bearer, query, file)))
    told = {"file": str(output), "bytes": size}
    show(told, words(f"{output}: {size:,} bytes", f"{output}:{size:,} 字节"), as_json=as_json)


def _into(output: Path, fill: Callable[[BinaryIO], int]) -> int:
    """Fill a file that is not there before, nor if that fails; return its length in bytes."""
    part = output.with_name(f".{output.name}.part")
    if output.exists():
        raise Failure(f"{output} is there already", f"{output} 已存在")
    try:
        with part.open("xb") as file:
            size = fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, output)  # unlike a renaming, it puts nothing in the place of another file
    except OSError as error:
        raise Failure(f"{output}: {error.strerror}", f"{output}:{error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return size


async def _take(url: str, token: str, query: dict[str, Any], file: BinaryIO) -> int:
    size = 0
    async with connect(url, token) as client:
        async for piece in client.download("/exports/identifiers", **query):
            file.write(piece)
            size += len(piece)
    file.flush()
    return size
