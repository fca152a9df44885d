"""idnode escrow, idnode restore: a node in signed files, and a node out of them."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from admin import __version__, datadir
from admin.commands.audit import own_key, read_key
from admin.commands.options import json_option, settings_options
from admin.commands.store import database_url
from admin.settings import Settings
from admin.words import Failure, show, words
from protocol.errors import StoreUnavailable
from registry.database import Database
from registry.escrow import chain, restoring, taking
from registry.escrow.manifest import EscrowError, Step, read
from registry.tenancy import RoleMissing

_directory = click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
_key = click.option(
    "--key",
    "key_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file of the public key that must have signed. Default: that of this node.",
)


@click.group(help=words("Copies of the whole node in signed files.", "整个节点的签名备份文件。"))
def escrow() -> None:
    """Hold the commands on the escrow."""


@escrow.command(
    "take",
    help=words(
        "Write the next step into DIRECTORY: an increment, or a snapshot where none can follow.",
        "在 DIRECTORY 中写入下一步:增量;无法衔接时为全量快照。",
    ),
)
@_directory
@click.option("--whole", is_flag=True, help="A snapshot, even if an increment could follow.")
@json_option
@settings_options("data_dir", "log_key", "prefix")
def take(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    directory: Path,
    whole: bool,
    as_json: bool,
) -> None:
    """Write the next step."""
    del read_settings
    key = own_key(settings)

    async def run(url: str) -> Step:
        database = Database(url, pool_size=1)
        try:
            return await taking.take(
                database,
                directory,
                key,
                node=settings.prefix,
                version=__version__,
                clock=time.time,
                whole=whole,
            )
        finally:
            await database.close()

    with database_url(settings) as url:
        step = _run(lambda: asyncio.run(run(url)))
    show(_told(step), _line(step), as_json=as_json)


@escrow.command("list", help=words("Show the steps in DIRECTORY.", "列出 DIRECTORY 中的各步。"))
@_directory
@_key
@json_option
@settings_options("data_dir", "log_key")
def list_steps(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    directory: Path,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Show the steps."""
    del read_settings
    key = _public(settings, key_file)
    steps = _run(lambda: [read(directory / name, key) for name in chain.names(directory)])
    show([_told(step) for step in steps], "\n".join(map(_line, steps)), as_json=as_json)


@click.command(
    help=words(
        "Make a node out of the steps in DIRECTORY, in an empty database; all of it or nothing.",
        "用 DIRECTORY 中的各步在空数据库中重建节点;全部成功或毫无改动。",
    )
)
@_directory
@_key
@click.option("--until", metavar="DIGEST", help="The last step wanted; see `idnode escrow list`.")
@json_option
@settings_options("data_dir", "log_key", "prefix")
def restore(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    directory: Path,
    key_file: Path | None,
    until: str | None,
    as_json: bool,
) -> None:
    """Make a node out of an escrow."""
    del read_settings
    key = _public(settings, key_file)

    async def run(url: str) -> list[Step]:
        database = Database(url, pool_size=1)
        try:
            return await restoring.restore(
                database, directory, key, until=until, node=settings.prefix
            )
        finally:
            await database.close()

    with database_url(settings) as url:
        steps = _run(lambda: asyncio.run(run(url)))
    last = steps[-1]
    english = f"restored from {len(steps)} steps, up to {_line(last)}"
    show(
        {"steps": len(steps), "last": _told(last)},
        words(english, f"已由 {len(steps)} 步恢复,截至 {_line(last)}"),
        as_json=as_json,
    )


def _run(do: Callable[[], Any]) -> Any:
    try:
        return do()
    except (EscrowError, RoleMissing) as error:
        raise Failure(str(error)) from error
    except StoreUnavailable as error:
        raise Failure(f"the database does not answer: {error.__cause__}") from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from error


def _public(settings: Settings, given: Path | None) -> Ed25519PublicKey:
    """Return the key that must have signed: the one given, else our own."""
    if given is not None:
        return read_key(given)
    if not datadir.log_key(settings).exists():
        raise click.UsageError(
            words(
                "this node has no key; name the one that must have signed with --key",
                "本节点没有密钥;请用 --key 指定签名公钥",
            )
        )
    return own_key(settings).public_key()


def _told(step: Step) -> dict[str, Any]:
    manifest = step.manifest
    return {
        "name": step.path.name,
        "digest": step.digest,
        "previous": manifest.previous,
        "number": manifest.number,
        "taken_at": _moment(step),
        "rows": sum(table.rows.rows for table in manifest.tables),
        "bytes": step.bytes,
    }


def _line(step: Step) -> str:
    told = _told(step)
    kind = words("snapshot", "快照") if step.manifest.number == 0 else words("increment", "增量")
    return words(
        f"{told['name']}: {kind}, {told['rows']:,} rows, {told['bytes']:,} bytes,"
        f" digest {step.digest}",
        f"{told['name']}:{kind},{told['rows']:,} 行,{told['bytes']:,} 字节,摘要 {step.digest}",
    )


def _moment(step: Step) -> str:
    moment = datetime.datetime.fromtimestamp(step.manifest.taken_at, datetime.UTC)
    return moment.isoformat().replace("+00:00", "Z")
