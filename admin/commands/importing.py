"""idnode import: a file of identifiers into the registry."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from admin.client import Client, connect, node_url
from admin.commands.options import bearer_token, json_option, settings_options, token_option
from admin.settings import Settings
from admin.words import show, words

MEDIA_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ndjson": "application/x-ndjson",
}
_FORMATS = {".csv": "csv", ".xlsx": "xlsx", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_PIECE_BYTES = 1 << 18
_POLL_SECONDS = 0.2
_OPEN = ("uploading", "queued", "running")


@click.command(help=words("Import identifiers from a file.", "从文件导入标识。"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--prefix", "under", help="The prefix of rows that have a suffix alone.")
@click.option("--template", help="NAME or NAME/VERSION: what rows are checked by.")
@click.option(
    "--mapping",
    help="Of columns to the template: the name of one that is kept, or @FILE with one in JSON.",
)
@click.option(
    "--mode",
    type=click.Choice(["upsert", "insert"]),
    default="upsert",
    show_default=True,
    help="insert: what is registered already is refused.",
)
@click.option("--dry-run", is_flag=True, help="Check everything, register nothing.")
@click.option("--format", "form", type=click.Choice(list(MEDIA_TYPES)), help="Default: by name.")
@click.option("--url", help="The node to import into. Default: the one of the settings.")
@token_option
@json_option
@settings_options("bind", "http_port", "data_dir")
def import_file(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    file: Path,
    under: str | None,
    template: str | None,
    mapping: str | None,
    mode: str,
    dry_run: bool,
    form: str | None,
    url: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    """Import identifiers from a file."""
    del read_settings
    form = form or _FORMATS.get(file.suffix.lower())
    if form is None:
        raise click.UsageError(
            f"{file.name}: not .csv, .xlsx, .ndjson or .jsonl; say which with --format"
        )
    url = url or node_url(settings)
    query = {
        "prefix": under,
        "template": template,
        "mapping": _mapping(mapping),
        "mode": mode,
        "dry_run": str(dry_run).lower(),
    }
    given = {name: value for name, value in query.items() if value is not None}
    job = asyncio.run(_import(url, bearer_token(token, settings), file, form, given))
    errors = f"{url}/api/v1/imports/{job['id']}/errors"
    show(
        job | {"errors": errors if job["failed"] else None}, _summary(job, errors), as_json=as_json
    )
    if job["state"] not in ("done", "checked") or job["failed"]:
        raise click.exceptions.Exit(1)


def _mapping(given: str | None) -> str | None:
    """Return the text of a mapping, or its name. Raises click.UsageError."""
    if given is None or not given.startswith("@"):
        return given
    try:
        text = Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--mapping: {given[1:]} cannot be read: {error}") from None
    try:
        decoded = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--mapping: {given[1:]} is not JSON: {error}") from None
    if not isinstance(decoded, dict):
        raise click.UsageError(f"--mapping: {given[1:]} is not a JSON object")
    return msgspec.json.encode(decoded).decode()


async def _import(
    url: str, token: str, file: Path, form: str, query: dict[str, str]
) -> dict[str, Any]:
    rows = 0
    async with connect(url, token) as client:
        with file.open("rb") as opened, _bar(words("Upload", "上传"), _size(opened)) as bar:

            async def pieces() -> AsyncIterator[bytes]:
                nonlocal rows
                while piece := opened.read(_PIECE_BYTES):
                    yield piece
                    bar.update(len(piece))
                    rows += piece.count(b"\n")

            job = await client.upload("/imports", pieces(), MEDIA_TYPES[form], **query)
        return await follow(client, job["id"], rows)


async def follow(client: Client, job_id: str, rows: int) -> dict[str, Any]:
    """Show the progress of an import until it has ended, and return its last state.

    rows: about how many there are.
    """
    with _bar(words("Import", "导入"), rows) as bar:
        while True:
            job = await client.get(f"/imports/{job_id}")
            ended = job["state"] not in _OPEN
            decided = rows if ended else min(rows, job["done"] + job["failed"])
            bar.update(decided - bar.pos)
            if ended:
                return job
            await asyncio.sleep(_POLL_SECONDS)


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _bar(label: str, length: int) -> Any:
    return click.progressbar(length=length, label=label, file=sys.stderr, show_pos=True)


def _summary(job: dict[str, Any], errors: str) -> str:
    done, failed = f"{job['done']:,}", f"{job['failed']:,}"
    if job["dry_run"]:
        told = words(
            f"{job['state']}: {done} rows right, {failed} to be refused; nothing was registered",
            f"{job['state']}:{done} 行可以注册,{failed} 行将被拒绝,未注册任何标识",
        )
    else:
        told = words(
            f"{job['state']}: {done} rows registered, {failed} refused",
            f"{job['state']}:成功 {done} 行,失败 {failed} 行",
        )
    lines = [told]
    if job.get("reason"):
        lines.append(job["reason"])
    if job["failed"]:
        lines.append(words(f"Why, row by row: {errors}", f"逐行原因:{errors}"))
    return "\n".join(lines)
