"""idnode serve, migrate, version: the processes of a node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import click

from admin import __version__, logs
from admin.commands.options import ALL, json_option, settings_options
from admin.commands.store import database_url
from admin.settings import Settings
from admin.supervisor import StartError
from admin.supervisor import serve as run_node
from admin.words import Failure, show, words
from protocol.errors import StoreUnavailable
from registry.database import migrate as migrate_database
from registry.tenancy import RoleMissing

lifeline_option = click.option(
    "--lifeline", is_flag=True, hidden=True, help="End when standard input ends."
)


@click.command(
    help=words("Run the node until SIGTERM or Ctrl-C.", "运行节点，直到 SIGTERM 或 Ctrl-C。")
)
@lifeline_option
@settings_options(*ALL)
def serve(settings: Settings, read_settings: Callable[[], Settings], *, lifeline: bool) -> None:
    """Run the node until SIGTERM or Ctrl-C."""
    logs.configure(settings.log_level)
    try:
        asyncio.run(run_node(settings, read_settings, lifeline=lifeline))
    except StartError as error:
        raise Failure(str(error)) from error


@click.command(help=words("Bring the database to this version's tables.", "把数据库迁移到本版本。"))
@settings_options("data_dir")
def migrate(settings: Settings, read_settings: Callable[[], Settings]) -> None:
    """Bring the database to this version's tables."""
    del read_settings
    logs.configure(settings.log_level)
    with database_url(settings) as url:
        try:
            asyncio.run(migrate_database(url))
        except StoreUnavailable as error:
            raise Failure(f"the database does not answer: {error.__cause__}") from error
        except RoleMissing as error:
            raise Failure(str(error)) from error


@click.command(help=words("Print the version.", "显示版本。"))
@json_option
def version(*, as_json: bool) -> None:
    """Print the version."""
    show({"version": __version__}, f"idnode {__version__}", as_json=as_json)
